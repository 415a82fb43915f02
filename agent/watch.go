package agent

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Watcher is told what functions do, from many goroutines. What it is given is
// the agent's: it is read only, and only until the call returns.
type Watcher interface {
	// Ran tells of a run that has ended, with all it decided; err is nil if it is
	// to be committed. A run that met a conflict comes again.
	Ran(inv *Invocation, err error)
	// Settled tells of an outcome that is durable.
	Settled(o *Outcome)
}

// Outcome is what became of one event for one trigger.
type Outcome struct {
	Event             *Event
	Trigger, Function string
	Dead              bool // it went to the dead-letter box
	Kept              bool // something before the function kept it back, or put it aside
	Writes            []Write
	Records           []Record // publishes, follow-ups, events for functions, the dead letter
}

// listeners are who is told of something, each by a T.
type listeners[T any] struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*T] // nil: nobody
}

// add has one told from now on, until remove is called.
func (l *listeners[T]) add(one T) (remove func()) {
	at := &one
	l.change(func(list []*T) []*T { return append(list, at) })
	return sync.OnceFunc(func() {
		l.change(func(list []*T) []*T { return slices.DeleteFunc(list, func(o *T) bool { return o == at }) })
	})
}

// change puts another list in the place of the one that is read.
func (l *listeners[T]) change(f func([]*T) []*T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := f(slices.Clone(l.all()))
	if len(list) == 0 {
		l.list.Store(nil)
		return
	}
	l.list.Store(&list)
}

// all costs one load while there is nobody.
func (l *listeners[T]) all() []*T {
	list := l.list.Load()
	if list == nil {
		return nil
	}
	return *list
}

// Watch has w told what functions do, beside Options.Watch, until stop is called.
func (a *Agent) Watch(w Watcher) (stop func()) { return a.watchers.add(w) }

// tellSettled tells the watchers of an outcome that is durable.
func (a *Agent) tellSettled(o *outcome) {
	list := a.watchers.all()
	if len(list) == 0 {
		return
	}
	told := &Outcome{o.event, o.task.trigger.Name, o.worker.fn.Name, o.dead, o.passed, o.writes, o.adds}
	for _, w := range list {
		(*w).Settled(told)
	}
}

// Tap calls f with each event that sources offer, those that no trigger wants
// included, until stop is called. It is called by the sources and must not wait.
// It must not change the event, and must copy what it keeps of its data.
func (a *Agent) Tap(f func(*Event)) (stop func()) { return a.taps.add(f) }

// tapped shows ev to those who look.
func (a *Agent) tapped(ev *Event) {
	list := a.taps.all()
	if len(list) == 0 {
		return
	}
	if ev.ID == "" {
		ev.ID = a.ids.next()
	}
	for _, f := range list {
		(*f)(ev)
	}
}
