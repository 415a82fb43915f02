package agent

import (
	"context"
	"errors"
	"time"
)

// failed drops a group that could not be committed and the one behind it,
// whose runs may have read from it, and has their events run again before any
// other.
func (c *committer) failed(ctx context.Context, g *group, err error) {
	c.mu.Lock()
	lost := append(g.outcomes, c.open.outcomes...)
	g.over, c.open.over = true, true
	c.open, c.sealed = &group{}, nil
	c.epoch++
	clear(c.pending)
	full := errors.Is(err, ErrFull)
	c.failing++
	pause := min(fullPause<<min(c.failing-1, 5), maxFullPause)
	if full {
		c.fullUntil = time.Now().Add(pause)
	}
	c.giveBack(lost, full, pause)
	tell := c.failing == 1 || time.Since(c.told) > time.Minute
	if tell {
		c.told = time.Now()
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if tell {
		c.tell(full, len(lost), err)
	}
	if full {
		return // who needs room waits; the others need not
	}
	select { // the disk may need a while
	case <-time.After(250 * time.Millisecond):
	case <-ctx.Done():
	}
}

// tell logs why commits fail; it is called once a minute at most.
func (c *committer) tell(full bool, events int, err error) {
	log := c.agent.opts.Log
	if full {
		log.Error("no room for what functions decided: their events wait, unacknowledged; skerry status shows what fills the disk, limits.disk how much may",
			"events", events, "err", err)
		return
	}
	log.Error("cannot commit: nothing was acknowledged, the events run again until it works", "events", events, "err", err)
}

// An event whose outcome finds no room waits for so long, at first and at most.
const (
	fullPause    = time.Second
	maxFullPause = 15 * time.Second
)

// giveBack returns the tasks of dropped outcomes to their workers. When the
// store is full those that would add records wait, so that they do not spoil
// the groups of those that would not.
func (c *committer) giveBack(lost []*outcome, full bool, pause time.Duration) {
	byWorker, waiting := map[*worker][]*task{}, map[*worker][]*task{}
	for _, o := range lost {
		o.worker.fn.grew(o, -1)
		if o.task.volatile() && !o.dead { // nobody waits for it, and its publishes have left
			c.agent.counts.dropped.Add(1)
			continue
		}
		if full && len(o.adds) > 0 {
			waiting[o.worker] = append(waiting[o.worker], o.task)
			continue
		}
		byWorker[o.worker] = append(byWorker[o.worker], o.task)
	}
	for w, tasks := range waiting {
		w.postpone(tasks, pause)
	}
	for w, tasks := range byWorker {
		w.again(tasks)
	}
}
