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
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestEveryEventRunsOnceOverManySwitches, under load: events go to the old instances
// until the new ones are warm, then to those. Each switch begins on a copy of the
// state, so that in the end the state has counted every event, in its order.
func TestEveryEventRunsOnceOverManySwitches(t *testing.T) {
	const events, switches, topics = 4000, 20, 7
	f := func(_ context.Context, inv *agent.Invocation) error {
		n, err := strconv.ParseInt(string(inv.Event.Data), 10, 64)
		if err != nil {
			return err
		}
		// What ran last of the topic: the sum is n if it was the one before.
		if last, err := inv.Add(inv.Event.Subject, topics); err != nil || last != n+topics {
			t.Errorf("%s: %d ran when it was the turn of %d: %v", inv.Event.Subject, n, last-topics, err)
		}
		_, err = inv.Add("total", 1)
		return err
	}
	store := newMemory()
	first := &agent.Frame{}
	for _, name := range []string{"a", "b"} {
		for k := range topics {
			first.Writes = append(first.Writes, agent.Write{Scope: "state/app/" + name, Key: "s/" + strconv.Itoa(k), Value: strconv.AppendInt(nil, int64(k), 10)})
		}
	}
	if err := store.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	b := start(t, store, guests{"app/a": f, "app/b": f}, agent.Options{SpillAfter: 20 * time.Millisecond})
	b.deployIn("", "")
	due := make(chan struct{}, events)
	var offering sync.WaitGroup
	offering.Go(func() {
		for i := range events {
			b.offer("s/"+strconv.Itoa(i%topics), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i)})
			if i%(events/switches) == 0 {
				due <- struct{}{}
			}
		}
	})
	place := ""
	for n := range switches {
		<-due
		testbed.Eventually(t, time.Minute, "the state is there", func() error { // until then the version before is what there is to go back to
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
	testbed.Eventually(t, time.Minute, "all have run", func() error {
		for _, name := range []string{"/a", "/b"} {
			if v, _ := store.Get("state/app@"+place+name, "total"); string(v) != strconv.Itoa(events) {
				return errors.New(string(v))
			}
		}
		return nil
	})
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
