package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// playOptions are the flags of skerry events play.
type playOptions struct {
	file    string
	speed   string
	topic   string
	to      string // URL of a broker
	retain  bool
	apps    []string // manifests
	secrets []string
	effects string // file to write
	expect  string // file to compare with

	factor float64 // of speed; 0: as fast as it goes
}

func playCommand() *cobra.Command {
	var o playOptions
	cmd := &cobra.Command{
		Use:   "play FILE (--to mqtt://HOST:PORT | --app app.yaml)",
		Short: "Play recorded events to a broker, or straight to functions",
		Long: `Play a recording (of skerry events record, or written by hand) to a broker, or
straight to the functions of apps.

With --to, what came over MQTT is published at QoS 1 to the topics it had, in its
order, at the pace of the recording or --speed times as fast.

With --app, the functions run here, in an agent that starts with nothing and is
gone afterwards. Its clock is that of the recording: windows, limits and pauses
follow the recorded times at any speed, so that functions that ask for no random
numbers have the same effects, byte for byte, each time. Effects are
publishes, follow-ups, events for functions, state, dead letters and log lines,
a line of JSON each. Nothing leaves this machine; requests over http are refused.

Exit codes: 0 played (and as expected), 1 not played, or effects other than
--expect says, 2 the command line, the recording or a manifest is wrong.`,
		Example: `  skerry events play monday.jsonl.gz --to mqtt://127.0.0.1:1883 --speed 10x
  skerry events play monday.jsonl.gz --app app.yaml --effects effects.jsonl
  skerry events play story.jsonl --app app.yaml --expect effects.jsonl`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, files []string) error {
			o.file = files[0]
			if err := o.check(); err != nil {
				return usageError{err}
			}
			if o.to != "" {
				return o.playTo(cmd.Context(), cmd.ErrOrStderr())
			}
			return o.playHere(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.speed, "speed", "", "10x is ten times as fast as it was, max as fast as it goes (default 1x with --to, max with --app)")
	f.StringVar(&o.topic, "topic", "", "only events whose topic this filter names")
	f.StringVar(&o.to, "to", "", "URL of the broker to publish to: mqtt://USER:PASSWORD@HOST:PORT")
	f.BoolVar(&o.retain, "retain", false, "with --to: publish as retained what came as that")
	f.StringArrayVar(&o.apps, "app", nil, "manifest of an app that is to run, or its folder; may be repeated")
	f.StringArrayVar(&o.secrets, "secret", nil, "secret of functions, NAME=VALUE; may be repeated")
	f.StringVar(&o.effects, "effects", "", "file for the effects; - is standard output, and the default without --expect")
	f.StringVar(&o.expect, "expect", "", "file of effects that these must be the same as")
	return cmd
}

func (o *playOptions) check() (err error) {
	switch here := len(o.apps) > 0; {
	case here == (o.to != ""):
		return errors.New("say where the events go: --to mqtt://HOST:PORT for a broker, or --app app.yaml for functions")
	case here && o.retain:
		return errors.New("--retain is about brokers: leave it out with --app")
	case !here && (o.effects != "" || o.expect != "" || len(o.secrets) > 0):
		return errors.New("--effects, --expect and --secret are about functions: leave them out with --to")
	}
	if o.topic != "" {
		if err := agent.CheckFilter(o.topic); err != nil {
			return fmt.Errorf("--topic: %w", err)
		}
	}
	if err := secretFlags(o.secrets).check(); err != nil {
		return err
	}
	o.factor, err = parseSpeed(o.speed, len(o.apps) > 0)
	return err
}

// parseSpeed reads "10x" and "max", which is 0.
func parseSpeed(text string, max bool) (float64, error) {
	switch {
	case text == "max" || text == "" && max:
		return 0, nil
	case text == "":
		return 1, nil
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "x"), 64)
	if err != nil || !(n >= 0.001 && n <= 1e6) {
		return 0, fmt.Errorf("--speed %.20q is not known: write 10x, 0.5x, or max", text)
	}
	return n, nil
}

// open opens the recording.
func (o *playOptions) open() (*recording.Reader, io.Closer, error) {
	f, err := os.Open(o.file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, usageError{fmt.Errorf("there is no file %s: skerry events record makes one", o.file)}
	}
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("open the recording: %w", err)}
	}
	r, err := readEvents(f)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("%s: %w", o.file, errors.Join(err, f.Close()))}
	}
	return r, f, nil
}

// readEvents reads a recording, or a list of events as skerry invoke has it: those
// come a second apart, from now on.
func readEvents(from io.Reader) (*recording.Reader, error) {
	buffered := bufio.NewReader(from)
	head, _ := buffered.Peek(64) // fewer if the file is shorter
	if !bytes.HasPrefix(bytes.TrimSpace(head), []byte("[")) {
		return recording.NewReader(buffered)
	}
	text, err := io.ReadAll(buffered)
	if err != nil {
		return nil, err
	}
	events, err := eventList(text)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	text, err = recording.AppendHeader(nil, recording.Header{Device: "local", Broker: recording.DefaultBroker, Start: time.Now().Round(0)})
	for i, ev := range events {
		if err == nil {
			ev.ID, ev.Source = "", ""
			text, err = recording.AppendEntry(text, &recording.Entry{At: time.Duration(i) * time.Second, Event: ev})
		}
	}
	if err != nil {
		return nil, err
	}
	return recording.NewReader(bytes.NewReader(text))
}

// each gives do the events that are asked for. Times never go back.
func (o *playOptions) each(r *recording.Reader, do func(*recording.Entry) error) (p played, err error) {
	var last time.Duration
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			p.truncated = r.Truncated()
			return p, nil
		}
		if err != nil {
			return p, usageError{fmt.Errorf("%s: %w", o.file, err)}
		}
		if p.missing += e.Gap; e.Event == nil {
			continue
		}
		r.Header.Complete(&e, r.Number())
		e.At = max(e.At, last)
		last = e.At
		if o.topic != "" && !agent.MatchTopic(o.topic, e.Event.Subject) {
			continue
		}
		if err := do(&e); err != nil {
			return p, err
		}
		p.events++
	}
}

// played is what was played.
type played struct {
	events    int64
	left      int64 // out: they came through no broker
	missing   int64 // in the recording
	truncated bool
}

// tell says how it went, and what a person should know of the recording.
func (p played) tell(said io.Writer, took time.Duration, where string) {
	rate := float64(p.events) / max(took.Seconds(), 1e-6)
	fmt.Fprintf(said, "played %s in %s (%.0f/s) %s\n", agent.CountText(p.events, "event"), took.Round(time.Millisecond), rate, where)
	if p.left > 0 {
		fmt.Fprintf(said, "note: %d events that came over no MQTT were left out\n", p.left)
	}
	if p.missing > 0 {
		fmt.Fprintf(said, "note: %d events are missing in the recording\n", p.missing)
	}
	if p.truncated {
		fmt.Fprintln(said, "note: the recording breaks off in the middle of a line, which was left out")
	}
}

// pacer holds events back until it is their time.
type pacer struct {
	factor float64 // 0: nothing is held back
	begun  time.Time
	said   io.Writer // of progress; nil: nobody wants it
	shown  time.Time
	events int64
}

func newPacer(factor float64, said io.Writer) *pacer {
	p := &pacer{factor: factor, begun: time.Now()}
	if isTerminal(os.Stderr) {
		p.said = said
	}
	return p
}

// wait is how long an event that came at at is held back from now on.
func (p *pacer) wait(at time.Duration) time.Duration {
	p.events++
	if p.said != nil && time.Since(p.shown) > 200*time.Millisecond {
		p.shown = time.Now()
		fmt.Fprintf(p.said, "\r%d events, %s into the recording ", p.events, at.Round(time.Second))
	}
	if p.factor == 0 {
		return 0
	}
	return time.Until(p.begun.Add(time.Duration(float64(at) / p.factor)))
}

// end clears the line of progress.
func (p *pacer) end() {
	if p.said != nil {
		fmt.Fprint(p.said, "\r\x1b[2K")
	}
}
