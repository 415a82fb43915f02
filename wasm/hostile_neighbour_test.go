//go:build linux

package wasm_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// busy is an honest function that computes for some 10 ms per event.
var busy = attack{name: "busy", module: "work", data: strings.Repeat("x", 10_000), fault: agent.FaultError}

const allAtOnce = "eight at once"

// TestNeighbourOfHostileFunctions lets each attack run again and again beside a
// function that gets 1,000 events a second from another process. Its p99 is
// compared with what it is alone, and beside as many busy functions that mean no
// harm; the first lines tell what floors do to it, which are no functions. Timing
// means little on a machine that does other things, so marks count, and a table
// is printed, only with TEST_HOSTILE=1 (make hostile); the waits for a processor
// are subtracted, and chrt -r 1 makes others matter less.
func TestNeighbourOfHostileFunctions(t *testing.T) {
	strict, length := os.Getenv("TEST_HOSTILE") == "1", 50*time.Millisecond
	if strict {
		length = 2 * time.Second
	}
	s := newBench(t, cached(t))
	n := newNeighbour(t, s)
	memory := resident(t)
	if strict {
		fmt.Printf("%-28s %22s %22s %22s %6s %6s | %s\n", "us: p50, p99, p99 - waits", "alone", "beside busy", "beside it",
			"ratio", "/busy", "ms: sent, stopped, GC, timer late at most; MB")
	}
	for _, a := range append(slices.Concat(floors, attacks), attack{name: allAtOnce, long: true}) {
		group := []attack{a}
		if a.name == allAtOnce {
			group = attacks[:8]
		}
		t.Run(a.name, func(t *testing.T) {
			l := measure(t, n, s, group, length)
			if strict && len(group) == 1 && a.native == nil && quantile(l.during.sent, 0.99) > lateSender {
				// The other process did not run in its time: that says nothing of the attack.
				t.Logf("measured again: events were sent up to %v late", quantile(l.during.sent, 0.99))
				l = measure(t, n, s, group, length)
			}
			l.grown = resident(t) - memory
			if l.during.failed > 0 {
				t.Errorf("%d events of its neighbour failed", l.during.failed)
			}
			if strict {
				l.report(t, &a, len(group))
			}
		})
	}
}

// line is one of the table.
type line struct {
	alone, busy, during   latencies
	stopped, pause, timer time.Duration // stopped so late, the world stopped, a timer late, at most
	grown                 int64         // bytes
}

// lateSender is how late events may be sent, at the p99, for a line to count.
const lateSender = 20 * time.Millisecond

// measure serves the neighbour alone, beside as many busy functions and beside the
// group, one after the other: the machine changes.
func measure(t *testing.T, n *neighbour, s *bench, group []attack, length time.Duration) (l line) {
	l.alone = n.serve(length / 2)
	h := harm(t, s, slices.Repeat([]attack{busy}, len(group)))
	l.busy = n.serve(length / 2)
	h.end()
	h = harm(t, s, group)
	l.during = n.serve(length)
	l.pause, l.timer = collectAndWatch(t, length/2)
	h.end()
	l.stopped = h.late
	return l
}

// report prints the line and holds the attack to the marks. More attacks than
// processors are compared with as many busy functions.
func (l *line) report(t *testing.T, a *attack, attacks int) {
	p99 := func(l *latencies) float64 { return us(quantile(l.own, 0.99)) }
	cell := func(l *latencies) string {
		return fmt.Sprintf("%6.0f %8.0f %6.0f", us(quantile(l.felt, 0.5)), us(quantile(l.felt, 0.99)), p99(l))
	}
	alone, besides := p99(&l.during)/p99(&l.alone), p99(&l.during)/p99(&l.busy)
	fmt.Printf("%-28s %s %s %s %6.2f %6.2f | %5.1f %5.1f %5.1f %5.1f %5.1f\n", a.name, cell(&l.alone), cell(&l.busy), cell(&l.during),
		alone, besides, ms(quantile(l.during.sent, 0.99)), ms(l.stopped), ms(l.pause), ms(l.timer), float64(l.grown)/1e6)
	if a.native != nil {
		return
	}
	ratio := alone
	if attacks >= runtime.GOMAXPROCS(0) {
		ratio = besides
	}
	if ratio > 2 {
		t.Errorf("p99 of its neighbour is %.2f times what it was before", ratio)
	}
	if l.stopped > a.overshoot() {
		t.Errorf("it was stopped up to %v after its time", l.stopped)
	}
	if l.pause > 10*time.Millisecond || l.timer > 10*time.Millisecond {
		t.Errorf("the garbage collector was held for %v, the scheduler for %v", l.pause, l.timer)
	}
	if l.grown > 32<<20 {
		t.Errorf("memory grew by %d KiB", l.grown>>10)
	}
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// harmful are attacks that run until they are stopped.
type harmful struct {
	wg   sync.WaitGroup
	ctx  context.Context
	stop context.CancelFunc
	mu   sync.Mutex
	late time.Duration // the most that a run was stopped after its time
}

func harm(t *testing.T, s *bench, attacks []attack) *harmful {
	h := &harmful{}
	h.ctx, h.stop = context.WithCancel(t.Context())
	for _, a := range attacks {
		if a.native != nil {
			h.wg.Go(func() { a.native(h.ctx, t) })
			continue
		}
		fn := a.function(s)
		fn.Name += "-again"
		h.wg.Go(func() { h.again(t, s, &a, fn) })
	}
	return h
}

func (h *harmful) end() {
	h.stop()
	h.wg.Wait()
}

// again runs one attack as a worker would: one event after the other.
func (h *harmful) again(t *testing.T, s *bench, a *attack, fn agent.Function) {
	var m agent.Module
	inv := agent.NewInvocation(&fn, view{}, agent.Outside{}) // of all runs, as a worker has it
	ev := event(a.data)                                      // likewise: what the event costs is not the function's doing
	for h.ctx.Err() == nil {
		var err error
		if m == nil {
			if m, err = s.rt.Load(h.ctx, fn); err != nil && !a.atLoad && h.ctx.Err() == nil {
				t.Errorf("load: %v", err)
				return
			}
			if err != nil { // an app that is refused is not tried a thousand times a second
				<-time.After(10 * time.Millisecond)
			}
			continue
		}
		inv.Begin(ev, "t", 1)
		begun := time.Now()
		err = m.Invoke(h.ctx, inv)
		if late := time.Since(begun) - hostileTimeout; a.fault == agent.FaultTimeout && err != nil {
			h.mu.Lock()
			h.late = max(h.late, late)
			h.mu.Unlock()
		}
	}
	if m != nil {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// neighbour is a well-behaved function.
type neighbour struct {
	t  *testing.T
	m  agent.Module
	fn agent.Function
}

func newNeighbour(t *testing.T, s *bench) *neighbour {
	fn := s.function("../examples/overheat/overheat.wasm")
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/+/overheat"}, Invoke: []string{"central/alerts"}}
	return &neighbour{t, s.load(fn), fn}
}

// latencies are of events, sorted.
type latencies struct {
	felt   []time.Duration // from when it was sent to when its run had ended
	own    []time.Duration // the same without the waits for a processor
	sent   []time.Duration // from when it was due to when the other process sent it
	failed int
}

func quantile(l []time.Duration, q float64) time.Duration {
	return l[min(int(q*float64(len(l))), len(l)-1)]
}

// serve gives the neighbour an event every millisecond.
func (n *neighbour) serve(length time.Duration) (l latencies) {
	inv := agent.NewInvocation(&n.fn, view{}, agent.Outside{})
	ev := event(`{"id":"s1","seq":17,"ts":1700000000123,"temperature":91.25,"unit":"C"}`)
	waited := newWaits(n.t)
	err := eachEvent(int(length/time.Millisecond), func(due, sent time.Duration) {
		inv.Begin(ev, "t", 1)
		if n.m.Invoke(context.Background(), inv) != nil {
			l.failed++
		}
		now := monotonic()
		l.felt = append(l.felt, now-sent)
		l.own = append(l.own, max(0, now-sent-waited.between(sent, now)))
		l.sent = append(l.sent, sent-due)
	})
	if err != nil {
		n.t.Fatal(err)
	}
	for _, of := range [][]time.Duration{l.felt, l.own, l.sent} {
		slices.Sort(of)
	}
	return l
}

// collectAndWatch collects garbage twenty times a second. It returns for how
// long that stopped the world at most, and by how much a timer of a millisecond
// was late without waits for a processor.
func collectAndWatch(t *testing.T, length time.Duration) (pause, late time.Duration) {
	pauses, waited := gcPauses(), newWaits(t)
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	wg.Go(func() {
		for time.Now().Before(end) {
			<-time.After(50 * time.Millisecond)
			runtime.GC()
		}
	})
	for time.Now().Before(end) {
		begun := monotonic()
		<-time.After(time.Millisecond)
		now := monotonic()
		late = max(late, now-begun-time.Millisecond-waited.between(begun, now))
	}
	wg.Wait()
	return longestSince(pauses), late
}

// gcPauses is the histogram of how long garbage collections stopped the world.
func gcPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
}

// longestSince is the longest pause that was not in before, as its bucket says.
func longestSince(before *metrics.Float64Histogram) time.Duration {
	now := gcPauses()
	for i := len(now.Counts) - 1; i >= 0; i-- {
		if now.Counts[i] > before.Counts[i] && !math.IsInf(now.Buckets[i], 0) {
			return time.Duration(now.Buckets[i] * float64(time.Second))
		}
	}
	return 0
}
