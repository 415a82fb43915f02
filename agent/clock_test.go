package agent_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TestWrongClocksExpireNothing lets the wall clock say all kinds of things.
func TestWrongClocksExpireNothing(t *testing.T) {
	truth := time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name       string
		wall, then time.Duration // beside the truth: when it is written, and an hour later
		right, now bool          // whether it is known to be right
		gone       bool          // a value that was to live for two hours
	}{
		{"a year ahead", 0, 365 * 24 * time.Hour, false, false, false},
		{"2038", 0, 11 * 365 * 24 * time.Hour, false, false, false},
		{"1970", -57 * 365 * 24 * time.Hour, -57 * 365 * 24 * time.Hour, false, false, false},
		{"set right after it was written", -57 * 365 * 24 * time.Hour, 0, false, true, false},
		{"it was right, and is no more", 0, 365 * 24 * time.Hour, true, false, false},
		{"right all the time", 0, 0, true, true, false},
		{"right, and three hours have passed without the agent", 0, 3 * time.Hour, true, true, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			store, begun, offset, right := newMemory(), time.Now(), tt.wall, tt.right
			wall := func() (time.Time, bool) { return truth.Add(time.Since(begun) + offset), right }
			c := agent.NewClock(wall)
			b := start(t, store, nil, agent.Options{Clock: c})
			synctest.Wait()
			brief, long := c.In(time.Hour), c.In(2*time.Hour)
			<-time.After(time.Hour)
			b.stop() // which keeps where the clock is
			offset, right = tt.then, tt.now
			c = agent.NewClock(wall)
			b = start(t, store, nil, agent.Options{Clock: c})
			synctest.Wait()
			if !c.Past(brief) {
				t.Errorf("%s: a value that was to live for an hour is there after it", tt.name)
			}
			if got := c.Past(long); got != tt.gone {
				t.Errorf("%s: expired is %v, want %v", tt.name, got, tt.gone)
			}
			<-time.After(time.Hour + time.Second)
			if !c.Past(long) {
				t.Errorf("%s: it never expires", tt.name)
			}
			b.stop()
		})
	}
}

// TestStateIsWrittenByTheAgentsClock has a function set a time to live.
func TestStateIsWrittenByTheAgentsClock(t *testing.T) {
	store := newMemory()
	clock := agent.NewClock(nil)
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.Set("brief", []byte("x"), time.Minute)
	}}, agent.Options{Clock: clock})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 1)
	store.mu.Lock()
	at := store.state[[2]string{"state/app/f", "brief"}].Expires
	store.mu.Unlock()
	if at.Year() != 1970 || clock.Past(at) || !clock.Past(at.Add(-2*time.Minute)) {
		t.Errorf("it expires at %s, where no clock is right", at)
	}
}

// TestEventsSayWhatTheirTimeIsWorth: until something has set the clock, and
// what follows from such an event says so as well.
func TestEventsSayWhatTheirTimeIsWorth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		right, store := false, newMemory()
		clock := agent.NewClock(func() (time.Time, bool) { return time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC), right })
		b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
			return inv.Followup("faas", "", inv.Event.Data)
		}}, agent.Options{Clock: clock})
		f := fn("app/f")
		f.Permissions.Invoke = []string{"central/faas"}
		b.apply([]agent.Function{f}, on("app/f", "s"))
		b.wait(b.offer("s", "before", agent.Origin{}))
		right = true
		<-time.After(time.Minute)
		b.wait(b.offer("s", "after", agent.Origin{}))
		right = false // NTP is away: it stays right enough
		<-time.After(time.Minute)
		b.wait(b.offer("s", "long after", agent.Origin{}))
		for i, rec := range store.queue("target/faas/5") {
			if want := i == 0; rec.Event.Unsure != want {
				t.Errorf("the follow-up of %q says that its time is in doubt: %v", rec.Event.Data, rec.Event.Unsure)
			}
		}
		b.stop()
	})
}
