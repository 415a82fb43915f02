package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// What waits to be kept, and what is kept at a time.
const (
	maxTraces  = 256
	traceBatch = 64
)

// tracer makes spans of what becomes of some events: of the same ones in each
// function and target, and on each device that the event comes by. It holds up
// nobody: of spans that come faster than they can be kept some are missing.
type tracer struct {
	sample  float64
	dated   bool // spans of another year are refused there
	clock   func() (now time.Time, right bool)
	keep    func(ctx context.Context, spans []uplink.Span) error
	waiting chan uplink.Span
	missing atomic.Int64
	arrived recentIDs
}

func newTracer(sample float64, keep func(context.Context, []uplink.Span) error) *tracer {
	return &tracer{sample: sample, clock: wallClock, keep: keep, waiting: make(chan uplink.Span, maxTraces)}
}

// Ran implements agent.Watcher.
func (t *tracer) Ran(inv *agent.Invocation, err error) {
	if !uplink.Sampled(inv.Event, t.sample) {
		return
	}
	end, _ := t.clock()
	start, fault := end.Add(-inv.Usage.Took), ""
	if err != nil {
		fault = err.Error()
	}
	if s, ok := uplink.ArrivalSpan(inv.Event, start); ok && t.arrived.add(inv.Event.ID) {
		t.put(s)
	}
	t.put(uplink.RunSpan(inv.Event, inv.Function.Name, start, end, fault))
}

// Settled implements agent.Watcher.
func (t *tracer) Settled(*agent.Outcome) {}

// sent is told of deliveries to a target.
func (t *tracer) sent(target string) func(uplink.Delivery) {
	return func(d uplink.Delivery) {
		if d.Record.Kind == agent.KindTelemetry || !uplink.Sampled(&d.Record.Event, t.sample) {
			return
		}
		t.put(uplink.DeliverySpan(&d.Record.Event, target, d.Start, d.End, d.Failed, d.Fault))
	}
}

// follow is the trace context that goes along with events to a target. Of those
// that are not traced here, the one that they came with goes on.
func (t *tracer) follow(target string) func(*agent.Event) string {
	return func(ev *agent.Event) string {
		if !uplink.Sampled(ev, t.sample) {
			return ev.Trace
		}
		return uplink.TraceParent(ev, target)
	}
}

func (t *tracer) put(s uplink.Span) {
	if _, right := t.clock(); !right {
		if t.dated {
			return
		}
		s.Unsure()
	}
	select {
	case t.waiting <- s:
	default:
		t.missing.Add(1)
	}
}

// run keeps what comes until ctx ends, then what is left.
func (t *tracer) run(ctx context.Context, failed func(missing int64, err error)) {
	for {
		var batch []uplink.Span
		select {
		case s := <-t.waiting:
			batch = t.more(append(batch, s))
		case <-ctx.Done():
			if batch = t.more(nil); len(batch) == 0 {
				return
			}
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		err := t.keep(end, batch)
		cancel()
		if n := t.missing.Swap(0); n > 0 || err != nil {
			failed(n, err)
		}
	}
}

// more adds what waits already.
func (t *tracer) more(batch []uplink.Span) []uplink.Span {
	for len(batch) < traceBatch {
		select {
		case s := <-t.waiting:
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

// recentIDs are the newest of the ids that were added. The zero value has none.
type recentIDs struct {
	mu   sync.Mutex
	ring [1024]string
	next int
	has  map[string]bool
}

// add tells whether id is new.
func (r *recentIDs) add(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.has[id] {
		return false
	}
	if r.has == nil {
		r.has = map[string]bool{}
	}
	delete(r.has, r.ring[r.next])
	r.ring[r.next], r.has[id] = id, true
	r.next = (r.next + 1) % len(r.ring)
	return true
}
