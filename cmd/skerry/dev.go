package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"
)

// devOptions are the flags of skerry dev.
type devOptions struct {
	app     string
	broker  string
	publish bool
	events  string
	test    bool
	secrets []string
	output  string
}

func devCommand() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev [app.yaml|DIR]",
		Short: "Build and run an app again whenever it is saved, and show what events lead to",
		Long: `Watch the folder of an app, that of this folder unless another is named. Whenever
something is saved in it, build what changed and put it in the place of what runs:
state stays, and what does not build or start leaves the old version running.

Each event is shown with all that functions do for it. Events are those of a broker
(--broker, with the filters of the triggers and a client id of its own, never as a
part of a shared subscription), a recording or a list of events (--events, played
after each build, from its start), or typed: TOPIC DATA on a line, or POST PATH DATA
for one that comes over http; what its caller is answered is shown, too. Schedules run.
Nothing is published, sent or kept after Ctrl-C, but what functions publish goes to
the broker with --publish. Requests over http are refused.`,
		Example: `  skerry dev
  skerry dev --broker mqtt://127.0.0.1:1883 --test
  skerry dev functions/alarm --events monday.jsonl.gz
  echo 'sensors/line-1/s1/temperature {"temperature":95}' | skerry dev`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, places []string) error {
			o.app = "."
			if len(places) > 0 {
				o.app = places[0]
			}
			if err := o.check(); err != nil {
				return usageError{err}
			}
			file, err := appAt(o.app)
			if err != nil {
				return err
			}
			d := &dev{devOptions: o, file: file, in: cmd.InOrStdin(), out: cmd.OutOrStdout(), said: &turnWriter{w: cmd.ErrOrStderr()}}
			return d.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.broker, "broker", "", "URL of a broker whose events are taken: mqtt://USER:PASSWORD@HOST:PORT")
	f.BoolVar(&o.publish, "publish", false, "publish to the broker what functions publish")
	f.StringVar(&o.events, "events", "", "a recording (skerry events record) or a JSON list of events, to play after each build")
	f.BoolVar(&o.test, "test", false, "run the *_test.yaml beside the app after each build")
	f.StringArrayVar(&o.secrets, "secret", nil, "secret of functions, NAME=VALUE; may be repeated")
	f.StringVarP(&o.output, "output", "o", "text", "text, or json: a line for each effect")
	return cmd
}

func (o *devOptions) check() error {
	switch {
	case o.publish && o.broker == "":
		return errors.New("--publish needs the broker to publish to: --broker mqtt://HOST:PORT")
	case o.broker != "" && o.events != "":
		return errors.New("events come from one place: give --broker or --events")
	}
	return errors.Join(secretFlags(o.secrets).check(), checkOutput(o.output))
}

// dev is skerry dev while it runs.
type dev struct {
	devOptions
	file string // the manifest
	in   io.Reader
	out  io.Writer
	said *turnWriter // of what is no effect
}

func (d *dev) dir() string { return filepath.Dir(d.file) }

// run builds, runs and shows until ctx ends.
func (d *dev) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var building sync.WaitGroup
	defer building.Wait()
	defer stop()
	builds := make(chan *devBuild)
	building.Go(func() { d.builds(ctx, builds) })
	lines := make(chan string)
	if d.events == "" {
		go d.typed(ctx, lines) // ends with its input, which nobody can interrupt
		if f, ok := d.in.(*os.File); ok && isTerminal(f) && d.broker == "" {
			d.say("type TOPIC DATA for an event, POST PATH DATA for one over http; Ctrl-C ends")
		}
	}
	for ctx.Err() == nil {
		b := d.next(ctx, builds)
		if b == nil {
			break
		}
		play := d.live
		if d.events != "" {
			play = d.replay
		}
		if err := play(ctx, b, builds, lines); err != nil && ctx.Err() == nil {
			if errors.As(err, new(usageError)) {
				return err
			}
			d.say("%v", err)
		}
	}
	return nil
}

// next waits for a version that can be run; nil: there is no more.
func (d *dev) next(ctx context.Context, builds <-chan *devBuild) *devBuild {
	for {
		select {
		case b := <-builds:
			if b.err == nil {
				return b
			}
			d.say("%s; waiting for the next save", firstFault(b.err))
		case <-ctx.Done():
			return nil
		}
	}
}

// say tells what is no effect, beside the effects.
func (d *dev) say(format string, args ...any) {
	fmt.Fprintf(d.said, format+"\n", args...)
}

// turnWriter has those who write take turns.
type turnWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *turnWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}
