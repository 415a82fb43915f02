package uplink

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
)

// lambdaClass knows what Lambda means by its answers: a missing function is a
// mistake to mend, no fault of the record, and a 400 can be a throttle.
func (a *answer) lambdaClass() Class {
	class := a.class()
	switch {
	case class == FnError:
	case a.status == http.StatusNotFound:
		return Hold
	case a.status == http.StatusBadRequest && throttles[a.awsCode()]:
		return Retry
	}
	return class
}

var throttles = map[string]bool{
	"Throttling": true, "ThrottlingException": true, "ThrottledException": true,
	"RequestThrottled": true, "RequestThrottledException": true, "TooManyRequestsException": true,
}

// awsCode is the error's name: of the header x-amzn-ErrorType, which may carry
// a suffix after a colon, or of a JSON or XML body.
func (a *answer) awsCode() string {
	code, _, _ := strings.Cut(a.header.Get("X-Amzn-ErrorType"), ":")
	if code != "" {
		return code
	}
	var j struct {
		Code string `json:"code"`
		Type string `json:"__type"`
	}
	if json.Unmarshal(a.body, &j) == nil {
		return cmp.Or(j.Code, j.Type[strings.LastIndexByte(j.Type, '#')+1:])
	}
	var x struct {
		Code string `xml:"Error>Code"`
	}
	if xml.Unmarshal(a.body, &x) == nil {
		return x.Code
	}
	return ""
}
