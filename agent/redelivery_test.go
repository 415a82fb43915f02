package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestRedeliveryRunsOnlyWhatHasNoOutcome(t *testing.T) {
	store := newMemory()
	hold := make(chan struct{})
	g := guests{
		"app/a": count,
		"app/b": func(ctx context.Context, inv *agent.Invocation) error {
			select {
			case <-hold:
				return count(ctx, inv)
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	functions := []agent.Function{fn("app/a"), fn("app/b")}
	triggers := []agent.Trigger{on("app/a", "s"), on("app/b", "s")}
	b := start(t, store, g, agent.Options{Grace: time.Millisecond, SpillAfter: time.Hour})
	b.apply(functions, triggers...)
	acked := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42})
	b.eventually("the first function has committed", func() error {
		if len(store.queue("target/faas/5")) != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	b.stop() // a crash between the two
	select {
	case <-acked:
		t.Fatal("acknowledged although one function had no outcome")
	default:
	}

	close(hold)
	b = start(t, store, g, agent.Options{})
	b.apply(functions, triggers...)
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true}))
	records := store.queue("target/faas/5")
	if len(records) != 2 {
		t.Fatalf("%d follow-ups, want one of each function", len(records))
	}
	event := func(r agent.Record) string { return strings.Join(strings.Split(r.Event.ID, "/")[:4], "/") }
	if event(records[0]) != event(records[1]) {
		t.Errorf("event ids %q and %q differ over the redelivery", records[0].Event.ID, records[1].Event.ID)
	}
	for _, name := range []string{"a", "b"} {
		if v, _ := store.Get("state/app/"+name, "total"); string(v) != "1" {
			t.Errorf("%s counted %s, want 1", name, v)
		}
	}
	// The same message again is recognised, a new one in the same slot is not.
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true}))
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42}))
	if v, _ := store.Get("state/app/a", "total"); string(v) != "2" {
		t.Errorf("a counted %s, want 2", v)
	}
}

func TestRedeliveryWhileTheEventIsWorkedOnWaitsForIt(t *testing.T) {
	hold := make(chan struct{})
	b := start(t, newMemory(), guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		<-hold
		return count(ctx, inv)
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42})
	again := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true})
	close(hold)
	b.wait(first)
	b.wait(again)
	if s := b.status(); s.Events.Invocations != 1 || s.Events.Duplicates != 1 {
		t.Errorf("counts = %+v", s.Events)
	}
}

func TestRedeliveriesOfAnUnfinishedEventDoNotPileUp(t *testing.T) {
	hold := make(chan struct{})
	b := start(t, newMemory(), guests{"app/f": func(context.Context, *agent.Invocation) error {
		<-hold
		return nil
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	var acks []<-chan error
	for i := range 10 {
		acks = append(acks, b.offer("s", "x", agent.Origin{Slot: "plant/1", Hash: 1, Redelivered: i > 0}))
	}
	for i, acked := range acks[:6] {
		if err := <-acked; err == nil {
			t.Errorf("delivery %d was acknowledged, though newer ones wait", i)
		}
	}
	close(hold)
	for _, acked := range acks[6:] {
		b.wait(acked)
	}
}

// TestEventsThatSayTheSameRunOnce sends what a publisher repeats: on the same
// topic and another, at once and later, and after a restart.
func TestEventsThatSayTheSameRunOnce(t *testing.T) {
	store := newMemory()
	g := guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		if strings.Contains(string(inv.Event.Data), "bad") {
			return agent.ErrReject
		}
		return count(ctx, inv)
	}}
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Concurrency = 3
	tr := on("app/f", "s/+")
	tr.Dedupe = agent.Dedupe{By: []string{"source", "meta.id"}, Window: time.Minute}
	var b *bench
	offer := func(topic, data string, qos uint8) {
		t.Helper()
		acked := make(chan error, 1)
		b.Offer(&agent.Event{Via: "plant", Subject: topic, Data: []byte(data), QoS: qos}, func(err error) { acked <- err })
		b.wait(acked)
	}
	for range 2 {
		b = start(t, store, g, agent.Options{})
		b.apply([]agent.Function{f}, tr)
		for _, topic := range []string{"s/1", "s/1", "s/2"} {
			offer(topic, `{"source":"a","meta":{"id":1}}`, 1)
			offer(topic, `{"meta":{"id":1,"x":2},"source":"a"}`, 0)
			offer(topic, `{"source":"b","meta":{"id":1}}`, 1)
			offer(topic, `{"source":"bad","meta":{"id":1}}`, 1)
		}
		b.stop()
	}
	if v, _ := store.Get("state/app/f", "total"); string(v) != "2" {
		t.Errorf("ran %s times, want once for each of two events", v)
	}
	if n := len(store.queue(agent.QueueDead)); n != 1 {
		t.Errorf("%d dead letters, want one", n)
	}
	b = start(t, store, g, agent.Options{})
	b.apply([]agent.Function{f}, tr)
	if n, err := b.DeadBox().Redrive(context.Background(), agent.DeadFilter{}, []byte(`{"source":"c","meta":{"id":1}}`)); n != 1 || err != nil {
		t.Errorf("Redrive = %d, %v", n, err)
	}
	for range 2 { // they do not say who they are
		offer("s/1", `{"source":"a"}`, 1)
		offer("s/1", `no JSON`, 1)
	}
	b.eventually("what was mended, and what says nothing, all run", func() error {
		if v, _ := store.Get("state/app/f", "total"); string(v) != "7" {
			return fmt.Errorf("%s runs", v)
		}
		return nil
	})
}

// TestRepeatsAtTheSameTimeRunOnce gives them to workers that do not know of one
// another.
func TestRepeatsAtTheSameTimeRunOnce(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Concurrency = 4
	tr := on("app/f", "s/+")
	tr.Dedupe = agent.Dedupe{By: []string{"id"}, Window: time.Minute}
	b.apply([]agent.Function{f}, tr)
	var acks []<-chan error
	for i := range 400 {
		acks = append(acks, b.offer(fmt.Sprint("s/", i%8), fmt.Sprintf(`{"id":%d}`, i/8), agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != "50" {
		t.Errorf("ran %s times for 50 events", v)
	}
	if s := b.status().Events; s.Duplicates != 350 {
		t.Errorf("%d duplicates, want 350", s.Duplicates)
	}
}
