package agent_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// wire is a Publisher that remembers.
type wire struct {
	mu   sync.Mutex
	sent []string
}

func (w *wire) Publish(topic string, data []byte, _ uint8, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, topic+"="+string(data))
	return nil
}

func TestQoS0EffectsLeaveAtOnceAndAreDroppedWhenThereIsNoRoom(t *testing.T) {
	hold := make(chan struct{})
	out := &wire{}
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		<-hold
		return inv.Publish("out", inv.Event.Data, 0, false)
	}}, agent.Options{Publishers: map[string]agent.Publisher{"plant": out}})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Queue = 10
	b.apply([]agent.Function{f}, on("app/f", "s"))
	frames := len(b.store.written())
	for i := range 100 {
		b.Offer(&agent.Event{Via: "plant", Subject: "s", Data: []byte(strconv.Itoa(i))}, nil)
	}
	close(hold)
	b.eventually("what was kept has run", func() error {
		s := b.status().Events
		if s.Invocations+s.Dropped != 100 || s.Dropped < 80 {
			return fmt.Errorf("%d ran, %d dropped", s.Invocations, s.Dropped)
		}
		return nil
	})
	b.stop()
	if len(out.sent) == 0 || out.sent[0] != "out=0" {
		t.Errorf("sent %v", out.sent)
	}
	if n := len(b.store.written()) - frames; n != 0 {
		t.Errorf("%d frames for publishes that need not survive", n)
	}
}

func TestIntervalIsAcknowledgedBeforeItsSync(t *testing.T) {
	out := &wire{}
	b := start(t, newMemory(), guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		if err := inv.Publish("out", nil, 1, false); err != nil {
			return err
		}
		return count(ctx, inv)
	}}, agent.Options{Publishers: map[string]agent.Publisher{"plant": out}})
	tr := on("app/f", "s")
	tr.Durability, tr.Within = agent.DurabilityInterval, 30*time.Millisecond
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/1", Hash: 1}))
	last := newest(b.store)
	if !last.Lazy || last.Within != 30*time.Millisecond || len(last.Writes) != 2 || len(last.Add) != 2 {
		t.Errorf("frame %+v; want state, mark, follow-up and publish, to be synced within 30 ms", last)
	}
	if len(out.sent) != 0 {
		t.Error("the publish has left past the store: a broker that is away would lose it")
	}
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/1", Hash: 1, Redelivered: true}))
	if s := b.status().Events; s.Duplicates != 1 {
		t.Errorf("a redelivery is not recognised: %+v", s)
	}
}

func TestStrictestOfAGroupDecides(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var commits atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && commits.Add(1) == 1 { // while it is written the next group fills
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
		}
		return nil
	}
	b := start(t, store, guests{"app/f": count}, agent.Options{SpillAfter: time.Hour})
	var triggers []agent.Trigger
	for i, d := range []agent.Durability{agent.DurabilityNone, agent.DurabilityInterval, agent.DurabilitySync} {
		tr := on("app/f", "t/"+strconv.Itoa(i))
		tr.Durability, tr.Within = d, 30*time.Millisecond
		triggers = append(triggers, tr)
	}
	b.apply([]agent.Function{fn("app/f")}, triggers...)
	joined := func(n int64) {
		b.eventually("the run has joined a group", func() error {
			if got := b.status().Events.Invocations; got != n {
				return fmt.Errorf("%d runs", got)
			}
			return nil
		})
	}
	acks := []<-chan error{b.offer("t/2", "", agent.Origin{})}
	joined(1)
	for i := range 2 {
		acks = append(acks, b.offer("t/"+strconv.Itoa(i), "", agent.Origin{}))
	}
	joined(3)
	gate <- struct{}{}
	for _, acked := range acks {
		b.wait(acked)
	}
	last := newest(store)
	if !last.Lazy || last.Within != 30*time.Millisecond || len(last.Add) != 2 {
		t.Errorf("frame %+v; want both outcomes within the shorter time", last)
	}
}

// TestGroupLingersForCompany wants one sync for events that come within the
// time, and none of the waiting when a group is full.
func TestGroupLingersForCompany(t *testing.T) {
	for _, tt := range []struct {
		linger time.Duration
		events int
	}{{300 * time.Millisecond, 5}, {time.Hour, 64}} {
		b := start(t, newMemory(), guests{"app/f": count}, agent.Options{Linger: tt.linger, SpillAfter: 2 * time.Hour})
		b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
		before := len(b.store.written())
		b.offerAll("s", tt.events)
		if n := len(b.store.written()) - before; n != 1 {
			t.Errorf("%d frames for %d events that lingered for %s", n, tt.events, tt.linger)
		}
	}
}
