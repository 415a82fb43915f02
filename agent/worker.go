package agent

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// worker runs the tasks of its share of a function's keys, one at a time, in
// order of arrival per key. It owns one instance of the module.
type worker struct {
	fn    *function
	mod   Module
	inv   *Invocation
	reads *readSet

	staged staged                           // by the stages before the function, of the attempt under way
	own    Event                            // what expressions look at
	terms  Terms                            // of the attempt under way, see look
	reader func(key string) ([]byte, error) // state, for Terms
	unread error                            // why the state could not be read

	claim *claim // to a turn
	place place  // where it notes what it runs

	wake chan struct{}

	spillMu sync.Mutex // held during an inbox write

	mu     sync.Mutex
	closed bool    // accepts nothing more
	redo   []*task // of a group that could not be committed: they come first
	queue  []*task
	head   int // of queue
	parked map[string]*parkedKey
	due    dueHeap
	held   int   // volatile tasks that are parked
	turn   bool  // parked keys and the queue take turns
	runs   *task // the one running now
	probe  bool  // runs is to show whether the function works again
	behind int64 // tasks up to this one were spilled because they waited long
}

func newWorker(fn *function, mod Module) *worker {
	w := &worker{
		fn: fn, mod: mod, wake: make(chan struct{}, 1),
		parked: map[string]*parkedKey{}, behind: math.MinInt64, reads: &readSet{committer: fn.agent.committer, spaces: &fn.spaces},
	}
	w.reader, w.claim = w.state, newClaim(&fn.Function)
	outside := Outside{Secrets: fn.agent.opts.Secrets}
	if fetch := fn.agent.opts.Fetch; fetch != nil {
		outside.Fetch = away{fetch, fn.agent.turns, w.claim}
	}
	w.inv = NewInvocation(&fn.Function, w.reads, outside)
	return w
}

// run works until ctx ends or the function is retired.
func (w *worker) run(ctx context.Context) {
	w.place = w.fn.agent.underway.take(w.fn)
	defer w.fn.agent.underway.give(&w.place)
	for {
		t := w.next(ctx)
		if t == nil {
			return
		}
		w.handle(ctx, t)
		w.mu.Lock()
		w.runs = nil
		w.mu.Unlock()
	}
}

// next waits for a task whose turn has come; nil says that it is time to end.
func (w *worker) next(ctx context.Context) *task {
	for {
		select {
		case <-w.fn.stop:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		t, wait := w.take(w.fn.agent.now())
		if t != nil {
			return t
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.fn.stop:
		case <-w.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// queueBehind adds a task to those that a failed one of its key holds back.
func (w *worker) queueBehind(pk *parkedKey, t *task) {
	if t.volatile() {
		if w.held >= w.fn.Limits.Queue {
			w.drop()
			return
		}
		w.held++
	}
	pk.insert(t)
	w.fn.agent.spillSoon(t)
}

// drop counts a task for which there was no room.
func (w *worker) drop() {
	w.fn.stats.dropped.Add(1)
	w.fn.agent.counts.dropped.Add(1)
}

// accept queues a task.
func (w *worker) accept(t *task) acceptance {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return retired
	}
	if t.volatile() && len(w.queue)-w.head >= w.fn.Limits.Queue {
		w.mu.Unlock()
		w.drop()
		return dropped
	}
	w.queue = append(w.queue, t)
	if w.isBehind() {
		w.fn.agent.spillSoon(t)
	}
	w.mu.Unlock()
	w.signal()
	return taken
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// insert merges older tasks into the queue before the worker starts. Keys of
// which one failed before are parked as a whole: that need not be their first,
// if the outcome of an earlier one was never committed.
func (w *worker) insert(tasks []*task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := append(tasks, w.queue[w.head:]...)
	slices.SortFunc(all, byArrival)
	w.queue, w.head = w.queue[:0:0], 0
	failed := map[string]bool{}
	for _, t := range all {
		if t.attempts > 0 {
			failed[t.key] = true
		}
	}
	for _, t := range all {
		switch pk := w.parked[t.key]; {
		case pk != nil:
			pk.tasks = append(pk.tasks, t)
		case failed[t.key]:
			w.hold(t)
		default:
			w.queue = append(w.queue, t)
		}
	}
	w.signal()
}

// again puts tasks of a group that failed back, before all others.
func (w *worker) again(tasks []*task) {
	w.mu.Lock()
	for _, t := range tasks {
		t.leaving = false
	}
	w.redo = append(w.redo, tasks...)
	slices.SortFunc(w.redo, byArrival)
	w.mu.Unlock()
	w.signal()
}

// postpone holds tasks back for a while; it counts as no attempt.
func (w *worker) postpone(tasks []*task, wait time.Duration) {
	w.mu.Lock()
	for _, t := range tasks {
		t.leaving = false
		t.due = w.fn.agent.now().Add(wait)
		w.hold(t)
	}
	w.mu.Unlock()
	w.signal()
}

// surrender gives up everything that waits, for good.
func (w *worker) surrender() []*task {
	w.spillMu.Lock()
	defer w.spillMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	tasks := w.waiting()
	w.queue, w.head, w.redo, w.due = nil, 0, nil, nil
	w.parked = map[string]*parkedKey{}
	return tasks
}

// waiting lists what waits, the running task excluded.
func (w *worker) waiting() []*task {
	tasks := slices.Concat(w.redo, w.queue[w.head:])
	for _, pk := range w.parked {
		tasks = append(tasks, pk.tasks...)
	}
	return tasks
}

// eachTask calls f with everything that waits or runs, under the worker's lock.
func (w *worker) eachTask(f func(*task)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.waiting() {
		f(t)
	}
	if w.runs != nil {
		f(w.runs)
	}
}

// busy tells whether there is work that could be done now.
func (w *worker) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.runs != nil || len(w.redo) > 0 || len(w.queue) > w.head && !w.fn.breaker.isOpen(w.fn.agent.opts.Clock)
}
