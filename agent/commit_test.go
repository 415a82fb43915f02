package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestFailedCommitRunsTheGroupAndAllBehindItAgain(t *testing.T) {
	store := newMemory()
	var failures atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && failures.Add(1)%3 != 0 { // two of three frames fail
			return errors.New("input/output error")
		}
		return nil
	}
	var ran order
	b := start(t, store, guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		ran.add(inv.Event)
		n, err := inv.Add("total", 1)
		if err != nil {
			return err
		}
		return inv.Followup("faas", "", []byte(fmt.Sprintf("%s=%d", inv.Event.Data, n)))
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	var acks []<-chan error
	for i := range 20 {
		acks = append(acks, b.offer("s", strconv.Itoa(i+1), agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	for i, r := range store.queue("target/faas/5") {
		if want := fmt.Sprintf("%d=%d", i+1, i+1); string(r.Event.Data) != want {
			t.Errorf("follow-up %d = %s, want %s: each counted once, in order", i, r.Event.Data, want)
		}
	}
	if failures.Load() < 3 {
		t.Error("no commit failed: the test shows nothing")
	}
}

func TestWorkersNeverLoseAnUpdate(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Concurrency = 4
	b.apply([]agent.Function{f}, on("app/f", "s/+"))
	const events = 2000
	acks := make(chan (<-chan error), events)
	var offering sync.WaitGroup
	for g := range 4 {
		offering.Go(func() {
			for i := range events / 4 {
				acks <- b.offer(fmt.Sprintf("s/%d", g*1000+i%50), "x", agent.Origin{})
			}
		})
	}
	offering.Wait()
	close(acks)
	for acked := range acks {
		b.wait(acked)
	}
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != strconv.Itoa(events) {
		t.Errorf("total = %s, want %d", v, events)
	}
	if n := len(b.store.queue("target/faas/5")); n != events {
		t.Errorf("%d follow-ups, want %d", n, events)
	}
}

func TestFullStoreStopsOnlyWhoNeedsRoom(t *testing.T) {
	store, full := fillable()
	full.Store(true)
	b := start(t, store, guests{
		"app/asks": func(_ context.Context, inv *agent.Invocation) error { return inv.Followup("faas", "", nil) },
		"app/counts": func(_ context.Context, inv *agent.Invocation) error {
			_, err := inv.Add("n", 1)
			return err
		},
	}, agent.Options{Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/asks"), fn("app/counts")}, on("app/asks", "a"), on("app/counts", "c"))
	asked := b.offer("a", "", agent.Origin{})
	for range 20 {
		b.wait(b.offer("c", "", agent.Origin{}))
	}
	select {
	case <-asked:
		t.Error("acknowledged although there was no room for its outcome")
	default:
	}
	if s := b.status().Functions[0]; s.Failures != 0 {
		t.Errorf("waiting for room counts as failure: %+v", s)
	}
	full.Store(false)
	b.wait(asked)
}
