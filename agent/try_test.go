package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// tryBench is an agent whose function counts in its state, and its trigger publishes
// the result.
func tryBench(t *testing.T) (*bench, guests) {
	g := guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if string(inv.Event.Data) == "bad" {
			return errors.New("no such sensor")
		}
		n, err := inv.Add("n", 1)
		if err != nil {
			return err
		}
		if err := inv.Publish("out/{line}", []byte("x"), 1, false); err != nil {
			return err
		}
		return inv.SetResult([]byte{byte('0' + n)})
	}}
	b := start(t, newMemory(), g, agent.Options{BreakAfter: 2})
	f := fn("app/f")
	f.Permissions.Publish = []string{"out/#"}
	tr := on("app/f", "in/+")
	tr.Captures = []agent.Capture{{Name: "line", Level: 1}}
	tr.Then = []agent.Then{{On: agent.OnOutput, Publish: "then/{line}", QoS: 1}}
	b.apply([]agent.Function{f}, tr)
	return b, g
}

// TestATryKeepsNothing runs a function with its state and its trigger, and leaves no trace.
func TestATryKeepsNothing(t *testing.T) {
	b, g := tryBench(t)
	store := b.store
	b.wait(b.offer("in/7", "", agent.Origin{}))
	before, frames := b.status(), len(store.frames)
	for _, data := range []string{"", "", "bad", "bad", "bad", "bad"} {
		ev := &agent.Event{ID: "e", Subject: "in/7", Data: []byte(data)}
		trial, err := b.Try("app/f", ev, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := g.Load(t.Context(), trial.Function)
		if err != nil {
			t.Fatal(err)
		}
		err = trial.Invoke(t.Context(), m)
		if data == "bad" {
			if err == nil || err.Error() != "no such sensor" {
				t.Errorf("a run that fails gives %v", err)
			}
			continue
		}
		fx := &trial.Invocation.Effects
		var topics []string
		for _, p := range fx.Publishes {
			topics = append(topics, p.Topic+"="+string(p.Data))
		}
		if err != nil || string(fx.Result) != "2" || !slices.Equal(topics, []string{"out/7=x", "then/7=2"}) || len(trial.Notes) > 0 {
			t.Errorf("%v, result %q, publishes %q, notes %q; want what the next event would do", err, fx.Result, topics, trial.Notes)
		}
	}
	after := b.status()
	if f := after.Functions[0]; f.Invocations != 1 || f.Failures != 0 || f.Breaker != nil || f.LastError != "" || after.Events != before.Events || len(store.frames) != frames {
		t.Errorf("the tries are counted: %+v, %d frames more", f, len(store.frames)-frames)
	}
	if value, err := store.Get("state/app/f", "n"); err != nil || string(value) != "1" {
		t.Errorf("the state is %q, %v", value, err)
	}
}

func TestATryTellsWhatWouldNotStartTheFunction(t *testing.T) {
	b, _ := tryBench(t)
	trial, err := b.Try("app/f", &agent.Event{Subject: "elsewhere"}, nil)
	if err != nil || len(trial.Notes) != 1 || !strings.Contains(trial.Notes[0], "no trigger of app/f takes") || trial.Trigger != "" {
		t.Errorf("%+v, %v", trial, err)
	}
	if _, err := b.Try("app/g", &agent.Event{}, nil); err == nil || !strings.Contains(err.Error(), `no function "app/g" runs here`) {
		t.Errorf("a function that does not run here: %v", err)
	}
}

// watcher notes what it is told.
type watcher struct {
	mu   sync.Mutex
	said []string
}

func (w *watcher) Ran(inv *agent.Invocation, _ error) { w.say("ran " + inv.Event.Subject) }
func (w *watcher) Settled(o *agent.Outcome)           { w.say("settled " + o.Event.Subject) }

func (w *watcher) say(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, what)
}

// TestWatchersComeAndGo beside the one that is always there.
func TestWatchersComeAndGo(t *testing.T) {
	always, some := &watcher{}, &watcher{}
	b := start(t, newMemory(), guests{"app/f": func(context.Context, *agent.Invocation) error { return nil }}, agent.Options{Watch: always})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "#"))
	b.wait(b.offer("1", "", agent.Origin{}))
	stop := b.Watch(some)
	b.wait(b.offer("2", "", agent.Origin{}))
	stop()
	stop()
	b.wait(b.offer("3", "", agent.Origin{}))
	for _, tt := range []struct {
		w    *watcher
		want int
	}{{always, 6}, {some, 2}} {
		tt.w.mu.Lock()
		if len(tt.w.said) != tt.want {
			t.Errorf("told %q, want %d things", tt.w.said, tt.want)
		}
		tt.w.mu.Unlock()
	}
}

func TestTakers(t *testing.T) {
	b, _ := tryBench(t)
	ev := &agent.Event{Subject: "in/3"}
	if list := b.Takers("app/f", ev); len(list) != 1 || list[0].Function != "app/f" || ev.Via != list[0].Via {
		t.Errorf("takers %+v of %+v", list, ev)
	}
	if list := b.Takers("app/f", &agent.Event{Subject: "nowhere"}); len(list) != 0 {
		t.Errorf("takers of what nobody listens to: %+v", list)
	}
}
