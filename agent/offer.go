package agent

import (
	"sync"
	"sync/atomic"
	"time"
)

// Offer gives the agent an event. See the type Offer for the contract.
func (a *Agent) Offer(ev *Event, done func(error)) {
	a.counts.events.Add(1)
	a.counts.bytes.Add(int64(len(ev.Data)))
	ev.Unsure = ev.Unsure || a.opts.Clock != nil && !a.opts.Clock.Sure()
	var few [8]*route
	routes := a.current.Load().router.match(ev, few[:0])
	if len(routes) == 0 {
		a.counts.filtered.Add(1)
		ev.Forget() // before somebody keeps it
		a.tapped(ev)
		if ev.Answer != nil {
			ev.Answer(nil, nil)
		}
		acknowledge(done)
		return
	}
	if ev.Origin.Redelivered && ev.Origin.Slot != "" {
		if a.ledger.attach(ev, done) {
			a.counts.duplicates.Add(1)
			return
		}
		left, err := unmarked(a.store, ev, routes, a.deaths.idOf(ev.Origin))
		if err != nil {
			refuse(done, err)
			return
		}
		if routes = a.kept.strike(a, ev, left); len(routes) == 0 {
			a.counts.duplicates.Add(1)
			acknowledge(done)
			return
		}
	}
	if ev.ID == "" {
		ev.ID = a.ids.next()
	}
	if ev.Answer != nil {
		ev.Answer = firstOf(len(routes), ev.Answer)
	}
	a.tapped(ev)
	a.dispatch(ev, routes, done)
}

// firstOf is answer for the first of n triggers that has a result or failed; when
// none of them has anything to say, for the last.
func firstOf(n int, answer func([]byte, error)) func([]byte, error) {
	var (
		once sync.Once
		left atomic.Int64
	)
	left.Store(int64(n))
	return func(result []byte, err error) {
		if silent := left.Add(-1) > 0 && result == nil && err == nil; !silent {
			once.Do(func() { answer(result, err) })
		}
	}
}

func acknowledge(done func(error)) {
	if done != nil {
		done(nil)
	}
}

func refuse(done func(error), err error) {
	if done != nil {
		done(err)
	}
}

// dispatch gives each route's function a task.
func (a *Agent) dispatch(ev *Event, routes []*route, done func(error)) {
	var p *pending
	if done != nil {
		p = &pending{ev: ev, remaining: len(routes), waiters: []func(error){done}}
		a.ledger.add(p)
	}
	now := time.Now()
	var few [8]*task
	tasks := few[:0]
	for _, rt := range routes { // all, before one of them runs: expressions decode the data
		key, known := rt.keyOf(ev)
		tasks = append(tasks, &task{
			ev: ev, trigger: rt.trigger, key: key, known: known, order: a.order.Add(1),
			offered: now, pend: p, answer: ev.Answer,
		})
		if rt.trigger.aside != nil {
			tasks[len(tasks)-1].arrived = a.now()
		}
	}
	for i, rt := range routes {
		a.enqueue(tasks[i], rt.fn)
	}
}

// enqueue finds the worker for a task. A function that was replaced meanwhile
// passes it on to its successor; one that was removed has no use for it.
func (a *Agent) enqueue(t *task, fn *function) {
	for fn != nil {
		switch fn.accept(t) {
		case taken, dropped:
			return
		}
		fn = a.current.Load().functions[t.trigger.Function]
	}
	a.ledger.finish(t.pend)
}
