package uplink

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// In package uplink since the signer is nobody else's business. The first
// vector is the worked example of AWS's Signature Version 4 documentation, the
// next are get-vanilla and post-vanilla of its test suite, the last was made
// by AWS's Python SDK (botocore 1.43.11): an ARN in the path, a session token.
func TestSignatures(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	for _, tt := range []struct {
		name, method, url string
		header            http.Header
		body              string
		signer            signer
		at, names, want   string
	}{
		{
			"documentation", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
			http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
			"",
			signer{credentials{keyID: "AKIDEXAMPLE", secret: secret}, "us-east-1", "iam"},
			"20150830T123600Z",
			"content-type;host;x-amz-date", "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		},
		{
			"get-vanilla", "GET", "https://example.amazonaws.com/",
			http.Header{},
			"",
			signer{credentials{keyID: "AKIDEXAMPLE", secret: secret}, "us-east-1", "service"},
			"20150830T123600Z",
			"host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		},
		{
			"post-vanilla", "POST", "https://example.amazonaws.com/",
			http.Header{},
			"",
			signer{credentials{keyID: "AKIDEXAMPLE", secret: secret}, "us-east-1", "service"},
			"20150830T123600Z",
			"host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
		},
		{
			"botocore", "POST", "https://lambda.us-west-1.amazonaws.com/2015-03-31/functions/" +
				"arn%3Aaws%3Alambda%3Aus-west-1%3A123456789012%3Afunction%3Aplant/invocations",
			http.Header{"Content-Type": {"application/json"}, "X-Amz-Invocation-Type": {"Event"}},
			`{"t":21}`,
			signer{credentials{keyID: "AKIDEXAMPLE", secret: secret, session: "TOKEN"}, "us-west-1", "lambda"},
			"20261121T020538Z",
			"content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token",
			"3150a20b80f260f0c11a0689ba4ec34b85edf6e3912fd8492238b3731e7a5dba",
		},
	} {
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(amzDate, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		tt.signer.sign(tt.method, u, tt.header, []byte(tt.body), at)
		got := tt.header.Get("Authorization")
		if !strings.HasSuffix(got, "SignedHeaders="+tt.names+", Signature="+tt.want) {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}
