package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/store"
)

func deadletterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "Look at what was given up, and send it again or drop it",
		Long: `Look at the dead-letter box: events that a function failed on too often or
rejected, and records that a target refused for good. With the cause mended
send them again (redrive): in their order among themselves, behind what waits
already. The running agent is asked; if none runs, its data directory is opened.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deadlistCommand(), deadshowCommand(), redriveCommand(), deaddropCommand())
	return cmd
}

// deadOptions are the flags of all of them.
type deadOptions struct {
	reach
	function string
	all      bool
}

func deadlistCommand() *cobra.Command {
	var o deadOptions
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List what is in the box, the oldest first",
		Example: "  skerry deadletter list --function boiler/alarm -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.use(func(box admin.Letters) error {
				list, err := box.List(agent.DeadFilter{Function: o.function})
				if err == nil && len(list) == 0 {
					err = o.knownFunction(cmd.Context(), box)
				}
				if err != nil {
					return err
				}
				return printLetters(cmd.OutOrStdout(), list, o.output)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.function, "function", "", "only letters of this function, app/function")
	return cmd
}

// knownFunction is an error if letters of a function were asked for that the running
// agent does not have.
func (o *deadOptions) knownFunction(ctx context.Context, box admin.Letters) error {
	if running, ok := box.(admin.Box); ok {
		return knownName(ctx, running.Path, o.function)
	}
	return nil
}

func deadshowCommand() *cobra.Command {
	var o deadOptions
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one letter with its data",
		Example: "  skerry deadletter show 17",
		Args:    deadIDs(1, 1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			f, err := o.chosen(ids)
			if err != nil {
				return err
			}
			return o.use(func(box admin.Letters) error {
				list, err := box.List(f)
				if err != nil {
					return err
				}
				return printLetter(cmd.OutOrStdout(), list[0], o.output)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

func redriveCommand() *cobra.Command {
	var o deadOptions
	var data string
	cmd := &cobra.Command{
		Use:     "redrive ID... | --function APP/FUNCTION | --all",
		Short:   "Send letters back to where they came from",
		Example: "  skerry deadletter redrive --function boiler/alarm\n  skerry deadletter redrive 17 --data @mended.json",
		Args:    deadIDs(0, 1000),
		RunE: func(cmd *cobra.Command, ids []string) error {
			f, err := o.chosen(ids)
			if err != nil {
				return err
			}
			var edited []byte
			if cmd.Flags().Changed("data") {
				if edited, err = (&invokeOptions{data: data}).readData(cmd.InOrStdin()); err != nil {
					return usageError{err}
				}
			}
			return o.use(func(box admin.Letters) error {
				n, err := box.Redrive(cmd.Context(), f, edited)
				return o.done(cmd, "redriven", n, err)
			})
		},
	}
	o.flags(cmd)
	o.choice(cmd)
	cmd.Flags().StringVarP(&data, "data", "d", "", "data in the place of the letter's own: text, @file, or - for standard input")
	return cmd
}

func deaddropCommand() *cobra.Command {
	var o deadOptions
	cmd := &cobra.Command{
		Use:     "drop ID... | --function APP/FUNCTION | --all",
		Short:   "Remove letters for good",
		Example: "  skerry deadletter drop 17 18",
		Args:    deadIDs(0, 1000),
		RunE: func(cmd *cobra.Command, ids []string) error {
			f, err := o.chosen(ids)
			if err != nil {
				return err
			}
			return o.use(func(box admin.Letters) error {
				n, err := box.Drop(cmd.Context(), f)
				return o.done(cmd, "dropped", n, err)
			})
		},
	}
	o.flags(cmd)
	o.choice(cmd)
	return cmd
}

func (o *deadOptions) choice(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.function, "function", "", "the letters of this function, app/function")
	cmd.Flags().BoolVar(&o.all, "all", false, "all letters")
}

// deadIDs checks the arguments of a command that takes ids of letters.
func deadIDs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, ids []string) error {
		if len(ids) < least || len(ids) > most {
			return usageError{fmt.Errorf("%s takes the id of a letter: see skerry deadletter list", cmd.Name())}
		}
		return nil
	}
}

// chosen reads ids. What changes the box must be told which letters.
func (o *deadOptions) chosen(ids []string) (agent.DeadFilter, error) {
	f := agent.DeadFilter{Function: o.function}
	for _, text := range ids {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return f, usageError{fmt.Errorf("%q is no id of a letter: skerry deadletter list shows them", text)}
		}
		f.IDs = append(f.IDs, id)
	}
	switch given := len(ids) > 0 || o.function != ""; {
	case !given && !o.all:
		return f, usageError{errors.New("which letters? Name their ids, or --function APP/FUNCTION, or --all")}
	case given && o.all:
		return f, usageError{errors.New("--all means every letter: leave it out, or the ids and --function")}
	}
	return f, nil
}

// use calls do with the running agent's box or, if none runs, with that of its
// data directory.
func (o *deadOptions) use(do func(admin.Letters) error) error {
	return within(
		o.reach,
		func(socket string) admin.Letters { return admin.Box{Path: socket} },
		func(st *store.Store) admin.Letters { return agent.OpenDeadBox(st) },
		do,
	)
}
