package agent

import (
	"context"
	"time"
)

// The dead-letter box is bounded, so that letters nobody reads can never fill
// the disk: the oldest go first, and are counted.
const (
	maxDead      = 1000
	maxDeadBytes = 16 << 20
	deadCheck    = time.Second
)

// tidy keeps the dead-letter box within its bounds, inboxes and state from being
// forgotten, and the size and the clock of the state right, until ctx ends.
func (a *Agent) tidy(ctx context.Context) error {
	tick := time.NewTicker(deadCheck)
	defer tick.Stop()
	lost := orphans{}
	for {
		select {
		case <-ctx.Done():
			a.keepClock(ctx, true)
			return nil
		case now := <-tick.C:
			a.evictDead(ctx)
			a.recount(ctx, now)
			a.keepClock(ctx, false)
			select {
			case <-a.applied: // before that nobody knows what was removed
				lost.bury(ctx, a, now)
				a.gates.tidy(ctx, a, now)
				a.asides.tidy(ctx, a, now)
				a.remains.tidy(ctx, a, now)
			default:
			}
		}
	}
}

func (a *Agent) keepClock(ctx context.Context, last bool) {
	if a.opts.Clock == nil {
		return
	}
	if err := a.opts.Clock.keep(ctx, a.store, last); err != nil {
		a.opts.Log.Warn("cannot note how long the agent has run: state may be kept longer than it says", "err", err)
	}
}

// deadLetters lists the box, oldest first, with its size in bytes.
func (a *Agent) deadLetters() (letters []Stub, size int64) {
	letters = a.store.Pending(QueueDead)
	for _, l := range letters {
		size += l.Size
	}
	return letters, size
}

func (a *Agent) evictDead(ctx context.Context) {
	a.boxing.Lock()
	defer a.boxing.Unlock()
	letters, size := a.deadLetters()
	f := &Frame{Lazy: true}
	for _, l := range letters {
		if len(letters)-len(f.Done) <= maxDead && size <= maxDeadBytes {
			break
		}
		f.Done = append(f.Done, l.Seq)
		size -= l.Size
	}
	if f.Empty() {
		return
	}
	if err := a.store.Commit(context.WithoutCancel(ctx), f); err != nil {
		a.opts.Log.Warn("cannot make room in the dead-letter box", "err", err)
		return
	}
	a.counts.deadEvicted.Add(int64(len(f.Done)))
	a.opts.Log.Warn("dead-letter box full: the oldest were dropped", "letters", len(f.Done))
}
