package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// devShow shows what each event leads to: a line for the event, and below it one for
// each effect, for each run that failed, and for what was denied.
type devShow struct {
	*effects
	dev     *dev
	start   time.Time
	color   bool
	publish *brokerConn // nil: nothing leaves
	app     string
	current *agent.Deployment

	events   map[string]string // topics of the newest events, by id
	underway bool              // an event is: what comes is of it
	shown    bool              // something of it
	ran      []string          // functions, for it
	later    string            // what was shown last of what comes later

	mine sync.Mutex
	runs []devRun // since they were shown
}

// devRun is a run that has something to say of itself.
type devRun struct {
	event    string // its id
	function string
	attempt  int
	err      error
	refused  []string
}

func newDevShow(d *dev, dep *agent.Deployment, h recording.Header) *devShow {
	s := &devShow{dev: d, color: colored(d.out), start: h.Start, app: dep.Apps[0].Name, current: dep, events: map[string]string{}}
	s.effects = newEffects(dep, h, s.put)
	return s
}

// follow goes on with another version.
func (s *devShow) follow(dep *agent.Deployment) {
	s.effects.mu.Lock()
	s.effects.names = digestsOf(dep)
	s.effects.mu.Unlock()
	s.mine.Lock()
	defer s.mine.Unlock()
	s.app, s.current = dep.Apps[0].Name, dep
}

// Ran implements agent.Watcher.
func (s *devShow) Ran(inv *agent.Invocation, err error) {
	s.effects.Ran(inv, err)
	s.mine.Lock()
	defer s.mine.Unlock()
	s.runs = append(s.runs, devRun{inv.Event.ID, s.short(inv.Function.Name), inv.Attempt, err, slices.Clone(inv.Usage.Refused)})
}

func (s *devShow) short(name string) string { return strings.TrimPrefix(name, s.app+"/") }

// mostTopics bounds the events that are kept in mind for what comes of them later.
const mostTopics = 10000

// play gives an event to the functions, and shows it with what it leads to.
func (s *devShow) play(ctx context.Context, play *theatre, e *recording.Entry) error {
	s.event(e)
	odd, err := play.judge(ctx, e)
	if err != nil {
		return err // it is under way, and ends with all
	}
	s.told()
	if odd {
		s.line("          %s", s.paint("90", valueless))
		s.shown = true
	}
	s.over()
	return nil
}

// event shows an event that is given to the functions now.
func (s *devShow) event(e *recording.Entry) {
	s.underway, s.shown, s.ran, s.later = true, false, nil, ""
	if len(s.events) >= mostTopics {
		clear(s.events)
	}
	s.events[e.Event.ID] = e.Event.Subject
	heard := listenedTo(s.current, e.Event)
	if heard && e.Event.Via == agent.ViaHTTP {
		s.Answer(e.Event)
	}
	s.line("%s  %s  %s", s.clock(e.At), s.paint("1", plainText([]byte(e.Event.Subject))), cutTo(showBytes, eventData(e.Event)))
	if !heard {
		s.line("          %s", s.paint("90", "no trigger listens to it"))
		s.shown = true
	}
}

func (s *devShow) clock(at time.Duration) string {
	return s.paint("90", s.start.Add(at).Local().Format("15:04:05"))
}

// over ends what is shown of an event.
func (s *devShow) over() {
	switch {
	case s.shown:
	case len(s.ran) > 0:
		s.line("          %s", s.paint("90", strings.Join(s.ran, ", ")+" ran, and did nothing"))
	default:
		s.line("          %s", s.paint("90", "its trigger did not let it through, or gathers it"))
	}
	s.underway = false
}

// told shows the runs that failed or were denied something. Of one that rejected its
// event the dead letter says so.
func (s *devShow) told() {
	s.mine.Lock()
	runs := s.runs
	s.runs = nil
	s.mine.Unlock()
	for _, r := range runs {
		s.ran = append(s.ran, r.function)
		if r.err != nil && !errors.Is(r.err, agent.ErrReject) {
			s.head(r.event, s.effects.now)
			s.effect("failed", "31", fmt.Sprintf("%s, attempt %d: %s", r.function, r.attempt, oneSentence(r.err)))
		}
		for _, what := range r.refused {
			s.head(r.event, s.effects.now)
			s.effect("denied", "31", r.function+": "+what)
		}
	}
}

// head says what the next lines are of, unless that is the event that was shown last.
func (s *devShow) head(event string, at time.Duration) {
	of := fmt.Sprint(event, at)
	if s.underway || s.later == of {
		return
	}
	s.later = of
	topic, id := "", event
	for topic == "" && id != "" { // what was derived of an event has more behind its id
		topic = s.events[id]
		id = id[:max(strings.LastIndexByte(id, '/'), 0)]
	}
	s.line("%s  %s", s.clock(at), s.paint("1", strings.TrimSpace("later, of "+cmp.Or(plainText([]byte(topic)), "the clock"))))
}

// put shows an effect, and publishes it if it is to be.
func (s *devShow) put(e *effect) error {
	if s.dev.output == "json" {
		if err := writeEffects(s.dev.out)(e); err != nil {
			return err
		}
	} else {
		s.told()
		s.head(e.Event, time.Duration(e.At))
		s.describe(e)
	}
	if e.Publish == nil || s.publish == nil {
		return nil
	}
	if err := answered(s.publish.publish(e.Publish.Topic, e.Publish.raw, e.Publish.Retain)); err != nil {
		s.dev.say("publish to %s: %v", e.Publish.Topic, err)
	}
	return nil
}

// describe shows an effect on a line.
func (s *devShow) describe(e *effect) {
	switch {
	case e.Log != nil:
		color := map[string]string{"warn": "33", "error": "31"}[e.Log.Level]
		s.effect("log "+e.Log.Level, color, plainText([]byte(e.Log.Text)))
	case e.State != nil:
		text := plainText([]byte(e.State.Key)) + " = " + e.State.show()
		if e.State.Deleted {
			text = plainText([]byte(e.State.Key)) + " deleted"
		} else if e.State.Expires != nil {
			text += " (for " + (time.Duration(*e.State.Expires) - time.Duration(e.At)).Round(time.Second).String() + ")"
		}
		s.effect("state", "36", text)
	case e.Publish != nil:
		retain := ""
		if e.Publish.Retain {
			retain = " (retained)"
		}
		s.effect("publish", "32", plainText([]byte(e.Publish.Topic))+retain+"  "+e.Publish.show())
	case e.Followup != nil:
		s.effect("follow-up", "32", e.Followup.To+"  "+e.Followup.show())
	case e.Emit != nil:
		s.effect("emit", "32", e.Emit.To+"  "+e.Emit.show())
	case e.Dead != nil:
		s.effect("dead", "31", fmt.Sprintf("given up after %s: %s", agent.CountText(e.Dead.Attempts, "attempt"), plainText([]byte(e.Dead.Reason))))
	case e.Answer != nil:
		text := fmt.Sprint(e.Answer.Status)
		if len(e.Answer.raw) > 0 {
			text += "  " + e.Answer.show()
		}
		s.effect("answer", "32", text)
	}
}

func (s *devShow) effect(kind, color, text string) {
	s.shown = true
	s.line("          %s %s", s.paint(color, fmt.Sprintf("%-9s", kind)), text)
}

func (s *devShow) paint(color, text string) string {
	if !s.color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// line writes a line for people.
func (s *devShow) line(format string, args ...any) {
	if s.dev.output == "text" {
		fmt.Fprintf(s.dev.out, format+"\n", args...)
	}
}
