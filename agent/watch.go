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
	Writes            []Write
	Records           []Record // publishes, follow-ups, events for functions, the dead letter
}

// taps are who looks at the events that come from outside.
type taps struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*func(*Event)] // nil: nobody
}

// Tap calls f with each event that sources offer, those that no trigger wants
// included, until stop is called. It is called by the sources and must not wait.
// It must not change the event, and must copy what it keeps of its data.
func (a *Agent) Tap(f func(*Event)) (stop func()) {
	a.taps.change(func(list []*func(*Event)) []*func(*Event) { return append(list, &f) })
	return sync.OnceFunc(func() {
		a.taps.change(func(list []*func(*Event)) []*func(*Event) {
			return slices.DeleteFunc(list, func(g *func(*Event)) bool { return g == &f })
		})
	})
}

// change puts another list in the place of the one that Offer reads.
func (t *taps) change(f func([]*func(*Event)) []*func(*Event)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*func(*Event)
	if old := t.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	if list = f(list); len(list) == 0 {
		t.list.Store(nil)
		return
	}
	t.list.Store(&list)
}

// tapped shows ev to those who look. It costs one load while nobody does.
func (a *Agent) tapped(ev *Event) {
	list := a.taps.list.Load()
	if list == nil {
		return
	}
	if ev.ID == "" {
		ev.ID = a.ids.next()
	}
	for _, f := range *list {
		(*f)(ev)
	}
}
