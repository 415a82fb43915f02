package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/logbook"
)

func logsCommand() *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [-f] [FUNCTION]",
		Short: "Show what the agent and its functions log",
		Long: `Show the log of the running agent and its functions: the newest lines, which it
keeps in memory, and with -f those that come, until Ctrl-C. FUNCTION is the name of
a function (app/function), or of an app for all of its functions: what they say
themselves, and what the agent says about them.

The agent waits for nobody who looks: who is too slow misses lines, is told how
many, and ends with exit code 5.`,
		Example: `  skerry logs -f overheat/alarm
  skerry logs --level warn --since 10m
  skerry logs -f --level debug -o json`,
		Args: args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.function = args[0]
			}
			return o.show(cmd)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent")
	f.StringVar(&o.socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with the lines that come")
	f.StringVar(&o.level, "level", "info", "the least: debug, info, warn or error")
	f.DurationVar(&o.since, "since", 0, "only lines of the last so long, such as 10m (0: all that are kept)")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

// logsOptions say which lines are wanted.
type logsOptions struct {
	config, socket, function string
	follow                   bool
	level, output            string
	since                    time.Duration
}

// filter reads what was asked for.
func (o *logsOptions) filter() (logbook.Filter, error) {
	f := logbook.Filter{Function: o.function}
	if err := f.Level.UnmarshalText([]byte(o.level)); err != nil || strings.ContainsAny(o.level, "+-") {
		return f, fmt.Errorf("--level %s is not known: use debug, info, warn or error", o.level)
	}
	if o.since < 0 {
		return f, errors.New("--since cannot be negative")
	}
	if o.since > 0 {
		f.Since = time.Now().Add(-o.since)
	}
	return f, nil
}

func (o *logsOptions) show(cmd *cobra.Command) error {
	f, err := o.filter()
	if err = errors.Join(err, checkOutput(o.output)); err != nil {
		return usageError{err}
	}
	if o.socket, err = agentSocket(o.socket, o.config); err != nil {
		return err
	}
	if err := o.follows(cmd); err != nil {
		return err
	}
	out, missing, lines := cmd.OutOrStdout(), 0, 0
	err = admin.ReadLogs(cmd.Context(), o.socket, f, o.follow, func(e admin.LogEntry) error {
		missing += e.Missing
		lines++
		return printLog(out, e, o.output)
	})
	if err == nil && lines == 0 && !o.follow {
		return knownName(cmd.Context(), o.socket, o.function)
	}
	if err == nil && missing > 0 {
		err = exitError{fmt.Errorf("%d lines are missing: they came faster than they were read; name a function, or a higher --level", missing), exitMissing}
	}
	return err
}

// follows says so beforehand if there is nobody whose lines could come.
func (o *logsOptions) follows(cmd *cobra.Command) error {
	if !o.follow {
		return nil
	}
	err := knownName(cmd.Context(), o.socket, o.function)
	var unknown unknownName
	if errors.As(err, &unknown) {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "skerry: %v; waiting for it\n", err)
	}
	return err
}

// unknownName says that a function or app is not there.
type unknownName struct{ error }

// knownName asks the agent whether a function or app is called that; "" is all of them.
func knownName(ctx context.Context, socket, name string) error {
	if name == "" {
		return nil
	}
	s, err := admin.Status(ctx, socket)
	if err != nil {
		return err
	}
	var known []string
	for i := range s.Functions {
		if f := s.Functions[i].Name; f == name || strings.HasPrefix(f, name+"/") {
			return nil
		}
		known = append(known, s.Functions[i].Name)
	}
	for i := range s.Sync.Apps {
		if s.Sync.Apps[i].Name == name {
			return nil // it is held back, or has only rules
		}
	}
	if len(known) == 0 {
		return unknownName{fmt.Errorf("no function or app is called %q: none runs here, skerry status tells why", name)}
	}
	return unknownName{fmt.Errorf("no function or app is called %q; there are %s", name, strings.Join(known, ", "))}
}

func printLog(w io.Writer, e admin.LogEntry, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(e)
	}
	if e.Missing > 0 {
		_, err := fmt.Fprintf(w, "… %d lines are missing: they came faster than they were read\n", e.Missing)
		return err
	}
	if e.Line == nil {
		return nil // a later agent says something that this command does not know
	}
	_, err := fmt.Fprintln(w, e.Time.Local().Format("Jan _2 15:04:05.000"), e.Line)
	return err
}

// newBook is the log of a device in front of that of its process: log.
func newBook(log *slog.Logger) (*logbook.Book, *slog.Logger) {
	book := logbook.New(logbook.Options{Level: slog.LevelDebug})
	return book, slog.New(book.Handler(log.Handler()))
}
