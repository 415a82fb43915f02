package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// settle waits until all is done that can be done by now.
func (b *bench) settle() (next time.Time) {
	b.t.Helper()
	b.eventually("all is done", func() error {
		at, idle := b.Idle()
		if next = at; !idle {
			return errors.New("it is busy")
		}
		return nil
	})
	return next
}

// TestPausesGoByAClockThatIsMoved fails an event three times, with pauses of hours,
// and gathers another one for a day.
func TestPausesGoByAClockThatIsMoved(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	var runs []string
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		mu.Lock()
		defer mu.Unlock()
		runs = append(runs, fmt.Sprint(inv.Event.Subject, inv.Attempt))
		if inv.Event.Subject == "fails" && inv.Attempt < 4 {
			return errors.New("not yet")
		}
		return nil
	}}, agent.Options{Clock: agent.NewManualClock(noon)})
	fails, day := on("app/f", "fails"), on("app/f", "day")
	fails.Retry = agent.Retry{Backoff: time.Hour, MaxAttempts: 9}
	day.Gather = agent.Gather{Kind: agent.GatherTumbling, Size: 24 * time.Hour}
	b.apply([]agent.Function{fn("app/f")}, fails, day)
	b.settle()
	b.offer("fails", "x", agent.Origin{})
	b.offer("day", "{}", agent.Origin{})
	var stops []time.Duration
	for next := b.settle(); !next.IsZero(); next = b.settle() {
		stops = append(stops, next.Sub(noon).Round(time.Minute))
		b.Advance(next)
	}
	want := []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 12 * time.Hour} // a pause has 5 min at most
	if !slices.Equal(stops, want) {
		t.Errorf("something fell due after %v, want %v", stops, want)
	}
	if got := []string{"fails1", "fails2", "fails3", "fails4", "day1"}; !slices.Equal(runs, got) {
		t.Errorf("the runs were %q, want %q", runs, got)
	}
}

// TestATapShowsWhatComes shows events whether or not a trigger wants them, with
// their ids, each once, until it is closed.
func TestATapShowsWhatComes(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.Set("k", []byte("v"), 0)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "wanted"))
	var seen []string
	stop := b.Tap(func(ev *agent.Event) {
		if ev.ID == "" {
			t.Errorf("the event on %s has no id", ev.Subject)
		}
		seen = append(seen, ev.Subject)
	})
	origin := agent.Origin{Slot: "plant/1", Hash: 7}
	b.wait(b.offer("wanted", "x", origin))
	origin.Redelivered = true
	b.wait(b.offer("wanted", "x", origin)) // the same once more
	b.wait(b.offer("unwanted", "x", agent.Origin{}))
	stop()
	b.wait(b.offer("wanted", "y", agent.Origin{}))
	if want := []string{"wanted", "unwanted"}; !slices.Equal(seen, want) {
		t.Errorf("the tap saw %q, want %q", seen, want)
	}
}
