package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// playHere plays the recording to functions that run in this process. Effects go
// to out if no file was named for them.
func (o *playOptions) playHere(ctx context.Context, out, said io.Writer) (err error) {
	r, file, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := &r.Header
	h.Device, h.Broker = cmp.Or(h.Device, "local"), cmp.Or(h.Broker, recording.DefaultBroker)
	device := fleetsync.Device{
		ID: h.Device, Brokers: []string{h.Broker},
		Arch: runtime.GOARCH, Interpreted: wasm.Interpreted(), Release: version,
	}
	var apps []string
	for _, place := range o.apps {
		app, err := appAt(place)
		if err != nil {
			return err
		}
		apps = append(apps, app)
	}
	d, modules, err := fleetsync.LocalDeployment(apps, device, publishChecks())
	if err != nil {
		return usageError{err}
	}
	sink, err := o.sink(out)
	if err != nil {
		return err
	}
	effects := newEffects(&d, *h, writeEffects(sink))
	st, err := openStage(*h, modulesOf(modules), effects, secretFlags(o.secrets).value)
	if err != nil {
		return errors.Join(err, sink.Close())
	}
	play := theatre{stage: st, effects: effects, pace: newPacer(o.factor, said), start: h.Start}
	var p played
	err = st.run(ctx, d, func(ctx context.Context) (err error) {
		p, err = o.each(r, func(e *recording.Entry) error {
			if ownEvent(e.Event) {
				return nil
			}
			return play.event(ctx, e)
		})
		if err != nil {
			return err
		}
		return play.rest(ctx)
	})
	play.pace.end()
	if err = errors.Join(err, sink.Close()); err != nil {
		return err
	}
	p.tell(said, time.Since(play.pace.begun), fmt.Sprintf("to %s, with %s", agent.CountText(len(d.Functions), "function"), agent.CountText(effects.written, "effect")))
	return sink.compare(said)
}

// ownEvent tells whether a recorded event is of those that an agent makes of what
// its functions do: the one that plays makes them itself.
func ownEvent(ev *agent.Event) bool {
	what, _, _ := strings.Cut(ev.Subject, "/")
	return ev.Type == agent.TypeInside && strings.HasSuffix(ev.Source, "/agent") && (what == "parked" || what == "unparked")
}

// theatre plays events to a stage: one after the other, and between them what
// falls due by the clock of the recording.
type theatre struct {
	stage   *stage
	effects *effects
	pace    *pacer
	start   time.Time
}

// event has the stage's clock go on to the time of e, and offers it.
func (t *theatre) event(ctx context.Context, e *recording.Entry) error {
	if err := t.until(ctx, e.At); err != nil {
		return err
	}
	if err := t.hold(ctx, e.At); err != nil {
		return err
	}
	refused := make(chan error, 1)
	done := func(err error) { refused <- err }
	if e.Event.QoS == 0 {
		done = nil // as a source does
	}
	t.stage.agent.Offer(e.Event, done)
	if _, err := t.quiet(ctx); err != nil {
		return err
	}
	select {
	case err := <-refused:
		if err != nil {
			return fmt.Errorf("the event %s was not taken: %w", e.Event.ID, err)
		}
	default: // it waits, on disk or in a window
	}
	return t.effects.step(ctx, t.stage)
}

// judge is event; it tells whether an expression of a trigger could not be evaluated.
func (t *theatre) judge(ctx context.Context, e *recording.Entry) (valueless bool, err error) {
	before := t.stage.unevaluated()
	if err := t.event(ctx, e); err != nil {
		return false, err
	}
	return t.stage.unevaluated() > before, nil
}

// hold waits until it is time for what is at.
func (t *theatre) hold(ctx context.Context, at time.Duration) error {
	if wait := t.pace.wait(at); wait > 0 && !pause(ctx, wait) || ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return nil
}

// until lets everything happen that falls due before at, or then.
func (t *theatre) until(ctx context.Context, at time.Duration) error {
	for {
		next, err := t.quiet(ctx)
		if err != nil {
			return err
		}
		if next.IsZero() || next.After(t.start.Add(at)) {
			break
		}
		if err := t.hold(ctx, next.Sub(t.start)); err != nil {
			return err
		}
		if err := t.due(ctx, next); err != nil {
			return err
		}
	}
	t.stage.agent.Advance(t.start.Add(at))
	t.effects.now = at
	return nil
}

// due has the clock go on to a time at which something falls due.
func (t *theatre) due(ctx context.Context, at time.Time) error {
	t.stage.agent.Advance(at)
	t.effects.now = at.Sub(t.start)
	if _, err := t.quiet(ctx); err != nil {
		return err
	}
	return t.effects.step(ctx, t.stage)
}

// longestRest is how long the clock goes on behind the last event at most, for
// windows that are open and events that are to be tried again.
const longestRest = 10 * 365 * 24 * time.Hour

// rest lets everything happen that is still to come. It takes no time.
func (t *theatre) rest(ctx context.Context) error {
	end := t.start.Add(t.effects.now + longestRest)
	for {
		next, err := t.quiet(ctx)
		if err != nil || next.IsZero() || next.After(end) {
			return err
		}
		if err := t.due(ctx, next); err != nil {
			return err
		}
	}
}

// longestRun is what no run takes: limits.timeout is at most 15 minutes.
const longestRun = 16 * time.Minute

// quiet waits until all is done that can be done by now; next is when something
// falls due, zero: never.
func (t *theatre) quiet(ctx context.Context) (next time.Time, err error) {
	for n, since := 0, time.Now(); ; n++ {
		next, idle := t.stage.agent.Idle()
		switch {
		case idle:
			return next, nil
		case n < 100:
			runtime.Gosched()
		case !pause(ctx, 50*time.Microsecond):
			return next, errors.New("interrupted")
		case time.Since(since) > longestRun:
			return next, fmt.Errorf("nothing has come to an end for %s: please report this, with the recording", longestRun)
		}
		if err := t.stage.broken(); err != nil {
			return next, err
		}
	}
}

// sink is where effects are written to, and compared.
type sink struct {
	*bufio.Writer
	file   *os.File // nil: it is not ours to close
	expect string   // name of the file to compare with; "": none
	lines  lineKeeper
}

// sink opens what the flags name.
func (o *playOptions) sink(out io.Writer) (*sink, error) {
	s := &sink{expect: o.expect}
	var to []io.Writer
	if o.expect != "" {
		if _, err := os.Stat(o.expect); err != nil {
			return nil, usageError{fmt.Errorf("--expect: %w; make it with --effects %s", err, o.expect)}
		}
		to = append(to, &s.lines)
	}
	switch {
	case o.effects == "-" || o.effects == "" && o.expect == "":
		to = append(to, out)
	case o.effects != "":
		var err error
		if s.file, err = os.Create(o.effects); err != nil {
			return nil, usageError{fmt.Errorf("--effects: %w", err)}
		}
		to = append(to, s.file)
	}
	s.Writer = bufio.NewWriterSize(io.MultiWriter(to...), 64<<10)
	return s, nil
}

// Close writes out what is left.
func (s *sink) Close() error {
	err := s.Flush()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	if err != nil {
		return fmt.Errorf("write the effects: %w", err)
	}
	return nil
}

// modulesOf are the modules of apps by their digest.
type modulesOf map[agent.Digest][]byte

func (m modulesOf) Blob(d agent.Digest) ([]byte, error) { return m[d], nil }
