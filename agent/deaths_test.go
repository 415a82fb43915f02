package agent_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// mortal is a gateway whose agent dies, again and again: each life has what the one
// before left in the store, and in the memory that outlives a process.
type mortal struct {
	t       *testing.T
	store   *memory
	mem     []byte
	version agent.Digest // of its functions
	running chan string  // what runs
	hangs   bool         // functions never end
}

func newMortal(t *testing.T) *mortal {
	return &mortal{t: t, store: newMemory(), mem: make([]byte, 16<<10), running: make(chan string, 16), hangs: true, version: fn("").Digest}
}

// life is the next one, of functions that have a trigger on s/+ each.
func (m *mortal) life(opts agent.Options, names ...string) *bench {
	m.t.Helper()
	var functions []agent.Function
	var triggers []agent.Trigger
	g, hangs := guests{}, m.hangs
	for _, name := range names {
		f := fn(name)
		f.Digest = m.version
		functions, triggers = append(functions, f), append(triggers, on(name, "s/+"))
		g[name] = func(ctx context.Context, inv *agent.Invocation) error {
			m.running <- name + " " + string(inv.Event.Data)
			if hangs {
				<-ctx.Done()
			}
			return ctx.Err()
		}
	}
	opts.Underway, opts.Grace = m.mem, time.Millisecond
	b := start(m.t, m.store, g, opts)
	b.apply(functions, triggers...)
	return b
}

// die has the next life find what is there just now, with everything running.
func (m *mortal) die() {
	m.mem = slices.Clone(m.mem)
	old := m.store
	old.mu.Lock()
	defer old.mu.Unlock()
	m.store = &memory{state: maps.Clone(old.state), records: slices.Clone(old.records), last: old.last}
}

// runs waits until that runs, and nothing else before.
func (m *mortal) runs(what string) {
	m.t.Helper()
	select {
	case got := <-m.running:
		if got != what {
			m.t.Fatalf("%q runs, want %q", got, what)
		}
	case <-time.After(10 * time.Second):
		m.t.Fatalf("%q did not run within 10 s", what)
	}
}

// letter waits for the one letter there is.
func (m *mortal) letter(b *bench) (letter agent.Record) {
	m.t.Helper()
	b.eventually("one dead letter", func() error {
		letters := m.store.queue(agent.QueueDead)
		if len(letters) != 1 {
			return fmt.Errorf("there are %d", len(letters))
		}
		letter = letters[0]
		return nil
	})
	return letter
}

// known is how much the store knows of deaths.
func (m *mortal) known() int {
	keys, err := m.store.Keys("deaths", "", 1000)
	if err != nil {
		m.t.Fatal(err)
	}
	return len(keys)
}

// TestSecondDeathIsTheLast has the agent die twice of an event that comes again in
// each of the ways in which events do: then it is a dead letter instead of running,
// and its function stopped for a while.
func TestSecondDeathIsTheLast(t *testing.T) {
	for _, way := range []struct {
		name  string
		opts  agent.Options
		offer func(m *mortal, b *bench, life int)
	}{
		{"delivered again", agent.Options{}, func(_ *mortal, b *bench, life int) {
			b.offer("s/1", "poison", agent.Origin{Slot: "plant/17", Hash: 7, Redelivered: life > 1})
		}},
		{"under its own id", agent.Options{}, func(_ *mortal, b *bench, _ int) {
			b.Offer(&agent.Event{ID: "theirs", Via: "plant", Subject: "s/1", Data: []byte("poison"), QoS: 1}, func(error) {})
		}},
		{"delivered again, then spilled", agent.Options{SpillAfter: 4 * time.Millisecond}, func(m *mortal, b *bench, life int) {
			if life < 3 {
				m.store.failing(func(f *agent.Frame) error {
					if life == 1 && len(f.Add) > 0 {
						return agent.ErrFull
					}
					return nil
				})
				acked := b.offer("s/1", "poison", agent.Origin{Slot: "plant/17", Hash: 7, Redelivered: life > 1})
				if life == 2 {
					b.wait(acked)
				}
			}
		}},
		{"from the inbox", agent.Options{}, func(*mortal, *bench, int) {}},
	} {
		t.Run(way.name, func(t *testing.T) {
			m := newMortal(t)
			if way.name == "from the inbox" { // as what was emitted, or gathered
				rec := agent.Record{Queue: agent.QueueInbox("app/f"), Kind: agent.KindEvent, Key: "k", Function: "app/f", Event: agent.Event{ID: "e", Data: []byte("poison")}}
				if err := m.store.Commit(context.Background(), &agent.Frame{Add: []agent.Record{rec}}); err != nil {
					t.Fatal(err)
				}
			}
			for life := range 2 {
				b := m.life(way.opts, "app/f")
				way.offer(m, b, life+1)
				m.runs("app/f poison")
				m.die()
			}
			m.hangs = false
			way.opts.BreakPause = 300 * time.Millisecond
			b := m.life(way.opts, "app/f")
			way.offer(m, b, 3)
			if l := m.letter(b); l.Reason != "death: the agent died twice while it ran" || l.Attempts != 2 || l.Function != "app/f" {
				t.Errorf("letter: %+v", l)
			}
			f := b.status().Functions[0]
			if f.Breaker == nil || f.Breaker.State != "open" || f.Faults["death"] != 1 || f.Dead != 1 || f.Opened != 1 {
				t.Errorf("status: %+v, %+v", f, f.Breaker)
			}
			b.offer("s/2", "good", agent.Origin{})
			m.runs("app/f good")
			b.eventually("it is as before", func() error {
				if n := m.known(); n != 0 || b.status().Functions[0].Breaker != nil {
					return fmt.Errorf("%d deaths are known, and the function is %+v", n, b.status().Functions[0])
				}
				return nil
			})
		})
	}
}

// TestOneDeathIsForgotten once the event has its outcome.
func TestOneDeathIsForgotten(t *testing.T) {
	m := newMortal(t)
	slot := agent.Origin{Slot: "plant/17", Hash: 7}
	m.life(agent.Options{}, "app/f").offer("s/1", "slow", slot)
	m.runs("app/f slow")
	m.die()
	m.hangs, slot.Redelivered = false, true
	b := m.life(agent.Options{}, "app/f")
	if n := m.known(); n != 1 {
		t.Errorf("%d deaths are known, want 1", n)
	}
	b.wait(b.offer("s/1", "slow", slot))
	m.runs("app/f slow")
	if n := m.known(); n != 0 {
		t.Errorf("%d deaths are known after it ran, want 0", n)
	}
}

// TestOtherVersionStartsAnew runs what killed the agent twice in a release that may
// well be mended.
func TestOtherVersionStartsAnew(t *testing.T) {
	m := newMortal(t)
	slot := agent.Origin{Slot: "plant/17", Hash: 7}
	for range 2 {
		m.life(agent.Options{}, "app/f").offer("s/1", "poison", slot)
		m.runs("app/f poison")
		m.die()
		slot.Redelivered = true
	}
	m.version, m.hangs = "sha256:0123456789abcdef", false
	b := m.life(agent.Options{}, "app/f")
	b.wait(b.offer("s/1", "poison", slot))
	m.runs("app/f poison")
}

// TestStopAndStartIsNoDeath, however often it happens in the middle of one event.
func TestStopAndStartIsNoDeath(t *testing.T) {
	m := newMortal(t)
	slot := agent.Origin{Slot: "plant/17", Hash: 7}
	for range 4 {
		b := m.life(agent.Options{}, "app/f")
		b.offer("s/1", "slow", slot)
		m.runs("app/f slow")
		b.stop()
		slot.Redelivered = true
	}
	if n := m.known(); n != 0 {
		t.Errorf("%d deaths are known, want 0", n)
	}
}

// TestWhatRanBesidesIsNotBlamed has two functions run when the agent dies: next time
// they run one after the other, and only the one that runs then is to blame.
func TestWhatRanBesidesIsNotBlamed(t *testing.T) {
	m := newMortal(t)
	slot := agent.Origin{Slot: "plant/17", Hash: 7}
	m.life(agent.Options{}, "app/f", "app/g").offer("s/1", "x", slot)
	first := []string{<-m.running, <-m.running}
	m.die()
	slot.Redelivered = true
	b := m.life(agent.Options{}, "app/f", "app/g")
	b.offer("s/1", "x", slot)
	guilty := <-m.running
	b.eventually("the other one waits", func() error {
		waiting := 0
		for _, f := range b.status().Functions {
			waiting += f.Retrying
		}
		if waiting != 1 {
			return fmt.Errorf("%d wait", waiting)
		}
		return nil
	})
	m.die()
	innocent := first[0]
	if innocent == guilty {
		innocent = first[1]
	}
	m.hangs = false
	b = m.life(agent.Options{}, "app/f", "app/g")
	b.wait(b.offer("s/1", "x", slot))
	m.runs(innocent)
	if l := m.letter(b); l.Function+" x" != guilty {
		t.Errorf("%s is dead, and %s killed the agent", l.Function, guilty)
	}
}

// TestKillerStaysStopped from one start to the next: a function that kills the agent
// with every event gets one every few minutes.
func TestKillerStaysStopped(t *testing.T) {
	m := newMortal(t)
	slot := agent.Origin{Slot: "plant/17", Hash: 7}
	for range 2 {
		m.life(agent.Options{}, "app/f").offer("s/1", "poison", slot)
		m.runs("app/f poison")
		m.die()
		slot.Redelivered = true
	}
	b := m.life(agent.Options{BreakPause: time.Hour}, "app/f")
	b.wait(b.offer("s/1", "poison", slot))
	m.die()
	b = m.life(agent.Options{BreakPause: time.Hour}, "app/f")
	b.eventually("it is stopped", func() error {
		if f := b.status().Functions[0]; f.Breaker == nil || f.Breaker.State != "open" {
			return fmt.Errorf("%+v", f)
		}
		return nil
	})
}
