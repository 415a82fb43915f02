package uplink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/uplink"
)

// outcomeRecord asks the scripts of internal/peers/node for an outcome.
func outcomeRecord(outcome string) (data []byte) { return []byte(`{"outcome":"` + outcome + `"}`) }

// Webtasks run in the runtime that webtask.io published.
func TestWebtaskRuntime(t *testing.T) {
	t.Parallel()
	far := startNode(t, "webtask-runtime@2.0.0", "webtask.js")
	c := kindConfig("webtask", far.url)
	c.URL = far.url + "/alarm"
	for _, tt := range []struct {
		outcome string
		class   uplink.Class
		reason  string
	}{
		{"fine", uplink.Delivered, ""},
		{"error", uplink.FnError, "refused"},
		{"throw", uplink.FnError, "thrown"},
	} {
		rec := sample()
		rec.Event.Data = outcomeRecord(tt.outcome)
		err := open(t, c).Send(t.Context(), rec)
		if uplink.ClassOf(err) != tt.class || tt.reason != "" && !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v, want %v", tt.outcome, err, tt.class)
		}
		g := far.next()
		if g.Header["Authorization"] != "Bearer canary-key" || !sameJSON(g.Data, rec.Event.Data) {
			t.Errorf("%s: came as %+v with %s", tt.outcome, g, g.Data)
		}
	}
}

// Cloud Functions for Node run in npm's Functions Framework.
func TestNodeFunctions(t *testing.T) {
	t.Parallel()
	const spec = "@google-cloud/functions-framework@5.0.5"
	event, plain := startNode(t, spec, "functions.js", "event"), startNode(t, spec, "functions.js", "http")
	for _, tt := range []struct {
		far                   *peer
		kind, format, outcome string
		class                 uplink.Class
	}{
		{event, "gcf", "binary", "fine", uplink.Delivered},
		{event, "gcf", "structured", "fine", uplink.Delivered},
		{event, "cloudevents", "binary", "fine", uplink.Delivered},
		{event, "cloudevents", "structured", "error", uplink.FnError},
		{event, "gcf", "binary", "error", uplink.FnError},
		{plain, "gcf", "", "fine", uplink.Delivered},
		{plain, "gcf", "", "error", uplink.FnError},
		{plain, "http", "", "error", uplink.FnError},
	} {
		c := kindConfig(tt.kind, tt.far.url)
		c.URL, c.Format = tt.far.url, tt.format
		rec := sample()
		rec.Event.Subject, rec.Event.Data = "plant/7", outcomeRecord(tt.outcome)
		if err := open(t, c).Send(t.Context(), rec); uplink.ClassOf(err) != tt.class {
			t.Errorf("%s %s, %s: %v, want %v", tt.kind, tt.format, tt.outcome, err, tt.class)
		}
		g := tt.far.next()
		if !sameJSON(g.Data, rec.Event.Data) {
			t.Errorf("%s %s: %s came", tt.kind, tt.format, g.Data)
		}
		if ev := rec.Event; tt.far == event && (g.ID != ev.ID || g.Source != ev.Source || g.Type != ev.Type || g.Subject != ev.Subject || !g.Time.Equal(ev.Time)) {
			t.Errorf("%s %s: %+v came of %+v", tt.kind, tt.format, g, ev)
		}
	}
}

// recorded is a request as it came.
type recorded struct{ method, path, query, header, body string }

// recorder keeps requests. It answers as OpenWhisk does to what it starts.
func recorder(t *testing.T) (url string, requests chan recorded) {
	t.Helper()
	requests = make(chan recorded, 10)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		requests <- recorded{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, whiskHeader(r.Header), string(body)}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"activationId":"0123456789abcdef0123456789abcdef"}`) // a client that is gone fails its own test
	}))
	t.Cleanup(far.Close)
	return far.URL, requests
}

// whiskHeader is what may not differ: who calls, and what the body is. It
// leaves out User-Agent, Accept (ours says nothing, which is everything),
// Accept-Encoding (Go asks for gzip), Connection, x-namespace-id (npm's client
// repeats the namespace of the path for IBM's gateway) and ours that trace.
func whiskHeader(h http.Header) string {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";") // JSON is UTF-8, said or not
	return h.Get("Authorization") + " " + kind
}

// The server of OpenWhisk cannot be had here (it needs a JVM and containers):
// its own client for Node says what requests look like.
func TestOpenWhiskClient(t *testing.T) {
	t.Parallel()
	url, requests := recorder(t)
	const params = `{"t":21,"text":"Öl <&>"}`
	for _, tt := range []struct {
		what, namespace, name string
		change                func(*uplink.TargetConfig)
	}{
		{"trigger", "_", "alarm", func(*uplink.TargetConfig) {}},
		{"trigger", "guest space", "alarm 7", func(*uplink.TargetConfig) {}},
		{"action", "_", "alarm", func(c *uplink.TargetConfig) {}},
		{"action", "guest", "plant/alarm", func(c *uplink.TargetConfig) {}},
		{"blocking", "_", "plant/alarm", func(c *uplink.TargetConfig) { c.Mode = "sync" }},
	} {
		command := append(nodeCommand(t, "openwhisk@3.21.9", "openwhisk.js"), url, "uuid:canary-key", tt.namespace, tt.what, tt.name, params)
		if out, err := exec.Command("env", command...).CombinedOutput(); err != nil {
			t.Fatalf("npm's client: %v\n%s", err, out)
		}
		c := uplink.TargetConfig{Name: "central", Kind: "openwhisk", URL: url, Namespace: tt.namespace, Token: "uuid:canary-key"}
		if c.Action = tt.name; tt.what == "trigger" {
			c.Trigger, c.Action = tt.name, ""
		}
		tt.change(&c)
		rec := sample()
		rec.Event.Data = []byte(params)
		if err := open(t, c).Send(t.Context(), rec); err != nil {
			t.Errorf("%s %s: %v", tt.what, tt.name, err)
		}
		theirs, ours := <-requests, <-requests
		ours.query = withoutDefaults(ours.query)
		if ours != theirs {
			t.Errorf("%s %s:\nours   %q\ntheirs %q", tt.what, tt.name, ours, theirs)
		}
	}
}

// withoutDefaults leaves out what OpenWhisk takes for granted: result=false,
// which npm's client does not say.
func withoutDefaults(query string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), func(p string) bool { return p == "result=false" }), "&")
}
