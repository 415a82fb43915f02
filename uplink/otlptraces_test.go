package uplink_test

import (
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// OpenTelemetry's own decoder reads a trace that began elsewhere.
func TestOTLPTracesAgainstItsMessages(t *testing.T) {
	far := collector(t)
	target := openOTLP(t, far.url)
	at := time.Unix(1_800_000_000, 0).UTC()
	came := agent.Event{
		ID: "gw7/1", Source: "/gw7/http", Type: "io.skerry.http", Subject: "door", Via: "http", Time: at,
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	followup := agent.Event{ID: "gw7/1/plant/alarm/0123456789ab/0", Time: at, Trace: came.Trace}
	arrival, ok := uplink.ArrivalSpan(&came, at.Add(time.Millisecond))
	if _, made := uplink.ArrivalSpan(&followup, at); !ok || made {
		t.Fatal("what comes from outside arrives, and nothing else")
	}
	spans := []uplink.Span{
		arrival,
		uplink.RunSpan(&came, "plant/alarm", at.Add(time.Millisecond), at.Add(2*time.Millisecond), ""),
		uplink.DeliverySpan(&followup, "central", at, at.Add(time.Second), 2, "answered 500"),
	}
	resource := uplink.OTLPResource("gw7", "", nil)
	if err := target.Send(t.Context(), telemetryRecord(uplink.TypeTraces, uplink.OTLPTraces(resource, spans))); err != nil {
		t.Fatal(err)
	}
	g := far.next()
	if g.Path != "/v1/traces" {
		t.Errorf("the request was %+v", g)
	}
	const trace = `"traceId":"CvdlGRbNQ92ESOshHIAxnA=="`
	same(t, g.Data, `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"skerry"}},{"key":"service.instance.id","value":{"stringValue":"gw7"}}]},
		"scopeSpans":[{"scope":{"name":"skerry"},"spans":[
		{`+trace+`,"spanId":"`+base64ID(arrival.ID)+`","parentSpanId":"t61rcWkgMzE=","name":"receive http","kind":"SPAN_KIND_CONSUMER",
		 "startTimeUnixNano":"1800000000000000000","endTimeUnixNano":"1800000000001000000","attributes":[
		 {"key":"cloudevents.event_id","value":{"stringValue":"gw7/1"}},{"key":"cloudevents.event_subject","value":{"stringValue":"door"}},
		 {"key":"cloudevents.event_type","value":{"stringValue":"io.skerry.http"}},{"key":"cloudevents.event_source","value":{"stringValue":"/gw7/http"}}]},
		{`+trace+`,"spanId":"`+base64ID(spans[1].ID)+`","parentSpanId":"`+base64ID(arrival.ID)+`","name":"plant/alarm","kind":"SPAN_KIND_INTERNAL",
		 "startTimeUnixNano":"1800000000001000000","endTimeUnixNano":"1800000000002000000","attributes":[
		 {"key":"cloudevents.event_id","value":{"stringValue":"gw7/1"}},{"key":"cloudevents.event_subject","value":{"stringValue":"door"}},
		 {"key":"faas.name","value":{"stringValue":"plant/alarm"}}]},
		{`+trace+`,"spanId":"`+base64ID(spans[2].ID)+`","parentSpanId":"`+base64ID(spans[1].ID)+`","name":"central","kind":"SPAN_KIND_PRODUCER",
		 "startTimeUnixNano":"1800000000000000000","endTimeUnixNano":"1800000001000000000","attributes":[
		 {"key":"cloudevents.event_id","value":{"stringValue":"gw7/1/plant/alarm/0123456789ab/0"}},{"key":"skerry.target","value":{"stringValue":"central"}},
		 {"key":"skerry.failed_tries","value":{"stringValue":"2"}}],
		 "status":{"message":"answered 500","code":"STATUS_CODE_ERROR"}}]}]}]}`)
}

func base64ID(digits string) string {
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return err.Error()
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// What goes to a central function carries the context that its event came with,
// or the one that the device gives, where the kind has a place for it; the
// configuration's own header stays.
func TestTraceContextGoesAlong(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var got http.Header
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r.Header, string(text)
	}))
	t.Cleanup(srv.Close)
	send := func(c uplink.TargetConfig, ev agent.Event) {
		t.Helper()
		c.Name, c.URL, c.Device = "far", srv.URL, "gw7"
		target, err := uplink.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		ev.ID, ev.Source, ev.Type, ev.Data = "e1", "/gw7/a", "t", []byte(`{}`)
		if err := target.Send(t.Context(), agent.Record{Seq: 1, Kind: agent.KindFollowup, Event: ev}); err != nil {
			t.Fatal(err)
		}
	}
	send(uplink.TargetConfig{Kind: "cloudevents"}, agent.Event{Trace: parent})
	if got.Get("Traceparent") != parent || got.Get("Ce-Traceparent") != parent {
		t.Errorf("binary mode: %v", got)
	}
	send(uplink.TargetConfig{Kind: "cloudevents", Format: "structured"}, agent.Event{Trace: parent})
	if got.Get("Traceparent") != parent || !strings.Contains(body, `"traceparent":"`+parent+`"`) {
		t.Errorf("structured mode: %v %s", got, body)
	}
	send(uplink.TargetConfig{Kind: "http", Headers: []string{"Traceparent: mine"}}, agent.Event{Trace: parent})
	if got.Get("Traceparent") != "mine" {
		t.Errorf("with a header of the configuration: %v", got)
	}
	send(uplink.TargetConfig{Kind: "cloudevents"}, agent.Event{})
	if got.Get("Traceparent") != "" || got.Get("Ce-Traceparent") != "" {
		t.Errorf("without a trace: %v", got)
	}
	follow := func(ev *agent.Event) string { return uplink.TraceParent(ev, "far") }
	send(uplink.TargetConfig{Kind: "cloudevents", Follow: follow}, agent.Event{})
	if h := got.Get("Traceparent"); !agent.CheckTraceParent(h) || !strings.HasSuffix(h, "-01") {
		t.Errorf("a trace of the device's own: %q", h)
	}
}
