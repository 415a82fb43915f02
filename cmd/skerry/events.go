package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/recording"
)

func eventsCommand() *cobra.Command {
	var o eventsOptions
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show the events that come, record them, and play them again",
		Long: `Show the events that come to the running agent, also those that no trigger
wants, until Ctrl-C. With --broker, those of a broker, and no agent is needed.

The agent waits for nobody who looks: who is too slow misses events, is told how
many, and ends with exit code 5.`,
		Example: `  skerry events --topic 'sensors/+/+/temperature'
  skerry events --broker mqtt://127.0.0.1:1883 -n 10 -o json
  skerry events record -o monday.jsonl.gz --for 1h
  skerry events play monday.jsonl.gz --speed 100x --to mqtt://127.0.0.1:1883`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(o.output), o.check()); err != nil {
				return usageError{err}
			}
			return o.show(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "text or json")
	cmd.AddCommand(recordCommand(), playCommand())
	return cmd
}

// eventsOptions say where events come from, and which.
type eventsOptions struct {
	config, socket string
	broker         string // URL; "": the agent
	topic          string
	count          int
	length         time.Duration
	output         string
}

func (o *eventsOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent")
	f.StringVar(&o.socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	f.StringVar(&o.broker, "broker", "", "URL of a broker to listen to instead of the agent: mqtt://USER:PASSWORD@HOST:PORT")
	f.StringVar(&o.topic, "topic", "", "only events whose topic this filter names")
	f.IntVarP(&o.count, "count", "n", 0, "end after so many events (0: never)")
	f.DurationVar(&o.length, "for", 0, "end after so long (0: never)")
}

func (o *eventsOptions) check() error {
	if o.count < 0 || o.length < 0 {
		return errors.New("-n and --for cannot be negative")
	}
	if o.topic != "" {
		if err := agent.CheckFilter(o.topic); err != nil {
			return fmt.Errorf("--topic: %w", err)
		}
	}
	return nil
}

// feed is where events come from, one after the other.
type feed interface {
	// Next waits for an entry.
	Next() (recording.Entry, error)
	io.Closer
}

// open starts to listen.
func (o *eventsOptions) open(ctx context.Context) (feed, recording.Header, error) {
	if o.broker != "" {
		b, err := listenTo(ctx, o.broker, o.topic)
		if err != nil {
			return nil, recording.Header{}, err
		}
		return b, recording.Header{Broker: recording.DefaultBroker, Start: b.start}, nil
	}
	socket, err := agentSocket(o.socket, o.config)
	if err != nil {
		return nil, recording.Header{}, err
	}
	body, err := admin.Watch(ctx, socket, o.topic)
	if err != nil {
		return nil, recording.Header{}, err
	}
	r, err := recording.NewReader(body)
	if err != nil {
		return nil, recording.Header{}, errors.Join(err, body.Close())
	}
	return agentFeed{r, body}, r.Header, nil
}

// agentFeed is a running agent.
type agentFeed struct {
	*recording.Reader
	io.Closer
}

// errAgentEnded says that there is nobody to listen to any more.
var errAgentEnded = errors.New("the agent has ended, or the connection to it")

// follow gives each entry to do, and calls each second to quiet, until as many
// events as asked for have come, the time is over or ctx ends. It counts them.
func (o *eventsOptions) follow(ctx context.Context, from feed, do func(*recording.Entry) error, quiet func(taken) error) (t taken, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	entries, ended := make(chan recording.Entry), make(chan error, 1)
	go func() {
		for {
			e, err := from.Next()
			if err != nil {
				ended <- err
				return
			}
			select {
			case entries <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	var over <-chan time.Time
	if o.length > 0 {
		over = time.After(o.length)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for o.count == 0 || t.events < int64(o.count) {
		select {
		case e := <-entries:
			t.add(&e)
			err = do(&e)
		case <-tick.C:
			err = quiet(t)
		case <-over:
			return t, nil
		case <-ctx.Done():
			return t, nil
		case err = <-ended:
			if admin.EndsToo(ctx) {
				return t, nil
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errAgentEnded
			}
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// taken counts what came.
type taken struct{ events, missing int64 }

func (t *taken) add(e *recording.Entry) {
	if e.Event != nil {
		t.events++
	}
	t.missing += e.Gap
}

// err says that something is missing, if so.
func (t taken) err() error {
	if t.missing == 0 {
		return nil
	}
	return exitError{fmt.Errorf("%d events are missing: they came faster than they were taken; name fewer with --topic", t.missing), exitMissing}
}

// show prints events as they come.
func (o *eventsOptions) show(ctx context.Context, out, said io.Writer) (err error) {
	from, header, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	p := eventPrinter{out: out, json: o.output == "json", start: header.Start}
	if f, ok := out.(*os.File); ok && isTerminal(f) {
		p.width, _ = terminalSize()
	}
	t, err := o.follow(ctx, from, p.print, func(taken) error { return nil })
	if err == nil && t == (taken{}) && o.length > 0 {
		fmt.Fprintf(said, "no event came within %s; skerry status shows which sources are up\n", o.length)
	}
	return errors.Join(err, t.err())
}
