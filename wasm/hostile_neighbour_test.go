package wasm_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// TestNeighbourOfHostileFunctions lets each attack run again and again beside a
// function that has 1,000 events a second. Timing means little on a machine that
// does other things, so marks count, and a table is printed, only with
// TEST_HOSTILE=1 (make hostile).
func TestNeighbourOfHostileFunctions(t *testing.T) {
	strict, length := os.Getenv("TEST_HOSTILE") == "1", 50*time.Millisecond
	if strict {
		length = 2 * time.Second
	}
	s := newBench(t, wasm.Options{})
	n := newNeighbour(t, s)
	alone := n.serve(length, nil)
	memory := resident(t)
	if strict {
		fmt.Printf("%-34s %9s %9s %6s %9s %9s %9s %9s\n", "beside", "p50 us", "p99 us", "ratio", "late ms", "GC ms", "timer ms", "RSS MB")
		fmt.Printf("%-34s %9.0f %9.0f\n", "nobody", us(alone.quantile(0.5)), us(alone.quantile(0.99)))
	}
	groups := map[string][]attack{"eight at once": attacks[:8]}
	for _, a := range attacks {
		groups[a.name] = []attack{a}
	}
	for _, a := range append(attacks, attack{name: "eight at once", long: true}) {
		t.Run(a.name, func(t *testing.T) {
			before := n.serve(length, nil) // the machine changes: compare with what was just now
			h := harm(t, s, groups[a.name])
			during := n.serve(length, h)
			if during.failed > 0 {
				t.Errorf("%d events of its neighbour failed", during.failed)
			}
			grown := resident(t) - memory
			if strict {
				report(t, &a, &before, &during, h, grown)
			}
		})
	}
}

// report prints a line of the table and holds the attack to the marks.
func report(t *testing.T, a *attack, before, during *latencies, h *harmful, grown int64) {
	ratio := float64(during.quantile(0.99)) / float64(before.quantile(0.99))
	fmt.Printf("%-34s %9.0f %9.0f %6.2f %9.1f %9.1f %9.1f %9.1f\n", a.name, us(during.quantile(0.5)), us(during.quantile(0.99)),
		ratio, ms(h.late), ms(during.pause), ms(during.stall), float64(grown)/1e6)
	if ratio > 2 {
		t.Errorf("p99 of its neighbour is %v, and was %v before", during.quantile(0.99), before.quantile(0.99))
	}
	if h.late > a.overshoot() {
		t.Errorf("it was stopped up to %v after its time", h.late)
	}
	if during.pause > 10*time.Millisecond || during.stall > 10*time.Millisecond {
		t.Errorf("the garbage collector was held for %v, the scheduler for %v", during.pause, during.stall)
	}
	if grown > 32<<20 {
		t.Errorf("memory grew by %d KiB", grown>>10)
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
		fn := a.function(s)
		fn.Name += "-again"
		h.wg.Go(func() { h.again(t, s, &a, fn) })
	}
	return h
}

// again runs one attack as a worker would: one event after the other.
func (h *harmful) again(t *testing.T, s *bench, a *attack, fn agent.Function) {
	var m agent.Module
	for h.ctx.Err() == nil {
		var err error
		if m == nil {
			if m, err = s.rt.Load(h.ctx, fn); err != nil && !a.atLoad && h.ctx.Err() == nil {
				t.Errorf("load: %v", err)
				return
			}
			continue
		}
		inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
		inv.Begin(event(a.data), "t", 1)
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
	m  agent.Module
	fn agent.Function
}

func newNeighbour(t *testing.T, s *bench) *neighbour {
	fn := s.function("../examples/overheat/overheat.wasm")
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/+/overheat"}, Invoke: []string{"central/alerts"}}
	return &neighbour{s.load(fn), fn}
}

// latencies are of events, from when each was due to when it was done.
type latencies struct {
	all    []time.Duration
	failed int
	pause  time.Duration // the longest pause of a garbage collection
	stall  time.Duration // the most that a timer of 1 ms was late
}

func (l *latencies) quantile(q float64) time.Duration {
	return l.all[min(int(q*float64(len(l.all))), len(l.all)-1)]
}

// serve gives the neighbour an event every millisecond, while garbage is
// collected and h does harm, and then stops h.
func (n *neighbour) serve(length time.Duration, h *harmful) latencies {
	var l latencies
	inv := agent.NewInvocation(&n.fn, view{}, agent.Outside{})
	ev := event(`{"id":"s1","seq":17,"ts":1700000000123,"temperature":91.25,"unit":"C"}`)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { l.stall = collectAndWatch(done) })
	pauses := gcPauses()
	begun := time.Now()
	timer := time.NewTimer(0)
	for due := begun; due.Sub(begun) < length; due = due.Add(time.Millisecond) {
		timer.Reset(time.Until(due))
		<-timer.C
		inv.Begin(ev, "t", 1)
		if n.m.Invoke(context.Background(), inv) != nil {
			l.failed++
		}
		l.all = append(l.all, time.Since(due))
	}
	l.pause = longestSince(pauses)
	close(done)
	wg.Wait()
	if h != nil {
		h.stop()
		h.wg.Wait()
	}
	slices.Sort(l.all)
	return l
}

// collectAndWatch collects garbage ten times a second and returns by how much a
// timer of a millisecond was late at most.
func collectAndWatch(done <-chan struct{}) (worst time.Duration) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-tick.C:
				runtime.GC()
			case <-done:
				return
			}
		}
	})
	defer wg.Wait()
	for {
		begun := time.Now()
		select {
		case <-time.After(time.Millisecond):
			worst = max(worst, time.Since(begun)-time.Millisecond)
		case <-done:
			return worst
		}
	}
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
