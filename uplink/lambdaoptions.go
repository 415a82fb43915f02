package uplink

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

// LambdaOptions bind a Lambda function; Function is needed, and Region unless
// Function is an ARN. Without AccessKeyID the credentials come from
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
type LambdaOptions struct {
	Function        string // name, name:qualifier, partial or full ARN
	Region          string // "eu-central-1"
	Endpoint        string // instead of https://lambda.<region>.amazonaws.com
	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string
	CAFile          string        // PEM: trusted instead of the system's roots
	Timeout         time.Duration // of one request; 0 means 30 s

	Now func() time.Time // nil means time.Now
}

// functionName is what Invoke takes, as AWS's service model has it.
var functionName = regexp.MustCompile(`^(arn:aws[a-zA-Z-]*:lambda:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:function:|(?:\d{12}:)?function:)?` +
	`[a-zA-Z0-9_-]+(:(\$LATEST|[a-zA-Z0-9_-]+))?$`)

var regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)

// region is the configured one, or that of the ARN.
func (opts *LambdaOptions) region() (string, error) {
	if opts.Function == "" {
		return "", errors.New("function is missing; give its name or ARN")
	}
	m := functionName.FindStringSubmatch(opts.Function)
	if m == nil || len(opts.Function) > 170 {
		return "", fmt.Errorf("function %.80q is not a Lambda function name or ARN", opts.Function)
	}
	region := cmp.Or(opts.Region, m[2])
	switch {
	case region == "":
		return "", errors.New("region is missing; give one such as eu-central-1, or a full ARN as function")
	case m[2] != "" && m[2] != region:
		return "", fmt.Errorf("region is %s but the function's ARN says %s; make them agree", region, m[2])
	case !regionName.MatchString(region):
		return "", fmt.Errorf("region %.40q is not an AWS region; give one such as eu-central-1", region)
	}
	return region, nil
}

func (opts *LambdaOptions) signer(region string) (signer, error) {
	s := signer{opts.AccessKeyID, opts.SecretAccessKey, opts.SessionToken, region, "lambda"}
	if s.keyID == "" && s.secret == "" && s.session == "" {
		s.keyID, s.secret = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		s.session = os.Getenv("AWS_SESSION_TOKEN")
	}
	if s.keyID == "" || s.secret == "" {
		return s, errors.New("credentials are missing; give access_key_id and secret_access_key, " +
			"or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	if !validValue(s.keyID) || !validValue(s.session) {
		return s, errors.New("access_key_id or session_token holds characters that a header cannot carry")
	}
	return s, nil
}

func (opts *LambdaOptions) url(region string) (*url.URL, error) {
	base := opts.Endpoint
	if base == "" {
		base = "https://lambda." + region + ".amazonaws.com"
		if strings.HasPrefix(region, "cn-") {
			base += ".cn"
		}
	}
	base, err := checkURL("endpoint", base)
	if err != nil {
		return nil, err
	}
	if strings.Contains(base, "?") {
		return nil, errors.New("endpoint must have no query")
	}
	return url.Parse(strings.TrimRight(base, "/") + "/2015-03-31/functions/" + rfc3986(opts.Function) + "/invocations")
}
