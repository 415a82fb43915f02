package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestFunctionsOfAnAppShareKeysThatBeginWithASlash(t *testing.T) {
	var lists order
	add := func(_ context.Context, inv *agent.Invocation) error {
		for _, key := range []string{"/total", "own"} {
			if _, err := inv.Add(key, 1); err != nil {
				return err
			}
		}
		for _, prefix := range []string{"", "/"} {
			keys, err := inv.Keys(prefix, 10)
			if err != nil {
				return err
			}
			lists.add(&agent.Event{Subject: "list " + prefix, Data: []byte(strings.Join(keys, " "))})
		}
		return nil
	}
	b := start(t, newMemory(), guests{"app/f": add, "app/g": add, "else/f": add}, agent.Options{})
	var functions []agent.Function
	var triggers []agent.Trigger
	for _, name := range []string{"app/f", "app/g", "else/f"} {
		f := fn(name)
		f.Limits = agent.DefaultLimits
		f.Limits.Concurrency = 2
		functions, triggers = append(functions, f), append(triggers, on(name, "s/+"))
	}
	b.apply(functions, triggers...)
	var acks []<-chan error
	for i := range 100 {
		acks = append(acks, b.offer(fmt.Sprint("s/", i%7), "", agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	for scope, want := range map[string]string{"state/app": "200", "state/else": "100"} {
		if v, _ := b.store.Get(scope, "/total"); string(v) != want {
			t.Errorf("/total in %s = %s, want %s", scope, v, want)
		}
	}
	for prefix, want := range map[string]string{"": "own", "/": "/total"} {
		if got := slices.Compact(lists.of("list " + prefix)); !slices.Equal(got, []string{want}) {
			t.Errorf("keys with prefix %q: %q", prefix, got)
		}
	}
}

// TestRunsReadWhatIsNotDurableYet has a second run read what the first decided
// while that is being synced, and both run again when the sync fails.
func TestRunsReadWhatIsNotDurableYet(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var commits atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && commits.Add(1) == 1 {
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
			return errors.New("input/output error")
		}
		return nil
	}
	var read order
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		n, err := inv.Add("total", 1)
		if err != nil {
			return err
		}
		read.add(&agent.Event{Subject: "total", Data: []byte(strconv.FormatInt(n, 10))})
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first, second := b.offer("s", "a", agent.Origin{}), b.offer("s", "b", agent.Origin{})
	b.eventually("the second has run while the first is synced", func() error {
		if len(read.of("total")) < 2 {
			return errors.New("not yet")
		}
		return nil
	})
	select {
	case <-second:
		t.Error("acknowledged although what it had read was not durable")
	default:
	}
	close(gate)
	b.wait(first)
	b.wait(second)
	if got := strings.Join(read.of("total"), " "); got != "1 2 1 2" {
		t.Errorf("the runs read %s, want 1 2, and again 1 2", got)
	}
	if got := followups(store); got != "ab" {
		t.Errorf("follow-ups %q", got)
	}
}

// keep sets the key that the topic names to the event's data, and deletes it if
// there is none.
func keep(_ context.Context, inv *agent.Invocation) error {
	if len(inv.Event.Data) == 0 {
		return inv.Delete(inv.Event.Subject)
	}
	return inv.Set(inv.Event.Subject, inv.Event.Data, 0)
}

func TestStateIsBounded(t *testing.T) {
	store := newMemory()
	f := fn("app/keep")
	f.Limits = agent.DefaultLimits
	f.Limits.State = 1000
	tr := on("app/keep", "#")
	tr.Retry.MaxAttempts = 1
	value := strings.Repeat("x", 200)
	run := func(do func(set func(topic, data string, dead int))) {
		b := start(t, store, guests{"app/keep": keep}, agent.Options{BreakAfter: 1000})
		b.apply([]agent.Function{f}, tr)
		do(func(topic, data string, dead int) {
			t.Helper()
			b.wait(b.offer(topic, data, agent.Origin{}))
			if n := len(store.queue(agent.QueueDead)); n != dead {
				t.Fatalf("%d dead letters after %s, want %d; the last: %+v", n, topic, dead, b.status().Functions[0])
			}
		})
		b.stop()
	}
	run(func(set func(topic, data string, dead int)) {
		for i := range 3 {
			set("k"+strconv.Itoa(i), value, 0) // 266 bytes each
		}
		for range 10 {
			set("k0", value, 0) // takes no more
		}
		set("k3", value, 1)
		set("/shared", value, 1) // that is another space, with a limit of its own
	})
	run(func(set func(topic, data string, dead int)) { // it is counted at the start
		set("k3", value, 2)
		set("k0", "", 2)
		set("k3", value, 2)
		for i := range 2 {
			set("/shared"+strconv.Itoa(i), value, 2)
		}
		set("/shared2", value, 3)
	})
	for _, dead := range store.queue(agent.QueueDead) {
		if !strings.Contains(dead.Reason, "raise limits.state of the function") || !strings.Contains(dead.Reason, "at most 1000") {
			t.Errorf("reason %q", dead.Reason)
		}
	}
}

// TestStateThatExpiredMakesRoom takes values away as time does: nobody is told.
func TestStateThatExpiredMakesRoom(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/keep": keep}, agent.Options{BreakAfter: 1000})
	f := fn("app/keep")
	f.Limits = agent.DefaultLimits
	f.Limits.State = 1000
	tr := on("app/keep", "#")
	tr.Retry = agent.Retry{MaxAttempts: 100, Backoff: 10 * time.Millisecond}
	b.apply([]agent.Function{f}, tr)
	for i := range 4 {
		b.wait(b.offer("k"+strconv.Itoa(i), strings.Repeat("x", 200), agent.Origin{}))
	}
	store.mu.Lock()
	clear(store.state)
	store.mu.Unlock()
	b.eventually("the last one finds room", func() error {
		if v, _ := store.Get("state/app/keep", "k3"); v == nil {
			return errors.New("not yet")
		}
		return nil
	})
}
