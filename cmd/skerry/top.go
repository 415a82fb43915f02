package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent/admin"
)

func topCommand() *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what functions, sources and targets do",
		Long: `Show live what the running agent's functions, sources and targets do, and what
needs attention: rates, times, failures, what waits, memory.

On a terminal it is a table that is drawn anew every 2 seconds:

  q        quit                        arrows   choose a row, page up and down
  s        sort by another column      ← →      all, functions, sources, targets
  /        only names that hold ...    space    pause
  ?        help                        enter    the whole note of the chosen row

Elsewhere, or with --once or -n, it prints tables, and with -o json a line of
JSON each.`,
		Example: "  skerry top\n  skerry top --once\n  skerry top -n 3 --every 10s -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(o.output), o.check()); err != nil {
				return usageError{err}
			}
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent")
	f.StringVar(&o.socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	f.DurationVar(&o.every, "every", 2*time.Second, "time between two tables, which the rates are of")
	f.IntVarP(&o.count, "count", "n", 0, "print so many tables and end (0: go on until q or Ctrl-C)")
	f.BoolVar(&o.once, "once", false, "print one table and end, as -n 1")
	f.StringVar(&o.sort, "sort", "rate", "order of the rows: "+strings.Join(topSorts, ", "))
	f.StringVar(&o.filter, "filter", "", "only rows whose name holds this text")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

// topOptions say what is shown, and how often.
type topOptions struct {
	config, socket string
	every          time.Duration
	count          int
	once           bool
	sort, filter   string
	output         string
}

func (o *topOptions) check() error {
	switch {
	case o.every < 100*time.Millisecond || o.every > time.Hour:
		return fmt.Errorf("--every is from 100ms to 1h, not %s", o.every)
	case o.count < 0:
		return errors.New("-n cannot be negative")
	case o.once && o.count > 1:
		return errors.New("--once is one table: leave it out, or -n")
	case !slices.Contains(topSorts, o.sort):
		return fmt.Errorf("--sort %s is not known: use %s", o.sort, strings.Join(topSorts, ", "))
	}
	if o.once {
		o.count = 1
	}
	return nil
}

func (o *topOptions) run(cmd *cobra.Command) (err error) {
	if o.socket, err = agentSocket(o.socket, o.config); err != nil {
		return err
	}
	first, err := o.poll(cmd.Context())
	if err != nil {
		return err // before anything is drawn
	}
	in, isFile := cmd.InOrStdin().(*os.File)
	out, toFile := cmd.OutOrStdout().(*os.File)
	if o.count == 0 && o.output == "text" && isFile && toFile && isTerminal(in) && isTerminal(out) {
		return newTopScreen(o, in, out, first).run(cmd.Context())
	}
	return o.print(cmd.Context(), cmd.OutOrStdout(), first)
}

func (o *topOptions) poll(ctx context.Context) (*sample, error) {
	s, err := admin.Status(ctx, o.socket)
	return &sample{time.Now(), s}, err
}

// print writes a table after each pause, as many as were asked for.
func (o *topOptions) print(ctx context.Context, out io.Writer, before *sample) error {
	for n := 0; o.count == 0 || n < o.count; n++ {
		if !pause(ctx, o.every) {
			return nil
		}
		now, err := o.poll(ctx)
		if err != nil {
			return err
		}
		t := tableOf(before, now)
		before = now
		if o.output == "json" {
			err = json.NewEncoder(out).Encode(t)
		} else {
			text := t.print(o.sort, o.filter)
			if n > 0 {
				text = "\n" + text
			}
			_, err = io.WriteString(out, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
