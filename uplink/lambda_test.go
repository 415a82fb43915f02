package uplink_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/uplink"
)

// Lambda is told how to invoke, and which trace it belongs to.
func TestLambdaHeaders(t *testing.T) {
	url, last := capture(t, http.StatusOK)
	rec := sample()
	rec.Event.ID = "gw7/k3v9x2/00001/0000002a/plant/alarm/0123456789ab/0"
	for _, tt := range []struct {
		mode, invocation string
		trace            bool
	}{{"", "Event", false}, {"async", "Event", true}, {"sync", "RequestResponse", true}} {
		c := kindConfig("lambda", url)
		c.Mode, c.Trace = tt.mode, tt.trace
		if err := open(t, c).Send(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		h, _ := last()
		if got := h.Get("X-Amz-Invocation-Type"); got != tt.invocation {
			t.Errorf("mode %q invokes %s", tt.mode, got)
		}
		whole := uplink.TraceHeader(&rec.Event)
		want, _ := strings.CutSuffix(whole, ";Sampled=1")
		if tt.trace {
			want = whole
		}
		if got := h.Get("X-Amzn-Trace-Id"); got != want || strings.Contains(h.Get("Authorization"), "x-amzn-trace-id") {
			t.Errorf("trace %q, want %q; %s", got, want, h.Get("Authorization"))
		}
	}
}

// Snafu has one status for everything that goes wrong.
func TestSnafuOfLambda(t *testing.T) {
	for _, tt := range []struct {
		status  int
		body    string
		refused string
		want    uplink.Class
	}{
		{200, `{"seen": 1}`, "", uplink.Delivered},
		{501, `{"errorMessage": "ServiceException"}`, "", uplink.FnError},
		{501, `{"errorMessage": "NotAuthenticated"}`, "", uplink.Hold},
		{501, `{"errorMessage": "NotAuthenticated"}`, "dead", uplink.Permanent},
		{500, `<html>`, "", uplink.FnError},
		{503, "", "", uplink.Retry},
	} {
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			io.WriteString(w, tt.body)
		}))
		c := kindConfig("lambda", far.URL)
		c.Compat, c.Refused = "snafu", tt.refused
		if err := open(t, c).Send(t.Context(), sample()); uplink.ClassOf(err) != tt.want {
			t.Errorf("%d %s: %v, want %v (%v)", tt.status, tt.body, uplink.ClassOf(err), tt.want, err)
		}
		far.Close()
	}
}

// A function behind a URL says with a status of its own that it failed; it is
// not called again, not even at once. A 502 may come of any function.
func TestLambdaURLStatuses(t *testing.T) {
	for _, tt := range []struct {
		status   int
		fnErrors []int
		want     uplink.Class
		calls    int
	}{
		{502, []int{502, 422}, uplink.FnError, 1},
		{502, nil, uplink.Retry, 1},
		{422, []int{502, 422}, uplink.FnError, 1},
		{422, nil, uplink.Permanent, 1},
		{503, nil, uplink.Retry, 3},
		{503, []int{503}, uplink.FnError, 1},
	} {
		calls := 0
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.WriteHeader(tt.status)
		}))
		c := kindConfig("lambda-url", far.URL)
		c.FnErrorStatuses = tt.fnErrors
		if err := open(t, c).Send(t.Context(), sample()); uplink.ClassOf(err) != tt.want || calls != tt.calls {
			t.Errorf("%d of %v: %d calls, want %d; %v, want %v", tt.status, tt.fnErrors, calls, tt.calls, err, tt.want)
		}
		far.Close()
	}
}

// Without auth nothing is signed, and no credentials are looked for.
func TestLambdaURLWithoutAuth(t *testing.T) {
	url, last := capture(t, http.StatusOK)
	c := uplink.TargetConfig{Kind: "lambda-url", URL: url, Headers: []string{"Authorization: own"}} // the function looks at it itself
	if err := open(t, c).Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if h, body := last(); h.Get("Authorization") != "own" || h.Get("X-Amzn-Trace-Id") == "" || string(body) != `{"t":21}` || h.Get("Idempotency-Key") != "gw7/42/0" {
		t.Errorf("%v %s", h, body)
	}
}
