package uplink

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// stateScope holds what outboxes and links keep in the store.
const stateScope = "uplink"

func (o *Outbox) pausedKey() string { return "paused/" + o.opts.Name }

// wasPaused tells whether the target was paused when the agent ended.
func (o *Outbox) wasPaused() bool {
	if o.opts.State == nil {
		return false
	}
	value, err := o.opts.State.Get(stateScope, o.pausedKey())
	if err != nil {
		o.opts.Log.Error("cannot read whether the target is paused; it is not", "error", err)
	}
	return value != nil
}

// Pause sends nothing from here on, also after a restart, until Resume. What is
// under way goes on.
func (o *Outbox) Pause(ctx context.Context) error { return o.steer(ctx, true) }

// Resume ends a Pause.
func (o *Outbox) Resume(ctx context.Context) error { return o.steer(ctx, false) }

func (o *Outbox) steer(ctx context.Context, paused bool) error {
	w := agent.Write{Scope: stateScope, Key: o.pausedKey()}
	if paused {
		w.Value = []byte("1")
	}
	o.steering.Lock()
	defer o.steering.Unlock()
	if err := o.commit.Commit(ctx, &agent.Frame{Writes: []agent.Write{w}}); err != nil {
		return fmt.Errorf("keep in mind whether target %s is paused: %w", o.opts.Name, err)
	}
	o.with(func() {
		o.note.paused = paused
		if o.pump != nil {
			o.pump.kick()
		}
	})
	return nil
}

// Retry tries at once what is waiting after failures: the target, and each
// record. The link is asked anew, too.
func (o *Outbox) Retry() {
	if c, ok := o.to.(interface{ Hurry() }); ok {
		c.Hurry()
	}
	o.with(func() {
		o.note.budget = hold{}
		if o.pump == nil {
			return
		}
		o.pump.breaker.forget()
		for _, l := range o.pump.levels {
			l.retry()
		}
		o.pump.kick()
	})
}

// retry forgets all pauses of a level.
func (l *level) retry() {
	l.holds = holds{}
	for _, it := range l.items {
		it.tries, it.notBefore, it.refused = 0, it.rec.NotBefore, time.Time{}
	}
	l.away.forgive(time.Now())
}
