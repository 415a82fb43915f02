package agent

import "time"

// now is what pauses and deadlines in memory are measured by.
func (a *Agent) now() time.Time { return a.opts.Clock.time() }

// Advance moves a clock of NewManualClock on to the time to, and has everything
// run that has fallen due. Ask Idle before: what waits runs in its order only if
// the clock stops at each time that something falls due.
func (a *Agent) Advance(to time.Time) {
	c := a.opts.Clock
	c.moved.Store(int64(max(to.Sub(c.born), c.passed())))
	for _, fn := range a.current.Load().functions {
		for _, w := range fn.workers {
			w.signal()
		}
	}
	a.asides.fire()
}

// Idle tells whether all is done that can be done by now, with its outcome
// durable, and when something falls due next; zero: nothing waits.
func (a *Agent) Idle() (next time.Time, idle bool) {
	now, tasks, epoch := a.now(), a.order.Load(), a.committer.currentEpoch()
	for _, fn := range a.current.Load().functions {
		for _, w := range fn.workers {
			at, ok := w.rests(now)
			if !ok || !fn.started.Load() {
				return time.Time{}, false
			}
			if next.IsZero() || !at.IsZero() && at.Before(next) {
				next = at
			}
		}
	}
	if a.committer.busy() {
		return time.Time{}, false
	}
	// What has been committed has set its timers by now, and those that fired or
	// gave somebody work behind our back have made tasks.
	if in, ok := a.asides.next(); ok {
		if in <= 0 {
			return time.Time{}, false
		}
		if at := now.Add(in); next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, a.order.Load() == tasks && a.committer.currentEpoch() == epoch
}

// rests tells whether nothing of the worker may run now, and when something may.
func (w *worker) rests(now time.Time) (next time.Time, ok bool) {
	stopped := w.fn.breaker.opens()
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := len(w.queue) > w.head
	if len(w.due) > 0 {
		waits, next = true, w.due[0].at
	}
	switch {
	case w.runs != nil || len(w.redo) > 0:
		return next, false
	case !waits:
		return time.Time{}, true
	case len(w.queue) > w.head || next.Before(stopped):
		next = stopped
	}
	return next, next.After(now)
}
