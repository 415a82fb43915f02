package uplink

import (
	"fmt"
	"mime"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// Types of the events of records of agent.KindTelemetry that an OTLP target
// takes. Their data is what OTLPLogs, OTLPMetrics and OTLPTraces made.
const (
	TypeLogs    = "io.skerry.logs"
	TypeMetrics = "io.skerry.metrics"
	TypeTraces  = "io.skerry.traces"
)

// otlpRow is any receiver of OTLP over HTTP, such as an OpenTelemetry
// collector: binary protobuf, compressed.
var otlpRow = httpKind(authOptions, otlpPreset)

func otlpPreset(c *TargetConfig) (*preset, error) {
	for _, path := range []string{"/v1/logs", "/v1/metrics", "/v1/traces"} {
		if base, _, _ := strings.Cut(c.URL, "?"); strings.HasSuffix(strings.TrimSuffix(base, "/"), path) {
			return nil, mistake("url", "ends in %s: leave that out, each request has its own", path)
		}
	}
	if c.Payload != "" {
		return nil, mistake("payload", "is no option of kind otlp; remove it")
	}
	base, err := place(c, "", "/v1")
	if err != nil {
		return nil, err
	}
	resource := OTLPResource(c.Device, "", nil)
	return &preset{
		url: base, reserved: []string{"content-type", "content-encoding"}, class: otlpClass,
		write: func(m *message) error { return writeOTLP(m, resource) },
	}, nil
}

// OTLPResource says whose telemetry it is: attributes of each request. Labels are
// "name=value".
func OTLPResource(device, version string, labels []string) []OTLPAttr {
	attrs := []OTLPAttr{{"service.name", "skerry"}, {"service.instance.id", device}}
	if version != "" {
		attrs = append(attrs, OTLPAttr{"service.version", version})
	}
	for _, l := range labels {
		name, value, _ := strings.Cut(l, "=")
		attrs = append(attrs, OTLPAttr{"skerry.label." + name, value})
	}
	return attrs
}

// writeOTLP sends telemetry as it was made, and a follow-up as one log record.
func writeOTLP(m *message, resource []OTLPAttr) error {
	m.header.Set("Content-Type", otlpType)
	m.header.Set("Content-Encoding", "gzip")
	m.path, m.body = "/logs", m.event.Data
	switch {
	case m.rec.Kind != agent.KindTelemetry:
		m.body = OTLPLogs(resource, []OTLPLog{eventLog(m.event)})
	case m.event.Type == TypeMetrics:
		m.path = "/metrics"
	case m.event.Type == TypeTraces:
		m.path = "/traces"
	case m.event.Type != TypeLogs:
		return refuse("a target of kind otlp takes logs, metrics, traces and follow-ups, not %q", m.event.Type)
	}
	return nil
}

const otlpType = "application/x-protobuf"

// otlpClass looks into an answer that the far side took the request: it may have
// thrown away a part of it. The protocol forbids to send that again.
func otlpClass(a *answer) (Class, string) {
	class := a.class()
	if class != Delivered {
		return class, ""
	}
	if kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err != nil || kind != otlpType {
		return class, ""
	}
	rejected, words := partial(a.body)
	if rejected <= 0 {
		return class, ""
	}
	return FnError, fmt.Sprintf("%d of what was sent were thrown away there: %s", rejected, a.excerpt(words))
}
