package uplink

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
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

// botocoreSigner prints the Authorization of each request that it reads, made by
// AWS's own SDK.
const botocoreSigner = `
import datetime, json, sys
import botocore.auth, botocore.awsrequest, botocore.credentials
for r in json.load(sys.stdin):
    now = datetime.datetime.strptime(r["At"], "%Y%m%dT%H%M%SZ")
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: now
    creds = botocore.credentials.Credentials(r["KeyID"], r["Secret"], r["Session"] or None)
    req = botocore.awsrequest.AWSRequest(method=r["Method"], url=r["URL"], data=r["Body"], headers=r["Header"])
    botocore.auth.SigV4Auth(creds, r["Service"], r["Region"]).add_auth(req)
    print(req.headers["Authorization"])
`

// What AWS's own SDK signs has the same signature here.
func TestSignaturesAsBotocoreMakesThem(t *testing.T) {
	type request struct {
		Method, URL, Body, At  string
		Header                 map[string]string
		KeyID, Secret, Session string
		Service, Region        string
	}
	var all []request
	for _, path := range []string{
		"/", "/2015-03-31/functions/plant%3Aprod/invocations", "/a%20b/%C3%96l/x.y~z", "/in?b=2&a=1%2F2&c", "/in?x=%20&x=1", "/in?a-b=1&a=2&a1=3", "//a/./b", "/a/../../b//", "/../",
	} {
		for _, session := range []string{"", "TOKEN/+="} {
			all = append(all, request{
				Method: "POST", URL: "https://lambda.us-west-1.amazonaws.com" + path, Body: `{"t":"Öl"}`, At: "20261121T020538Z",
				Header: map[string]string{"Content-Type": "application/json", "X-Amz-Invocation-Type": "Event"},
				KeyID:  "AKIDEXAMPLE", Secret: "a/b+c=d", Session: session, Service: "lambda", Region: "us-west-1",
			}, request{
				Method: "POST", URL: "http://127.0.0.1:4566" + path, Body: "", At: "20260101T000000Z",
				Header: map[string]string{"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AWSStepFunctions.StartExecution"},
				KeyID:  "AKIDEXAMPLE", Secret: "a/b+c=d", Session: session, Service: "states", Region: "eu-central-1",
			})
		}
	}
	in, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.Command("python3", "-c", botocoreSigner)
	python.Stdin = bytes.NewReader(in)
	out, err := python.CombinedOutput()
	if err != nil {
		t.Fatalf("botocore, which comes with moto (pip install 'moto[server]'): %v\n%s", err, out)
	}
	theirs := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(theirs) != len(all) {
		t.Fatalf("%d signatures of %d requests:\n%s", len(theirs), len(all), out)
	}
	for i, r := range all {
		u, err := url.Parse(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(amzDate, r.At)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		for name, value := range r.Header {
			h.Set(name, value)
		}
		by := signer{credentials{keyID: r.KeyID, secret: r.Secret, session: r.Session}, r.Region, r.Service}
		by.sign(r.Method, u, h, []byte(r.Body), at)
		if got := h.Get("Authorization"); got != theirs[i] {
			t.Errorf("%s with session %q:\n%s\nbotocore:\n%s", r.URL, r.Session, got, theirs[i])
		}
	}
}
