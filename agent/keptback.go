package agent

import "sync"

// keptBack remembers, in memory, which events a gate kept back: such an event
// leaves nothing on disk, and when it is delivered again because its
// acknowledgement was lost, the gate has moved on and could let it through.
// After a crash, or when thousands were kept back since, it is looked at again
// by what is known then.
type keptBack struct {
	mu    sync.Mutex
	notes [4096]keptNote // by place and trigger; a newer one takes the place of an older
}

type keptNote struct{ at, event uint64 }

// place is where the note of a trigger about the event in a slot lies.
func (k *keptBack) place(a *Agent, ev *Event, trigger string) (note *keptNote, at uint64) {
	at = a.hash(ev.Origin.Slot, trigger)
	return &k.notes[at%uint64(len(k.notes))], at
}

// add notes that the trigger's gate kept ev back.
func (k *keptBack) add(a *Agent, ev *Event, trigger string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	note, at := k.place(a, ev, trigger)
	*note = keptNote{at, ev.Origin.Hash}
}

// strike drops the routes whose gate kept this redelivered event back.
func (k *keptBack) strike(a *Agent, ev *Event, routes []*route) []*route {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := routes[:0]
	for _, rt := range routes {
		if note, at := k.place(a, ev, rt.trigger.Name); *note != (keptNote{at, ev.Origin.Hash}) {
			left = append(left, rt)
		}
	}
	return left
}
