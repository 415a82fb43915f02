package agent

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// saturated has a turn taken, and functions of the priorities wait for it in
// that order. It returns the order in which they get it.
func saturated(t *testing.T, priorities ...uint8) (order []int) {
	synctest.Test(t, func(*testing.T) {
		ts := newTurns(1)
		holder := newClaim(&Function{})
		ts.take(holder)
		got := make(chan int, len(priorities))
		for i, p := range priorities {
			go func() {
				c := newClaim(&Function{Priority: p})
				ts.take(c)
				got <- i
				ts.give(c)
			}()
			synctest.Wait() // it is in line
		}
		ts.give(holder)
		for range priorities {
			order = append(order, <-got)
		}
	})
	return order
}

func TestTheHighestPriorityRunsNext(t *testing.T) {
	if got, want := saturated(t, 5, 0, 9, 5, 9), []int{2, 4, 0, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("they ran in the order %v, want %v", got, want)
	}
}

// TestNobodyWaitsForEver lets functions of the highest priority come without end.
func TestNobodyWaitsForEver(t *testing.T) {
	priorities := []uint8{0}
	for range 300 {
		priorities = append(priorities, topPriority)
	}
	at := slices.Index(saturated(t, priorities...), 0)
	if at < 100 || at > ageing*topPriority {
		t.Errorf("priority 0 ran after %d of priority 9; want it late, but after %d at most", at, ageing*topPriority)
	}
}

// TestALongRunHoldsNobodyUp has a run that never ends by itself.
func TestALongRunHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := newTurns(1)
		long, short := newClaim(&Function{Priority: 9}), newClaim(&Function{})
		ts.take(long)
		began := time.Now()
		for range 3 {
			ts.take(short)
			ts.give(short)
		}
		if waited := time.Since(began); waited < longTurn || waited > 2*longTurn {
			t.Errorf("three runs waited %s for one that goes on; want to wait once, for %s", waited, longTurn)
		}
		ts.give(long)
		if ts.slots[0].Load() != nil {
			t.Error("the turn is not free when all have ended")
		}
	})
}

// TestTurnsAreNeverLost has many take turns at once.
func TestTurnsAreNeverLost(t *testing.T) {
	ts := newTurns(2)
	ended := make(chan struct{})
	for i := range 16 {
		go func() {
			c := newClaim(&Function{Priority: uint8(i % 10)})
			for range 2000 {
				ts.take(c)
				ts.give(c)
			}
			ended <- struct{}{}
		}()
	}
	for range 16 {
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("somebody waits for ever")
		}
	}
	if n := ts.waiters.Load(); n != 0 || len(ts.line) != 0 || ts.slots[0].Load() != nil || ts.slots[1].Load() != nil {
		t.Errorf("after all: %d wait, %d in line", n, len(ts.line))
	}
}

func BenchmarkTurn(b *testing.B) {
	for _, others := range []int{0, 7} {
		b.Run("others="+strconv.Itoa(others), func(b *testing.B) {
			ts, stop := newTurns(2), make(chan struct{})
			for range others {
				go func() {
					c := newClaim(&Function{})
					for {
						select {
						case <-stop:
							return
						default:
							ts.take(c)
							ts.give(c)
						}
					}
				}()
			}
			c := newClaim(&Function{})
			b.ReportAllocs()
			for b.Loop() {
				ts.take(c)
				ts.give(c)
			}
			close(stop)
		})
	}
}

// blocked is a module that tells who runs, and waits.
type blocked struct {
	name string
	runs chan string
	hold chan struct{} // nil: it does not wait
}

func (b blocked) Close(context.Context) error { return nil }

func (b blocked) Invoke(context.Context, *Invocation) error {
	b.runs <- b.name
	if b.hold != nil {
		<-b.hold
	}
	return nil
}

// TestFunctionsRunByPriority has the functions of an agent wait for its only turn.
func TestFunctionsRunByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, hold := make(chan string, 4), make(chan struct{})
		a := New(newModelDisk(nil), nil, nil, Options{Device: "gw7"})
		a.turns, a.ids = newTurns(1), &ids{}
		next := a.deployment(Deployment{})
		var acked atomic.Int64
		for _, f := range []Function{{Name: "app/holds"}, {Name: "app/low"}, {Name: "app/usual", Priority: 5}, {Name: "app/high", Priority: 9}} {
			f.Limits, f.Rule = DefaultLimits, true
			fn, err := a.load(t.Context(), f, nil)
			if err != nil {
				t.Fatal(err)
			}
			fn.workers[0].mod = blocked{f.Name, runs, nil}
			if f.Name == "app/holds" {
				fn.workers[0].mod = blocked{f.Name, runs, hold}
			}
			next.functions[f.Name] = fn
			if err := addRoute(next, next, &Trigger{Name: f.Name, Function: f.Name, Via: "plant", Filter: f.Name}); err != nil {
				t.Fatal(err)
			}
			a.current.Store(next)
			a.Offer(&Event{Via: "plant", Subject: f.Name, QoS: 1}, func(error) { acked.Add(1) })
			task, _ := fn.workers[0].take(time.Now())
			go fn.workers[0].handle(t.Context(), task)
			synctest.Wait() // it runs, or is in line
		}
		close(hold)
		synctest.Wait()
		var order []string
		for len(runs) > 0 {
			order = append(order, <-runs)
		}
		if want := []string{"app/holds", "app/high", "app/usual", "app/low"}; !slices.Equal(order, want) || acked.Load() != 4 {
			t.Errorf("they ran in the order %v, %d acknowledged", order, acked.Load())
		}
	})
}
