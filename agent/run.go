package agent

import (
	"context"
	"errors"
	"time"
)

// maxConflicts bounds the invisible reruns of one attempt.
const maxConflicts = 100

// handle runs one task and hands its outcome to the committer.
func (w *worker) handle(ctx context.Context, t *task) {
	if t.gather != nil {
		w.tick(t)
		return
	}
	ev, err := w.event(t)
	if err != nil {
		w.withdrawProbe()
		w.vanished(t, err)
		return
	}
	for range maxConflicts {
		w.reads.forget()
		w.staged = staged{}
		run, err := w.stages(t, ev)
		if !run && err == nil {
			if w.pass(t, ev) {
				return
			}
			continue
		}
		if err == nil {
			err = w.attempt(ctx, t, ev)
		}
		if err != nil && ctx.Err() != nil {
			w.withdrawProbe()
			return // interrupted by the stop: neither an attempt nor acknowledged
		}
		if errors.Is(err, errPutOff) {
			w.putOff(t, err)
			return
		}
		if err != nil {
			w.failed(t, ev, err)
			return
		}
		w.leave(t)
		o, err := w.outcome(t, ev)
		if err == nil {
			err = w.admit(o)
		}
		if err != nil {
			w.stay(t)
			w.failed(t, ev, err)
			return
		}
		w.worked()
		if w.settleOrJoin(o) {
			return
		}
		w.stay(t)
		w.fn.stats.conflicts.Add(1)
	}
	w.failed(t, ev, errors.New("its state was changed by other workers each time it ran"))
}

// pass ends a task that a stage before the function did not let through; false
// asks to look again, because what it went by was changed or dropped.
func (w *worker) pass(t *task, ev *Event) bool {
	w.leave(t)
	o := &outcome{task: t, worker: w, event: ev, level: t.durability(), passed: true, count: w.staged.count}
	o.writes, o.adds, o.aside = w.staged.writes, w.staged.adds, w.staged.aside
	o.answers(nil, nil)
	w.mark(o)
	if o.nothing() && t.pend != nil && ev.Origin.Slot != "" {
		w.fn.agent.kept.add(w.fn.agent, ev, t.trigger.Name)
	}
	if w.settleOrJoin(o) {
		w.withdrawProbe()
		return true
	}
	w.stay(t)
	w.fn.stats.conflicts.Add(1)
	return false
}

// event is what t is about, read from the inbox if it is not in memory.
func (w *worker) event(t *task) (*Event, error) {
	if t.ev != nil {
		return t.ev, nil
	}
	rec, err := w.fn.agent.store.Record(t.seq)
	if err != nil {
		return nil, err
	}
	if !t.ready {
		t.known = t.trigger.known(&rec.Event, w.fn.stats)
	}
	return &rec.Event, nil
}

// vanished gives up a task whose event is not in the inbox any more; one that
// cannot be read now is tried again later.
func (w *worker) vanished(t *task, err error) {
	w.fn.agent.opts.Log.Error("cannot read an event back from the inbox",
		"function", w.fn.Name, "record", t.seq, "err", err)
	if !errors.Is(err, ErrNotFound) {
		w.postpone([]*task{t}, t.trigger.Retry.wait(1))
		return
	}
	w.fn.inbox.remove(t)
	w.freed(t)
}

func (w *worker) invoke(ctx context.Context) error {
	a, stats := w.fn.agent, w.fn.stats
	a.turns.take(w.claim)
	start := time.Now()
	w.place.begin(w.inv.Event, w.inv.Trigger)
	err := w.mod.Invoke(ctx, w.inv)
	w.place.end()
	a.turns.give(w.claim)
	w.inv.Usage.Took = time.Since(start)
	stats.latency.add(w.inv.Usage.Took)
	stats.ran(&w.inv.Usage)
	a.counts.invocations.Add(1)
	for _, watcher := range a.watchers.all() {
		(*watcher).Ran(w.inv, err)
	}
	for _, line := range w.inv.Effects.Logs {
		a.opts.Log.Log(ctx, line.Level, "function says", "function", w.fn.Name,
			"event", w.inv.Event.ID, "text", line.Text)
	}
	if n := w.inv.Effects.Dropped; n > 0 {
		a.opts.Log.Warn("log lines of a function dropped: over its limit", "function", w.fn.Name, "lines", n)
	}
	return err
}

// settleOrJoin ends a run that succeeded; false asks for a rerun because
// another worker changed what it had read.
func (w *worker) settleOrJoin(o *outcome) bool {
	a := w.fn.agent
	if o.nothing() && !w.reads.uncommitted {
		w.freed(o.task)
		a.publishNow(o)
		a.settled(o)
		return true
	}
	switch a.committer.join(o, w.reads) {
	case conflict:
		return false
	case stale: // what it read was never committed: after those it depends on
		w.again([]*task{o.task})
	case joined:
		w.freed(o.task)
		a.publishNow(o)
	}
	return true
}

// freed lets the next task of the key run.
func (w *worker) freed(t *task) {
	w.mu.Lock()
	w.release(t.key)
	w.mu.Unlock()
}

// worked notes that the function does what it should.
func (w *worker) worked() {
	if !w.fn.breaker.succeeded() {
		return
	}
	w.fn.agent.deaths.acquit(context.Background(), w.fn.agent, &w.fn.Function)
	w.tell("unparked", unparked{w.fn.Name})
	w.fn.agent.opts.Log.Info("a function works again: the events that waited run", "function", w.fn.Name)
	for _, other := range w.fn.workers {
		other.signal()
	}
}

// broke notes that a run failed; too often in a row, and the function stops.
func (w *worker) broke(ev *Event, err error) {
	if pause := w.fn.breaker.failed(ev.ID, err, w.probe, &w.fn.agent.opts, w.fn.agent.now()); pause > 0 {
		w.stopped(pause, err, "a function keeps failing and is stopped for a while: its events wait; skerry status shows when one may try again")
	}
}

// killed notes that the agent died of the function, so that its letters are n now.
func (w *worker) killed(n int, err error) {
	pause := w.fn.breaker.trip(err, n, &w.fn.agent.opts, w.fn.agent.now())
	w.stopped(pause, err, "the agent died of a function, which is stopped for a while: its events wait; skerry status shows when one may try again")
}

// stopped tells that the function's breaker has opened.
func (w *worker) stopped(pause time.Duration, err error, text string) {
	a := w.fn.agent
	if !w.probe {
		w.tell("parked", parked{w.fn.Name, err.Error(), a.now().Add(pause)})
	}
	a.opts.Log.Error(text, "function", w.fn.Name, "pause", pause, "err", err)
	a.askSpill() // what waits will wait for long
}

func (w *worker) withdrawProbe() {
	if w.probe {
		w.fn.breaker.withdraw()
	}
}

// failed parks a task for another try, or dead-letters it.
func (w *worker) failed(t *task, ev *Event, err error) {
	a := w.fn.agent
	w.fn.stats.fail(err)
	a.counts.failures.Add(1)
	rejected, died, tries := errors.Is(err, ErrReject), isDeath(err), 1
	switch {
	case rejected:
		w.worked()
	case died:
		tries = maxDeaths
		w.killed(a.deaths.convict(context.Background(), a, &w.fn.Function), err)
	default:
		w.broke(ev, err)
	}
	w.mu.Lock()
	t.attempts += tries
	w.mu.Unlock()
	retry := t.trigger.Retry
	if rejected || died || t.attempts >= retry.attempts() {
		w.bury(t, ev, err)
		return
	}
	wait := retry.wait(t.attempts)
	a.opts.Log.Warn("a function failed; its event waits for another try", "function", w.fn.Name,
		"event", ev.ID, "attempt", t.attempts, "wait", wait, "err", err)
	w.mu.Lock()
	t.due = a.now().Add(wait)
	w.hold(t)
	a.spillSoon(t)
	seq := t.seq
	w.mu.Unlock()
	if seq != 0 {
		a.touch(Touch{Seq: seq, Attempts: t.attempts, NotBefore: t.due})
	}
}

// touch keeps the number of attempts of a task that waits on disk.
func (a *Agent) touch(t Touch) {
	f := &Frame{Touch: []Touch{t}, Lazy: true}
	if err := a.store.Commit(context.Background(), f); err != nil {
		a.opts.Log.Warn("cannot keep the number of attempts of an event", "record", t.Seq, "err", err)
	}
}

// bury sends a task to the dead-letter box.
func (w *worker) bury(t *task, ev *Event, cause error) {
	a := w.fn.agent
	a.opts.Log.Error("event dead-lettered", "function", w.fn.Name, "event", ev.ID,
		"topic", ev.Subject, "attempts", t.attempts, "err", cause)
	w.leave(t)
	a.committer.join(w.deadOutcome(t, ev, cause), nil)
	w.freed(t)
}

func (r Retry) attempts() int {
	if r.MaxAttempts == 0 {
		return 5
	}
	return r.MaxAttempts
}

const maxBackoff = 5 * time.Minute

// wait is the pause after the n-th failure: Backoff, doubled each time.
func (r Retry) wait(n int) time.Duration {
	d := r.Backoff
	if d == 0 {
		d = time.Second
	}
	for range n - 1 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return min(d, maxBackoff)
}
