package agent

import (
	"context"
	"errors"
	"slices"
	"time"
)

// keepBodies is how many events a worker keeps in memory although they are on
// disk as well; the others are read back when their turn comes.
const keepBodies = 32

// spill moves events that wait too long to their function's inbox and
// acknowledges them, so that a slow function never fills the window of
// unacknowledged messages that it shares with its neighbours.
func (a *Agent) spill(ctx context.Context) error {
	every := a.opts.SpillAfter / 4
	tick := time.NewTicker(every)
	defer tick.Stop()
	var ended time.Time
	for {
		if a.ledger.isEmpty() { // an idle gateway's processor is to sleep
			tick.Stop()
			select {
			case <-ctx.Done():
				return nil
			case <-a.ledger.came:
			}
			tick.Reset(every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.spillNow:
			select { // company for what came, and time for others
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(ended.Add(spillPause))):
			}
		}
		now := time.Now()
		for _, fn := range a.current.Load().functions {
			if !fn.started.Load() {
				continue // older events than its own may still come from its predecessor
			}
			for _, w := range fn.workers {
				if w.spill(ctx, now.Add(-a.opts.SpillAfter)) {
					a.askSpill()
				}
			}
		}
		ended = time.Now()
	}
}

// spillSoon asks for a spill of a task that is going to wait: behind events on
// disk, or behind a failed one of its key.
func (a *Agent) spillSoon(t *task) {
	if t.pend != nil && t.seq == 0 {
		a.askSpill()
	}
}

func (a *Agent) askSpill() {
	select {
	case a.spillNow <- struct{}{}:
	default:
	}
}

// spill writes unacknowledged tasks of the worker to the inbox: all, if the
// worker is behind or one of them was offered before limit, else those that a
// failed one of their key holds back. It tells whether to come again soon,
// because some could not be written now.
func (w *worker) spill(ctx context.Context, limit time.Time) (again bool) {
	w.spillMu.Lock()
	defer w.spillMu.Unlock()
	committer := w.fn.agent.committer
	epoch := committer.currentEpoch()
	tasks, again := w.overdue(limit)
	if len(tasks) == 0 {
		return again
	}
	// What ran before them must be durable first, or a crash could turn the
	// order round: they would run from the inbox before it comes again.
	committer.flush()
	if committer.currentEpoch() != epoch {
		w.spilled(tasks, nil, errRunAgain)
		return true
	}
	f := &Frame{}
	for _, t := range tasks {
		f.Add = append(f.Add, t.record)
		if ev := &t.record.Event; ev.Origin.Slot != "" {
			f.Writes = append(f.Writes, markWrite(ev, t.record.Trigger))
		}
	}
	err := w.fn.agent.store.Commit(context.WithoutCancel(ctx), f)
	if err != nil && !errors.Is(err, ErrFull) {
		w.fn.agent.opts.Log.Warn("cannot move events to the inbox; they stay unacknowledged",
			"function", w.fn.Name, "events", len(tasks), "err", err)
	}
	w.spilled(tasks, f, err)
	return again
}

var errRunAgain = errors.New("older events run again first")

// spilt is a task that is being written to the inbox, and what is written.
type spilt struct {
	*task
	record Record
}

// spillPause is between one spill and the next that is asked for.
const spillPause = 5 * time.Millisecond

// maxSpill bounds one write to the inbox, bytes.
const maxSpill = 1 << 20

// overdue reserves the tasks to spill, in order of arrival: a restart runs them
// in the order of their records. It takes what one write and the inbox have
// room for; what does not fit holds back all behind it. more tells that another
// write would find some.
func (w *worker) overdue(limit time.Time) (tasks []spilt, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var size int64
	all := w.isBehind()
	unacked := w.unacked()
	if w.runs != nil && w.runs.leaving {
		return nil, len(unacked) > 0 // its outcome is about to join a group: they are younger
	}
	for _, t := range unacked {
		all = all || w.parked[t.key] == nil && t.offered.Before(limit)
	}
	for _, t := range unacked {
		if !all && w.parked[t.key] == nil {
			continue
		}
		size += recordSize(t.ev)
		if !w.fn.inbox.hasRoom(size) {
			break
		}
		if more = size > maxSpill && len(tasks) > 0; more {
			break
		}
		tasks = append(tasks, spilt{t, Record{
			Queue: QueueInbox(w.fn.Name), Kind: KindEvent, Key: t.key, Function: w.fn.Name,
			Trigger: t.trigger.Name, Attempts: t.attempts, NotBefore: t.due, Ready: t.ready, Event: *t.ev,
		}})
	}
	for _, t := range tasks {
		t.spilling = make(chan struct{})
	}
	return tasks, more
}

// unacked lists the tasks that a source waits for and that are not about to be
// committed, in order of arrival.
func (w *worker) unacked() []*task {
	var tasks []*task
	add := func(list []*task) {
		for _, t := range list {
			if t.pend != nil && t.seq == 0 && !t.leaving {
				tasks = append(tasks, t)
			}
		}
	}
	add(w.redo)
	add(w.queue[w.head:])
	for _, pk := range w.parked {
		add(pk.tasks)
	}
	if w.runs != nil && !slices.Contains(tasks, w.runs) {
		add([]*task{w.runs})
	}
	slices.SortFunc(tasks, byArrival)
	return tasks
}

// isBehind tells whether what waits the longest is on disk because it waited
// long, or the function is stopped: what came later will wait, too.
func (w *worker) isBehind() bool {
	return w.fn.breaker.isOpen(w.fn.agent.opts.Clock) || w.head < len(w.queue) && w.queue[w.head].order <= w.behind
}

// spilled notes which tasks are durable now and acknowledges their events.
func (w *worker) spilled(tasks []spilt, f *Frame, err error) {
	var acked []*pending
	w.mu.Lock()
	long := len(w.queue)-w.head > keepBodies
	for i, t := range tasks {
		if err == nil {
			t.seq, t.size = f.Add[i].Seq, recordSize(t.ev)
			w.fn.inbox.add(t.size)
			acked = append(acked, t.pend)
			t.pend = nil
			if w.parked[t.key] == nil && t.task != w.runs {
				w.behind = t.order
			}
			if long && t.task != w.runs {
				t.ev = nil
			}
		}
		close(t.spilling)
		t.spilling = nil
	}
	w.mu.Unlock()
	for _, p := range acked {
		w.fn.agent.ledger.finish(p)
	}
}

// leave waits until an inbox write of the task is over, so that its outcome can
// take the record away again, and keeps further ones off.
func (w *worker) leave(t *task) {
	w.mu.Lock()
	for t.spilling != nil {
		over := t.spilling
		w.mu.Unlock()
		<-over
		w.mu.Lock()
	}
	t.leaving = true
	w.mu.Unlock()
}

// stay undoes leave: the task will run again.
func (w *worker) stay(t *task) {
	w.mu.Lock()
	t.leaving = false
	w.mu.Unlock()
}
