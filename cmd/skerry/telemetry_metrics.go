package main

import (
	"context"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// maxPoints bounds the points of a metric: of functions and the like beyond that
// nothing goes up.
const maxPoints = 256

// measure makes a record of the agent's figures each so often, until ctx ends.
func (t *telemetry) measure(ctx context.Context, status func() agent.Status) {
	tick := time.NewTicker(t.cfg.Metrics)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := status()
		now, _ := t.clock()
		err := t.add(ctx, t.cfg.Target, priorityMetrics, uplink.TypeMetrics, uplink.OTLPMetrics(t.resource, t.start, now, figuresOf(&s, now)))
		if err != nil && !failed && ctx.Err() == nil {
			t.log.Warn("figures do not go up: they cannot be kept", "target", t.cfg.Target, "err", err)
		}
		failed = err != nil
	}
}

// figures collects metrics under their names, in the order of the first point.
type figures struct {
	list   []uplink.OTLPMetric
	byName map[string]int
}

func (f *figures) add(name, unit string, counter bool, value int64, attrs ...uplink.OTLPAttr) {
	i, known := f.byName[name]
	if !known {
		i = len(f.list)
		f.byName[name] = i
		f.list = append(f.list, uplink.OTLPMetric{Name: name, Unit: unit, Counter: counter})
	}
	if m := &f.list[i]; len(m.Points) < maxPoints {
		m.Points = append(m.Points, uplink.OTLPPoint{Attrs: attrs, Value: value})
	}
}

func (f *figures) counter(name, unit string, value int64, attrs ...uplink.OTLPAttr) {
	f.add(name, unit, true, value, attrs...)
}

func (f *figures) gauge(name, unit string, value int64, attrs ...uplink.OTLPAttr) {
	f.add(name, unit, false, value, attrs...)
}

// figuresOf are the figures of docs/telemetry.md.
func figuresOf(s *agent.Status, now time.Time) []uplink.OTLPMetric {
	f := &figures{byName: map[string]int{}}
	e := &s.Events
	f.gauge("skerry.uptime", "s", int64(now.Sub(s.Started).Seconds()))
	f.gauge("skerry.memory", "By", s.RSSBytes)
	f.counter("skerry.events", "{event}", e.Events)
	f.counter("skerry.events.bytes", "By", e.Bytes)
	f.counter("skerry.events.filtered", "{event}", e.Filtered)
	f.counter("skerry.events.duplicates", "{event}", e.Duplicates)
	f.counter("skerry.events.dropped", "{event}", e.Dropped)
	f.counter("skerry.events.dead", "{event}", e.Dead)
	f.gauge("skerry.events.p50", "us", e.P50us)
	f.gauge("skerry.events.p99", "us", e.P99us)
	f.counter("skerry.followups", "{record}", e.Followups)
	f.counter("skerry.publishes", "{record}", e.Publishes)
	f.gauge("skerry.disk", "By", s.Store.JournalBytes)
	f.gauge("skerry.disk.limit", "By", s.Store.QuotaBytes)
	f.counter("skerry.disk.syncs", "{sync}", s.Store.Syncs)
	f.counter("skerry.disk.gaps", "{frame}", s.Store.Gaps)
	f.gauge("skerry.records", "{record}", int64(s.Store.Records))
	f.gauge("skerry.deadletters", "{record}", int64(s.Store.Dead))
	f.sync(&s.Sync)
	for i := range s.Functions {
		f.function(&s.Functions[i])
	}
	for i := range s.Sources {
		f.source(&s.Sources[i])
	}
	for i := range s.Links {
		f.link(&s.Links[i])
	}
	for i := range s.Targets {
		f.target(&s.Targets[i])
	}
	return f.list
}

func (f *figures) sync(s *agent.SyncStatus) {
	f.gauge("skerry.sync.revision", "1", s.Revision)
	if !s.Checked.IsZero() {
		f.gauge("skerry.sync.checked.timestamp", "s", s.Checked.Unix())
	}
	if !s.Expires.IsZero() {
		f.gauge("skerry.sync.expiry.timestamp", "s", s.Expires.Unix())
	}
}

func (f *figures) function(fn *agent.FunctionStatus) {
	of := uplink.OTLPAttr{Key: "faas.name", Value: fn.Name}
	f.counter("skerry.function.invocations", "{run}", fn.Invocations, of)
	f.counter("skerry.function.failures", "{run}", fn.Failures, of)
	f.counter("skerry.function.dead", "{event}", fn.Dead, of)
	f.counter("skerry.function.denied", "{call}", fn.Denied, of)
	f.counter("skerry.function.fuel", "{unit}", fn.Fuel, of)
	f.gauge("skerry.function.waiting", "{event}", int64(fn.Queued+fn.Inbox), of)
	f.gauge("skerry.function.memory", "By", fn.MemoryBytes, of)
	f.gauge("skerry.function.state", "By", fn.StateBytes, of)
	f.gauge("skerry.function.p50", "us", fn.P50us, of)
	f.gauge("skerry.function.p99", "us", fn.P99us, of)
	f.gauge("skerry.function.stopped", "1", flag(fn.Breaker != nil), of)
}

func (f *figures) source(s *agent.SourceStatus) {
	of := uplink.OTLPAttr{Key: "skerry.source", Value: s.Name}
	f.gauge("skerry.source.connected", "1", flag(s.Connected), of)
	f.gauge("skerry.source.inflight", "{event}", int64(s.Inflight), of)
}

func (f *figures) link(l *agent.LinkStatus) {
	of := uplink.OTLPAttr{Key: "skerry.link", Value: l.Name}
	for _, a := range []struct {
		period string
		of     agent.Account
	}{{"day", l.Day}, {"month", l.Month}} {
		if a.of.Limit > 0 {
			period := uplink.OTLPAttr{Key: "period", Value: a.period}
			f.gauge("skerry.link.used", "By", a.of.Used, of, period)
			f.gauge("skerry.link.limit", "By", a.of.Limit, of, period)
		}
	}
}

func (f *figures) target(t *agent.TargetStatus) {
	of := uplink.OTLPAttr{Key: "skerry.target", Value: t.Name}
	f.gauge("skerry.target.waiting", "{record}", int64(t.Waiting), of)
	f.gauge("skerry.target.waiting.bytes", "By", t.WaitingBytes, of)
	f.counter("skerry.target.delivered", "{record}", t.Delivered, of)
	f.counter("skerry.target.failed", "{record}", t.FnErrors, of)
	f.counter("skerry.target.retries", "{try}", t.Retries, of)
	f.counter("skerry.target.dead", "{record}", t.Dead, of)
	f.counter("skerry.target.bytes", "By", t.BytesUp, of)
	f.gauge("skerry.target.stopped", "1", flag(t.Breaker != nil), of)
	for _, d := range []struct {
		cause string
		n     int64
	}{
		{"expired", t.Drops.Expired},
		{"evicted", t.Drops.Evicted},
		{"replaced", t.Drops.Replaced},
		{"over_budget", t.Drops.OverBudget},
		{"dropped", t.Drops.Dropped},
		{"refused", t.Drops.Refused},
	} {
		f.counter("skerry.target.drops", "{record}", d.n, of, uplink.OTLPAttr{Key: "cause", Value: d.cause})
	}
}

func flag(set bool) int64 {
	if set {
		return 1
	}
	return 0
}
