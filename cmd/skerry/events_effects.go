package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/sensors"
)

// effect is one thing that functions did, as it stands in a file of effects: at
// which time of the recording, because of which event (an id that names the
// functions it went through), for which trigger.
type effect struct {
	At       playTime       `json:"at"`
	Event    string         `json:"event"`
	Trigger  string         `json:"trigger,omitempty"`  // none: an event that a function emitted
	Function string         `json:"function,omitempty"` // none: of an answer
	Log      *logReport     `json:"log,omitempty"`      // one of these
	State    *stateEffect   `json:"state,omitempty"`
	Publish  *publishEffect `json:"publish,omitempty"`
	Followup *sentReport    `json:"followup,omitempty"`
	Emit     *sentReport    `json:"emit,omitempty"`
	Dead     *deadEffect    `json:"dead,omitempty"`
	Answer   *answerEffect  `json:"answer,omitempty"` // to who posted the event and waits

	attempt int // of the run; outcomes come after all of them
}

// last puts what the caller is answered behind all that led to it.
func (e *effect) last() int {
	if e.Answer != nil {
		return 1
	}
	return 0
}

// playTime is a time of the recording.
type playTime time.Duration

func (s playTime) MarshalJSON() ([]byte, error) {
	return recording.AppendSeconds(nil, time.Duration(s)), nil
}

type stateEffect struct {
	Key     string    `json:"key"`
	Deleted bool      `json:"deleted,omitempty"`
	Expires *playTime `json:"expires,omitempty"` // as at; none: never
	payload
}

type publishEffect struct {
	Broker string `json:"broker,omitempty"` // none: the first
	Topic  string `json:"topic"`
	QoS    uint8  `json:"qos"`
	Retain bool   `json:"retain,omitempty"`
	payload
}

type deadEffect struct {
	Topic    string `json:"topic,omitempty"`
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason"`
}

// answerEffect is what an HTTP caller gets.
type answerEffect struct {
	Status int `json:"status"`
	payload
}

// effects takes down what functions do, and hands it on in an order that is the
// same each time: by step (an event, or something that falls due), then by event
// and trigger, then as the function decided it.
type effects struct {
	now     time.Duration // of the recording
	start   time.Time
	put     func(*effect) error // takes them, in that order
	written int
	names   *strings.Replacer // takes digests out of ids
	broker  string            // the usual one

	mu   sync.Mutex
	list []effect // of this step
	logs map[string][]effect
	done []uint64 // records that nobody takes
}

func newEffects(d *agent.Deployment, h recording.Header, put func(*effect) error) *effects {
	return &effects{start: h.Start, broker: h.Broker, put: put, names: digestsOf(d), logs: map[string][]effect{}}
}

// digestsOf takes the digests of functions out of ids.
func digestsOf(d *agent.Deployment) *strings.Replacer {
	var names []string
	for i := range d.Functions {
		fn := &d.Functions[i]
		names = append(names, "/"+fn.Name+"/"+fn.Version()+"/", "/"+fn.Name+"/")
	}
	return strings.NewReplacer(names...)
}

// Ran takes down what a run logged. One that is repeated logs the same again.
func (x *effects) Ran(inv *agent.Invocation, _ error) {
	if len(inv.Effects.Logs) == 0 {
		return
	}
	base := effect{Event: inv.Event.ID, Trigger: inv.Trigger, Function: inv.Function.Name, attempt: inv.Attempt}
	var logs []effect
	for _, l := range inv.Effects.Logs {
		e := base
		e.Log = &logReport{strings.ToLower(l.Level.String()), l.Text}
		logs = append(logs, e)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.logs[fmt.Sprint(base.Event, "\x00", base.Trigger, "\x00", base.Function, "\x00", base.attempt)] = logs
}

const outcomeAttempt = 1 << 30 // behind all runs

// Answer takes down what somebody gets who posted ev and waits as long as it takes.
func (x *effects) Answer(ev *agent.Event) {
	ev.Answer = func(result []byte, err error) {
		status, body := sensors.AnswerOf(result, err)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.list = append(x.list, effect{Event: ev.ID, Answer: &answerEffect{status, payloadOf(body)}})
	}
}

// Settled takes down what came of an event.
func (x *effects) Settled(o *agent.Outcome) {
	x.mu.Lock()
	defer x.mu.Unlock()
	base := effect{Event: o.Event.ID, Trigger: o.Trigger, Function: o.Function, attempt: outcomeAttempt}
	for i := range o.Writes {
		w := &o.Writes[i]
		if !strings.HasPrefix(w.Scope, "state/") {
			continue // the agent's own
		}
		e := base
		e.State = &stateEffect{Key: w.Key, Deleted: w.Value == nil, payload: payloadOf(w.Value)}
		if !w.Expires.IsZero() {
			at := playTime(w.Expires.Sub(x.start))
			e.State.Expires = &at
		}
		x.list = append(x.list, e)
	}
	for i := range o.Records {
		e := base
		if x.fill(&e, &o.Records[i]) {
			x.list = append(x.list, e)
		}
	}
}

// fill takes down a record; false says that it is none that functions decided.
func (x *effects) fill(e *effect, r *agent.Record) bool {
	data := payloadOf(r.Event.Data)
	switch {
	case r.Kind == agent.KindPublish:
		broker := strings.TrimPrefix(r.Queue, agent.QueueBroker(""))
		if broker == x.broker {
			broker = ""
		}
		e.Publish = &publishEffect{broker, r.Event.Subject, r.Event.QoS, r.Retain, data}
		x.done = append(x.done, r.Seq)
	case r.Kind == agent.KindFollowup:
		target, _, _, _ := agent.SplitTarget(r.Queue)
		e.Followup = &sentReport{"central/" + target, r.Event.ContentType, data}
		x.done = append(x.done, r.Seq)
	case r.Kind == agent.KindEvent && r.Event.Type == agent.TypeEmit:
		_, name, _ := strings.Cut(r.Function, "/")
		e.Emit = &sentReport{"local/" + name, "", data}
	case r.Kind == agent.KindDead:
		e.Dead = &deadEffect{r.Event.Subject, r.Attempts, r.Reason}
	default:
		return false
	}
	return true
}

// step hands on what was done since the last one.
func (x *effects) step(ctx context.Context, s *stage) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, logs := range x.logs {
		x.list = append(x.list, logs...)
	}
	slices.SortStableFunc(x.list, func(a, b effect) int {
		return cmp.Or(strings.Compare(a.Event, b.Event), a.last()-b.last(), strings.Compare(a.Trigger, b.Trigger),
			strings.Compare(a.Function, b.Function), a.attempt-b.attempt)
	})
	for i := range x.list {
		e := &x.list[i]
		e.At, e.Event = playTime(x.now), x.names.Replace(e.Event)
		if err := x.put(e); err != nil {
			return err
		}
		x.written++
	}
	done := x.done
	x.list, x.done = x.list[:0], nil
	clear(x.logs)
	return s.forget(ctx, done)
}

// writeEffects writes effects to out, a line of JSON each.
func writeEffects(out io.Writer) func(*effect) error {
	return func(e *effect) error {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write an effect: %w", err)
		}
		_, err := out.Write(b.Bytes())
		return err
	}
}
