package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// gatherer is an agent whose function keeps what it was given.
type gatherer struct {
	*bench
	mu   sync.Mutex
	got  []agent.Event
	fail func(ev *agent.Event) error
}

// windowed is the data of a gathered event.
type windowed struct {
	Kind, Key     string
	Start, End    time.Time
	Count         int
	Late, Partial bool
	Events        []struct {
		ID, Topic string
		Time      time.Time
		Data      json.RawMessage
		Base64    []byte `json:"data_base64"`
	}
}

func startGather(t *testing.T, store *memory, g agent.Gather, opts agent.Options, change ...func(*agent.Function, *agent.Trigger)) *gatherer {
	b := &gatherer{fail: func(*agent.Event) error { return nil }}
	opts.Language = words{"t": field("t")}
	b.bench = start(t, store, guests{"app/f": b.run, "app/g": b.run}, opts)
	b.change(g, change...)
	return b
}

func (b *gatherer) run(_ context.Context, inv *agent.Invocation) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fail(inv.Event); err != nil {
		return err
	}
	b.got = append(b.got, *inv.Event)
	return nil
}

// change applies a deployment whose trigger gathers as g says.
func (b *gatherer) change(g agent.Gather, change ...func(*agent.Function, *agent.Trigger)) {
	b.t.Helper()
	f, tr := fn("app/f"), on("app/f", "s/+")
	f.Limits, tr.Gather, tr.Retry.Backoff = agent.DefaultLimits, g, time.Millisecond
	for _, c := range change {
		c(&f, &tr)
	}
	b.apply([]agent.Function{f}, tr)
}

// ran is how often the function ran.
func (b *gatherer) ran() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.got)
}

// windows waits for n runs and gives what they were for, shortly.
func (b *gatherer) windows(n int) (all []windowed) {
	b.t.Helper()
	b.eventually(fmt.Sprint(n, " runs"), func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.got) != n {
			return fmt.Errorf("%d runs", len(b.got))
		}
		all = nil
		for i := range b.got {
			var w windowed
			if err := json.Unmarshal(b.got[i].Data, &w); err != nil {
				return err
			}
			all = append(all, w)
		}
		return nil
	})
	return all
}

func (w *windowed) data() string {
	var all []string
	for _, e := range w.Events {
		all = append(all, string(e.Data)+string(e.Base64))
	}
	return strings.Join(all, " ")
}

// aside lists the keys under which something is put aside.
func (m *memory) aside() (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.state {
		if strings.HasPrefix(k[0], "gather/") && !strings.HasPrefix(k[1], "i/") {
			keys = append(keys, k[1])
		}
	}
	slices.Sort(keys)
	return keys
}

func TestBatchRunsOnceForItsEvents(t *testing.T) {
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherBatch, Count: 3}, agent.Options{})
	for _, data := range []string{`{"a":1}`, "\xff", `"three"`, "4"} {
		b.wait(b.offer("s/1", data, agent.Origin{}))
	}
	w := b.windows(1)[0]
	if w.Kind != "batch" || w.Key != "s/1" || w.Count != 3 || w.Partial || w.Late || w.data() != "{\"a\":1} \xff \"three\"" {
		t.Errorf("%+v", w)
	}
	ev := b.got[0]
	if ev.Type != agent.TypeGathered || ev.Subject != "s/1" || ev.Via != "plant" || ev.QoS != 1 || ev.ID == "" || ev.ContentType != "application/json" {
		t.Errorf("%+v", ev)
	}
	if keys := b.store.aside(); len(keys) != 2 { // the key and the fourth event
		t.Errorf("put aside: %q", keys)
	}
}

func TestEventsAreAcknowledgedWhenTheyArePutAside(t *testing.T) {
	store := newMemory()
	refuse := true
	var mu sync.Mutex
	store.fail = func(f *agent.Frame) error {
		mu.Lock()
		defer mu.Unlock()
		if refuse && slices.ContainsFunc(f.Writes, func(w agent.Write) bool { return strings.HasPrefix(w.Scope, "gather/") }) {
			return errors.New("input/output error")
		}
		return nil
	}
	b := startGather(t, store, agent.Gather{Kind: agent.GatherBatch, Count: 2}, agent.Options{})
	acked := b.offer("s/1", "1", agent.Origin{})
	select {
	case err := <-acked:
		t.Fatalf("acknowledged (%v) although nothing could be put aside", err)
	case <-time.After(300 * time.Millisecond):
	}
	mu.Lock()
	refuse = false
	mu.Unlock()
	b.wait(acked)
	if keys := store.aside(); len(keys) != 2 {
		t.Errorf("acknowledged, and put aside is %q", keys)
	}
	b.wait(b.offer("s/1", "2", agent.Origin{}))
	if w := b.windows(1)[0]; w.data() != "1 2" {
		t.Errorf("the batch holds %s", w.data())
	}
}

func TestGatheredEventIsRetriedAndRedriven(t *testing.T) {
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherBatch, Count: 2}, agent.Options{BreakAfter: 1000})
	broken := true
	b.mu.Lock()
	b.fail = func(*agent.Event) error {
		if broken {
			return errors.New("no connection")
		}
		return nil
	}
	b.mu.Unlock()
	for i := range 4 { // those of the second batch need not wait for the first
		b.wait(b.offer("s/1", strconv.Itoa(i), agent.Origin{}))
	}
	b.eventually("two dead letters", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	b.mu.Lock()
	broken = false
	b.mu.Unlock()
	if n, err := b.DeadBox().Redrive(context.Background(), agent.DeadFilter{}, nil); n != 2 || err != nil {
		t.Fatalf("%d redriven: %v", n, err)
	}
	w := b.windows(2)
	if w[0].data() != "0 1" || w[1].data() != "2 3" {
		t.Errorf("redriven: %s, then %s", w[0].data(), w[1].data())
	}
	if s := b.status(); s.Functions[0].AsideBytes != 0 || len(b.store.aside()) != 0 {
		t.Errorf("left: %d bytes, %q", s.Functions[0].AsideBytes, b.store.aside())
	}
}

func TestPutAsideOfATriggerThatIsGone(t *testing.T) {
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherBatch, Count: 2}, agent.Options{OrphanAfter: 3 * time.Second})
	b.wait(b.offer("s/1", "1", agent.Origin{}))
	b.apply([]agent.Function{fn("app/f")})
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 2}) // it is back: nothing is lost
	b.wait(b.offer("s/1", "2", agent.Origin{}))
	if w := b.windows(1)[0]; w.data() != "1 2" {
		t.Errorf("the batch holds %s", w.data())
	}
	b.wait(b.offer("s/1", "3", agent.Origin{}))
	b.apply([]agent.Function{fn("app/f")})
	b.eventually("it is dropped", func() error {
		if keys := b.store.aside(); len(keys) > 0 || b.status().Events.Dropped != 1 {
			return fmt.Errorf("%q, %d dropped", keys, b.status().Events.Dropped)
		}
		return nil
	})
}

func TestEventWithoutATimeIsDeadLettered(t *testing.T) {
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherTumbling, Size: time.Minute, Time: "t"}, agent.Options{})
	for _, data := range []string{`{}`, `{"t":"soon"}`, `{"t":-1}`, `{"t":"1969-01-01T00:00:00Z"}`, `{"t":1e300}`} {
		b.wait(b.offer("s/1", data, agent.Origin{}))
	}
	if n := len(b.store.queue(agent.QueueDead)); n != 5 {
		t.Errorf("%d dead letters, want 5", n)
	}
	for _, data := range []string{`{"t":1700000000.25}`, `{"t":1700000000500}`, `{"t":"2023-11-14T23:13:20.75+01:00"}`, `{"t":1700001000}`} {
		b.wait(b.offer("s/1", data, agent.Origin{}))
	}
	if w := b.windows(1)[0]; w.Count != 3 || w.Start.Unix() != 1699999980 {
		t.Errorf("%d events from %v", w.Count, w.Start)
	}
}

// TestAnotherRuleKeepsTheOrder has events wait for a worker while their trigger is
// changed twice.
func TestAnotherRuleKeepsTheOrder(t *testing.T) {
	hold, holds := make(chan struct{}), make(chan struct{}, 1)
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherBatch, Count: 1}, agent.Options{})
	b.fail = func(ev *agent.Event) error {
		if ev.Subject == "s/0" {
			holds <- struct{}{}
			<-hold
		}
		return nil
	}
	b.offer("s/0", "0", agent.Origin{})
	<-holds
	b.offer("s/1", "1", agent.Origin{})
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 10})
	b.offer("s/1", "2", agent.Origin{})
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 2})
	for i := range 3 {
		b.offer("s/1", strconv.Itoa(3+i), agent.Origin{})
	}
	close(hold)
	var data []string
	for _, w := range b.windows(4)[1:] {
		data = append(data, w.data())
	}
	if want := []string{"1", "2", "3 4"}; !slices.Equal(data, want) {
		t.Errorf("ran for %q, want %q", data, want)
	}
}
