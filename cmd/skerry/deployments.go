package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

func deploymentsCommand() *cobra.Command {
	var r reach
	var count int
	cmd := &cobra.Command{
		Use:   "deployments",
		Short: "Show what ran here when, and take an app back",
		Long: `Show what the running agent ran when: versions that came, what they changed and
gained, how their probation ended, what is held back and why. The agent keeps the
last 100 changes.`,
		Example: "  skerry deployments\n  skerry deployments -n 5 -o json\n  skerry deployments rollback overheat",
		Args:    noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 {
				return usageError{errors.New("-n is how many changes to show, at least 1")}
			}
			socket, err := r.agent()
			if err != nil {
				return err
			}
			s, err := admin.Status(cmd.Context(), socket)
			if err != nil {
				return err
			}
			d, err := admin.ListDeployments(cmd.Context(), socket)
			if err != nil {
				return err
			}
			d.Entries = d.Entries[:min(count, len(d.Entries))]
			if r.output == "json" {
				return printJSON(cmd.OutOrStdout(), d)
			}
			return printDeployments(cmd.OutOrStdout(), d, s.Sync.Apps)
		},
	}
	r.flags(cmd)
	cmd.Flags().IntVarP(&count, "number", "n", 20, "show so many changes, the newest")
	cmd.AddCommand(deploymentsRollbackCommand())
	return cmd
}

func deploymentsRollbackCommand() *cobra.Command {
	var r reach
	cmd := &cobra.Command{
		Use:   "rollback APP",
		Short: "Take an app back to the version before, on this device",
		Long: `Take an app back to the version before: the last that is known to be good, without
the registry. The owner of the device has to allow it (policy.rollback: true). The
version that it goes away from is held back here until the fleet publishes another,
or skerry sync --retry APP.

skerry fleet rollback takes an app back on all devices.`,
		Example: "  skerry deployments rollback overheat",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("rollback takes the name of one app: skerry deployments shows what ran")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			socket, err := r.agent()
			if err != nil {
				return err
			}
			done, err := admin.RollBack(cmd.Context(), socket, args[0])
			if err != nil {
				return err
			}
			if r.output == "json" {
				return printJSON(cmd.OutOrStdout(), done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s runs again; %s is held back here until the fleet publishes another version, or skerry sync --retry %s\n",
				done.App, done.To, done.From, done.App)
			return err
		},
	}
	r.flags(cmd)
	return cmd
}

// agent is the socket of the running agent.
func (r *reach) agent() (string, error) {
	if err := checkOutput(r.output); err != nil {
		return "", err
	}
	return agentSocket(r.socket, r.config)
}

// printDeployments writes what is on probation now, then the history.
func printDeployments(w io.Writer, d agent.Deployments, apps []agent.AppStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	printApps(p, apps)
	if err := t.Flush(); err != nil { // the table has columns of its own
		return err
	}
	if len(d.Entries) == 0 {
		p("nothing ran here yet")
		return t.Flush()
	}
	rows := entryRows(d.Entries)
	fmt.Fprintln(t, rows[0])
	for i, row := range rows[1:] {
		fmt.Fprintln(t, row)
		e := &d.Entries[i]
		for _, text := range append(slices.Clone(e.What), e.Reason) {
			if text != "" {
				p("    %s", shown(text))
			}
		}
	}
	if len(d.Rollback) > 0 {
		p("\nskerry deployments rollback takes back: %s", shown(strings.Join(d.Rollback, ", ")))
	}
	return t.Flush()
}

// entryRows is a table with a row for each entry below its head.
func entryRows(entries []agent.DeploymentEntry) []string {
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TIME\tAPP\tVERSION\tSTATE\tREVISION")
	for i := range entries {
		e := &entries[i]
		unsure := ""
		if e.Unsure {
			unsure = " (unsure)"
		}
		fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\t%d\n", e.Time.Local().Format("2006-01-02 15:04:05"), unsure, shown(e.App), shown(versionsText(e)), shown(e.State), e.Revision)
	}
	_ = t.Flush() // a builder takes everything
	return strings.Split(strings.TrimSuffix(table.String(), "\n"), "\n")
}

// versionsText is "1.0.0 → 1.1.0", or one of them where nothing else ran.
func versionsText(e *agent.DeploymentEntry) string {
	if e.From == e.To {
		return cmp.Or(e.To, "none")
	}
	return cmp.Or(e.From, "none") + " → " + cmp.Or(e.To, "none")
}

// Deployments implements admin.Deployments.
func (d *device) Deployments() agent.Deployments {
	if d.puller == nil {
		return agent.Deployments{Entries: []agent.DeploymentEntry{}, Rollback: []string{}}
	}
	return d.puller.Deployments()
}

// RollBack implements admin.Deployments.
func (d *device) RollBack(ctx context.Context, app string) (admin.RolledBack, error) {
	if d.puller == nil {
		return admin.RolledBack{}, errors.New("no registry is configured, and nothing ran here that could be gone back to")
	}
	from, to, err := d.puller.RollBack(ctx, app)
	return admin.RolledBack{App: app, From: from.Version, To: to.Version}, err
}
