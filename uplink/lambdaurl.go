package uplink

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// lambdaURLRow: a function of AWS by its own URL. It sees an HTTP request, and
// answers with a status of its own.
var lambdaURLRow = httpKind("path auth"+awsOptions, newLambdaURL)

// functionHost is that of a function's URL, with its region.
var functionHost = regexp.MustCompile(`^[a-z0-9]+\.lambda-url\.([a-z0-9-]+)\.on\.aws$`)

func newLambdaURL(c *TargetConfig) (*preset, error) {
	to, err := place(c, "", "")
	if err != nil {
		return nil, err
	}
	way, err := oneOf("auth", c.Auth, "none", "iam")
	if err != nil {
		return nil, err
	}
	p := &preset{
		url: to, path: c.Path, limit: maxSync, auth: noAuth{}, write: writeTraced,
		reserved: []string{"content-type", "idempotency-key", "x-amz-", "x-amzn-"},
	}
	if way == "none" {
		return p, unsigned(c)
	}
	sign, err := newAWSAuth(c, "lambda", regionOf(to))
	if err != nil {
		return nil, err
	}
	p.auth = sign
	p.class, p.retry = sign.rules(c, func(a *answer) Class {
		if a.refused() {
			return a.awsClass()
		}
		return a.class() // the function's own
	})
	return p, nil
}

// unsigned refuses credentials that nothing would use.
func unsigned(c *TargetConfig) error {
	var errs []error
	given := c.given()
	for _, opt := range strings.Fields(awsOptions) {
		if slices.Contains(given, opt) {
			errs = append(errs, mistake(opt, "is for auth iam; set that, or remove it"))
		}
	}
	return errors.Join(errs...)
}

// regionOf is the region of a function's URL, "" of any other.
func regionOf(to string) string {
	r, err := http.NewRequest(http.MethodPost, to, nil)
	if err != nil {
		return ""
	}
	if m := functionHost.FindStringSubmatch(r.URL.Hostname()); m != nil {
		return m[1]
	}
	return ""
}
