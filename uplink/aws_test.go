package uplink_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/uplink"
)

var awsKinds = []string{"lambda", "lambda-url", "stepfunctions", "xray"}

// Without good credentials records wait, whatever becomes of those that AWS
// refuses otherwise.
func TestAWSCredentialsExpire(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-ErrorType", "ExpiredTokenException")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer far.Close()
	for _, kind := range awsKinds {
		c := kindConfig(kind, far.URL)
		c.Refused = "dead"
		if err := open(t, c).Send(t.Context(), sampleOf(kind)); uplink.ClassOf(err) != uplink.Retry {
			t.Errorf("%s: %v, %v", kind, uplink.ClassOf(err), err)
		}
		c.AccessKeyID, c.SecretAccessKey, c.CredentialCommand = "", "", []string{"false", "canary"}
		err := open(t, c).Send(t.Context(), sampleOf(kind))
		if uplink.ClassOf(err) != uplink.Retry || !asError(err).Away || !strings.Contains(err.Error(), "exit status 1") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s without credentials: %v, %v", kind, uplink.ClassOf(err), err)
		}
	}
}

// What AWS says, and what it means for a record; with refused: dead too.
func TestAWSClasses(t *testing.T) {
	const hold, dead = uplink.Hold, uplink.Permanent
	for _, tt := range []struct {
		kinds, name  string
		status       int
		header       string // "Name: value"
		body         string
		want, strict uplink.Class // strict: with refused: dead
	}{
		{"", "function error", 200, "X-Amz-Function-Error: Unhandled", `{"errorMessage":"boom"}`, uplink.FnError, uplink.FnError},
		{"lambda xray", "no such function", 404, "X-Amzn-ErrorType: ResourceNotFoundException", `{}`, hold, hold},
		{"", "throttle as 400", 400, "X-Amzn-ErrorType: ThrottlingException:http://x", `{}`, uplink.Retry, uplink.Retry},
		{"", "throttle as JSON", 400, "", `{"__type":"com.amazon#ThrottledException"}`, uplink.Retry, uplink.Retry},
		{"", "throttle as XML", 400, "", `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, uplink.Retry, uplink.Retry},
		{"", "bad request", 400, "X-Amzn-ErrorType: InvalidRequestContentException", `{}`, dead, dead},
		{"", "too large", 413, "", "", dead, dead},
		{"", "media type", 415, "", "", dead, dead},
		{"", "denied", 403, "X-Amzn-ErrorType: AccessDeniedException", "", hold, dead},
		{"", "denied as 400", 400, "", `{"__type":"AccessDeniedException"}`, hold, dead},
		{"", "unknown key as 400", 400, "", `{"__type":"UnrecognizedClientException"}`, hold, dead},
		{"", "throttled", 429, "", "", uplink.Retry, uplink.Retry},
		{"", "not ready", 409, "", "", uplink.Retry, uplink.Retry},
		{"", "server", 500, "", "", uplink.Retry, uplink.Retry},
		{"stepfunctions", "again", 400, "", `{"__type":"com.amazonaws.swf#ExecutionAlreadyExists"}`, uplink.Delivered, uplink.Delivered},
		{"stepfunctions", "too many", 400, "", `{"__type":"ExecutionLimitExceeded"}`, uplink.Retry, uplink.Retry},
		{"stepfunctions", "no machine", 400, "", `{"__type":"StateMachineDoesNotExist"}`, hold, hold},
		{"stepfunctions", "name", 400, "", `{"__type":"InvalidName"}`, dead, dead},
		{"stepfunctions", "input", 400, "", `{"__type":"InvalidExecutionInput"}`, dead, dead},
	} {
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				w.Header().Set(name, value)
			}
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		}))
		for _, kind := range awsKinds {
			if tt.kinds != "" && !strings.Contains(tt.kinds, kind) || tt.kinds == "" && kind == "lambda-url" && tt.status == 400 {
				continue // a function's own 400 is its own
			}
			for refused, want := range map[string]uplink.Class{"": tt.want, "hold": tt.want, "dead": tt.strict} {
				c := kindConfig(kind, far.URL)
				c.Refused = refused
				err := open(t, c).Send(t.Context(), sampleOf(kind))
				if got := uplink.ClassOf(err); got != want {
					t.Errorf("%s, %s, refused %q: class %v, want %v (%v)", kind, tt.name, refused, got, want, err)
				}
				if tt.want == uplink.FnError && !strings.Contains(err.Error(), "boom") {
					t.Errorf("%s: the error is not shown: %v", kind, err)
				}
			}
		}
		far.Close()
	}
}

// capture is a far side that keeps the last body it got.
func capture(t *testing.T, status int) (url string, last func() (http.Header, []byte)) {
	t.Helper()
	var (
		header http.Header
		body   []byte
	)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body) // a cut body fails the comparison
		w.WriteHeader(status)
	}))
	t.Cleanup(far.Close)
	return far.URL, func() (http.Header, []byte) { return header, body }
}

// The function finds the event's id, and its data as it was, in the payload of
// Lambda and in the input of an execution alike.
func TestAWSPayload(t *testing.T) {
	url, last := capture(t, http.StatusOK)
	for _, kind := range []string{"lambda", "stepfunctions"} {
		for _, tt := range []struct {
			data []byte
			key  string
			want any
		}{
			{[]byte(`{"t": "<21>"}`), "data", map[string]any{"t": "<21>"}},
			{[]byte("\x00\xff"), "data_base64", "AP8="},
			{[]byte("plain"), "data_base64", "cGxhaW4="},
			{nil, "data", nil},
		} {
			rec := sample()
			rec.Event.Data = tt.data
			if err := openKind(t, kind, url, 0).Send(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			_, text := last()
			if kind == "stepfunctions" {
				var start struct{ Input string }
				if err := json.Unmarshal(text, &start); err != nil {
					t.Fatal(err)
				}
				text = []byte(start.Input)
			}
			var p map[string]any
			if err := json.Unmarshal(text, &p); err != nil {
				t.Fatalf("payload %s: %v", text, err)
			}
			a, _ := json.Marshal(p[tt.key])
			b, _ := json.Marshal(tt.want)
			if string(a) != string(b) || p["id"] != rec.Event.ID {
				t.Errorf("%s, data %q: payload %s", kind, tt.data, text)
			}
		}
	}
}

// A payload template makes all that the function gets, always as JSON.
func TestAWSPayloadTemplate(t *testing.T) {
	url, last := capture(t, http.StatusOK)
	for template, want := range map[string]string{
		`{"degrees": "${data.t}"}`: `{"degrees":21}`,
		`it is ${data.t}`:          `"it is 21"`,
	} {
		c := kindConfig("lambda", url)
		c.Payload = template
		if err := open(t, c).Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if _, got := last(); string(got) != want {
			t.Errorf("%s: got %s, want %s", template, got, want)
		}
	}
}

// What is too large is refused before it costs anything.
func TestAWSLimits(t *testing.T) {
	url, last := capture(t, http.StatusOK)
	for _, tt := range []struct {
		kind, mode string
		max        int64
		size       int
		want       uplink.Class
	}{
		{"lambda", "", 0, 1<<20 - 300, uplink.Delivered},
		{"lambda", "", 0, 1 << 20, uplink.Permanent},
		{"lambda", "", 2 << 20, 1 << 20, uplink.Delivered},
		{"lambda", "sync", 0, 1 << 20, uplink.Delivered},
		{"lambda", "sync", 0, 6 << 20, uplink.Permanent},
		{"lambda-url", "", 0, 6<<20 + 1, uplink.Permanent},
		{"stepfunctions", "", 0, 262144 - 300, uplink.Delivered},
		{"stepfunctions", "", 0, 262144, uplink.Permanent},
	} {
		c := kindConfig(tt.kind, url)
		c.Mode, c.MaxPayload = tt.mode, tt.max
		rec := sample()
		rec.Event.Data = []byte(`"` + strings.Repeat("x", tt.size-2) + `"`)
		_, before := last()
		err := open(t, c).Send(t.Context(), rec)
		if got := uplink.ClassOf(err); got != tt.want {
			t.Errorf("%s %s of %d bytes, at most %d: %v, want %v (%v)", tt.kind, tt.mode, tt.size, tt.max, got, tt.want, err)
		}
		if _, after := last(); tt.want == uplink.Permanent && len(after) != len(before) {
			t.Errorf("%s: %d bytes went out", tt.kind, len(after))
		}
	}
}

func TestAWSOptionsRefused(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	const region, machine = "eu-central-1", "arn:aws:states:eu-central-1:123456789012:stateMachine:alarm"
	for _, tt := range []struct {
		cfg  uplink.TargetConfig
		want string
	}{
		{uplink.TargetConfig{Kind: "lambda", Region: region}, "function is missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "a/b", Region: region}, "not a Lambda function name"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f"}, "region is missing"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: "evil.example/"}, "not an AWS region"},
		{uplink.TargetConfig{Kind: "lambda", Function: "arn:aws:lambda:us-east-1:123456789012:function:f", Region: region}, "make them agree"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: region, Mode: "event"}, "async or sync"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: region, Compat: "azure"}, "aws or snafu"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: region, Refused: "die"}, "hold or dead"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: region, CredentialCommand: []string{""}}, "names no program"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", Region: region, Endpoint: "http://x/?a=canary"}, "must have no query"},
		{uplink.TargetConfig{Kind: "lambda", Function: "f", URL: "http://x/"}, "url is no option of kind lambda"},
		{uplink.TargetConfig{Kind: "stepfunctions"}, "state_machine is missing"},
		{uplink.TargetConfig{Kind: "stepfunctions", StateMachine: "alarm"}, "not the ARN of a state machine"},
		{uplink.TargetConfig{Kind: "stepfunctions", StateMachine: machine, Region: "us-east-1"}, "make them agree"},
		{uplink.TargetConfig{Kind: "lambda-url", URL: "http://x/", Auth: "basic"}, "none or iam"},
		{uplink.TargetConfig{Kind: "lambda-url", URL: "http://x/", Profile: "p"}, "is for auth iam"},
		{uplink.TargetConfig{Kind: "lambda-url", URL: "http://x/", Auth: "iam"}, "region is missing"},
		{uplink.TargetConfig{Kind: "lambda-url", URL: "https://abc.lambda-url.us-east-1.on.aws/", Auth: "iam", Region: region}, "make them agree"},
		{uplink.TargetConfig{Kind: "lambda-url", URL: "http://x/", FnErrorStatuses: []int{200}}, "from 400 to 599"},
		{uplink.TargetConfig{Kind: "xray"}, "region is missing"},
	} {
		_, err := uplink.Open(tt.cfg)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		}
	}
	for _, cfg := range []uplink.TargetConfig{
		{Kind: "lambda", Function: "f:prod", Region: region},
		{Kind: "lambda", Function: "f:$LATEST", Region: region},
		{Kind: "lambda", Function: "123456789012:function:f", Region: region},
		{Kind: "lambda", Function: "arn:aws:lambda:eu-central-1:123456789012:function:f:7"},
		{Kind: "stepfunctions", StateMachine: machine + ":prod"},
		{Kind: "lambda-url", URL: "https://abc.lambda-url.us-east-1.on.aws/", Auth: "iam"},
		{Kind: "xray", Region: region},
	} {
		if _, err := uplink.Open(cfg); err != nil {
			t.Error(err)
		}
	}
}
