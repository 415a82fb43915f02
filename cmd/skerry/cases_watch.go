package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/cases"
	"github.com/skerry-edge/skerry/internal/recording"
)

// caseWatch takes down what a test leads to.
type caseWatch struct {
	*effects
	app  *tested
	out  *cases.Outcome
	over time.Duration // when the test ended
	next time.Duration // when something falls due behind that; 0: nothing does

	valueless []int // numbers of events for which an expression could not be evaluated

	mine    sync.Mutex
	numbers map[string]int // of events, by id
	ran     map[string]*caseRun
	order   []string // keys of ran
}

// caseRun is the last run for an event and trigger.
type caseRun struct {
	event    int
	function string
	attempts int
	err      error // nil: it committed
	dead     bool
	refused  []string
}

func (w *caseWatch) number(ev *agent.Event, n int) {
	w.mine.Lock()
	defer w.mine.Unlock()
	w.numbers[ev.ID] = n
}

// event is the number of the event that an id, or what was derived from it, is of.
// Under w.mine.
func (w *caseWatch) event(id string) int {
	for {
		if n, ok := w.numbers[id]; ok {
			return n
		}
		cut := strings.LastIndexByte(id, '/')
		if cut < 0 {
			return 0
		}
		id = id[:cut]
	}
}

// Ran implements agent.Watcher.
func (w *caseWatch) Ran(inv *agent.Invocation, err error) {
	w.effects.Ran(inv, err)
	w.mine.Lock()
	defer w.mine.Unlock()
	key := inv.Event.ID + "\x00" + inv.Trigger + "\x00" + inv.Function.Name
	r := w.ran[key]
	if r == nil {
		r = &caseRun{event: w.event(inv.Event.ID), function: w.app.short(inv.Function.Name)}
		w.ran[key] = r
		w.order = append(w.order, key)
	}
	r.attempts, r.err = r.attempts+1, err
	for _, what := range inv.Usage.Refused {
		if !slices.Contains(r.refused, what) {
			r.refused = append(r.refused, what)
		}
	}
}

// Settled implements agent.Watcher.
func (w *caseWatch) Settled(o *agent.Outcome) {
	w.effects.Settled(o)
	w.mine.Lock()
	defer w.mine.Unlock()
	if r := w.ran[o.Event.ID+"\x00"+o.Trigger+"\x00"+o.Function]; r != nil && o.Dead {
		r.dead = true
	}
}

// short is the name of a function or trigger without its app.
func (a *tested) short(name string) string { return strings.TrimPrefix(name, a.name+"/") }

// put takes down an effect.
func (w *caseWatch) put(e *effect) error {
	w.mine.Lock()
	defer w.mine.Unlock()
	out := cases.Effect{
		Event: w.event(e.Event), At: time.Duration(e.At), Function: w.app.short(e.Function), Trigger: w.app.short(e.Trigger),
	}
	fields := func(kind string, data []byte, pairs ...string) {
		out.Kind, out.Data = kind, data
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "" {
				out.Fields = append(out.Fields, cases.Field{Name: pairs[i], Value: pairs[i+1]})
			}
		}
	}
	switch {
	case e.Publish != nil:
		p := e.Publish
		fields(cases.Publish, p.raw, "broker", p.Broker, "topic", p.Topic, "qos", fmt.Sprint(p.QoS), "retain", fmt.Sprint(p.Retain))
	case e.Followup != nil:
		fields(cases.Followup, e.Followup.raw, "target", strings.TrimPrefix(e.Followup.To, "central/"), "contentType", e.Followup.ContentType)
	case e.Emit != nil:
		fields(cases.Emit, e.Emit.raw, "function", strings.TrimPrefix(e.Emit.To, "local/"))
	case e.Dead != nil:
		fields(cases.Dead, []byte(e.Dead.Reason), "topic", e.Dead.Topic, "attempts", fmt.Sprint(e.Dead.Attempts))
	case e.Answer != nil:
		fields(cases.Answer, e.Answer.raw, "status", fmt.Sprint(e.Answer.Status))
	case e.Log != nil:
		fields(cases.Log, []byte(e.Log.Text), "level", e.Log.Level)
	case e.State != nil:
		ttl := ""
		if e.State.Expires != nil {
			ttl = agent.DurationText(time.Duration(*e.State.Expires - e.At))
		}
		fields(cases.State, e.State.raw, "key", e.State.Key, "deleted", fmt.Sprint(e.State.Deleted), "ttl", ttl)
	}
	w.out.Effects = append(w.out.Effects, out)
	return nil
}

// notes says of which events no effects came because something went wrong.
func (w *caseWatch) notes(t *cases.Test, d *agent.Deployment, h *recording.Header) {
	w.mine.Lock()
	defer w.mine.Unlock()
	note := func(event int, fails bool, format string, args ...any) {
		w.out.Notes = append(w.out.Notes, cases.Note{Event: event, Fails: fails, Text: fmt.Sprintf(format, args...)})
	}
	began, waits := map[int]bool{}, false
	for _, key := range w.order {
		r := w.ran[key]
		began[r.event] = true
		if r.err != nil && !r.dead && w.out.Err == nil {
			waits = true
			more := ""
			if w.next > 0 {
				more = "; it is to be tried again: go on with until to see what comes of it"
			}
			note(r.event, true, "%s failed: %s%s", r.function, oneSentence(r.err), more)
		}
		for _, what := range r.refused {
			note(r.event, false, "%s was denied %s", r.function, what)
		}
	}
	for i := range t.Events {
		e := t.Events[i].Entry(h, w.app.name, i+1)
		switch {
		case !listenedTo(d, e.Event):
			note(i+1, false, "no trigger of %s listens to it", w.app.file)
		case slices.Contains(w.valueless, i+1):
			note(i+1, false, valueless)
		case !began[i+1] && w.out.Err == nil:
			why := "its trigger did not let it through, or gathers it"
			if waits {
				why += ", or it waits for one above that is to be tried again"
			}
			note(i+1, false, "no function ran for it: %s", why)
		}
	}
	if w.next > 0 {
		note(len(t.Events), false, "something more falls due at %s, behind the end of the test at %s: write a longer until to see it", agent.DurationText(w.next), agent.DurationText(w.over))
	}
}

// listenedTo tells whether a trigger listens to what an event is about.
func listenedTo(d *agent.Deployment, ev *agent.Event) bool {
	return slices.ContainsFunc(d.Triggers, func(t agent.Trigger) bool {
		return t.Via == ev.Via && agent.MatchTopic(t.Filter, ev.Subject) && !(t.IgnoreRetained && ev.Retained)
	})
}
