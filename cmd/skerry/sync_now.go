package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func syncCommand() *cobra.Command {
	var r reach
	var ask admin.SyncRequest
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Have the running agent look for something new now, or in a folder",
		Long: `Have the running agent look at the registry now. With --from it takes what skerry
fleet export wrote, as from a USB stick: signatures and digests are checked as for
the registry, and an older publication than it has seen is refused.

A version that failed its health gate is not tried again until the fleet publishes
another; --retry has it tried again all the same.`,
		Example: "  skerry sync\n  skerry sync --from /media/usb/fleet\n  skerry sync --retry overheat",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(r.output); err != nil {
				return err
			}
			if err := askable(&ask); err != nil {
				return usageError{err}
			}
			socket, err := agentSocket(r.socket, r.config)
			if err != nil {
				return err
			}
			status, refused, err := admin.SyncNow(cmd.Context(), socket, ask)
			if err != nil {
				return err
			}
			if r.output == "json" {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(status)
			} else if refused == "" || status.Fleet != "" {
				err = printSynced(cmd.OutOrStdout(), &status)
			}
			if err == nil && refused != "" {
				err = errors.New(refused)
			}
			return err
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&ask.From, "from", "", "folder with an export, instead of the registry")
	cmd.Flags().StringVar(&ask.Retry, "retry", "", "app whose refused version is tried again")
	return cmd
}

// askable makes the folder one that the agent finds.
func askable(ask *admin.SyncRequest) error {
	if ask.From == "" {
		return nil
	}
	var err error
	if ask.From, err = filepath.Abs(ask.From); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(ask.From, "index.json")); err != nil {
		return fmt.Errorf("--from: %s is no export of a fleet: write one with skerry fleet export (%w)", ask.From, err)
	}
	return nil
}

// printSynced tells what the fleet has for the device, and what of it is not good.
func printSynced(w io.Writer, s *agent.SyncStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	if s.Fleet == "" {
		p("nothing is published for this device yet")
	} else {
		p("fleet %s, revision %d", s.Fleet, s.Revision)
	}
	printApps(p, s.Apps)
	return t.Flush()
}

// Sync implements admin.Sync.
func (d *device) Sync(ctx context.Context, ask admin.SyncRequest) (agent.SyncStatus, error) {
	if d.puller == nil {
		return agent.SyncStatus{}, errors.New("no registry is configured: set registry.ref and registry.root in skerry.yaml")
	}
	if ask.Retry != "" {
		if err := d.puller.Retry(ask.Retry); err != nil {
			return d.puller.Status(), err
		}
	}
	err := error(nil)
	if ask.From == "" {
		err = d.puller.Check(ctx)
	} else if from, wrong := fleetsync.NewRegistry("oci-layout:"+ask.From, fleetsync.RegistryOptions{}); wrong != nil {
		err = wrong
	} else {
		err = d.puller.CheckFrom(ctx, from)
	}
	return d.puller.Status(), err
}
