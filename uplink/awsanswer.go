package uplink

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
)

// awsClass knows what AWS means by its answers: what is missing there is a
// mistake to mend, no fault of the record, and a 400 can be a throttle, or a
// refusal of the gateway (services of the JSON 1.0 protocol have no 403).
// Credentials that expired are replaced sooner or later: no record is lost to
// that, whatever becomes of those that are refused.
func (a *answer) awsClass() Class {
	class := a.class()
	switch {
	case class == FnError:
	case class != Delivered && expiredCodes[a.awsCode()]:
		return Retry
	case a.status == http.StatusNotFound, a.refusesGateway():
		return Hold
	case a.status == http.StatusBadRequest && throttleCodes[a.awsCode()]:
		return Retry
	}
	return class
}

// refusesGateway tells an answer that is about who asks from one that is about
// what is asked.
func (a *answer) refusesGateway() bool {
	switch a.status {
	case http.StatusForbidden, http.StatusUnauthorized:
		return true
	case http.StatusBadRequest:
		return refusalCodes[a.awsCode()] || expiredCodes[a.awsCode()]
	case http.StatusNotImplemented:
		return bytes.Contains(a.body, []byte("NotAuthenticated")) // Snafu
	}
	return false
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

// Names of errors, of botocore's service models and its retry table.
var (
	throttleCodes = set("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
		"RequestThrottledException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown",
		"ExecutionLimitExceeded", "KmsThrottlingException", "RequestTimeout", "RequestTimeoutException")
	refusalCodes = set("AccessDenied", "AccessDeniedException", "AuthFailure", "IncompleteSignature",
		"IncompleteSignatureException", "InvalidClientTokenId", "InvalidSignatureException", "KmsAccessDeniedException",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
		"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed", "SignatureDoesNotMatch",
		"UnrecognizedClientException")
	expiredCodes = set("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
)

// awsCode is the error's name: of the header x-amzn-ErrorType, which may carry
// a suffix after a colon, or of a JSON or XML body.
func (a *answer) awsCode() string {
	if code := errorName(a.header.Get("X-Amzn-ErrorType")); code != "" {
		return code
	}
	var j struct {
		Code string `json:"code"`
		Type string `json:"__type"`
	}
	if json.Unmarshal(a.body, &j) == nil {
		return errorName(cmp.Or(j.Code, j.Type))
	}
	var x struct {
		Code string `xml:"Error>Code"`
	}
	if xml.Unmarshal(a.body, &x) == nil {
		return x.Code
	}
	return ""
}

// errorName takes the name out of "com.amazon#Name:http://…".
func errorName(s string) string {
	s, _, _ = strings.Cut(s, ":")
	return s[strings.LastIndexByte(s, '#')+1:]
}
