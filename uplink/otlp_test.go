package uplink_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// collector starts a receiver that reads with OpenTelemetry's own messages.
func collector(t *testing.T) *peer {
	t.Helper()
	program := filepath.Join(t.TempDir(), "otlp")
	build := exec.Command("go", "build", "-o", program, "./otlp")
	build.Dir = peersDir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s/otlp: %v\n%s\nfetch what it needs with: %s", peersDir, err, out, installPeers)
	}
	return startPeer(t, program)
}

func openOTLP(t *testing.T, url string) uplink.Target {
	t.Helper()
	target, err := uplink.Open(uplink.TargetConfig{
		Name: "otel", Kind: "otlp", URL: url, Token: "t0ken", Headers: []string{"X-Site: west"}, Device: "gw7",
	})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func telemetryRecord(kind string, body []byte) agent.Record {
	return agent.Record{Seq: 1, Kind: agent.KindTelemetry, Event: agent.Event{ID: "gw7/t/1", Type: kind, Data: body}}
}

// same compares JSON, in which protojson puts spaces at random.
func same(t *testing.T, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	a, _ := json.MarshalIndent(g, "", " ") // what was decoded can be encoded
	b, _ := json.MarshalIndent(w, "", " ")
	if string(a) != string(b) {
		t.Errorf("the collector read\n%s\nwant\n%s", a, b)
	}
}

// OpenTelemetry's own decoder reads what was said.
func TestOTLPAgainstItsMessages(t *testing.T) {
	far := collector(t)
	target := openOTLP(t, far.url+"/")
	at := time.Unix(1_800_000_000, 5).UTC()
	resource := uplink.OTLPResource("gw7", "1.2.3", []string{"site=west"})
	if err := target.Send(t.Context(), telemetryRecord(uplink.TypeLogs, uplink.OTLPLogs(resource, []uplink.OTLPLog{
		{Scope: "skerry.function", Time: at, Level: slog.LevelDebug, Body: "hot", Attrs: []uplink.OTLPAttr{{Key: "faas.name", Value: "a/b"}}},
		{Scope: "skerry", Level: slog.LevelError + 100, Body: "bytes \xff", Attrs: []uplink.OTLPAttr{{Key: "k", Value: ""}}},
		{Scope: "skerry.function", Time: at, Level: slog.LevelWarn, Body: "ü"},
	}))); err != nil {
		t.Fatal(err)
	}
	g := far.next()
	if g.Path != "/v1/logs" || g.Header["Authorization"] != "Bearer t0ken" || g.Header["X-Site"] != "west" {
		t.Errorf("the request was %+v", g)
	}
	const res = `{"attributes":[{"key":"service.name","value":{"stringValue":"skerry"}},{"key":"service.instance.id","value":{"stringValue":"gw7"}},
		{"key":"service.version","value":{"stringValue":"1.2.3"}},{"key":"skerry.label.site","value":{"stringValue":"west"}}]}`
	same(t, g.Data, `{"resourceLogs":[{"resource":`+res+`,"scopeLogs":[
		{"scope":{"name":"skerry.function"},"logRecords":[
			{"timeUnixNano":"1800000000000000005","severityNumber":"SEVERITY_NUMBER_DEBUG","severityText":"DEBUG","body":{"stringValue":"hot"},
			 "attributes":[{"key":"faas.name","value":{"stringValue":"a/b"}}]},
			{"timeUnixNano":"1800000000000000005","severityNumber":"SEVERITY_NUMBER_WARN","severityText":"WARN","body":{"stringValue":"ü"}}]},
		{"scope":{"name":"skerry"},"logRecords":[
			{"severityNumber":"SEVERITY_NUMBER_FATAL4","severityText":"ERROR+100","body":{"bytesValue":"Ynl0ZXMg/w=="},
			 "attributes":[{"key":"k","value":{"stringValue":""}}]}]}]}]}`)

	if err := target.Send(t.Context(), telemetryRecord(uplink.TypeMetrics, uplink.OTLPMetrics(resource, at.Add(-time.Hour), at, []uplink.OTLPMetric{
		{Name: "up", Unit: "s", Points: []uplink.OTLPPoint{{Value: -3}}},
		{Name: "n", Unit: "{event}", Counter: true, Points: []uplink.OTLPPoint{{Value: 7, Attrs: []uplink.OTLPAttr{{Key: "faas.name", Value: "a/b"}}}, {}}},
	}))); err != nil {
		t.Fatal(err)
	}
	g = far.next()
	same(t, g.Data, `{"resourceMetrics":[{"resource":`+res+`,"scopeMetrics":[{"scope":{"name":"skerry"},"metrics":[
		{"name":"up","unit":"s","gauge":{"dataPoints":[{"timeUnixNano":"1800000000000000005","asInt":"-3"}]}},
		{"name":"n","unit":"{event}","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","isMonotonic":true,"dataPoints":[
			{"attributes":[{"key":"faas.name","value":{"stringValue":"a/b"}}],"startTimeUnixNano":"1799996400000000005","timeUnixNano":"1800000000000000005","asInt":"7"},
			{"startTimeUnixNano":"1799996400000000005","timeUnixNano":"1800000000000000005","asInt":"0"}]}}]}]}]}`)
}

// A follow-up arrives as one log record with the event's attributes.
func TestFollowupOverOTLP(t *testing.T) {
	far := collector(t)
	if err := openOTLP(t, far.url).Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	same(t, far.next().Data, `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"skerry"}},
		{"key":"service.instance.id","value":{"stringValue":"gw7"}}]},"scopeLogs":[{"scope":{"name":"skerry.followup"},"logRecords":[{
		"timeUnixNano":"1795226738250000000","severityNumber":"SEVERITY_NUMBER_INFO","severityText":"INFO","eventName":"io.skerry.followup",
		"body":{"stringValue":"{\"t\":21}"},"attributes":[
		{"key":"cloudevents.event_id","value":{"stringValue":"gw7/42/0"}},{"key":"cloudevents.event_source","value":{"stringValue":"/gw7/plant/alarm"}},
		{"key":"cloudevents.event_subject","value":{"stringValue":"plant/Öl \"7\""}},{"key":"cloudevents.event_type","value":{"stringValue":"io.skerry.followup"}}]}]}]}]}`)
}

// What the far side threw away is not sent again, and its reason is told; a
// warning is none.
func TestOTLPPartialSuccess(t *testing.T) {
	far := collector(t)
	target := openOTLP(t, far.url+"/partial")
	err := target.Send(t.Context(), telemetryRecord(uplink.TypeLogs, uplink.OTLPLogs(nil, nil)))
	if uplink.ClassOf(err) != uplink.FnError || !strings.Contains(err.Error(), "3 of what was sent were thrown away there: too old") {
		t.Errorf("partial success is %v: %v", uplink.ClassOf(err), err)
	}
	if err := target.Send(t.Context(), telemetryRecord(uplink.TypeMetrics, uplink.OTLPMetrics(nil, time.Time{}, time.Time{}, nil))); err != nil {
		t.Errorf("a warning is %v", err)
	}
	if err := target.Send(t.Context(), telemetryRecord("io.skerry.else", nil)); uplink.ClassOf(err) != uplink.Permanent {
		t.Errorf("other telemetry: %v", err)
	}
}

func TestOTLPOptions(t *testing.T) {
	for _, tt := range []struct {
		cfg  uplink.TargetConfig
		want string
	}{
		{uplink.TargetConfig{}, "url is missing"},
		{uplink.TargetConfig{URL: "https://otel.example/v1/logs/?key=x"}, "url ends in /v1/logs: leave that out"},
		{uplink.TargetConfig{URL: "https://otel.example", Payload: "x"}, "payload is no option of kind otlp"},
		{uplink.TargetConfig{URL: "https://otel.example", Method: "PUT"}, "method is no option of kind otlp"},
		{uplink.TargetConfig{URL: "https://otel.example", Headers: []string{"Content-Encoding: br"}}, "Content-Encoding"},
	} {
		tt.cfg.Kind = "otlp"
		if _, err := uplink.Open(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.cfg, err, tt.want)
		}
	}
}
