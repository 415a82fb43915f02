package main

import (
	"context"
	"strconv"
	"strings"
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

// tracer makes X-Ray segments of the invocations of some events: of the same ones
// in each function, and on each device that the event comes by. It holds up no
// function: of segments that come faster than they can be kept some are missing.
type tracer struct {
	sample  float64
	clock   func() (now time.Time, right bool)
	keep    func(ctx context.Context, segments [][]byte) error
	waiting chan []byte
	missing atomic.Int64
}

func newTracer(sample float64, keep func(context.Context, [][]byte) error) *tracer {
	return &tracer{sample: sample, clock: wallClock, keep: keep, waiting: make(chan []byte, maxTraces)}
}

// Ran implements agent.Watcher.
func (t *tracer) Ran(inv *agent.Invocation, err error) {
	if !sampled(inv.Event, t.sample) {
		return
	}
	end, right := t.clock()
	if !right { // X-Ray takes no segment of another year
		return
	}
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	select {
	case t.waiting <- uplink.Segment(inv.Event, inv.Function.Name, end.Add(-inv.Usage.Took), end, fault):
	default:
		t.missing.Add(1)
	}
}

// Settled implements agent.Watcher.
func (t *tracer) Settled(*agent.Outcome) {}

// sampled decides by the id of the trace, which is as good as random.
func sampled(ev *agent.Event, share float64) bool {
	root, _, _ := strings.Cut(uplink.TraceHeader(ev), ";")
	n, err := strconv.ParseUint(root[max(len(root)-8, 0):], 16, 32)
	return err == nil && float64(n) < share*(1<<32)
}

// run keeps what comes until ctx ends, then what is left.
func (t *tracer) run(ctx context.Context, failed func(missing int64, err error)) {
	for {
		var batch [][]byte
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
func (t *tracer) more(batch [][]byte) [][]byte {
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
