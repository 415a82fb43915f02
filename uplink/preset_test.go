package uplink_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// What a kind reads out of an answer beyond its status.
func TestKindClasses(t *testing.T) {
	syncAction := func(c *uplink.TargetConfig) { c.Trigger, c.Action, c.Mode = "", "alarm", "sync" }
	syncFunction := func(c *uplink.TargetConfig) { c.Mode = "sync" }
	for _, tt := range []struct {
		kind   string
		set    func(*uplink.TargetConfig)
		status int
		body   string
		want   uplink.Class
		reason string // part of it
	}{
		{"openwhisk", nil, 204, "", uplink.Delivered, ""},
		{"openwhisk", nil, 404, `{"error":"The requested resource does not exist."}`, uplink.Hold, "not there"},
		{"openwhisk", nil, 502, "", uplink.Retry, ""},
		{"openwhisk", nil, 409, "", uplink.Permanent, ""},
		{"openwhisk", syncAction, 200, "{}", uplink.Delivered, ""},
		{"openwhisk", syncAction, 202, "{}", uplink.Delivered, ""},
		{"openwhisk", syncAction, 502, `{"activationId":"44","response":{"status":"application error"}}`, uplink.FnError, "application error"},
		{"openwhisk", syncAction, 502, "<html><h1>502 Bad Gateway</h1><hr>nginx", uplink.Retry, "nginx"},
		{"azure", nil, 404, "", uplink.Hold, "not there"},
		{"fn", syncFunction, 502, `{"message":"function failed"}`, uplink.FnError, "function failed"},
		{"fn", syncFunction, 502, "<html><h1>502 Bad Gateway</h1><hr>nginx", uplink.Retry, "nginx"},
		{"fn", nil, 502, `{"message":"function failed"}`, uplink.FnError, "function failed"},
		{"fn", nil, 504, `{"message":"Timed out"}`, uplink.Retry, ""},
		{"openfaas", nil, 404, "404 page not found\n", uplink.Hold, "mode: sync"},
		{"openfaas", nil, 404, "error finding function", uplink.Hold, "the function is not there"},
		{"openfaas", nil, 500, "Error queuing request", uplink.Retry, ""},
		{"fission", nil, 503, "store down", uplink.Retry, ""},
		{"openlambda", nil, 429, "lambda function queue is full", uplink.Retry, ""},
		{"openlambda", nil, 405, "", uplink.Permanent, ""},
		{"kubeless", nil, 500, "Internal Server Error", uplink.FnError, ""},
		{"kubeless", nil, 500, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}`, uplink.Retry, "Failure"},
		{"kubeless", nil, 408, "", uplink.Retry, ""},
		{"webtask", nil, 400, `{"code":400,"error":"Script returned an error.","details":"x"}`, uplink.FnError, ""},
		{"webtask", nil, 400, `{"code":400,"error":"bad token"}`, uplink.Permanent, ""},
		{"ifttt", nil, 401, `{"errors":[{"message":"You sent an invalid key."}]}`, uplink.Hold, "invalid key"},
		{"snafu", nil, 200, `{"seen":1}`, uplink.Delivered, ""},
		{"snafu", nil, 501, `{"errorMessage": "ServiceException"}`, uplink.FnError, ""},
		{"snafu", nil, 501, `{"errorMessage": "NotAuthenticated"}`, uplink.Hold, "compat: snafu"},
		{"snafu", nil, 500, "<html>", uplink.FnError, ""},
		{"gcf", nil, 500, "", uplink.Retry, ""},
		{"gcf", func(c *uplink.TargetConfig) { c.FnErrorStatuses = []int{500} }, 500, "x", uplink.FnError, "x"},
		{"nuclio", nil, 400, `{"error":"Function name must be provided"}`, uplink.Permanent, ""},
	} {
		t.Run(fmt.Sprintf("%s/%d", tt.kind, tt.status), func(t *testing.T) {
			t.Parallel()
			far := newCounter(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "0") // no quick retries
				w.WriteHeader(tt.status)
				if tt.status != http.StatusNoContent {
					io.WriteString(w, tt.body) // a client that is gone fails its own test
				}
			})
			c := kindConfig(tt.kind, far.URL)
			if tt.set != nil {
				tt.set(&c)
			}
			err := open(t, c).Send(t.Context(), sample())
			if got := uplink.ClassOf(err); got != tt.want || err != nil && !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("class %v, want %v: %v", got, tt.want, err)
			}
		})
	}
}

// A trigger that starts nothing takes records all the same: people are told.
func TestOpenWhiskWithoutRule(t *testing.T) {
	code := http.StatusNoContent
	far := newCounter(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	target := openKind(t, "openwhisk", far.URL, 0)
	for range 2 {
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
	}
	queue := newStore()
	notes := uplink.NewOutbox(queue, queue, target, uplink.Options{}).Status().Notes
	if len(notes) != 1 || !strings.Contains(notes[0], "no active rule: the last 2 records fired trigger alarm") {
		t.Errorf("the status says %q", notes)
	}
	code = http.StatusAccepted
	if err := target.Send(t.Context(), sample()); err != nil || len(target.(uplink.Noter).Notes()) != 0 {
		t.Errorf("with a rule: %v, notes %q", err, target.(uplink.Noter).Notes())
	}
}

// OpenWhisk takes objects only.
func TestOpenWhiskWraps(t *testing.T) {
	far := newCounter(t, status(202))
	target := openKind(t, "openwhisk", far.URL, 0)
	for data, want := range map[string]string{
		` {"t": 1}`: `{"t":1}`,
		`[1]`:       `{"data":[1]}`,
		`21`:        `{"data":21}`,
		`plain <b>`: `{"data":"plain <b>"}`,
		"\xff\x00":  `{"data_base64":"/wA="}`,
		``:          `{"data":""}`,
		`{"t":`:     `{"data":"{\"t\":"}`,
	} {
		rec := sample()
		rec.Event.Data = []byte(data)
		if err := target.Send(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if _, body := far.got(); body != want {
			t.Errorf("%q is sent as %s, want %s", data, body, want)
		}
	}
}

// What is too large only as it goes over the wire is not sent either.
func TestTooLargeOnceWrapped(t *testing.T) {
	far := newCounter(t, status(202))
	rec := sample()
	rec.Event.Data = bytes.Repeat([]byte{0xff}, 1<<20-1000) // as base64 a third more
	err := openKind(t, "openwhisk", far.URL, 0).Send(t.Context(), rec)
	if uplink.ClassOf(err) != uplink.Permanent || !strings.Contains(err.Error(), "1048576") || far.requests.Load() != 0 {
		t.Errorf("%v after %d requests", err, far.requests.Load())
	}
}

// A router that makes no asynchronous calls is called synchronously, and is not
// asked with each record.
func TestFissionWithoutAsync(t *testing.T) {
	far := newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Fission-Invoke-Mode") == "async" {
			w.WriteHeader(http.StatusNotImplemented)
		}
	})
	target := openKind(t, "fission", far.URL, 0)
	for _, want := range []int64{2, 3} {
		if err := target.Send(t.Context(), sample()); err != nil || far.requests.Load() != want {
			t.Errorf("%v after %d requests, want %d", err, far.requests.Load(), want)
		}
	}
	if notes := target.(uplink.Noter).Notes(); len(notes) != 1 || !strings.Contains(notes[0], "mode: sync") {
		t.Errorf("notes %q", notes)
	}
	if r, _ := far.got(); r.Header.Get("X-Fission-Dedup-Key") != "gw7/42/0" {
		t.Errorf("headers %v", r.Header)
	}
}

func TestCompress(t *testing.T) {
	far := newCounter(t, status(202))
	c := kindConfig("http", far.URL)
	c.Compress = "gzip"
	if err := open(t, c).Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	r, body := far.got()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); string(text) != `{"t":21}` || err != nil || r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q, %v, %v", text, err, r.Header)
	}
}

func TestPaths(t *testing.T) {
	far := newCounter(t, status(202))
	for _, tt := range []struct {
		url, path, subject string
		want               string // of the request; "" for PERMANENT
	}{
		{"", "", "s", "/"},
		{"/in/?a=b", "", "s", "/in/?a=b"},
		{"/in/?a=b", "/x", "s", "/in/x?a=b"},
		{"/in", "/{subject}", "a/b c?d", "/in/a%2Fb%20c%3Fd"},
		{"/in", "/{subject...}/{device}", "a/b c?d", "/in/a/b%20c%3Fd/gw7"},
		{"/in", "/{id}-{type}", "s", "/in/gw7%2F42%2F0-io.skerry.followup"},
		{"/in", "/{subject...}", "a/../../admin", ""},
		{"/in", "/{subject}", "..", ""},
		{"/in", "/{subject}", "", ""},
		{"/in", "/v/${data.t + 1}/${topic}", "a/ü?x#y", "/in/v/22/a/%C3%BC%3Fx%23y"},
		{"/in", "/${topic}", "..", ""},
		{"/in", "/${data.t + topic}", "s", ""},
	} {
		c := kindConfig("http", far.URL)
		c.URL, c.Path = far.URL+tt.url, tt.path
		rec := sample()
		rec.Event.Subject = tt.subject
		err := open(t, c).Send(t.Context(), rec)
		if tt.want == "" {
			if uplink.ClassOf(err) != uplink.Permanent {
				t.Errorf("%q of %q: %v, want PERMANENT", tt.path, tt.subject, err)
			}
			continue
		}
		if r, _ := far.got(); err != nil || r.RequestURI != tt.want {
			t.Errorf("%q of %q: %v, %s, want %s", tt.path, tt.subject, err, r.RequestURI, tt.want)
		}
	}
}

func TestPayloads(t *testing.T) {
	far := newCounter(t, status(202))
	for _, tt := range []struct{ template, body, media string }{
		{`{"v":"${data.t}","id":"${id}"}`, `{"v":21,"id":"gw7/42/0"}`, "application/json"},
		{`${data.t} degrees at ${topic}`, `21 degrees at plant/Öl "7"`, "text/plain; charset=utf-8"},
		{`"${data.t}"`, `21`, "application/json"},
		{`${data.t + topic}`, "", ""}, // fails
	} {
		c := kindConfig("http", far.URL)
		c.Payload = tt.template
		err := open(t, c).Send(t.Context(), sample())
		if tt.body == "" {
			if uplink.ClassOf(err) != uplink.Permanent || !strings.HasPrefix(err.Error(), "payload: ") {
				t.Errorf("%s: %v", tt.template, err)
			}
			continue
		}
		if r, body := far.got(); err != nil || body != tt.body || r.Header.Get("Content-Type") != tt.media {
			t.Errorf("%s: %v, %s, %s", tt.template, err, body, r.Header.Get("Content-Type"))
		}
	}
}

// numbered are records with so many numbers as data.
func numbered(n int) []agent.Record {
	recs := make([]agent.Record, n)
	for i := range recs {
		recs[i] = sample()
		recs[i].Event.Data = []byte(fmt.Sprint(i))
	}
	return recs
}

// One request carries as many as batch and max_payload allow.
func TestBatchSizes(t *testing.T) {
	var bodies []string
	far := newCounter(t, nil)
	far.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a cut body fails the comparison
		bodies = append(bodies, string(body))
	})
	c := kindConfig("http", far.URL)
	c.Batch, c.MaxPayload = 4, 8
	recs := numbered(6)
	recs[2].Event.Data = []byte("123456789") // too large
	recs[4].Event.Data = []byte("44444")
	errs := open(t, c).(uplink.Batcher).SendBatch(t.Context(), recs)
	if want := []string{"[0,1,3]", "[44444]", "[5]"}; !slices.Equal(bodies, want) {
		t.Errorf("sent %q, want %q", bodies, want)
	}
	for i, err := range errs {
		if (i == 2) != (uplink.ClassOf(err) == uplink.Permanent) {
			t.Errorf("record %d: %v", i, err)
		}
	}
}

// One bad record is found out, and costs no other its delivery.
func TestBatchWithABadRecord(t *testing.T) {
	far := newCounter(t, nil)
	var taken []string
	far.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a cut body fails the comparison
		far.requests.Add(1)
		if strings.Contains(string(body), "5") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		taken = append(taken, strings.Split(strings.Trim(string(body), "[]"), ",")...)
	})
	c := kindConfig("http", far.URL)
	c.Batch = 8
	errs := open(t, c).(uplink.Batcher).SendBatch(t.Context(), numbered(8))
	for i, err := range errs {
		if (i == 5) != (uplink.ClassOf(err) == uplink.Permanent) {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if want := []string{"0", "1", "2", "3", "4", "6", "7"}; !slices.Equal(taken, want) || far.requests.Load() != 7 {
		t.Errorf("taken %q by %d requests", taken, far.requests.Load())
	}
}

// What waits behind a failure does not overtake it.
func TestBatchStopsAtAFailure(t *testing.T) {
	far := newCounter(t, status(429, "Retry-After", "9"))
	c := kindConfig("cloudevents", far.URL)
	c.Batch = 2
	errs := open(t, c).(uplink.Batcher).SendBatch(t.Context(), numbered(6))
	for i, err := range errs {
		if uplink.ClassOf(err) != uplink.Retry || asError(err).RetryAfter == 0 {
			t.Errorf("record %d: %v", i, err)
		}
	}
	if far.requests.Load() != 1 {
		t.Errorf("%d requests", far.requests.Load())
	}
}
