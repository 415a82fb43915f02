package uplink

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// awsAuth signs requests to one service of AWS in one region.
type awsAuth struct {
	creds           *credentialChain
	region, service string
	clock           farClock
}

// Options of kinds whose requests are signed.
const awsOptions = " region access_key_id secret_access_key session_token credential_command credentials_file profile "

var regionName = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d+$`)

// newAWSAuth takes the region from the configuration, else the one that an ARN
// or a URL names.
func newAWSAuth(c *TargetConfig, service, named string) (*awsAuth, error) {
	s := &awsAuth{region: c.Region, service: service, clock: farClock{now: c.Now}}
	if s.region == "" {
		s.region = named
	}
	var errs [2]error
	switch {
	case s.region == "":
		errs[0] = mistake("region", "is missing; give one such as eu-central-1")
	case !regionName.MatchString(s.region):
		errs[0] = mistake("region", "%.40q is not an AWS region; give one such as eu-central-1", s.region)
	case named != "" && named != s.region:
		errs[0] = mistake("region", "is %s, but the ARN or the URL says %s; make them agree", s.region, named)
	}
	s.creds, errs[1] = newCredentialChain(c)
	return s, errors.Join(errs[:]...)
}

// endpoint is the URL of path at the configured place, else at the region's own.
func (s *awsAuth) endpoint(c *TargetConfig, path string) (string, error) {
	base := c.Endpoint
	if base == "" {
		base = "https://" + s.service + "." + s.region + ".amazonaws.com"
		if strings.HasPrefix(s.region, "cn-") {
			base += ".cn"
		}
	}
	base, err := checkURL("endpoint", base)
	if err != nil {
		return "", err
	}
	if strings.Contains(base, "?") {
		return "", mistake("endpoint", "must have no query")
	}
	return strings.TrimRight(base, "/") + path, nil
}

// apply signs r. Without credentials that is a RETRY: records wait for them.
func (s *awsAuth) apply(ctx context.Context, r *outgoing) error {
	to, err := url.Parse(r.url)
	if err != nil {
		return refuse("the URL of the request cannot be read")
	}
	now := s.clock.time()
	cr, err := s.creds.get(ctx, now)
	if err != nil {
		return &Error{Class: Retry, Reason: "no credentials to sign with: " + err.Error(), Err: err, Away: true}
	}
	by := signer{cr, s.region, s.service}
	by.sign(r.method, to, r.header, r.body, now)
	return nil
}

// again tells whether another clock or other credentials may help. A gateway
// without a battery-backed clock starts in the past.
func (s *awsAuth) again(_ *outgoing, a *answer) bool {
	return s.resync(a) || expiredCodes[a.awsCode()] && s.creds.renew(keyOf(a.sent))
}

// resync takes over AWS's clock if the request was signed with one that is far
// from it, and tells whether it did.
func (s *awsAuth) resync(a *answer) bool {
	signed, err := time.Parse(amzDate, a.sent.Get("X-Amz-Date"))
	return err == nil && s.clock.set(a.header, signed)
}

func (s *awsAuth) header() string    { return "Authorization" }
func (s *awsAuth) secrets() []string { return s.creds.secrets() }
func (s *awsAuth) note() string      { return s.creds.note() }

// rules are what an AWS kind knows of answers, beside its own: which of them
// refuse the gateway, and what becomes of records then.
func (s *awsAuth) rules(c *TargetConfig, own func(*answer) Class) (class func(*answer) (Class, string), retry func(*answer, *message) bool) {
	class = func(a *answer) (Class, string) {
		is, hint := own(a), ""
		if is == Hold && c.Refused == "dead" && a.refusesGateway() {
			is = Permanent
		}
		if name := a.header.Get("X-Amz-Function-Error"); name != "" {
			hint = "the function failed: " + a.excerpt(name)
		}
		return is, hint
	}
	retry = func(a *answer, _ *message) bool {
		return a.status == http.StatusBadRequest && a.refusesGateway() && s.again(nil, a)
	}
	return class, retry
}
