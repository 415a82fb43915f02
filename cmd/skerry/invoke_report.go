package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// invokeReport is what skerry invoke tells of the last run for an event.
type invokeReport struct {
	File      string          `json:"file,omitempty"` // of the module; "": it is tried on an agent
	Function  string          `json:"function"`
	Topic     string          `json:"topic,omitempty"` // of the event
	Outcome   string          `json:"outcome"`         // committed, rejected, retry, failed or stopped
	Cause     string          `json:"cause,omitempty"`
	Fault     agent.FaultKind `json:"fault,omitempty"`
	Result    *payload        `json:"result,omitempty"`
	Publishes []publishReport `json:"publishes,omitempty"`
	Followups []sentReport    `json:"followups,omitempty"`
	Emits     []sentReport    `json:"emits,omitempty"`
	Writes    []writeReport   `json:"writes,omitempty"`
	Start     []logReport     `json:"start_log,omitempty"` // while the instance started
	Log       []logReport     `json:"log,omitempty"`
	Dropped   int             `json:"log_dropped,omitempty"` // lines beyond the limit
	Notes     []string        `json:"notes,omitempty"`       // about the function on devices
	Usage     usageReport     `json:"usage"`
	Runs      int             `json:"runs"`
	Median    time.Duration   `json:"median_ns"` // of a run
	Slowest   time.Duration   `json:"slowest_ns"`

	cause     error
	committed int
	times     []time.Duration
	left      func(expires time.Time) time.Duration // nil: by the wall clock
}

type usageReport struct {
	Load    time.Duration `json:"load_ns"` // compiling and starting, once
	Run     time.Duration `json:"run_ns"`
	Fuel    int64         `json:"fuel"`
	Start   int64         `json:"start_fuel,omitempty"` // beside it, of the instance that is made for each run
	Memory  int64         `json:"memory"`               // bytes, at its highest
	Calls   int           `json:"calls"`                // of host functions
	Denied  int           `json:"denied"`
	Refused []string      `json:"refused,omitempty"` // what was denied
}

type publishReport struct {
	Topic  string `json:"topic"`
	QoS    uint8  `json:"qos"`
	Retain bool   `json:"retain"`
	payload
}

type sentReport struct {
	To          string `json:"to"` // central/<target> or local/<function>
	ContentType string `json:"content_type,omitempty"`
	payload
}

type writeReport struct {
	Key     string `json:"key"`
	Deleted bool   `json:"deleted,omitempty"`
	TTL     int64  `json:"ttl_s,omitempty"` // seconds; 0: for ever
	payload
}

type logReport struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

// payload is data as JSON has it best.
type payload struct {
	Data   json.RawMessage `json:"data,omitempty"` // if it is JSON; or
	Text   string          `json:"text,omitempty"` // if it is text; or
	Base64 []byte          `json:"data_base64,omitempty"`

	raw []byte
}

func payloadOf(data []byte) payload {
	p := payload{raw: slices.Clone(data)}
	switch {
	case json.Valid(data):
		p.Data = p.raw
	case utf8.Valid(data):
		p.Text = string(data)
	default:
		p.Base64 = p.raw
	}
	return p
}

// conclude takes down what the last run left in inv.
func (r *invokeReport) conclude(inv *agent.Invocation) {
	fx, u := &inv.Effects, inv.Usage
	r.judge()
	r.Runs = len(r.times)
	last := r.times[r.Runs-1]
	slices.Sort(r.times)
	r.Median, r.Slowest = r.times[r.Runs/2], r.times[r.Runs-1]
	r.Usage = usageReport{
		Load: r.Usage.Load, Run: last, Fuel: u.Fuel, Start: u.Start, Memory: u.Memory,
		Calls: u.Calls, Denied: u.Denied, Refused: u.Refused,
	}
	for _, l := range fx.Logs {
		r.Log = append(r.Log, logReport{strings.ToLower(l.Level.String()), l.Text})
	}
	r.Dropped = fx.Dropped
	if r.cause != nil {
		return // nothing takes effect
	}
	if fx.Result != nil {
		result := payloadOf(fx.Result)
		r.Result = &result
	}
	for _, p := range fx.Publishes {
		r.Publishes = append(r.Publishes, publishReport{p.Topic, p.QoS, p.Retain, payloadOf(p.Data)})
	}
	for _, f := range fx.Followups {
		r.Followups = append(r.Followups, sentReport{"central/" + f.Target, f.ContentType, payloadOf(f.Data)})
	}
	for _, e := range fx.Emits {
		_, name, _ := strings.Cut(e.Function, "/")
		r.Emits = append(r.Emits, sentReport{"local/" + name, "", payloadOf(e.Data)})
	}
	for _, w := range fx.Writes {
		out := writeReport{Key: w.Key, Deleted: w.Value == nil, payload: payloadOf(w.Value)}
		if !w.Expires.IsZero() {
			left := time.Until
			if r.left != nil {
				left = r.left
			}
			out.TTL = int64(left(w.Expires).Round(time.Second).Seconds())
		}
		r.Writes = append(r.Writes, out)
	}
}

// judge tells what the cause of the last run means.
func (r *invokeReport) judge() {
	var fault *agent.Fault
	switch {
	case r.cause == nil:
		r.Outcome = "committed"
		return
	case errors.Is(r.cause, agent.ErrReject):
		r.Outcome = "rejected"
	case errors.Is(r.cause, agent.ErrRetry):
		r.Outcome = "retry"
	case errors.As(r.cause, &fault) && fault.Kind != agent.FaultError:
		r.Outcome, r.Fault = "stopped", fault.Kind
	default:
		r.Outcome = "failed"
	}
	r.Cause = oneSentence(r.cause)
	if fault != nil {
		r.Cause = oneSentence(fault.Err)
	}
}

// raise says how to raise here the limit of the function that the cause names.
var raise = map[agent.FaultKind]string{
	agent.FaultTimeout: "; here with --timeout",
	agent.FaultFuel:    "; here with --fuel",
	agent.FaultMemory:  "; here with --memory",
}

// err is nil if all runs committed; otherwise it has an exit code of its own.
func (r *invokeReport) err() error {
	what := cmp.Or(r.File, r.Function)
	switch r.Outcome {
	case "committed":
		return nil
	case "stopped":
		higher := ""
		if r.File != "" {
			higher = raise[r.Fault]
		}
		return exitError{fmt.Errorf("the sandbox stopped %s: %s: %s%s", what, r.Fault, r.Cause, higher), exitStopped}
	case "rejected":
		return exitError{fmt.Errorf("%s: %s; on a device the event goes to the dead-letter box", what, r.Cause), exitUncommitted}
	case "retry":
		return exitError{fmt.Errorf("%s: %s; on a device the event is run again later", what, r.Cause), exitUncommitted}
	}
	return exitError{fmt.Errorf("%s failed: %s; on a device the event is run again later", what, r.Cause), exitUncommitted}
}

// errOf is nil if everything committed. Of several events, it counts those that
// did not, and has the exit code of the first.
func errOf(reports []*invokeReport) error {
	var first error
	failed := 0
	for _, r := range reports {
		if err := r.err(); err != nil {
			first = cmp.Or(first, err)
			failed++
		}
	}
	var exit exitError
	if len(reports) > 1 && errors.As(first, &exit) {
		return exitError{fmt.Errorf("%d of %d events did not commit, the first: %w", failed, len(reports), exit.error), exit.code}
	}
	return first
}
