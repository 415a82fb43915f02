package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Trial is a function that runs here, made ready for one run of which nothing is kept:
// nothing is written, published or sent, and no counter of the function moves.
type Trial struct {
	Function   Function    // as it is deployed
	Invocation *Invocation // begun; after the run it has what was decided
	Trigger    string      // that would take the event; "" if none would
	Notes      []string    // sentences: what a person should know of the event on this device

	worker *worker // for what the trigger does with the result
	task   *task   // nil: no trigger takes the event
}

// Try makes a Trial of the named function for ev. It reads the state as it is, has the
// secrets of the device, and makes its requests with fetch. An event without Via
// comes over whatever the first of the function's triggers listens to that takes its
// subject.
func (a *Agent) Try(name string, ev *Event, fetch Fetcher) (*Trial, error) {
	deployed := a.current.Load()
	fn := deployed.functions[name]
	if fn == nil {
		return nil, fmt.Errorf("no function %.80q runs here: skerry status lists those that do", name)
	}
	t := &Trial{Function: fn.Function, worker: newWorker(fn, passOn{})}
	t.Invocation = NewInvocation(&t.Function, trialState{a.store, fn}, Outside{Secrets: a.opts.Secrets, Fetch: fetch})
	t.Invocation.Begin(ev, name, 1)
	if fn.handover != nil && !fn.inherited.Load() {
		t.Notes = append(t.Notes, fmt.Sprintf("%s does not run yet: its state may not be all there", name))
	}
	if tr := deployed.ownTrigger(name, ev); tr != nil {
		t.takes(tr, ev)
	} else {
		t.Notes = append(t.Notes, fmt.Sprintf("no trigger of %s takes %q: the event would not start it, and what triggers do with results is left out", name, ev.Subject))
	}
	return t, nil
}

// takes has the run be one for the trigger.
func (t *Trial) takes(tr *compiled, ev *Event) {
	ev.Via, t.Trigger = tr.Via, tr.Name
	t.task = &task{ev: ev, trigger: tr}
	t.Invocation.Trigger, t.Invocation.trigger = tr.Name, &tr.Trigger
	if tr.stateless != nil {
		if ok, err := tr.stateless.Match(Terms{Event: ev, Trigger: &tr.Trigger}); err != nil || !ok {
			t.Notes = append(t.Notes, fmt.Sprintf("the condition of %s does not hold for this event, which would not start the function", tr.Name))
		}
	}
	if tr.staged {
		t.Notes = append(t.Notes, fmt.Sprintf("%s goes by earlier events too (condition, gate or window): that is left out here", tr.Name))
	}
}

// Invoke runs m, an instance of the function's module, and adds what the trigger does
// with the result. A rule has no module.
func (t *Trial) Invoke(ctx context.Context, m Module) error {
	if t.Function.Rule {
		m = passOn{}
	}
	turns, claim, inv := t.worker.fn.agent.turns, newClaim(&Function{}), t.Invocation // of the lowest priority
	turns.take(claim)
	err := m.Invoke(ctx, inv)
	turns.give(claim)
	if err != nil || t.task == nil || inv.Effects.Result == nil {
		return err
	}
	if err := t.worker.then(&inv.Effects, t.task, inv.Event, OnOutput, inv.Effects.Result); err != nil {
		return fmt.Errorf("%w: %w", ErrReject, err)
	}
	return nil
}

// ownTrigger is the first trigger of a function, by name, that listens to what ev is
// about. If ev has a Via it must be that.
func (d *deployed) ownTrigger(function string, ev *Event) *compiled {
	var own []*compiled
	for _, tr := range d.triggers {
		if tr.Function == function && (ev.Via == "" || ev.Via == tr.Via) && MatchTopic(tr.Filter, ev.Subject) {
			own = append(own, tr)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return slices.MinFunc(own, func(x, y *compiled) int { return strings.Compare(x.Name, y.Name) })
}

// Takers are the triggers that would take ev now, by its topic and the conditions that
// look at one event. If it has no Via, it is given that of the first trigger of the
// named function that listens to its subject.
func (a *Agent) Takers(function string, ev *Event) []Trigger {
	deployed := a.current.Load()
	if tr := deployed.ownTrigger(function, ev); tr != nil && ev.Via == "" {
		ev.Via = tr.Via
	}
	var out []Trigger
	for _, rt := range deployed.router.match(ev, nil) {
		out = append(out, rt.trigger.Trigger)
	}
	return out
}

// trialState is the committed state, as a run that writes nothing reads it.
type trialState struct {
	View
	fn *function
}

// Used implements Sized.
func (s trialState) Used(shared bool) int64 {
	if shared {
		return s.fn.spaces[appSpace].bytes.Load()
	}
	return s.fn.spaces[ownSpace].bytes.Load()
}
