package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/logbook"
	"github.com/skerry-edge/skerry/uplink"
)

// Priorities of telemetry: below follow-ups, whose default is 5, and what says
// why before what says how much.
const (
	priorityLogs    = 1
	priorityTraces  = 1
	priorityMetrics = 0
)

// typeSegment is the type of events that are segments of X-Ray.
const typeSegment = "io.skerry.trace"

// telemetry puts what the agent says about itself where records for a target
// wait. It goes the way of all records: through the store, by priority, within
// the budget of the link.
type telemetry struct {
	cfg      TelemetryConfig
	device   string
	resource []uplink.OTLPAttr
	store    uplink.Committer
	log      *slog.Logger
	clock    func() (now time.Time, right bool)
	start    time.Time
	count    atomic.Int64 // records made, for their ids
	tracer   *tracer      // nil: nothing is traced

	tracesKind string // of the target that takes traces
}

func newTelemetry(cfg *Config, store uplink.Committer, start time.Time, log *slog.Logger) *telemetry {
	t := &telemetry{
		cfg: cfg.Telemetry, device: cfg.Device.ID, store: store, log: log, clock: wallClock, start: start,
		resource: uplink.OTLPResource(cfg.Device.ID, version, cfg.Device.Labels),
	}
	if t.cfg.Traces.Target != "" {
		t.tracesKind = cfg.targetKind(t.cfg.Traces.Target)
		t.tracer = newTracer(float64(t.cfg.Traces.Sample), t.sendTraces)
		t.tracer.dated = t.tracesKind == kindXRay
	}
	return t
}

// watcher is nil if nothing is traced, so that it costs nothing then.
func (t *telemetry) watcher() agent.Watcher {
	if t.tracer == nil {
		return nil
	}
	return t.tracer
}

// startTelemetry starts what the configuration asks for; stop ends it, with the
// last lines in the store, and waits.
func (d *device) startTelemetry(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	t := d.telemetry
	var running sync.WaitGroup
	var lost error
	if t.cfg.Target != "" && t.cfg.Logs != logsOff {
		shipper := d.book.Ship(t.shipOptions(d.agent.LogRule))
		running.Go(func() { lost = shipper.Run(ctx) })
	}
	if t.cfg.Target != "" && t.cfg.Metrics > 0 {
		running.Go(func() { t.measure(ctx, d.status) })
	}
	if t.tracer != nil {
		running.Go(func() { t.tracer.run(ctx, t.tracesMissing) })
	}
	return func() error {
		d.book.Flush()
		cancel()
		running.Wait()
		return lost
	}
}

func (t *telemetry) shipOptions(rules func(string) agent.LogRule) logbook.ShipOptions {
	var level slog.Level
	if err := level.UnmarshalText([]byte(t.cfg.Logs)); err != nil {
		level = slog.LevelInfo // LoadConfig has checked it
	}
	own := slices.DeleteFunc([]string{t.cfg.Target, t.cfg.Traces.Target}, func(s string) bool { return s == "" })
	return logbook.ShipOptions{Level: level, Rules: rules, Own: own, Send: t.sendLogs}
}

// sendLogs makes a record of a batch of lines.
func (t *telemetry) sendLogs(ctx context.Context, lines []logbook.Line) error {
	out := make([]uplink.OTLPLog, len(lines))
	for i := range lines {
		out[i] = otlpLine(&lines[i])
	}
	return t.add(ctx, t.cfg.Target, priorityLogs, uplink.TypeLogs, uplink.OTLPLogs(t.resource, out))
}

// otlpLine is a line in the words of OpenTelemetry.
func otlpLine(l *logbook.Line) uplink.OTLPLog {
	out := uplink.OTLPLog{Scope: "skerry", Time: l.Time, Level: l.Level, Body: strings.ToValidUTF8(l.Text, "\uFFFD")}
	add := func(key, value string) {
		if value != "" {
			out.Attrs = append(out.Attrs, uplink.OTLPAttr{Key: key, Value: value})
		}
	}
	if l.Said {
		out.Scope = "skerry.function"
	}
	add("faas.name", l.Function)
	add("skerry.event", l.Event)
	for _, a := range l.Attrs {
		add("skerry."+a.Key, a.Value)
	}
	if l.Repeated > 0 {
		add("log.repeated", fmt.Sprint(l.Repeated))
	}
	if l.LeftOut > 0 {
		add("log.left_out", fmt.Sprint(l.LeftOut))
	}
	return out
}

// sendTraces makes a record of all spans, or for X-Ray one of each.
func (t *telemetry) sendTraces(ctx context.Context, spans []uplink.Span) error {
	if t.tracesKind == kindOTLP {
		return t.add(ctx, t.cfg.Traces.Target, priorityTraces, uplink.TypeTraces, uplink.OTLPTraces(t.resource, spans))
	}
	segments := make([][]byte, len(spans))
	for i := range spans {
		segments[i] = spans[i].Segment()
	}
	return t.add(ctx, t.cfg.Traces.Target, priorityTraces, typeSegment, segments...)
}

// sent is whom an outbox tells of its deliveries, nil if nothing is traced.
func (t *telemetry) sent(target string) func(uplink.Delivery) {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.sent(target)
}

// follow gives the trace context that goes along to a target, nil if nothing is
// traced.
func (t *telemetry) follow(target string) func(*agent.Event) string {
	if t.tracer == nil {
		return nil
	}
	return t.tracer.follow(target)
}

func (t *telemetry) tracesMissing(n int64, err error) {
	t.log.Warn("traces have gaps", "target", t.cfg.Traces.Target, "came_too_fast", n, "err", err)
}

// add keeps a record for each body. They are on disk soon, but nobody waits for
// it: a power cut costs the last moments.
func (t *telemetry) add(ctx context.Context, target string, priority uint8, kind string, bodies ...[]byte) error {
	now, right := t.clock()
	f := &agent.Frame{Lazy: true}
	for _, body := range bodies {
		rec := agent.Record{
			Queue: agent.QueueTarget(target, priority, false), Kind: agent.KindTelemetry, Priority: priority,
			Shed: t.cfg.Over == overDrop,
			Event: agent.Event{
				ID: fmt.Sprintf("%s/telemetry/%x/%d", t.device, t.start.UnixNano(), t.count.Add(1)), Source: "/" + t.device,
				Type: kind, Time: now, Unsure: !right, Data: body,
			},
		}
		if right { // else it would be over as soon as the clock is set
			rec.Expires = now.Add(t.cfg.TTL)
		}
		f.Add = append(f.Add, rec)
	}
	return t.store.Commit(ctx, f)
}
