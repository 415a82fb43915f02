package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// invokeTrial is one function that is tried with some events.
type invokeTrial struct {
	file   string
	module oneModule
	inv    *agent.Invocation
	state  *fileState
	notes  []string
}

// run loads the module and gives it each event, times times or until a run does
// not commit. State is carried from one to the next. An error says that nothing
// could be run.
func (t *invokeTrial) run(ctx context.Context, events []*agent.Event, times int) (reports []*invokeReport, err error) {
	var said []logReport
	rt := sandbox(t.module, func(level slog.Level, text string) {
		said = append(said, logReport{strings.ToLower(level.String()), text})
	}, nil)
	defer closing(&err, rt.Close)
	begin := time.Now()
	m, err := rt.Load(ctx, *t.inv.Function)
	if err != nil {
		return nil, t.unloaded(err)
	}
	took, notes := time.Since(begin), t.notes
	defer closing(&err, m.Close)
	for _, ev := range events {
		r := &invokeReport{File: t.file, Function: t.inv.Function.Name, Topic: ev.Subject, Notes: notes, Start: said}
		r.Usage.Load = took
		if err := r.fill(ctx, m, t.inv, ev, times, t.state); err != nil {
			return nil, err
		}
		reports = append(reports, r)
		said, took, notes = nil, 0, nil
	}
	return reports, nil
}

// unloaded is why the module does not load. What the sandbox stopped while it
// started has the exit code of what it stops later.
func (t *invokeTrial) unloaded(err error) error {
	text := loadText(err, t.inv.Function.Name)
	var fault *agent.Fault
	if errors.As(err, &fault) && fault.Kind != agent.FaultError {
		cause := oneSentence(fault.Err)
		return exitError{fmt.Errorf("the sandbox stopped %s while it started: %s: %s%s", t.file, fault.Kind, cause, raise[fault.Kind]), exitStopped}
	}
	if strings.Contains(text, "limits.memory") {
		text += raise[agent.FaultMemory]
	}
	return fmt.Errorf("%s does not load: %s", t.file, text)
}

// fill gives the module an event, as often as asked or until a run does not
// commit.
func (r *invokeReport) fill(ctx context.Context, m agent.Module, inv *agent.Invocation, ev *agent.Event, times int, state *fileState) error {
	for n := 1; n <= times && r.cause == nil; n++ {
		run := *ev
		run.Time = time.Now()
		if n > 1 {
			run.ID += fmt.Sprintf("-%d", n)
		}
		inv.Begin(&run, inv.Function.Name, 1)
		begin := time.Now()
		r.cause = m.Invoke(ctx, inv)
		r.times = append(r.times, time.Since(begin))
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if r.cause == nil {
			r.committed++
			state.apply(inv.Effects.Writes)
		}
	}
	r.conclude(inv)
	return nil
}
