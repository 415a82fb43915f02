package agent

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// function is a Function that runs: its workers and what waits for them.
type function struct {
	Function
	agent     *Agent
	workers   []*worker
	prev      *function                // whose waiting tasks it takes over; nil: it starts from its inbox
	after     <-chan struct{}          // a namesake that was removed is buried, and leaves the inbox alone; nil: there was none
	handover  *handover                // to its state; nil: it has it
	inherited atomic.Bool              // it came to its state
	buried    chan struct{}            // this one is, after it was removed
	started   atomic.Bool              // it has everything that is older than what it accepts
	stats     *functionStats           // these two pass on to the successor
	base      atomic.Pointer[baseline] // of stats, when its release took over; nil: zero
	inbox     *inboxUse
	spaces    [2]*space // its own and its app's
	breaker   breaker

	stop    chan struct{} // closed by retire
	stopped chan struct{} // closed when no worker runs any more

	loading   sync.Mutex
	loadedMax uint64 // newest inbox record that run has read
}

// load prepares a function with an instance per worker.
func (a *Agent) load(ctx context.Context, spec Function, prev *function) (*function, error) {
	fn := &function{
		Function: spec, agent: a, prev: prev,
		stats: &functionStats{}, inbox: &inboxUse{},
		stop: make(chan struct{}), stopped: make(chan struct{}), buried: make(chan struct{}),
	}
	if prev != nil {
		fn.stats, fn.inbox = prev.stats, prev.inbox
		fn.countAnew() // and once more when prev has ended
	} else {
		fn.inbox.limit.Store(spec.Limits.Inbox)
	}
	for range max(1, spec.Limits.Concurrency) {
		mod, err := a.module(ctx, spec)
		if err != nil {
			fn.close(ctx)
			return nil, err
		}
		fn.workers = append(fn.workers, newWorker(fn, mod))
	}
	return fn, nil
}

// module is an instance of a function's module.
func (a *Agent) module(ctx context.Context, spec Function) (Module, error) {
	if spec.Rule {
		return passOn{}, nil
	}
	return a.loader.Load(ctx, spec)
}

// run takes over what waits, then works until ctx ends or retire is called.
func (fn *function) run(ctx context.Context) {
	defer close(fn.stopped)
	switch {
	case fn.prev != nil:
		<-fn.prev.stopped
		fn.takeOver()
	case fn.after != nil:
		<-fn.after
		fn.readInbox()
	default:
		fn.condemned()
		fn.readInbox()
	}
	fn.started.Store(true)
	fn.agent.askSpill() // who asked before was passed over
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !fn.inherit(ctx) {
		return
	}
	fn.inherited.Store(true)
	var running sync.WaitGroup
	for _, w := range fn.workers {
		running.Go(func() { w.run(ctx) })
	}
	running.Wait()
	fn.agent.committer.flush()
}

// retire makes the workers end after the run they are in.
func (fn *function) retire() { close(fn.stop) }

// takeOver moves the tasks of the function this one replaces.
func (fn *function) takeOver() {
	var tasks []*task
	for _, w := range fn.prev.workers {
		tasks = append(tasks, w.surrender()...)
	}
	fn.prev.close(context.Background())
	fn.prev = nil
	fn.inbox.limit.Store(fn.Limits.Inbox)
	fn.insert(tasks)
	fn.stats.memory.Store(0)
	fn.countAnew()
}

// readInbox makes a task of each event that waits on disk since before this
// start.
func (fn *function) readInbox() {
	fn.loading.Lock()
	defer fn.loading.Unlock()
	known := map[uint64]bool{}
	for _, w := range fn.workers {
		w.eachTask(func(t *task) { known[t.seq] = true })
	}
	var tasks []*task
	for _, stub := range fn.agent.store.Pending(QueueInbox(fn.Name)) {
		fn.loadedMax = max(fn.loadedMax, stub.Seq)
		if known[stub.Seq] {
			continue
		}
		if t := fn.fromInbox(stub); t != nil {
			tasks = append(tasks, t)
		}
	}
	fn.insert(tasks)
}

// fromInbox makes the task of one inbox record; its event stays on disk.
func (fn *function) fromInbox(stub Stub) *task {
	rec, err := fn.agent.store.Record(stub.Seq)
	if err != nil {
		fn.agent.opts.Log.Error("cannot read an event from the inbox; it stays there",
			"function", fn.Name, "record", stub.Seq, "err", err)
		return nil
	}
	fn.inbox.add(stub.Size)
	return &task{
		ready:   rec.Ready,
		trigger: fn.agent.trigger(rec.Trigger, fn.Name), key: rec.Key,
		order:    int64(stub.Seq) + math.MinInt64, // before anything of this start
		attempts: stub.Attempts, due: sooner(stub.NotBefore, fn.agent.now()), seq: stub.Seq, size: stub.Size,
	}
}

// sooner is when a task that waited on disk is due: not later than any pause
// lasts, since the clock may have been wrong when that was written down, and
// from now on by what really passes, since it may be set.
func sooner(due, now time.Time) time.Time {
	wait := due.Sub(now)
	if wait > maxBackoff {
		return now
	}
	return now.Add(max(wait, 0))
}

// trigger finds a trigger of the current deployment, or stands in for one that
// is gone with its defaults.
func (a *Agent) trigger(name, function string) *compiled {
	if tr := a.current.Load().triggers[name]; tr != nil {
		return tr
	}
	return &compiled{Trigger: Trigger{Name: name, Function: function}}
}

// insert gives tasks to their workers, in order of arrival.
func (fn *function) insert(tasks []*task) {
	byWorker := make(map[*worker][]*task, len(fn.workers))
	for _, t := range tasks {
		w := fn.worker(t.key)
		byWorker[w] = append(byWorker[w], t)
	}
	for w, list := range byWorker {
		w.insert(list)
	}
}

type acceptance uint8

const (
	taken   acceptance = iota
	dropped            // no room, and nobody waits for it
	retired            // this function ends; ask its successor
)

func (fn *function) accept(t *task) acceptance { return fn.worker(t.key).accept(t) }

// deliver makes a task of an inbox record that was just committed.
func (fn *function) deliver(rec *Record, ev *Event) {
	fn.loading.Lock()
	defer fn.loading.Unlock()
	if rec.Seq <= fn.loadedMax {
		return // readInbox has it already
	}
	size := recordSize(ev)
	fn.inbox.add(size)
	t := &task{
		ev: ev, trigger: fn.agent.trigger(rec.Trigger, fn.Name), key: rec.Key,
		order: fn.agent.order.Add(1), seq: rec.Seq, size: size, ready: rec.Ready,
	}
	if !t.ready {
		t.known = t.trigger.known(ev, fn.stats)
	}
	fn.agent.enqueue(t, fn)
}

// worker is the one that runs all tasks of key.
func (fn *function) worker(key string) *worker {
	if len(fn.workers) == 1 {
		return fn.workers[0]
	}
	return fn.workers[fn.agent.hash("", key)%uint64(len(fn.workers))]
}

// inboxUse counts what waits on disk for a function.
type inboxUse struct {
	limit  atomic.Int64
	bytes  atomic.Int64
	events atomic.Int64
	aside  atomic.Int64 // bytes that are put aside, see Gather
}

// hasRoom tells whether another n bytes may wait.
func (u *inboxUse) hasRoom(n int64) bool { return u.bytes.Load()+u.aside.Load()+n <= u.limit.Load() }

func (u *inboxUse) add(n int64) {
	u.bytes.Add(n)
	u.events.Add(1)
}

// remove counts a task that is done with, if it was on disk.
func (u *inboxUse) remove(t *task) {
	if t.seq != 0 {
		u.bytes.Add(-t.size)
		u.events.Add(-1)
	}
}

func (fn *function) close(ctx context.Context) {
	for _, w := range fn.workers {
		if err := w.mod.Close(ctx); err != nil {
			fn.agent.opts.Log.Warn("cannot close an instance", "function", fn.Name, "err", err)
		}
	}
}

// recordSize estimates the bytes an inbox record of ev takes on disk.
func recordSize(ev *Event) int64 {
	return int64(len(ev.Data)+len(ev.ID)+2*len(ev.Subject)+len(ev.Source)+len(ev.Type)) + 64
}
