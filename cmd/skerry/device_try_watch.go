package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// triedReport is what came of an event that was offered for good.
type triedReport struct {
	Event    string         `json:"event"` // its id
	Via      string         `json:"via"`   // the source that it was offered as of
	Triggers []*takenReport `json:"triggers"`
}

// takenReport is what became of it for one trigger: a run's report, whose outcome is
// committed, dead-lettered, kept back (by what stands before the function, or put
// aside there) or waiting (for another try, or a turn).
type takenReport struct {
	Trigger  string `json:"trigger"`
	Attempts int    `json:"attempts"`
	Error    string `json:"error,omitempty"`
	invokeReport

	settled bool
}

const (
	outcomeWaiting = "waiting"
	outcomeKept    = "kept back"
	outcomeDead    = "dead-lettered"
)

// tryWatch is told what functions do, and takes down what is of one event.
type tryWatch struct {
	left func(time.Time) time.Duration
	all  chan struct{} // closed when every trigger has its outcome

	mu   sync.Mutex
	told triedReport
	open int // triggers without an outcome
}

func newTryWatch(ev *agent.Event, left func(time.Time) time.Duration) *tryWatch {
	return &tryWatch{left: left, all: make(chan struct{}), told: triedReport{Event: ev.ID, Via: ev.Via, Triggers: []*takenReport{}}}
}

// expect is called for each trigger before the event is offered.
func (w *tryWatch) expect(t *agent.Trigger) {
	w.told.Triggers = append(w.told.Triggers, &takenReport{Trigger: t.Name, invokeReport: invokeReport{Function: t.Function, Outcome: outcomeWaiting}})
	w.open++
}

// of is what becomes of an event for a trigger; nil: it is not what is watched. The
// lock is held.
func (w *tryWatch) of(event, trigger string) *takenReport {
	if event != w.told.Event {
		return nil
	}
	for _, t := range w.told.Triggers {
		if t.Trigger == trigger && !t.settled {
			return t
		}
	}
	return nil
}

// Ran implements agent.Watcher. The last run counts.
func (w *tryWatch) Ran(inv *agent.Invocation, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.of(inv.Event.ID, inv.Trigger)
	if t == nil {
		return
	}
	t.Attempts = inv.Attempt
	t.invokeReport = invokeReport{Function: inv.Function.Name, Topic: inv.Event.Subject, cause: err, left: w.left, times: []time.Duration{inv.Usage.Took}}
	t.conclude(inv)
}

// Settled implements agent.Watcher.
func (w *tryWatch) Settled(o *agent.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.of(o.Event.ID, o.Trigger)
	if t == nil {
		return
	}
	t.settle(o)
	if w.open--; w.open == 0 {
		close(w.all)
	}
}

// settle takes down an outcome, with what the trigger did with the result.
func (t *takenReport) settle(o *agent.Outcome) {
	t.settled = true
	switch {
	case o.Dead:
		t.Outcome = outcomeDead
	case o.Kept:
		t.Outcome = outcomeKept
	}
	var publishes []publishReport
	t.Followups, t.Emits = nil, nil
	for i := range o.Records {
		r := &o.Records[i]
		data := payloadOf(r.Event.Data)
		switch {
		case r.Kind == agent.KindPublish:
			publishes = append(publishes, publishReport{r.Event.Subject, r.Event.QoS, r.Retain, data})
		case r.Kind == agent.KindFollowup:
			target, _, _, _ := agent.SplitTarget(r.Queue)
			t.Followups = append(t.Followups, sentReport{"central/" + target, r.Event.ContentType, data})
		case r.Kind == agent.KindEvent && r.Event.Type == agent.TypeEmit:
			_, name, _ := strings.Cut(r.Function, "/")
			t.Emits = append(t.Emits, sentReport{"local/" + name, "", data})
		case r.Kind == agent.KindDead:
			t.Error = r.Reason
		}
	}
	if len(publishes) >= len(t.Publishes) { // with durability: none they leave without a record
		t.Publishes = publishes
	}
}

// report is what is known by now.
func (w *tryWatch) report() *triedReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.told
	told.Triggers = nil
	for _, t := range w.told.Triggers {
		now := *t
		if !now.settled {
			now.Outcome, now.Error = outcomeWaiting, fmt.Sprintf("it has no outcome after %s, and gets one by itself", admin.TryFor)
			if now.Cause != "" {
				now.Error = fmt.Sprintf("it is tried again by itself; attempt %d: %s", now.Attempts, now.Cause)
			}
		}
		told.Triggers = append(told.Triggers, &now)
	}
	return &told
}
