package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TestEveryEventRunsOnceOverManySwitches, under load: events go to the old instances
// until the new ones are warm, then to those. Each switch begins on a copy of the
// state, so that in the end the state has counted every event.
func TestEveryEventRunsOnceOverManySwitches(t *testing.T) {
	const events, switches = 4000, 20
	store := newMemory()
	b := start(t, store, guests{"app/a": countShared, "app/b": countShared}, agent.Options{SpillAfter: 5 * time.Millisecond})
	b.deployIn("", "")
	var offering sync.WaitGroup
	var acks [events]<-chan error
	due := make(chan struct{}, events)
	offering.Go(func() {
		for i := range events {
			acks[i] = b.offer("s/"+strconv.Itoa(i%7), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i)})
			if i%(events/switches) == 0 {
				due <- struct{}{}
			}
		}
	})
	place := ""
	for n := range switches {
		<-due
		b.eventually("the state is there", func() error { // until then the version before is what there is to go back to
			for _, f := range b.status().Functions {
				if f.Stateless != "" {
					return errors.New(f.Stateless)
				}
			}
			return nil
		})
		from := place
		place = "p" + strconv.Itoa(n)
		b.deployIn(place, from)
	}
	offering.Wait()
	for _, acked := range acks {
		b.wait(acked)
	}
	total := strconv.Itoa(events)
	b.eventually("all have run", func() error {
		if v, _ := store.Get("state/app@"+place+"/a", "total"); string(v) != total {
			return errors.New(string(v))
		}
		if v, _ := store.Get("state/app@"+place+"/b", "total"); string(v) != total {
			return errors.New(string(v))
		}
		return nil
	})
	store.wantState(t, map[string]string{"state/app@" + place + " /total": strconv.Itoa(2 * events)})
	outcomes, last := store.queue("target/faas/5"), map[string]int{}
	if len(outcomes) != 2*events {
		t.Errorf("%d follow-ups, want %d", len(outcomes), 2*events)
	}
	for _, r := range outcomes {
		n, err := strconv.Atoi(string(r.Event.Data))
		stream := r.Function + " " + r.Key
		if before, ran := last[stream]; err != nil || ran && n <= before {
			t.Fatalf("%s: %s ran after %d", stream, r.Event.Data, before)
		}
		last[stream] = n
	}
	if n := len(store.queue(agent.QueueDead)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// TestReleaseCountsBeginWithTheVersionOfTheApp, of functions that did not change, too.
func TestReleaseCountsBeginWithTheVersionOfTheApp(t *testing.T) {
	bad := &agent.Fault{Kind: agent.FaultTrap, Err: errors.New("unreachable")}
	g := guests{"app/a": func(context.Context, *agent.Invocation) error { return bad }, "app/b": count, "else/c": count}
	b := start(t, newMemory(), g, agent.Options{BreakAfter: 1000})
	deploy := func(version, digest string) {
		t.Helper()
		d := agent.Deployment{Apps: []agent.AppVersion{{Name: "app", Version: version}, {Name: "else", Version: "1.0.0"}}}
		for _, name := range []string{"app/a", "app/b", "else/c"} {
			f := fn(name)
			f.Limits = agent.DefaultLimits
			if name == "app/a" {
				f.Digest = agent.Digest(digest)
			}
			tr := on(name, "s/+")
			tr.Retry.MaxAttempts = 1
			d.Functions, d.Triggers = append(d.Functions, f), append(d.Triggers, tr)
		}
		if err := b.Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	want := func(all, failed, fresh, freshFailed, other int64) {
		t.Helper()
		b.eventually("counts", func() error {
			s := b.status().Functions
			a, f, c := s[0], s[1].Release, s[2].Release
			if a.Invocations != all || a.Failures != failed || a.Release.Invocations != fresh || a.Release.Failures != freshFailed ||
				a.Release.Faults["trap"] != freshFailed || f.Invocations != fresh || f.Failures != 0 || c.Invocations != other {
				return errors.New(strconv.Itoa(int(a.Release.Invocations)))
			}
			return nil
		})
	}
	deploy("1.0.0", "sha256:01")
	b.offerAll("s/1", 10)
	want(10, 10, 10, 10, 10)
	deploy("1.1.0", "sha256:02")
	want(10, 10, 0, 0, 10)
	b.offerAll("s/1", 4)
	want(14, 14, 4, 4, 14)
	deploy("1.1.0", "sha256:02")
	want(14, 14, 4, 4, 14)
}

// TestReleaseCountsEventsBehindFailures, but not those that a version found waiting.
func TestReleaseCountsEventsBehindFailures(t *testing.T) {
	b := start(t, newMemory(), guests{"app/a": func(_ context.Context, inv *agent.Invocation) error {
		if inv.Event.Subject == "s/bad" {
			return errors.New("no such sensor")
		}
		return nil
	}}, agent.Options{BreakAfter: 1000, SpillAfter: 5 * time.Millisecond})
	deploy := func(version string) {
		t.Helper()
		f, tr := fn("app/a"), on("app/a", "s/+")
		f.Limits, f.Digest, tr.Retry.Backoff = agent.DefaultLimits, agent.Digest("sha256:"+version), time.Hour
		d := agent.Deployment{Apps: []agent.AppVersion{{Name: "app", Version: version}}, Functions: []agent.Function{f}, Triggers: []agent.Trigger{tr}}
		if err := b.Apply(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	want := func(blocked int64) {
		t.Helper()
		b.eventually("events wait behind one that failed", func() error {
			if f := b.status().Functions[0]; f.Release.Blocked != blocked || f.Retrying != 1 {
				return fmt.Errorf("%d, %d keys", f.Release.Blocked, f.Retrying)
			}
			return nil
		})
	}
	deploy("1.0.0")
	b.offerAll("s/bad", 7)
	b.offerAll("s/good", 9)
	want(7)
	deploy("1.1.0")
	want(0)
	b.offerAll("s/bad", 4)
	want(4)
}
