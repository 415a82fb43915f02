package agent_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// count adds one to the total and asks the central FaaS for something.
func count(_ context.Context, inv *agent.Invocation) error {
	if _, err := inv.Add("total", 1); err != nil {
		return err
	}
	return inv.Followup("faas", "", inv.Event.Data)
}

func TestEffectsAndAcknowledgementCommitTogether(t *testing.T) {
	b := start(t, newMemory(), guests{"app/count": func(ctx context.Context, inv *agent.Invocation) error {
		if err := inv.Publish("alerts/1", []byte("hot"), 1, false); err != nil {
			return err
		}
		return count(ctx, inv)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	b.wait(b.offer("sensors/1", `{"t":1}`, agent.Origin{Slot: "plant/1", Hash: 1}))

	last := b.store.frames[len(b.store.frames)-1]
	if len(last.Add) != 2 || len(last.Writes) != 2 || last.Lazy { // total and mark
		t.Errorf("frame = %+v; want follow-up, publish, state and mark in one synced frame", last)
	}
	follow, publish := b.store.queue("target/faas/5"), b.store.queue("broker/plant")
	if len(follow) != 1 || string(follow[0].Event.Data) != `{"t":1}` || follow[0].Event.ContentType != "application/json" {
		t.Errorf("follow-ups = %+v", follow)
	}
	if len(publish) != 1 || publish[0].Event.Subject != "alerts/1" || publish[0].Event.QoS != 1 {
		t.Errorf("publishes = %+v", publish)
	}
	if want := regexp.MustCompile("^gw7/[a-z2-7]{6}/00001/00000001/app/count/7ae36a7a6bb1/0$"); !want.MatchString(follow[0].Event.ID) {
		t.Errorf("follow-up id = %q, want %s", follow[0].Event.ID, want)
	}
	other := start(t, newMemory(), guests{"app/count": count}, agent.Options{})
	other.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	other.wait(other.offer("sensors/1", `{"t":1}`, agent.Origin{}))
	if again := other.store.queue("target/faas/5")[0].Event.ID; again == follow[0].Event.ID {
		t.Errorf("a device with a new store repeats the id %q", again)
	}
}

func TestMissIsAcknowledgedAndCostsNoFrame(t *testing.T) {
	b := start(t, newMemory(), guests{"app/count": count}, agent.Options{})
	b.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	before := len(b.store.frames)
	b.wait(b.offer("other/1", "x", agent.Origin{}))
	if got := len(b.store.frames); got != before {
		t.Errorf("%d frames for an event that no trigger wants", got-before)
	}
	if s := b.status(); s.Events.Filtered != 1 || s.Events.Invocations != 0 {
		t.Errorf("counts = %+v", s.Events)
	}
}

func TestFailureTakesNoEffectAndIsDeadLetteredWithItsCause(t *testing.T) {
	b := start(t, newMemory(), guests{"app/bad": func(ctx context.Context, inv *agent.Invocation) error {
		if err := count(ctx, inv); err != nil {
			return err
		}
		return &agent.Fault{Kind: agent.FaultTrap, Err: errors.New("unreachable")}
	}}, agent.Options{})
	tr := on("app/bad", "s/#")
	tr.Retry = agent.Retry{MaxAttempts: 3, Backoff: time.Millisecond, DeadLetter: "dlq/bad"}
	b.apply([]agent.Function{fn("app/bad")}, tr)
	b.wait(b.offer("s/1", "poison", agent.Origin{}))
	b.eventually("the event is dead-lettered", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 1 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
	dead := b.store.queue(agent.QueueDead)[0]
	if dead.Reason != "trap: unreachable" || dead.Attempts != 3 || string(dead.Event.Data) != "poison" || dead.Origin != "inbox/app/bad" {
		t.Errorf("dead letter = %+v", dead)
	}
	if n := len(b.store.queue("target/faas/5")); n != 0 {
		t.Errorf("%d follow-ups of failed runs", n)
	}
	if n := len(b.store.queue("inbox/app/bad")); n != 0 {
		t.Errorf("%d events left in the inbox", n)
	}
	if p := b.store.queue("broker/plant"); len(p) != 1 || p[0].Event.Subject != "dlq/bad" {
		t.Errorf("dead-letter notice = %+v", p)
	}
	s := b.status().Functions[0]
	if s.Failures != 3 || s.Faults["trap"] != 3 || s.Dead != 1 {
		t.Errorf("status = %+v", s)
	}
}

func TestRejectIsDeadLetteredAtOnce(t *testing.T) {
	b := start(t, newMemory(), guests{"app/picky": func(context.Context, *agent.Invocation) error {
		return fmt.Errorf("%w: no temperature in it", agent.ErrReject)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/picky")}, on("app/picky", "s"))
	b.wait(b.offer("s", "{}", agent.Origin{}))
	if s := b.status().Functions[0]; s.Invocations != 1 || s.Dead != 1 {
		t.Errorf("status = %+v", s)
	}
}

func TestEmittedEventRunsInTheOtherFunction(t *testing.T) {
	var got order
	b := start(t, newMemory(), guests{
		"app/first": func(_ context.Context, inv *agent.Invocation) error { return inv.Emit("other", []byte("hop")) },
		"app/other": func(_ context.Context, inv *agent.Invocation) error {
			got.add(inv.Event)
			return nil
		},
		"app/loop": func(_ context.Context, inv *agent.Invocation) error { return inv.Emit("loop", []byte("again")) },
	}, agent.Options{})
	b.apply([]agent.Function{fn("app/first"), fn("app/other"), fn("app/loop")}, on("app/first", "s"), on("app/loop", "l"))
	b.wait(b.offer("s", "x", agent.Origin{}))
	b.eventually("the other function ran", func() error {
		if n := len(got.of("s")); n != 1 {
			return fmt.Errorf("%d runs", n)
		}
		return nil
	})
	b.wait(b.offer("l", "x", agent.Origin{}))
	b.eventually("an endless chain ends in the dead-letter box", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 1 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
}

func TestThenSendsTheResult(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.SetResult([]byte(`{"c":21}`))
	}}, agent.Options{})
	tr := on("app/f", "s")
	tr.Then = []agent.Then{{Invoke: "central/faas"}, {Publish: "out/1"}, {Invoke: "central/errors", On: agent.OnError}}
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "x", agent.Origin{}))
	if r := b.store.queue("target/faas/5"); len(r) != 1 || string(r[0].Event.Data) != `{"c":21}` {
		t.Errorf("follow-ups = %+v", r)
	}
	if len(b.store.queue("broker/plant")) != 1 || len(b.store.queue("target/errors/5")) != 0 {
		t.Error("want one publish and no error report")
	}
}

func TestConditionsDecideBeforeTheFunctionRuns(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{
		Language: equalTo{},
	})
	tr := on("app/f", "s")
	tr.When = "hot"
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "cold", agent.Origin{}))
	b.wait(b.offer("s", "hot", agent.Origin{}))
	if s := b.status().Events; s.Filtered != 1 || s.Invocations != 1 {
		t.Errorf("counts = %+v", s)
	}
	tr.When = "bad"
	err := b.Apply(context.Background(), agent.Deployment{Functions: []agent.Function{fn("app/f")}, Triggers: []agent.Trigger{tr}})
	if err == nil || !strings.Contains(err.Error(), "unexpected token") {
		t.Errorf("Apply with a bad condition: %v", err)
	}
}

// equalTo is a language whose conditions are the data that fits.
type equalTo struct{ agent.Language }

func (equalTo) Condition(text string, _ []string) (stateless, stateful agent.Predicate, err error) {
	if text == "bad" {
		return nil, nil, errors.New("unexpected token")
	}
	return equals(text), nil, nil
}

type equals string

func (e equals) Match(t agent.Terms) (bool, error) { return string(t.Event.Data) == string(e), nil }
