package uplink_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// motoConfig is a target of the kind that moto takes.
func motoConfig(m *testbed.Moto, kind string) uplink.TargetConfig {
	c := kindConfig(kind, m.Endpoint)
	c.Region, c.AccessKeyID, c.SecretAccessKey = m.Region, m.AccessKeyID, m.SecretAccessKey
	switch kind {
	case "lambda":
		c.Function = m.Function
	case "stepfunctions":
		c.StateMachine = m.StateMachine
	}
	return c
}

// strict is AWS's own time check in front of moto, which has none: what was
// signed more than 5 minutes off is refused, in the words of the service. It
// counts requests.
func strict(t *testing.T, m *testbed.Moto) (endpoint string, requests *int) {
	t.Helper()
	to, err := url.Parse(m.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	requests = new(int)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // it is signed
	}}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests++
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err == nil && time.Since(signed).Abs() < 5*time.Minute {
			proxy.ServeHTTP(w, r)
			return
		}
		status := http.StatusForbidden
		if r.Header.Get("X-Amz-Target") != "" { // of the JSON 1.0 protocol
			status = http.StatusBadRequest
		}
		w.Header().Set("X-Amzn-ErrorType", "InvalidSignatureException")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"message":"Signature expired: %s is now earlier than …"}`, r.Header.Get("X-Amz-Date"))
	}))
	t.Cleanup(far.Close)
	return far.URL, requests
}

// A real verifier of signatures takes what is signed right and refuses what
// is not; a refusal holds the target and costs no record, unless the owner says
// so. (Moto refuses ARNs even from AWS's own client; their encoding is held by
// TestSignatures.)
func TestAWSAgainstMoto(t *testing.T) {
	m := testbed.StartMoto(t)
	for _, kind := range []string{"lambda", "stepfunctions", "xray"} {
		for _, tt := range []struct {
			name, key, secret, refused string
			want                       uplink.Class
			code                       string
		}{
			{"right", m.AccessKeyID, m.SecretAccessKey, "", uplink.Delivered, ""},
			{"wrong secret", m.AccessKeyID, "wrong-secret", "", uplink.Hold, "SignatureDoesNotMatch"},
			{"wrong secret, dead", m.AccessKeyID, "wrong-secret", "dead", uplink.Permanent, "SignatureDoesNotMatch"},
			{"unknown key", "AKIAUNKNOWN000000000", m.SecretAccessKey, "", uplink.Hold, "InvalidClientTokenId"},
			{"no policy", m.Stranger[0], m.Stranger[1], "", uplink.Hold, "AccessDenied"},
		} {
			c := motoConfig(m, kind)
			c.AccessKeyID, c.SecretAccessKey, c.Refused = tt.key, tt.secret, tt.refused
			checkMoto(t, kind+", "+tt.name, open(t, c).Send(t.Context(), sampleOf(kind)), tt.want, tt.code)
		}
	}
	t.Run("clock", func(t *testing.T) { testMotoClock(t, m) })
	t.Run("executions", func(t *testing.T) { testMotoExecutions(t, m) })
	t.Run("trace", func(t *testing.T) { testMotoTrace(t, m) })
	t.Run("sync", func(t *testing.T) {
		c := motoConfig(m, "lambda")
		c.Mode = "sync"
		checkMoto(t, "sync", open(t, c).Send(t.Context(), sample()), uplink.Delivered, "")
	})
	t.Run("shared file", func(t *testing.T) {
		c := motoConfig(m, "lambda")
		c.CredentialsFile = t.TempDir() + "/credentials"
		text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", c.AccessKeyID, c.SecretAccessKey)
		if err := os.WriteFile(c.CredentialsFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.AccessKeyID, c.SecretAccessKey = "", ""
		checkMoto(t, "shared file", open(t, c).Send(t.Context(), sample()), uplink.Delivered, "")
	})
	t.Run("command", func(t *testing.T) {
		c := motoConfig(m, "lambda")
		answer, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey})
		if err != nil {
			t.Fatal(err)
		}
		c.CredentialCommand = []string{"echo", string(answer)}
		c.AccessKeyID, c.SecretAccessKey = "", ""
		checkMoto(t, "command", open(t, c).Send(t.Context(), sample()), uplink.Delivered, "")
	})
}

func checkMoto(t *testing.T, name string, err error, want uplink.Class, code string) {
	t.Helper()
	if got := uplink.ClassOf(err); got != want {
		t.Errorf("%s: class %v, want %v: %v", name, got, want, err)
		return
	}
	if code != "" && !strings.Contains(err.Error(), code) {
		t.Errorf("%s: %v, want %s", name, err, code)
	}
	if code != "" && strings.Contains(err.Error(), "wrong-secret") {
		t.Errorf("%s shows the secret: %v", name, err)
	}
}

// An hour off: signed again once with AWS's time, which moto then verifies. A
// secret that is wrong besides is wrong after that one try.
func testMotoClock(t *testing.T, m *testbed.Moto) {
	endpoint, requests := strict(t, m)
	for _, kind := range []string{"lambda", "stepfunctions", "xray"} {
		for _, off := range []time.Duration{time.Hour, -time.Hour} {
			for _, tt := range []struct {
				secret string
				want   uplink.Class
				code   string
			}{
				{m.SecretAccessKey, uplink.Delivered, ""},
				{"wrong-secret", uplink.Permanent, "SignatureDoesNotMatch"},
			} {
				*requests = 0
				c := motoConfig(m, kind)
				c.Endpoint, c.SecretAccessKey, c.Refused = endpoint, tt.secret, "dead"
				c.Now = func() time.Time { return time.Now().Add(off) }
				checkMoto(t, kind, open(t, c).Send(t.Context(), sampleOf(kind)), tt.want, tt.code)
				if *requests != 2 {
					t.Errorf("%s, %s off: %d requests, want 2", kind, off, *requests)
				}
			}
		}
	}
}

// A record that is sent again starts no second execution.
func testMotoExecutions(t *testing.T, m *testbed.Moto) {
	target := open(t, motoConfig(m, "stepfunctions"))
	before := len(executions(t, m))
	for _, id := range []string{"gw7/one", "gw7/two", "gw7/one", "gw7/one"} {
		rec := sample()
		rec.Event.ID = id
		if err := target.Send(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(executions(t, m)) - before; n != 2 {
		t.Errorf("%d executions, want 2", n)
	}
}

func executions(t *testing.T, m *testbed.Moto) []any {
	t.Helper()
	var all struct{ Executions []any }
	awsClient(t, m, &all, "stepfunctions", "list-executions", "--state-machine-arn", m.StateMachine)
	return all.Executions
}

// The trace of an invocation holds its follow-up's delivery, and bears the id
// that the request to Lambda propagates.
func testMotoTrace(t *testing.T, m *testbed.Moto) {
	now := time.Now()
	cause, followup := sample(), sample()
	cause.Event.ID, cause.Event.Time = "gw7/k3v9x2/00001/0000002a", now
	followup.Event.ID, followup.Event.Time = cause.Event.ID+"/plant/alarm/0123456789ab/0", now
	run, delivery, broken := sample(), sample(), sample()
	runSpan := uplink.RunSpan(&cause.Event, "plant/alarm", now, now.Add(20*time.Millisecond), "")
	run.Event.Data = runSpan.Segment()
	sent := uplink.DeliverySpan(&followup.Event, "central", now.Add(30*time.Millisecond), now.Add(time.Second), 0, "answered 500")
	delivery.Event.Data = sent.Segment()
	broken.Event.Data = []byte(`{"id":"0123456789abcdef"}`)
	target := open(t, motoConfig(m, "xray")).(uplink.Batcher)
	errs := target.SendBatch(t.Context(), []agent.Record{run, broken, delivery})
	if errs[0] != nil || errs[2] != nil || uplink.ClassOf(errs[1]) != uplink.Permanent {
		t.Fatal(errs)
	}
	root, _, _ := strings.Cut(strings.TrimPrefix(uplink.TraceHeader(&followup.Event), "Root="), ";")
	var found struct {
		TraceSummaries []struct {
			ID string `json:"Id"`
		}
	}
	awsClient(t, m, &found, "xray", "get-trace-summaries", "--start-time", stamp(now.Add(-time.Hour)), "--end-time", stamp(now.Add(time.Hour)))
	ids := map[string]bool{}
	for _, s := range found.TraceSummaries {
		ids[s.ID] = true
	}
	if !ids[root] {
		t.Errorf("trace %s is not among %v", root, ids)
	}
	var traces struct {
		Traces []struct {
			Segments []struct{ Document string }
		}
	}
	awsClient(t, m, &traces, "xray", "batch-get-traces", "--trace-ids", root)
	if len(traces.Traces) != 1 || len(traces.Traces[0].Segments) != 2 {
		t.Errorf("the trace holds %+v, want two segments", traces)
	}
}

func stamp(at time.Time) string { return fmt.Sprint(at.Unix()) }

// awsClient runs AWS's own client as the gateway's user.
func awsClient(t *testing.T, m *testbed.Moto, to any, args ...string) {
	t.Helper()
	cmd := exec.Command("aws", append(args, "--endpoint-url", m.Endpoint, "--region", m.Region, "--output", "json")...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+m.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+m.SecretAccessKey, "AWS_PAGER=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("aws %v: %v (pip install awscli)", args, err)
	}
	if err := json.Unmarshal(out, to); err != nil {
		t.Fatalf("aws %v answers %s: %v", args, out, err)
	}
}
