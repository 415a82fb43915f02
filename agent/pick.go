package agent

import (
	"container/heap"
	"slices"
	"time"
)

const idle = time.Hour // nothing is due

// take picks the next task if the function may run, or tells when to look again.
func (w *worker) take(now time.Time) (t *task, wait time.Duration) {
	ok, probe, wait := w.fn.breaker.enter(now)
	if !ok {
		return nil, wait
	}
	w.reads.begin() // before the pick: what fails from here on makes this run stale
	w.mu.Lock()
	t, wait = w.pick(now)
	w.runs, w.probe = t, probe && t != nil
	w.mu.Unlock()
	if probe && t == nil {
		w.fn.breaker.withdraw()
	}
	return t, wait
}

// pick takes the next task, or tells how long there is none.
func (w *worker) pick(now time.Time) (*task, time.Duration) {
	if t := w.pickRedo(); t != nil {
		return t, 0
	}
	if t := w.pickTurn(now); t != nil {
		w.turn = !w.turn // a look that finds nothing is no turn
		return t, 0
	}
	if len(w.due) > 0 {
		return nil, max(time.Millisecond, w.due[0].at.Sub(now))
	}
	return nil, idle
}

// pickTurn takes the next task of parked keys or of the queue, whose turn it is, or
// else of the other.
func (w *worker) pickTurn(now time.Time) *task {
	if !w.turn {
		if t := w.pickDue(now); t != nil {
			return t
		}
	}
	if t := w.pickQueued(); t != nil {
		return t
	}
	return w.pickDue(now)
}

// pickRedo takes the oldest task that has to run again, unless an older one of
// its key is held back.
func (w *worker) pickRedo() *task {
	for len(w.redo) > 0 {
		t := w.redo[0]
		w.redo = w.redo[1:]
		pk := w.parked[t.key]
		if pk == nil || pk.index < 0 || pk.tasks[0].order > t.order {
			return t
		}
		pk.insert(t)
	}
	return nil
}

// pickDue takes the first task of the parked key that is due the longest. The
// key stays parked until that task has succeeded.
func (w *worker) pickDue(now time.Time) *task {
	if len(w.due) == 0 || w.due[0].at.After(now) {
		return nil
	}
	pk := heap.Pop(&w.due).(*parkedKey)
	t := pk.tasks[0]
	pk.tasks = pk.tasks[1:]
	if t.volatile() {
		w.held = max(0, w.held-1)
	}
	return t
}

// pickQueued takes the oldest task whose key is not held back.
func (w *worker) pickQueued() *task {
	for w.head < len(w.queue) {
		t := w.queue[w.head]
		w.queue[w.head] = nil
		w.head++
		if w.head == len(w.queue) || w.head > 1024 {
			w.queue = slices.Delete(w.queue, 0, w.head)
			w.head = 0
		}
		pk := w.parked[t.key]
		if pk == nil {
			return t
		}
		w.queueBehind(pk, t)
	}
	return nil
}
