package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// inside is a trigger on what happens to the agent itself.
func inside(function, filter string) agent.Trigger {
	tr := on(function, filter)
	tr.Via = agent.ViaInside
	return tr
}

func TestFailuresAreEvents(t *testing.T) {
	var ran order
	b := start(t, newMemory(), guests{
		"app/bad": func(context.Context, *agent.Invocation) error { return fmt.Errorf("%w: no", agent.ErrReject) },
		"app/watch": func(_ context.Context, inv *agent.Invocation) error {
			ran.add(inv.Event)
			return fmt.Errorf("%w: neither", agent.ErrReject)
		},
	}, agent.Options{})
	b.apply([]agent.Function{fn("app/bad"), fn("app/watch")}, on("app/bad", "s"), inside("app/watch", "failure/app/+"))
	b.wait(b.offer("s", `{"t":1}`, agent.Origin{}))
	for _, f := range b.store.written() { // the letter and the event that tells of it are one
		for _, r := range f.Add {
			if r.Kind == agent.KindDead && r.Function == "app/bad" && (len(f.Add) != 2 || f.Add[1].Queue != "inbox/app/watch") {
				t.Errorf("frame = %+v", f)
			}
		}
	}
	b.eventually("the watcher is told, once", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 2 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
	told := ran.of("failure/app/bad")
	var notice struct {
		Error, Function, Topic string
		Data                   json.RawMessage
	}
	if len(told) != 1 || json.Unmarshal([]byte(told[0]), &notice) != nil || notice.Function != "app/bad" || notice.Topic != "s" ||
		notice.Error != "rejected by function: no" || string(notice.Data) != `{"t":1}` {
		t.Errorf("told: %s", told)
	}
	if got := ran.of("failure/app/watch"); len(got) != 0 {
		t.Errorf("a failure of the watcher is an event: %s", got)
	}
}

func TestStoppedFunctionsAreEvents(t *testing.T) {
	var ran order
	var mended atomic.Bool
	b := start(t, newMemory(), guests{
		"app/bad": func(context.Context, *agent.Invocation) error {
			if mended.Load() {
				return nil
			}
			return errors.New("it fails")
		},
		"app/watch": func(_ context.Context, inv *agent.Invocation) error { ran.add(inv.Event); return nil },
	}, agent.Options{BreakAfter: 2, BreakPause: 10 * time.Millisecond})
	tr := on("app/bad", "s/+")
	tr.Retry = agent.Retry{MaxAttempts: 100, Backoff: time.Millisecond}
	b.apply([]agent.Function{fn("app/bad"), fn("app/watch")}, tr, inside("app/watch", "#"))
	b.wait(b.offer("s/1", "x", agent.Origin{}))
	b.wait(b.offer("s/2", "x", agent.Origin{}))
	told := func(what string) func() error {
		return func() error {
			if got := ran.of(what + "/app/bad"); len(got) != 1 || !strings.Contains(got[0], `"function":"app/bad"`) {
				return fmt.Errorf("told %s: %s", what, got)
			}
			return nil
		}
	}
	b.eventually("the watcher is told that it is stopped", told("parked"))
	mended.Store(true)
	b.eventually("the watcher is told that it works again", told("unparked"))
	if err := told("parked")(); err != nil {
		t.Error(err)
	}
}
