package agent

import (
	"encoding/json"
	"time"
)

// TypeInside is the type of events about the agent itself (see ViaInside). Their
// subjects, and the data, JSON:
//
//	failure/<app>/<function>   a dead letter: {"error","event","function","topic","data" or "data_base64"}
//	parked/<app>/<function>    it keeps failing and is stopped: {"function","error","retry_at"}
//	unparked/<app>/<function>  it works again: {"function"}
//
// Others come from what is around the agent, through a Source: see cmd/skerry.
const TypeInside = "io.skerry.inside"

// insideEvent is an event about function.
func (a *Agent) insideEvent(what, function string, data any) *Event {
	text, err := json.Marshal(data)
	if err != nil { // only what can be encoded comes here
		text = nil
	}
	return &Event{
		Source: "/" + a.opts.Device + "/agent", Type: TypeInside, Subject: what + "/" + function, Time: a.now(),
		ContentType: "application/json", Data: text, Via: ViaInside, QoS: 1,
	}
}

// heard tells whether any trigger is about the agent itself.
func (d *deployed) heard() bool { return d.router.roots[ViaInside] != nil }

// tellFailure adds the event that a dead letter is to those whose triggers ask
// for it. One of a function that was started by an event of the agent itself is
// told to nobody: it could go round in circles.
func (w *worker) tellFailure(o *outcome, notice []byte) {
	a := w.fn.agent
	current := a.current.Load()
	if !current.heard() || o.event.Via == ViaInside || o.task.trigger.Via == ViaInside {
		return
	}
	ev := a.insideEvent("failure", w.fn.Name, json.RawMessage(notice))
	ev.ID = derivedID(o.event.ID, &w.fn.Function, true, len(o.adds)) + "-failure"
	ev.Time, ev.Unsure, ev.Trace = o.event.Time, o.event.Unsure, o.event.Trace
	for _, rt := range current.router.match(ev, nil) {
		if !rt.fn.inbox.hasRoom(recordSize(ev)) {
			rt.fn.stats.dropped.Add(1)
			a.counts.dropped.Add(1)
			continue
		}
		key, _ := rt.keyOf(ev)
		o.adds = append(o.adds, Record{
			Queue: QueueInbox(rt.fn.Name), Kind: KindEvent, Key: key, Function: rt.fn.Name, Trigger: rt.trigger.Name, Event: *ev,
		})
	}
}

// tell offers an event about the function to triggers that ask for it.
func (w *worker) tell(what string, data any) {
	a := w.fn.agent
	if !a.current.Load().heard() {
		return
	}
	a.Offer(a.insideEvent(what, w.fn.Name, data), func(error) {}) // somebody waits: it is not dropped
}

// parked is the data of an event that says that a function is stopped.
type parked struct {
	Function string    `json:"function"`
	Error    string    `json:"error"`
	RetryAt  time.Time `json:"retry_at"`
}

// unparked is the data of one that says that it works again.
type unparked struct {
	Function string `json:"function"`
}
