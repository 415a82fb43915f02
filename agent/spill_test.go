package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestSlowFunctionDoesNotHoldUpItsNeighbour(t *testing.T) {
	release := make(chan struct{})
	var slow, fast order
	b := start(t, newMemory(), guests{
		"app/slow": func(_ context.Context, inv *agent.Invocation) error {
			<-release
			slow.add(inv.Event)
			return nil
		},
		"app/fast": func(_ context.Context, inv *agent.Invocation) error {
			fast.add(inv.Event)
			return nil
		},
	}, agent.Options{SpillAfter: 8 * time.Millisecond})
	b.apply([]agent.Function{fn("app/slow"), fn("app/fast")}, on("app/slow", "s"), on("app/fast", "s"))
	const events = 200 // in windows of 20, as mosquitto hands them out
	for i := 0; i < events; i += 20 {
		var acks []<-chan error
		for j := range 20 {
			acks = append(acks, b.offer("s", strconv.Itoa(i+j), agent.Origin{}))
		}
		for _, acked := range acks {
			b.wait(acked)
		}
	}
	if n := len(fast.of("s")); n != events {
		t.Errorf("the fast function ran %d events, want %d", n, events)
	}
	if n := len(b.store.queue("inbox/app/slow")); n != events {
		t.Errorf("%d events in the slow one's inbox, want %d", n, events)
	}
	close(release)
	b.eventually("the slow one catches up", func() error {
		if n := len(b.store.queue("inbox/app/slow")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
	for i, data := range slow.of("s") {
		if data != strconv.Itoa(i) {
			t.Fatalf("run %d was event %s", i, data)
		}
	}
}

func TestInboxSurvivesARestart(t *testing.T) {
	store := newMemory()
	block := make(chan struct{})
	b := start(t, store, guests{"app/f": func(ctx context.Context, _ *agent.Invocation) error {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return errors.New("stopped")
	}}, agent.Options{SpillAfter: 8 * time.Millisecond, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s/+"))
	for i := range 10 {
		b.wait(b.offer("s/"+strconv.Itoa(i%2), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i)}))
	}
	b.stop()

	var ran order
	b = start(t, store, guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		ran.add(inv.Event)
		return count(ctx, inv)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s/+"))
	// The broker, which never saw the acknowledgements, delivers them again.
	for i := range 10 {
		b.wait(b.offer("s/"+strconv.Itoa(i%2), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i), Redelivered: true}))
	}
	b.eventually("the inbox is empty", func() error {
		if n := len(store.queue("inbox/app/f")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
	if got := strings.Join(ran.of("s/0"), "") + strings.Join(ran.of("s/1"), ""); got != "0246813579" {
		t.Errorf("ran %q, want each event once, in order per key", got)
	}
	if v, _ := store.Get("state/app/f", "total"); string(v) != "10" {
		t.Errorf("total = %s, want 10", v)
	}
}

// TestNeighbourOfASlowFunctionKeepsItsPace hands out events in windows of 20, as
// mosquitto does, to a function that takes 10 s and one that takes none. Once
// the slow one is known to be behind, its events go to disk as they come.
func TestNeighbourOfASlowFunctionKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newMemory(), guests{
			"app/slow": func(ctx context.Context, _ *agent.Invocation) error {
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
				}
				return nil
			},
			"app/fast": func(context.Context, *agent.Invocation) error { return nil },
		}, agent.Options{Grace: time.Millisecond, SpillAfter: 100 * time.Millisecond})
		f := fn("app/slow")
		f.Limits = agent.DefaultLimits
		f.Limits.Timeout = time.Minute
		b.apply([]agent.Function{f, fn("app/fast")}, on("app/slow", "s/+"), on("app/fast", "s/+"))
		begun := time.Now()
		for range 50 {
			b.offerAll("s/1", 20)
		}
		if took := time.Since(begun); took > 600*time.Millisecond {
			t.Errorf("1000 events took %s: the slow function holds up its neighbour", took)
		}
		if s := b.status(); s.Functions[0].Inbox != 1000 || s.Functions[1].Invocations != 1000 {
			t.Errorf("status %+v", s.Functions)
		}
		b.stop()
	})
}

func TestFailedEventGoesToTheInboxAtOnce(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if inv.Event.Subject == "s/bad" {
			return errors.New("not yet")
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	tr := on("app/f", "s/+")
	tr.Retry.Backoff = time.Hour
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.offerAll("s/bad", 3) // the one that failed, and those that it holds back
	b.offerAll("s/good", 3)
	if n := len(store.queue("inbox/app/f")); n != 3 {
		t.Errorf("%d events in the inbox, want those of the failed key alone", n)
	}
}
