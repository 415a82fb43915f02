package main

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/skerry-edge/skerry/internal/testbed"
)

const tracedApp = `apiVersion: skerry/v1
kind: App
metadata: {name: traced, version: 1.0.0}
functions:
  check: {module: {path: check.js}, permissions: {invoke: [central/alerts], publish: ["alarms/#"]}}
triggers:
  - {name: door, function: check, http: {path: door}}
  - {name: wire, function: check, mqtt: {topic: wire}}
  - name: alarm
    mqtt: {topic: alarms/#}
    then: [{invoke: central/alerts, data: {second: true}}]
`

// traceSpan is a span as it went up: ids in hexadecimal digits.
type traceSpan struct{ trace, id, parent, name, fault string }

// spansIn reads an ExportTraceServiceRequest.
func spansIn(t *testing.T, body []byte) []traceSpan {
	t.Helper()
	each := func(b []byte, f func(field protowire.Number, value []byte)) {
		for len(b) > 0 {
			field, kind, n := protowire.ConsumeTag(b)
			m := protowire.ConsumeFieldValue(field, kind, b[max(n, 0):])
			if n < 0 || m < 0 {
				t.Fatal("no protobuf went up")
			}
			if value, size := protowire.ConsumeBytes(b[n:]); kind == protowire.BytesType && size > 0 {
				f(field, value)
			}
			b = b[n+m:]
		}
	}
	var spans []traceSpan
	each(body, func(_ protowire.Number, resource []byte) {
		each(resource, func(field protowire.Number, scope []byte) {
			if field != 2 {
				return
			}
			each(scope, func(field protowire.Number, span []byte) {
				if field != 2 {
					return
				}
				var s traceSpan
				each(span, func(field protowire.Number, value []byte) {
					switch field {
					case 1:
						s.trace = hex.EncodeToString(value)
					case 2:
						s.id = hex.EncodeToString(value)
					case 4:
						s.parent = hex.EncodeToString(value)
					case 5:
						s.name = string(value)
					case 15:
						s.fault = string(value)
					}
				})
				spans = append(spans, s)
			})
		})
	})
	return spans
}

// farSide is a collector and a central function in one.
type farSide struct {
	mu      sync.Mutex
	spans   []traceSpan
	parents []string // ce-traceparent of the follow-ups
}

func (f *farSide) serve(t *testing.T) string {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case r.URL.Path == "/v1/traces":
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(z)
			if err != nil {
				t.Error(err)
			}
			f.spans = append(f.spans, spansIn(t, body)...)
		case r.Header.Get("Ce-Id") != "":
			f.parents = append(f.parents, r.Header.Get("Ce-Traceparent")+" "+r.Header.Get("Traceparent"))
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// chain names the spans from the one with this id up to the first.
func (f *farSide) chain(id string) string {
	var names []string
	for id != "" {
		next := id
		for _, s := range f.spans {
			if s.id == id {
				names, next = append(names, s.name), s.parent
				break
			}
		}
		if next == id {
			return strings.Join(append(names, id), " < ")
		}
		id = next
	}
	return strings.Join(names, " < ")
}

// check holds what arrived against what was sent with this trace and parent.
func (f *farSide) check(t *testing.T, trace, span string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	want := map[string]bool{
		"alerts < traced/check < receive http < " + span:                                        false,
		"alerts < traced/check < receive local < " + span:                                       false,
		"alerts < traced/alarm < receive local < local < traced/check < receive http < " + span: false,
	}
	for _, p := range f.parents {
		ce, header, _ := strings.Cut(p, " ")
		if ce != header {
			t.Errorf("the attribute says %s and the header %s", ce, header)
		}
		if strings.HasPrefix(ce, "00-"+strings.Repeat("5", 32)) {
			if !strings.HasSuffix(ce, "-"+span+"-00") {
				t.Errorf("what is not traced here goes on as %s", ce)
			}
			continue
		}
		chain := f.chain(strings.Split(ce, "-")[2])
		if _, known := want[chain]; !known || !strings.HasPrefix(ce, "00-"+trace) {
			t.Errorf("%s: %s", ce, chain)
		}
		want[chain] = true
	}
	for chain, seen := range want {
		if !seen {
			t.Errorf("there is no %s", chain)
		}
	}
	for _, s := range f.spans {
		if s.trace != trace {
			t.Errorf("the span %+v is of another trace", s)
		}
	}
}

// TestTracesFromSensorToCloud follows events from where they come to the central
// function: the context that came with them goes on, and each step is a span below
// the one that caused it. An event whose sender does not trace it is not traced.
func TestTracesFromSensorToCloud(t *testing.T) {
	t.Parallel()
	far := &farSide{}
	url := far.serve(t)
	addr, port := testbed.Addr(testbed.FreePort(t)), testbed.FreePort(t)
	r := newRig(t, fmt.Sprintf(`broker: {listen: %[3]q, anonymous: true}
http_in: {listen: %[2]q}
targets:
  - {name: alerts, kind: cloudevents, url: %[1]q}
  - {name: otel, kind: otlp, url: %[1]q}
telemetry: {traces: {target: otel, sample: 1}}
`, url, addr, testbed.Addr(port)))
	r.write("check.js", `export default (event, ctx) => { ctx.followup("alerts", {first: true}); if (event.data.alarm) ctx.publish("alarms/a", {x: 1}) }`)
	r.write("app.yaml", tracedApp)
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(2)
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	post := func(parent string, alarm bool) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/in/door", strings.NewReader(fmt.Sprintf(`{"alarm":%t}`, alarm)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Traceparent", parent)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	post("00-"+trace+"-"+span+"-01", true)
	post("00-"+strings.Repeat("5", 32)+"-"+span+"-00", false)
	pub := exec.Command("mosquitto_pub", "-V", "mqttv5", "-p", fmt.Sprint(port), "-q", "1", "-t", "wire", "-m", "{}",
		"-D", "publish", "user-property", "traceparent", "00-"+trace+"-"+span+"-01")
	if out, err := pub.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
	testbed.Eventually(t, 30*time.Second, "four follow-ups and the spans that led to them", func() error {
		far.mu.Lock()
		defer far.mu.Unlock()
		if len(far.parents) != 4 || len(far.spans) != 10 {
			return fmt.Errorf("%d follow-ups, %d spans: %v", len(far.parents), len(far.spans), far.spans)
		}
		return nil
	})
	far.check(t, trace, span)
	if strings.Contains(r.proc.Output(), "traces have gaps") {
		t.Error("spans are missing")
	}
}
