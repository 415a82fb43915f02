package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// outcome is what one run decided, in the store's terms.
type outcome struct {
	task     *task
	worker   *worker
	event    *Event
	writes   []Write
	adds     []Record
	direct   []Publish // leave at once, without the store
	level    Durability
	grown    [2]int64 // bytes by which the state grows, by space
	dead     bool
	passed   bool          // a stage before the function did not let it through
	count    *atomic.Int64 // counts it; nil: nothing does
	answer   func()        // when it is durable; nil: nobody asks
	aside    *asideChange  // of what is put aside; nil: it stays
	survived *deathKey     // that run is over now; nil: the agent never died in it
	marked   bool          // the committer notes that the trigger is done with the event
}

// answers notes what to tell who asks for what became of the event.
func (o *outcome) answers(result []byte, cause error) {
	if answer := o.task.answer; answer != nil {
		o.answer = func() { answer(result, cause) }
	}
}

// nothing tells that there is nothing for the store to keep.
func (o *outcome) nothing() bool {
	return len(o.writes) == 0 && len(o.adds) == 0 && o.task.seq == 0
}

// outcome turns the effects of a run that succeeded into records and writes. An
// error wraps ErrReject: what its trigger does with the result makes no sense.
func (w *worker) outcome(t *task, ev *Event) (*outcome, error) {
	fx := w.inv.Detach()
	o := &outcome{task: t, worker: w, event: ev, grown: w.inv.grown}
	o.writes, o.adds = append(fx.Writes, w.staged.writes...), w.staged.adds
	o.level = t.durability()
	o.answers(fx.Result, nil)
	if fx.Result != nil && len(t.trigger.Then) > 0 {
		if err := w.then(fx, t, ev, OnOutput, fx.Result); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReject, err)
		}
	}
	w.addOutputs(o, fx)
	w.mark(o)
	return o, nil
}

// deadOutcome is the dead letter of a task, and what else its trigger wants to
// happen then.
func (w *worker) deadOutcome(t *task, ev *Event, cause error) *outcome {
	o := &outcome{task: t, worker: w, event: ev, level: DurabilitySync, dead: true}
	o.answers(nil, cause)
	o.adds = append(o.adds, Record{
		Queue: QueueDead, Kind: KindDead, Key: t.key, Function: w.fn.Name, Trigger: t.trigger.Name,
		Attempts: t.attempts, Reason: cause.Error(), Origin: QueueInbox(w.fn.Name), Ready: t.ready, Event: *ev,
	})
	notice := deadNotice(w.fn.Name, ev, cause)
	var fx Effects
	err := w.then(&fx, t, ev, OnError, notice)
	if topic := t.trigger.Retry.DeadLetter; topic != "" {
		err = errors.Join(err, publish(&fx, t, ev, Publish{Topic: topic, Data: notice, QoS: 1}))
	}
	if err != nil { // the letter is what counts
		w.fn.agent.opts.Log.Error("cannot tell of a dead letter as its trigger says", "trigger", t.trigger.Name, "event", ev.ID, "err", err)
	}
	w.addOutputs(o, &fx)
	w.tellFailure(o, notice)
	w.mark(o)
	return o
}

// deadNotice tells the outside of a dead letter: data stands in it as it is if
// it is JSON, else as data_base64 (as in the JSON format of CloudEvents).
func deadNotice(function string, ev *Event, cause error) []byte {
	notice := map[string]any{"error": cause.Error(), "event": ev.ID, "function": function, "topic": ev.Subject}
	if json.Valid(ev.Data) {
		notice["data"] = json.RawMessage(ev.Data)
	} else {
		notice["data_base64"] = ev.Data
	}
	text, err := json.Marshal(notice)
	if err != nil { // everything in it is valid
		return nil
	}
	return text
}

// addOutputs makes a record of each output. Their ids are derived from the
// event's, so that a rerun gives the same ones.
func (w *worker) addOutputs(o *outcome, fx *Effects) {
	a, n := w.fn.agent, 0
	record := func(queue string, kind RecordKind) *Record {
		o.adds = append(o.adds, Record{
			Queue: queue, Kind: kind, Key: o.task.key, Function: w.fn.Name, Trigger: o.task.trigger.Name,
			Event: Event{
				ID:     derivedID(o.event.ID, &w.fn.Function, o.dead, n),
				Source: "/" + a.opts.Device + "/" + w.fn.Name, Time: o.event.Time, Unsure: o.event.Unsure, Trace: o.event.Trace,
			},
		})
		n++
		return &o.adds[len(o.adds)-1]
	}
	for _, f := range fx.Followups {
		way := w.fn.Way(f.Target)
		if f.Way != nil {
			way = *f.Way
		}
		r := record(QueueTarget(f.Target, way.Priority, way.Latest), KindFollowup)
		r.Priority, r.Latest, r.Shed = way.Priority, way.Latest, way.Shed
		if way.TTL > 0 {
			r.Expires = w.reads.expiry(way.TTL)
		}
		r.Event.Type, r.Event.Subject = TypeFollowup, o.event.Subject
		r.Event.ContentType, r.Event.Data = contentType(f.ContentType, f.Data), f.Data
	}
	for _, e := range fx.Emits {
		r := record(QueueInbox(e.Function), KindEvent)
		r.Trigger, r.Function = "", e.Function
		r.Event.Type, r.Event.Subject, r.Event.Via = TypeEmit, o.event.Subject, o.event.Via
		r.Event.ContentType, r.Event.Data, r.Event.QoS = contentType("", e.Data), e.Data, 1
	}
	for i := range fx.Publishes {
		p := &fx.Publishes[i]
		broker, topic := a.destination(o.event, p)
		if o.level == DurabilityNone && a.opts.Publishers[broker] != nil {
			o.direct = append(o.direct, *p)
			continue
		}
		r := record(QueueBroker(broker), KindPublish)
		r.Key, r.Retain = topic, p.Retain
		r.Event.Type, r.Event.Subject, r.Event.QoS, r.Event.Data = TypePublish, topic, p.QoS, p.Data
	}
}

// Types of the events that the agent makes itself (CloudEvents "type").
const (
	TypeFollowup = "io.skerry.followup"
	TypeEmit     = "io.skerry.emit"
	TypePublish  = "io.skerry.publish"
)

// contentType is given, or what data is.
func contentType(given string, data []byte) string {
	switch {
	case given != "":
		return given
	case json.Valid(data):
		return "application/json"
	case utf8.Valid(data):
		return "text/plain"
	}
	return "application/octet-stream"
}

// mark keeps in mind that this trigger is done with the event, should it be
// delivered again. A run that leaves nothing needs none: it may run again.
func (w *worker) mark(o *outcome) {
	w.fn.agent.deaths.over(o)
	if o.event.Origin.Slot != "" && o.level != DurabilityNone && o.task.pend != nil && !o.nothing() {
		o.marked = len(o.event.ID) <= maxMarkID
		if !o.marked {
			o.writes = append(o.writes, markWrite(o.event, o.task.trigger.Name))
		}
	}
	if o.task.known != "" && (!o.nothing() || len(o.direct) > 0) {
		o.writes = append(o.writes, w.remember(o.task, o.event))
	}
}

// maxChain bounds how long events may go on emitting events: ids grow with
// each step.
const maxChain = 512

// admit refuses an outcome that another part of the device has no room for.
func (w *worker) admit(o *outcome) error {
	functions := w.fn.agent.current.Load().functions
	for i := range o.adds {
		r := &o.adds[i]
		if r.Kind != KindEvent {
			continue
		}
		fn := functions[r.Function]
		switch {
		case r.Ready: // it was counted while it was put aside
		case fn == nil:
			return fmt.Errorf("%w: emitted to %s, which does not run here", ErrReject, r.Function)
		case len(r.Event.ID) > maxChain:
			return fmt.Errorf("%w: events emitted by events in an endless chain", ErrReject)
		case !fn.inbox.hasRoom(recordSize(&r.Event)):
			return fmt.Errorf("emit to %s: its inbox is full: %w; raise limits.inbox of that function", r.Function, ErrLimit)
		}
	}
	return nil
}

// settled does what follows once an outcome is durable.
func (a *Agent) settled(o *outcome) {
	t, fn := o.task, o.worker.fn
	if o.dead {
		a.counts.dead.Add(1)
		fn.stats.dead.Add(1)
	} else if !t.offered.IsZero() && !o.passed {
		a.counts.latency.add(time.Since(t.offered))
	}
	if o.count != nil {
		o.count.Add(1)
	}
	if o.answer != nil {
		o.answer()
	}
	a.tellSettled(o)
	fn.inbox.remove(t)
	if o.survived != nil {
		a.deaths.forget(*o.survived)
	}
	if o.aside != nil {
		a.asides.settled(o.aside)
	}
	functions := a.current.Load().functions
	for i := range o.adds {
		switch r := &o.adds[i]; r.Kind {
		case KindFollowup:
			a.counts.followups.Add(1)
		case KindPublish:
			a.counts.publishes.Add(1)
		case KindEvent:
			if to := functions[r.Function]; to != nil {
				to.deliver(r, &r.Event)
			}
		}
	}
	a.ledger.finish(t.pend)
}
