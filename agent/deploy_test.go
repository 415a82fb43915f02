package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestApplyIsAllOrNothingAndLosesNoEvent(t *testing.T) {
	var ran order
	version := func(v string) func(context.Context, *agent.Invocation) error {
		return func(ctx context.Context, inv *agent.Invocation) error {
			ran.add(&agent.Event{Subject: inv.Event.Subject, Data: []byte(string(inv.Event.Data) + v)})
			return count(ctx, inv)
		}
	}
	g := guests{"app/f": version("a")}
	b := start(t, newMemory(), g, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(b.offer("s", "0", agent.Origin{}))

	missing := agent.Deployment{Functions: []agent.Function{fn("app/f"), fn("app/none")}, Triggers: []agent.Trigger{on("app/none", "s")}}
	if err := b.Apply(context.Background(), missing); err == nil || !strings.Contains(err.Error(), "app/none") {
		t.Fatalf("Apply with a module that cannot be loaded: %v", err)
	}
	b.wait(b.offer("s", "1", agent.Origin{}))

	g["app/f"] = version("b")
	next := fn("app/f")
	next.Digest = "sha256:0123456789ab"
	acks := make(chan (<-chan error), 400)
	var offering sync.WaitGroup
	offering.Go(func() {
		for i := range 400 {
			acks <- b.offer("s", strconv.Itoa(2+i)+"-", agent.Origin{})
		}
		close(acks)
	})
	b.apply([]agent.Function{next}, on("app/f", "s"))
	offering.Wait()
	for acked := range acks {
		b.wait(acked)
	}
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != "402" {
		t.Errorf("total = %s, want 402", v)
	}
	got := ran.of("s")
	for i, data := range got[2:] {
		if !strings.HasPrefix(data, strconv.Itoa(2+i)+"-") {
			t.Fatalf("run %d was %s: order broken by the switch", i+2, data)
		}
	}
	if last := got[len(got)-1]; !strings.HasSuffix(last, "b") {
		t.Errorf("the last event ran in %q, want the new version", last)
	}

	b.apply(nil)
	b.wait(b.offer("s", "gone", agent.Origin{}))
}

func TestRemovedFunctionsEventsWaitForItAndAreThenDeadLettered(t *testing.T) {
	var mended atomic.Bool
	g := guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		if !mended.Load() {
			return errors.New("not yet")
		}
		return count(ctx, inv)
	}}
	tr := on("app/f", "s")
	tr.Retry = agent.Retry{Backoff: time.Hour}
	store := newMemory()
	b := start(t, store, g, agent.Options{SpillAfter: 8 * time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "x", agent.Origin{}))
	b.apply(nil)
	if n := len(store.queue("inbox/app/f")); n != 1 {
		t.Fatalf("%d events in the inbox of the removed function, want 1", n)
	}
	for _, r := range store.queue("inbox/app/f") { // due now
		f := &agent.Frame{Touch: []agent.Touch{{Seq: r.Seq, Attempts: 1}}}
		if err := store.Commit(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	mended.Store(true)
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.eventually("its event runs when the function is back", func() error {
		if n := len(store.queue("target/faas/5")); n != 1 {
			return fmt.Errorf("%d follow-ups", n)
		}
		return nil
	})

	mended.Store(false)
	b.wait(b.offer("s", "y", agent.Origin{}))
	b.stop()
	b = start(t, store, g, agent.Options{OrphanAfter: time.Millisecond})
	b.apply([]agent.Function{fn("app/other")}[:0])
	b.eventually("its event is dead-lettered when it stays away", func() error {
		dead := store.queue(agent.QueueDead)
		if len(dead) != 1 || dead[0].Origin != "inbox/app/f" || !strings.Contains(dead[0].Reason, "removed") ||
			len(store.queue("inbox/app/f")) != 0 {
			return fmt.Errorf("dead letters: %+v", dead)
		}
		return nil
	})
}

func TestFunctionRemovedWhileCommitsFailLeavesNoEventBehind(t *testing.T) {
	store, failing := fillable()
	started, gate := make(chan struct{}, 8), make(chan struct{})
	b := start(t, store, guests{"app/f": func(context.Context, *agent.Invocation) error {
		started <- struct{}{}
		<-gate
		return nil
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "0", agent.Origin{Slot: "plant/1", Hash: 1})
	<-started
	second := b.offer("s", "1", agent.Origin{Slot: "plant/2", Hash: 2})
	failing.Store(true)
	b.apply(nil)
	close(gate)
	b.wait(first)
	failing.Store(false)
	b.wait(second)
	if n := len(store.queue(agent.QueueDead)); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

// door is a Source that offers one event as soon as it runs.
type door struct{ acked chan error }

func (d *door) Run(ctx context.Context, offer agent.Offer) error {
	offer(&agent.Event{Via: "plant", Subject: "s", Data: []byte("early"), QoS: 1}, func(err error) { d.acked <- err })
	<-ctx.Done()
	return nil
}

func (d *door) Follow([]agent.Trigger) {}

func TestSourcesWaitForTheFirstDeployment(t *testing.T) {
	store, early := newMemory(), &door{make(chan error, 1)}
	a := agent.New(store, guests{"app/f": count}, []agent.Source{early}, agent.Options{Device: "gw7", DefaultBroker: "plant"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	b := &bench{Agent: a, t: t, store: store}
	b.eventually("the start is counted", func() error {
		if v, _ := store.Get("agent", "starts"); v == nil {
			return errors.New("not yet")
		}
		return nil
	})
	select {
	case <-early.acked:
		t.Error("an event was acknowledged before there was a deployment that could handle it")
	default:
	}
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(early.acked)
	if n := len(store.queue("target/faas/5")); n != 1 {
		t.Errorf("%d follow-ups, want 1", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A rollback must not wait for room in the store: the function that comes back
// may be the one that makes it.
func TestFunctionThatComesBackWhileTheStoreIsFullRuns(t *testing.T) {
	store, full := fillable()
	started, gate := make(chan struct{}, 8), make(chan struct{})
	b := start(t, store, guests{"app/f": func(context.Context, *agent.Invocation) error {
		started <- struct{}{}
		<-gate
		return nil
	}}, agent.Options{SpillAfter: time.Hour, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "1", agent.Origin{Slot: "plant/1", Hash: 1})
	<-started
	held := b.offer("s", "2", agent.Origin{Slot: "plant/2", Hash: 2})
	full.Store(true) // so its dead letter finds no room
	b.apply(nil)
	close(gate)
	b.wait(first)
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(b.offer("s", "3", agent.Origin{Slot: "plant/3", Hash: 3}))
	b.wait(held)
	if n := len(store.queue(agent.QueueDead)); n != 0 {
		t.Errorf("%d dead letters, want none: the function is back", n)
	}
}
