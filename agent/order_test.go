package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// order records which data ran, per topic.
type order struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (o *order) add(ev *agent.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string][]string{}
	}
	o.seen[ev.Subject] = append(o.seen[ev.Subject], string(ev.Data))
}

func (o *order) of(topic string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen[topic])
}

func TestFailedKeyHoldsBackItsOwnEventsOnly(t *testing.T) {
	var ran order
	var mended atomic.Bool
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if inv.Event.Subject == "s/bad" && !mended.Load() {
			return errors.New("not yet")
		}
		ran.add(inv.Event)
		return nil
	}}, agent.Options{SpillAfter: 8 * time.Millisecond})
	tr := on("app/f", "s/+")
	tr.Retry = agent.Retry{MaxAttempts: 1000, Backoff: time.Millisecond}
	b.apply([]agent.Function{fn("app/f")}, tr)
	for i := range 5 { // acknowledged although they cannot run: they are in the inbox
		b.wait(b.offer("s/bad", strconv.Itoa(i), agent.Origin{}))
	}
	for i := range 50 {
		b.wait(b.offer("s/good", strconv.Itoa(i), agent.Origin{}))
	}
	if got := ran.of("s/good"); len(got) != 50 {
		t.Errorf("%d events of the other key ran, want 50", len(got))
	}
	if n := len(b.store.queue("inbox/app/f")); n != 5 {
		t.Errorf("%d events in the inbox, want 5", n)
	}
	mended.Store(true)
	b.eventually("the held events run", func() error {
		if n := len(ran.of("s/bad")); n != 5 {
			return fmt.Errorf("%d ran", n)
		}
		return nil
	})
	if got := strings.Join(ran.of("s/bad"), ""); got != "01234" {
		t.Errorf("order %q, want 01234", got)
	}
	b.eventually("the inbox is empty", func() error {
		if n := len(b.store.queue("inbox/app/f")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
}

func followups(store *memory) string {
	got := ""
	for _, r := range store.queue("target/faas/5") {
		got += string(r.Event.Data)
	}
	return got
}

func TestOrderSurvivesASpillAndARestart(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/f": func(ctx context.Context, _ *agent.Invocation) error {
		<-ctx.Done()
		return ctx.Err()
	}}, agent.Options{SpillAfter: 20 * time.Millisecond, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 4)
	b.stop()
	b = start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.eventually("all run", func() error {
		if got := followups(store); got != "0123" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
}

func TestOrderSurvivesFailedCommitsOneAfterTheOther(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var commits atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) == 0 {
			return nil
		}
		switch commits.Add(1) {
		case 1: // a sync that hangs, then fails
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
			return errors.New("input/output error")
		case 2:
			return errors.New("input/output error")
		}
		return nil
	}
	var runs atomic.Int32
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if runs.Add(1) == 6 {
			close(gate)
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 8)
	if got := followups(store); got != "01234567" {
		t.Errorf("order %q", got)
	}
}

func TestRerunThatFailsStillHoldsBackItsKey(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var once, firsts atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && once.Add(1) == 1 {
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
			return errors.New("input/output error")
		}
		return nil
	}
	var runs atomic.Int32
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if runs.Add(1) == 4 {
			close(gate)
		}
		if string(inv.Event.Data) == "0" && firsts.Add(1) == 2 {
			return errors.New("the second run fails")
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	tr := on("app/f", "s")
	tr.Retry.Backoff = 100 * time.Millisecond
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.offerAll("s", 4) // into the inbox, behind the one that failed
	b.eventually("all have run, in order", func() error {
		if got := followups(store); got != "0123" {
			return fmt.Errorf("order %q", got)
		}
		return nil
	})
}

// waiting puts events for app/f into the inbox, with so many failed tries each.
func waiting(t *testing.T, store *memory, due time.Time, attempts ...int) {
	t.Helper()
	for i, n := range attempts {
		f := &agent.Frame{Add: []agent.Record{{
			Queue: "inbox/app/f", Kind: agent.KindEvent, Key: "s", Function: "app/f", Attempts: n, NotBefore: due,
			Event: agent.Event{ID: strconv.Itoa(i), Subject: "s", Data: []byte(strconv.Itoa(i))},
		}}}
		if err := store.Commit(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
}

func forward(_ context.Context, inv *agent.Invocation) error {
	return inv.Followup("faas", "", inv.Event.Data)
}

// TestRestartKeepsOrderThoughALaterEventFailed finds what is left when the
// machine stopped between an event's run and its commit: it is as new, and one
// behind it has failed already.
func TestRestartKeepsOrderThoughALaterEventFailed(t *testing.T) {
	store := newMemory()
	waiting(t, store, time.Time{}, 0, 1, 0, 2, 0)
	b := start(t, store, guests{"app/f": forward}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 1)
	b.eventually("all run in order", func() error {
		if got := followups(store); got != "012340" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
}

// TestClockThatWasWrongDelaysNothing finds a retry that is due in a year.
func TestClockThatWasWrongDelaysNothing(t *testing.T) {
	store := newMemory()
	waiting(t, store, time.Now().AddDate(1, 0, 0), 1)
	b := start(t, store, guests{"app/f": forward}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.eventually("it runs", func() error {
		if got := followups(store); got != "0" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
}

func TestWithoutOrderNoEventWaitsForAnother(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		if string(inv.Event.Data) == "0" {
			return errors.New("not yet")
		}
		return forward(ctx, inv)
	}}, agent.Options{})
	tr := on("app/f", "s")
	tr.Unordered, tr.Retry.Backoff = true, time.Hour
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.offerAll("s", 5)
	if got := followups(store); len(got) != 4 || strings.Contains(got, "0") {
		t.Errorf("follow-ups %q, want those of all events but the one that failed", got)
	}
}
