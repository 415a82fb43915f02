package main

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/uplink"
)

// metricsPage answers with the agent's figures as Prometheus reads them: its text
// format, version 0.0.4. They are those of figuresOf under names that are usual there,
// distributions, and what the agent says of its own health.
type metricsPage struct {
	status func() *agent.Status
	health func(*agent.Status) admin.Health
	device string
}

// ServeHTTP implements http.Handler.
func (m *metricsPage) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s := m.status()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	if _, err := w.Write(metricsText(s, m.health(s), m.device, time.Now())); err != nil {
		return // the client went away
	}
}

// exposition is a text of Prometheus that grows.
type exposition struct {
	text []byte
}

// metricsText are all metrics, each with its help.
func metricsText(s *agent.Status, h admin.Health, device string, now time.Time) []byte {
	var e exposition
	e.begin("skerry_build_info", "gauge")
	e.line("skerry_build_info", "1", "device", device, "version", version, "goversion", runtime.Version(), "arch", runtime.GOARCH)
	e.begin("skerry_ready", "gauge")
	e.line("skerry_ready", strconv.FormatInt(flag(h.Ready), 10))
	e.begin("skerry_check_ok", "gauge")
	for _, c := range h.Checks {
		e.line("skerry_check_ok", strconv.FormatInt(flag(c.OK), 10), "check", c.Name)
	}
	for _, m := range figuresOf(s, now) {
		name, kind := promName(&m)
		e.begin(name, kind)
		for _, p := range m.Points {
			e.line(name, promValue(m.Unit, p.Value), promLabels(p.Attrs)...)
		}
	}
	e.begin("skerry_events_duration_seconds", "histogram")
	e.histogram("skerry_events_duration_seconds", &s.Events.Took)
	e.begin("skerry_function_duration_seconds", "histogram")
	for i := range s.Functions[:min(len(s.Functions), maxPoints)] {
		e.histogram("skerry_function_duration_seconds", &s.Functions[i].Took, "function", s.Functions[i].Name)
	}
	return e.text
}

func (e *exposition) begin(name, kind string) {
	e.text = fmt.Appendf(e.text, "# HELP %s %s\n# TYPE %s %s\n", name, metricHelp[name], name, kind)
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// line adds a value; labels are names and values in turns.
func (e *exposition) line(name, value string, labels ...string) {
	e.text = append(e.text, name...)
	for i, sep := 0, byte('{'); i < len(labels); i, sep = i+2, ',' {
		e.text = append(e.text, sep)
		e.text = append(e.text, labels[i]...)
		e.text = append(e.text, `="`...)
		e.text = append(e.text, escapeLabel.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD"))...)
		e.text = append(e.text, '"')
	}
	if len(labels) > 0 {
		e.text = append(e.text, '}')
	}
	e.text = append(e.text, ' ')
	e.text = append(e.text, value...)
	e.text = append(e.text, '\n')
}

func (e *exposition) histogram(name string, d *agent.Durations, labels ...string) {
	for i, n := range d.Below {
		bound := strconv.FormatFloat(agent.DurationBound(i).Seconds(), 'g', -1, 64)
		e.line(name+"_bucket", strconv.FormatInt(n, 10), append(slices.Clip(labels), "le", bound)...)
	}
	e.line(name+"_bucket", strconv.FormatInt(d.Count, 10), append(slices.Clip(labels), "le", "+Inf")...)
	e.line(name+"_sum", strconv.FormatFloat(d.Sum.Seconds(), 'g', -1, 64), labels...)
	e.line(name+"_count", strconv.FormatInt(d.Count, 10), labels...)
}

// promName is what Prometheus calls a metric, with its unit, and what kind it is.
func promName(m *uplink.OTLPMetric) (name, kind string) {
	name, kind = strings.ReplaceAll(m.Name, ".", "_"), "gauge"
	switch m.Unit {
	case "s", "us":
		name += "_seconds"
	case "By":
		name = strings.TrimSuffix(name, "_bytes") + "_bytes"
	}
	if m.Counter {
		name, kind = name+"_total", "counter"
	}
	return name, kind
}

func promValue(unit string, value int64) string {
	if unit == "us" {
		return strconv.FormatFloat(float64(value)/1e6, 'g', -1, 64)
	}
	return strconv.FormatInt(value, 10)
}

// promLabels are attributes under names without dots.
func promLabels(attrs []uplink.OTLPAttr) []string {
	var labels []string
	for _, a := range attrs {
		name := a.Key[strings.LastIndexByte(a.Key, '.')+1:]
		if a.Key == "faas.name" {
			name = "function"
		}
		labels = append(labels, name, a.Value)
	}
	return labels
}
