package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/internal/recording"
)

func recordCommand() *cobra.Command {
	var o eventsOptions
	var file string
	cmd := &cobra.Command{
		Use:   "record -o FILE",
		Short: "Write the events that come to a file",
		Long: `Write the events that come to the running agent, or with --broker to a broker,
to a file until Ctrl-C: a line of JSON each, packed if its name ends in .gz. What
was in the file is gone. skerry events play plays it.

What comes faster than it can be written is missing there: a line says how many,
and the exit code is 5.`,
		Example: `  skerry events record -o monday.jsonl.gz --for 8h
  skerry events record -o line1.jsonl --topic 'sensors/line-1/#' -n 1000
  skerry events record -o plant.jsonl --broker mqtt://127.0.0.1:1883`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("say where to: -o FILE.jsonl, or -o FILE.jsonl.gz, or -o - for standard output")}
			}
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return o.record(cmd.Context(), file, cmd.ErrOrStderr())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&file, "output", "o", "", "file to write; - is standard output")
	return cmd
}

// record writes events to a file as they come; what it says of that goes to said.
func (o *eventsOptions) record(ctx context.Context, file string, said io.Writer) (err error) {
	from, header, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := recording.Create(file, header)
	if err != nil {
		return err
	}
	begun, progress := time.Now(), isTerminal(os.Stderr)
	t, err := o.follow(ctx, from, to.Write, func(t taken) error {
		if progress {
			fmt.Fprintf(said, "\r%d events in %s ", t.events, time.Since(begun).Round(time.Second))
		}
		return to.Flush()
	})
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if progress {
		fmt.Fprint(said, "\r")
	}
	fmt.Fprintf(said, "recorded %d events in %s to %s\n", t.events, time.Since(begun).Round(100*time.Millisecond), file)
	return t.err()
}
