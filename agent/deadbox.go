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

// boundDead keeps the dead-letter box within its bounds, and inboxes from being
// forgotten, until ctx ends.
func (a *Agent) boundDead(ctx context.Context) error {
	tick := time.NewTicker(deadCheck)
	defer tick.Stop()
	lost := orphans{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			a.evictDead(ctx)
			select {
			case <-a.applied: // before that nobody knows what was removed
				lost.bury(ctx, a, now)
			default:
			}
		}
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
