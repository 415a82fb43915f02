package agent

import "context"

// passOn is the module of a Function that is a Rule: its result is the event's
// data, and what the trigger does with it is the rest.
type passOn struct{}

func (passOn) Invoke(_ context.Context, inv *Invocation) error {
	inv.Effects.Result = inv.Event.Data // nobody changes the data of an event
	if inv.Effects.Result == nil {
		inv.Effects.Result = []byte{}
	}
	return nil
}

func (passOn) Close(context.Context) error { return nil }
