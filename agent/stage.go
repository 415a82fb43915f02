package agent

import (
	"fmt"
	"sync/atomic"
)

// staged is what the stages before the function decided for the store. It joins
// the outcome of the event, whether the function runs or not.
type staged struct {
	writes []Write
	adds   []Record
	aside  *asideChange  // see outcome
	count  *atomic.Int64 // counts an event that ends here; nil: nothing does
}

// stages asks what stands between an event and the function, in the key's worker
// and as a part of the transaction: whether it was there before, the stateful
// part of the condition, the gate, and what gathers events. Run is false if the
// event ends here, with what they left in w.staged as its outcome; if that is
// nothing, it is acknowledged at once. An error counts as a failed run. A task
// that is ready has been here before.
func (w *worker) stages(t *task, ev *Event) (run bool, err error) {
	if t.ready {
		return true, nil
	}
	if again, err := w.repeated(t, ev); again || err != nil {
		w.staged.count = &w.fn.agent.counts.duplicates
		return false, err
	}
	tr := t.trigger
	if !tr.staged {
		return true, nil
	}
	w.staged.count = &w.fn.stats.gated
	w.look(t, ev)
	if run, err = w.condition(tr); !run || err != nil {
		return false, err
	}
	if run, err = w.gate(t); !run || err != nil {
		return false, err
	}
	w.staged.count = nil
	if tr.Gather.Kind == GatherNone {
		return true, nil
	}
	return w.gather(t, ev)
}

// look sets what the expressions of the task's trigger look at in this worker:
// an Event of its own, since other workers may decode the data at the same time.
func (w *worker) look(t *task, ev *Event) {
	w.own = *ev
	w.terms = Terms{Event: &w.own, Trigger: &t.trigger.Trigger, State: w.reader}
}

// state is the function's state for conditions, as the run would see it. That it
// cannot be read is no fault of the condition: see condition.
func (w *worker) state(key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	value, err := w.reads.Get(w.inv.scopes[spaceOf(key)], key)
	if err != nil {
		w.unread = fmt.Errorf("read state %q: %w", key, err)
	}
	return value, err
}

// condition asks the stateful part of the trigger's condition.
func (w *worker) condition(tr *compiled) (bool, error) {
	if tr.stateful == nil {
		return true, nil
	}
	w.unread = nil
	ok, err := tr.stateful.Match(w.terms)
	switch {
	case w.unread != nil:
		return false, w.unread
	case err != nil:
		w.fn.stats.conditionErrors.Add(1)
		return false, nil
	}
	return ok, nil
}
