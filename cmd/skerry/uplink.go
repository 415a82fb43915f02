package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/store"
)

func uplinkCommand() *cobra.Command {
	var o uplinkOptions
	cmd := &cobra.Command{
		Use:   "uplink",
		Short: "Look at what waits for the cloud and why, and steer it",
		Long: `Look at the uplink: what waits for each target and why, what its links have
carried of their budgets, and what it takes on the disk. Without a word behind it,
uplink lists. The running agent is asked; if none runs, its data directory is
opened, and what waits there can be listed, shown and dropped.`,
		Example: "  skerry uplink\n  skerry uplink why alerts",
		Args:    noSuchCommand,
		RunE:    o.list,
	}
	o.flags(cmd)
	cmd.AddCommand(uplinkListCommand(), uplinkShowCommand(), uplinkWhyCommand(), uplinkDropCommand(),
		uplinkRetryCommand(), uplinkPauseCommand(), uplinkResumeCommand())
	return cmd
}

// uplinkOptions are the flags of all of them.
type uplinkOptions struct{ reach }

// use calls do with the running agent's uplink or, if none runs, with what its
// data directory holds for it.
func (o *uplinkOptions) use(do func(admin.Uplink) error) error {
	return within(
		o.reach,
		func(socket string) admin.Uplink { return admin.Outboxes{Path: socket} },
		func(st *store.Store) admin.Uplink { return atRest{backlog{store: st}} },
		do,
	)
}

func uplinkListCommand() *cobra.Command {
	var o uplinkOptions
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List targets, links and what they take",
		Example: "  skerry uplink list -o json",
		Args:    args(0, 0),
		RunE:    o.list,
	}
	o.flags(cmd)
	return cmd
}

func (o *uplinkOptions) list(cmd *cobra.Command, _ []string) error {
	return o.use(func(up admin.Uplink) error {
		s, err := up.UplinkStatus()
		if err != nil {
			return err
		}
		return printUplink(cmd.OutOrStdout(), s, o.output)
	})
}

func uplinkShowCommand() *cobra.Command {
	var o uplinkOptions
	var limit int
	var function string
	var priority int
	cmd := &cobra.Command{
		Use:     "show TARGET [ID]",
		Short:   "Show what waits for a target, in the order in which it goes, or one record with its data",
		Example: "  skerry uplink show alerts\n  skerry uplink show alerts 1042",
		Args:    targetArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := chosenWaiting(args[1:], function, priority)
			if err != nil {
				return err
			}
			if limit < 1 {
				return usageError{errors.New("--limit is how many records to show, at least 1")}
			}
			f.Limit = limit
			return o.use(func(up admin.Uplink) error {
				list, err := up.Waiting(cmd.Context(), args[0], f)
				if running, ok := up.(admin.Outboxes); ok && err == nil && len(list) == 0 {
					err = knownName(cmd.Context(), running.Path, function)
				}
				if err != nil {
					return err
				}
				if len(f.IDs) > 0 {
					return printWaiting(cmd.OutOrStdout(), list[0], o.output)
				}
				return printBacklog(cmd.OutOrStdout(), args[0], list, limit, o.output)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "show so many")
	cmd.Flags().StringVar(&function, "function", "", "only what this function decided, app/function")
	cmd.Flags().IntVar(&priority, "priority", anyPriority, "only of this priority, 0 to 9")
	return cmd
}

func uplinkWhyCommand() *cobra.Command {
	var o uplinkOptions
	cmd := &cobra.Command{
		Use:     "why [TARGET [ID]]",
		Short:   "Say in words what happens to what waits, and what to do about it",
		Example: "  skerry uplink why\n  skerry uplink why alerts 1042",
		Args:    targetArgs(0, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := chosenWaiting(args[min(1, len(args)):], "", anyPriority)
			if err != nil {
				return err
			}
			var target string
			var id uint64
			if len(args) > 0 {
				target = args[0]
			}
			if len(f.IDs) > 0 {
				id = f.IDs[0]
			}
			return o.use(func(up admin.Uplink) error {
				sentences, err := up.Why(target, id)
				if err != nil {
					return err
				}
				return printWhy(cmd.OutOrStdout(), sentences, o.output)
			})
		},
	}
	o.flags(cmd)
	return cmd
}

const anyPriority = -1

// chosenWaiting reads what a person chose by.
func chosenWaiting(ids []string, function string, priority int) (agent.WaitingFilter, error) {
	f := agent.WaitingFilter{Function: function}
	for _, text := range ids {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil || id == 0 {
			return f, usageError{fmt.Errorf("%q is no id of a record: skerry uplink show TARGET lists them", text)}
		}
		f.IDs = append(f.IDs, id)
	}
	if priority != anyPriority {
		if priority < 0 || priority > 9 {
			return f, usageError{fmt.Errorf("--priority is from 0 to 9, not %d", priority)}
		}
		level := uint8(priority)
		f.Priority = &level
	}
	return f, nil
}

// targetArgs checks the arguments of a command that takes a target, and ids.
func targetArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return usageError{fmt.Errorf("which target? %s takes its name: skerry uplink lists them", cmd.Name())}
		}
		if len(args) > most {
			return usageError{fmt.Errorf("%s does not know what to do with %q: see %s --help", cmd.Name(), args[most], cmd.CommandPath())}
		}
		return nil
	}
}

// checkOlder refuses times that choose nothing or everything.
func checkOlder(older time.Duration) error {
	if older < 0 {
		return usageError{fmt.Errorf("--older is a time such as 24h, not %s", older)}
	}
	return nil
}
