package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// dropAtOnce is how many records one request drops at most, so that each is
// answered in time, however much waits.
const dropAtOnce = 20_000

func uplinkDropCommand() *cobra.Command {
	var o uplinkOptions
	var function string
	var priority int
	var older time.Duration
	var all bool
	cmd := &cobra.Command{
		Use:     "drop TARGET ID... | --priority P | --function APP/FUNCTION | --older DURATION | --all",
		Short:   "Remove for good what waits for a target",
		Example: "  skerry uplink drop alerts 1042 1043\n  skerry uplink drop alerts --priority 0 --older 24h",
		Args:    targetArgs(1, 1001),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := chosenWaiting(args[1:], function, priority)
			if err != nil {
				return err
			}
			if err := checkOlder(older); err != nil {
				return err
			}
			f.Older = older
			switch given := len(f.IDs) > 0 || f.Priority != nil || function != "" || older > 0; {
			case !given && !all:
				return usageError{errors.New("which records? Name their ids, or --priority P, --function APP/FUNCTION, --older DURATION, or --all")}
			case given && all:
				return usageError{errors.New("--all means every record that waits for the target: leave it out, or all else")}
			}
			return o.use(func(up admin.Uplink) error {
				n, err := dropWaiting(cmd.Context(), up, args[0], f)
				return o.done(cmd, "dropped", n, err)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&function, "function", "", "what this function decided, app/function")
	cmd.Flags().IntVar(&priority, "priority", anyPriority, "what has this priority, 0 to 9")
	cmd.Flags().DurationVar(&older, "older", 0, "what is older than so long")
	cmd.Flags().BoolVar(&all, "all", false, "everything that waits for the target")
	return cmd
}

// dropWaiting drops what f chooses, a part at a time.
func dropWaiting(ctx context.Context, up admin.Uplink, target string, f agent.WaitingFilter) (total int, err error) {
	f.Limit = dropAtOnce
	for {
		n, err := up.Drop(ctx, target, f)
		total += n
		if err != nil || n < dropAtOnce {
			return total, err
		}
	}
}

func uplinkRetryCommand() *cobra.Command {
	var o uplinkOptions
	var all bool
	cmd := &cobra.Command{
		Use:     "retry TARGET | --all",
		Short:   "Try a target now instead of when its pause is over",
		Example: "  skerry uplink retry alerts",
		Args:    targetArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usageError{errors.New("which target? Name it, or --all: skerry uplink lists them")}
			}
			return o.use(func(up admin.Uplink) error {
				targets, err := retried(up, args)
				for i := 0; i < len(targets) && err == nil; i++ {
					err = up.Retry(cmd.Context(), targets[i])
				}
				return o.did(cmd, "retrying", targets, err)
			})
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "every target")
	return cmd
}

// retried are the targets to try: the one that was named, or all that are
// configured.
func retried(up admin.Uplink, named []string) ([]string, error) {
	if len(named) > 0 {
		return named, nil
	}
	s, err := up.UplinkStatus()
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, t := range s.Targets {
		if t.Kind != noKind {
			targets = append(targets, t.Name)
		}
	}
	return targets, nil
}

func uplinkPauseCommand() *cobra.Command {
	return uplinkSteerCommand("pause", "paused", "Send nothing to a target until resume, over restarts too; what is for it waits", admin.Uplink.Pause)
}

func uplinkResumeCommand() *cobra.Command {
	return uplinkSteerCommand("resume", "resumed", "Send to a target again that was paused", admin.Uplink.Resume)
}

func uplinkSteerCommand(name, done, short string, do func(admin.Uplink, context.Context, string) error) *cobra.Command {
	var o uplinkOptions
	cmd := &cobra.Command{
		Use:     name + " TARGET",
		Short:   short,
		Example: "  skerry uplink " + name + " alerts",
		Args:    targetArgs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.use(func(up admin.Uplink) error {
				return o.did(cmd, done, args, do(up, cmd.Context(), args[0]))
			})
		},
	}
	o.flags(cmd)
	return cmd
}

// did tells what was done to targets, unless err.
func (o *uplinkOptions) did(cmd *cobra.Command, what string, targets []string, err error) error {
	if err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(cmd.OutOrStdout(), map[string][]string{what: append([]string{}, targets...)})
	}
	for _, t := range targets {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", what, t); err != nil {
			return err
		}
	}
	return nil
}
