package agent

import (
	"container/heap"
	"context"
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
}

// parkedKey holds back the tasks of a key whose first one failed.
type parkedKey struct {
	key   string
	tasks []*task // in order of arrival
	at    time.Time
	index int // in the heap; -1 while its first task runs
}

func newWorker(fn *function, mod Module) *worker {
	w := &worker{
		fn: fn, mod: mod, wake: make(chan struct{}, 1),
		parked: map[string]*parkedKey{}, reads: &readSet{committer: fn.agent.committer},
	}
	w.inv = NewInvocation(&fn.Function, w.reads, Outside{Secrets: fn.agent.opts.Secrets, Fetch: fn.agent.opts.Fetch})
	return w
}

// run works until ctx ends or the function is retired.
func (w *worker) run(ctx context.Context) {
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
		w.reads.begin() // before the pick: what fails from here on makes this run stale
		w.mu.Lock()
		t, wait := w.pick(time.Now())
		w.runs = t
		w.mu.Unlock()
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

const idle = time.Hour // nothing is due

// pick takes the next task, or tells how long there is none.
func (w *worker) pick(now time.Time) (*task, time.Duration) {
	if t := w.pickRedo(); t != nil {
		return t, 0
	}
	w.turn = !w.turn
	if w.turn {
		if t := w.pickDue(now); t != nil {
			return t, 0
		}
	}
	if t := w.pickQueued(); t != nil {
		return t, 0
	}
	if t := w.pickDue(now); t != nil {
		return t, 0
	}
	if len(w.due) > 0 {
		return nil, max(time.Millisecond, w.due[0].at.Sub(now))
	}
	return nil, idle
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
		w.behind(pk, t)
	}
	return nil
}

// behind adds a task to those that a failed one of its key holds back.
func (w *worker) behind(pk *parkedKey, t *task) {
	if t.volatile() {
		if w.held >= w.fn.Limits.Queue {
			w.drop()
			return
		}
		w.held++
	}
	pk.tasks = append(pk.tasks, t)
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

// insert merges older tasks into the queue before the worker starts. One that
// failed before holds back the later ones of its key.
func (w *worker) insert(tasks []*task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := append(tasks, w.queue[w.head:]...)
	slices.SortFunc(all, byArrival)
	w.queue, w.head = w.queue[:0:0], 0
	for _, t := range all {
		switch pk := w.parked[t.key]; {
		case pk != nil:
			pk.tasks = append(pk.tasks, t)
		case t.attempts > 0:
			w.hold(t)
		default:
			w.queue = append(w.queue, t)
		}
	}
	w.signal()
}

// hold parks a failed task at the front of its key until it is due.
func (w *worker) hold(t *task) {
	pk := w.parked[t.key]
	if pk == nil {
		pk = &parkedKey{key: t.key, index: -1}
		w.parked[t.key] = pk
	}
	pk.insert(t)
	pk.at = pk.tasks[0].due
	if pk.index < 0 {
		heap.Push(&w.due, pk)
	} else {
		heap.Fix(&w.due, pk.index)
	}
}

// insert puts t in its place by arrival.
func (pk *parkedKey) insert(t *task) {
	i, _ := slices.BinarySearchFunc(pk.tasks, t, byArrival)
	pk.tasks = slices.Insert(pk.tasks, i, t)
}

// release lets the next task of a parked key run, or the key go.
func (w *worker) release(key string) {
	pk := w.parked[key]
	if pk == nil || pk.index >= 0 {
		return
	}
	if len(pk.tasks) == 0 {
		delete(w.parked, key)
		return
	}
	pk.at = pk.tasks[0].due
	heap.Push(&w.due, pk)
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
		t.due = time.Now().Add(wait)
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
	return w.runs != nil || len(w.redo) > 0 || len(w.queue) > w.head
}

// dueHeap orders parked keys by when their first task is due.
type dueHeap []*parkedKey

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	pk := x.(*parkedKey)
	pk.index = len(*h)
	*h = append(*h, pk)
}

func (h *dueHeap) Pop() any {
	old := *h
	pk := old[len(old)-1]
	pk.index = -1
	*h = old[:len(old)-1]
	return pk
}
