package agent_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// failing is a function that fails until it is mended.
func failing(ran *order, mended *atomic.Bool) guests {
	return guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if !mended.Load() {
			return errors.New("the scale does not answer")
		}
		ran.add(inv.Event)
		return nil
	}}
}

func TestFunctionThatKeepsFailingIsStoppedAndItsEventsWait(t *testing.T) {
	var ran order
	var mended atomic.Bool
	store := newMemory()
	b := start(t, store, failing(&ran, &mended), agent.Options{
		SpillAfter: 8 * time.Millisecond, BreakAfter: 4, BreakPause: 30 * time.Millisecond,
	})
	tr := on("app/f", "s/+")
	tr.Retry = agent.Retry{MaxAttempts: 3, Backoff: time.Millisecond}
	b.apply([]agent.Function{fn("app/f")}, tr)
	const events = 40
	for i := range events { // acknowledged all the same: they wait on disk
		b.wait(b.offer("s/"+strconv.Itoa(i%20), strconv.Itoa(i), agent.Origin{}))
	}
	b.eventually("two probes have failed", func() error {
		s := b.status().Functions[0]
		if s.Breaker == nil || s.Breaker.Failures < 6 || s.Inbox+int(s.Dead) != events {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	s := b.status().Functions[0]
	if s.Dead > 2 || s.Opened != 1 || s.Breaker.RetryAt.IsZero() || !strings.Contains(s.Breaker.Cause, "the scale") {
		t.Errorf("status %+v, breaker %+v; want nearly all events kept", s, s.Breaker)
	}
	mended.Store(true)
	b.eventually("all that waited run", func() error {
		if s := b.status().Functions[0]; s.Inbox != 0 || s.Breaker != nil {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	for i := range 20 {
		got := strings.Join(ran.of("s/"+strconv.Itoa(i)), " ")
		if all := fmt.Sprintf("%d %d", i, i+20); !strings.HasSuffix(all, got) {
			t.Errorf("key %d ran %s, want %s", i, got, all)
		}
	}
}

func TestPoisonDoesNotStopItsFunction(t *testing.T) {
	var ran order
	var mended atomic.Bool
	b := start(t, newMemory(), failing(&ran, &mended), agent.Options{BreakAfter: 2, BreakPause: time.Hour})
	tr := on("app/f", "s")
	tr.Retry = agent.Retry{MaxAttempts: 5, Backoff: time.Millisecond}
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "poison", agent.Origin{}))
	b.eventually("it is dead-lettered after all its tries", func() error {
		if s := b.status().Functions[0]; s.Dead != 1 || s.Failures != 5 || s.Opened != 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

func TestNewVersionOfAStoppedFunctionRunsAtOnce(t *testing.T) {
	var ran order
	var mended atomic.Bool
	b := start(t, newMemory(), failing(&ran, &mended), agent.Options{BreakAfter: 2, BreakPause: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s/+"))
	for i := range 3 {
		b.wait(b.offer("s/"+strconv.Itoa(i), "x", agent.Origin{}))
	}
	b.eventually("it is stopped", func() error {
		if b.status().Functions[0].Breaker == nil {
			return errors.New("not yet")
		}
		return nil
	})
	mended.Store(true)
	next := fn("app/f")
	next.Digest = "sha256:0123456789ab"
	b.apply([]agent.Function{next}, on("app/f", "s/+"))
	b.eventually("the events run", func() error {
		if s := b.status().Functions[0]; s.Inbox != 0 || s.Breaker != nil {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}
