package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

func fleetRotateCommand() *cobra.Command {
	var opts fleetsync.RotateOptions
	cmd := planning(&cobra.Command{
		Use:   "rotate ROLE",
		Short: "Replace the keys of a role, as after a theft",
		Long: `Make new keys for a role and have the root say that they count from now on; the old
ones count no more. Roles: root (says who may sign), targets (versions of apps),
fleet, snapshot and timestamp (which devices run what, and that it is new). The root
keys must be in the folder of keys for this; for the root itself, old and new ones.

With --split those who decide which devices run what get a key of their own,
rollout.pem: it can be given to a CI job, and cannot publish an app.`,
		Example: "  skerry fleet rotate targets\n  skerry fleet rotate fleet --split\n  skerry fleet rotate root",
		Args:    words(1, "a role"),
	}, func(_ *cobra.Command, repo *fleetsync.FleetRepo, words []string) (*fleetsync.Plan, error) {
		plan, err := repo.Rotate(trust.Role(words[0]), opts)
		if err != nil {
			return nil, usageError{err}
		}
		return plan, nil
	})
	cmd.Flags().BoolVar(&opts.Split, "split", false, "give fleet, snapshot and timestamp a key of their own")
	cmd.Flags().BoolVar(&opts.Encrypt, "passphrase", false, "protect the new keys with a passphrase")
	return cmd
}

func fleetExportCommand() *cobra.Command {
	var p fleetFlags
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write all that devices need into a directory, for a USB stick",
		Long: `Write the signed documents, and the modules and patches of all versions that
assignments name, into a directory. A device takes them with skerry sync --from DIR,
verified as from the registry.`,
		Example: "  skerry fleet export /media/usb/fleet",
		Args:    words(1, "a directory"),
		RunE: func(cmd *cobra.Command, dirs []string) error {
			repo, err := p.open(cmd)
			if err == nil {
				err = repo.Export(cmd.Context(), dirs[0], p.progress(cmd))
			}
			if err != nil {
				return err
			}
			if p.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"dir": dirs[0], "publication": repo.Publication(), "revision": repo.Fleet().Metadata.Revision})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "exported publication %d to %s; on a device: skerry sync --from %[2]s\n", repo.Publication(), dirs[0])
			return err
		},
	}
	p.flags(cmd)
	return cmd
}
