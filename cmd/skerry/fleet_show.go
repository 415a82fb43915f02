package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func fleetShowCommand() *cobra.Command {
	var p fleetFlags
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show what is published: assignments, versions, and how long it is signed for",
		Example: "  skerry fleet show\n  skerry fleet show --fleet plant-west -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			repo, err := p.open(cmd)
			if err != nil {
				return err
			}
			if p.output == "json" {
				file, expires := repo.Expires()
				root, err := repo.Fingerprint()
				if err != nil {
					return err
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
					"ref": repo.Ref(), "root": root, "publication": repo.Publication(), "manifest": repo.Manifest(),
					"expires": expires, "expires_file": file, "fleet": repo.Fleet(), "apps": appNames(repo.Apps()),
				})
			}
			return printFleet(cmd.OutOrStdout(), repo)
		},
	}
	p.flags(cmd)
	return cmd
}

func appNames(apps []agent.AppVersion) []string {
	names := make([]string, len(apps))
	for i, v := range apps {
		names[i] = v.Name + "@" + v.Version
	}
	return names
}

func printFleet(w io.Writer, repo *fleetsync.FleetRepo) error {
	fleet := repo.Fleet()
	_, expires := repo.Expires()
	root, err := repo.Fingerprint()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "fleet %s at %s\n", repo.Name(), repo.Ref())
	fmt.Fprintf(w, "  root sha256 %s\n", root)
	fmt.Fprintf(w, "  revision %d, publication %d, signed until %s\n", fleet.Metadata.Revision, repo.Publication(), expires.Format(time.DateOnly))
	if fleet.Paused {
		fmt.Fprintln(w, "  PAUSED: every device keeps what it runs")
	}
	if err := repo.Unread(); err != nil {
		_, err = fmt.Fprintln(w, err)
		return err
	}
	if len(fleet.Assignments) == 0 {
		_, err := fmt.Fprintln(w, "nothing is assigned yet: skerry publish app.yaml")
		return err
	}
	fmt.Fprintln(w, "who runs what; of each app the first line that matches a device counts:")
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i, a := range fleet.Assignments {
		fmt.Fprintf(t, "  %d\t%s\t%s\t%s\t%s\n", i+1, a.App, a.Version, percentText(a), selectorText(a.Selector))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "published versions:")
	byApp := map[string][]string{}
	for _, v := range repo.Apps() {
		byApp[v.Name] = append(byApp[v.Name], v.Version)
	}
	for _, name := range slices.Sorted(maps.Keys(byApp)) {
		fmt.Fprintf(w, "  %s  %s\n", name, strings.Join(byApp[name], " "))
	}
	return nil
}

func percentText(a fleetsync.Assignment) string {
	text := "100 %"
	if a.Percent != nil {
		text = strconv.FormatFloat(*a.Percent, 'f', -1, 64) + " %"
	}
	if a.Paused {
		text += ", paused"
	}
	return text
}

// selectorText is a selector for people: "site=west, hw in (pi4, pi5)".
func selectorText(s *fleetsync.Selector) string {
	if s == nil {
		return "all devices"
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(s.MatchLabels)) {
		parts = append(parts, key+"="+s.MatchLabels[key])
	}
	for _, e := range s.MatchExpressions {
		switch list := strings.Join(e.Values, ", "); e.Operator {
		case "In":
			parts = append(parts, e.Key+" in ("+list+")")
		case "NotIn":
			parts = append(parts, e.Key+" not in ("+list+")")
		case "Exists":
			parts = append(parts, "with "+e.Key)
		default:
			parts = append(parts, "without "+e.Key)
		}
	}
	switch n := len(s.Devices); {
	case n > 3:
		parts = append(parts, agent.CountText(n, "device"))
	case n > 0:
		parts = append(parts, strings.Join(s.Devices, ", "))
	}
	return cmp.Or(strings.Join(parts, ", "), "all devices")
}

func fleetDiffCommand() *cobra.Command {
	var p fleetFlags
	cmd := &cobra.Command{
		Use:     "diff app.yaml [fleet.yaml]",
		Short:   "Show what publishing these files would change",
		Example: "  skerry fleet diff app.yaml",
		Args:    args(1, 2),
		RunE: func(cmd *cobra.Command, files []string) error {
			app, fleet, err := sortFiles(files)
			if err != nil {
				return usageError{err}
			}
			repo, err := p.open(cmd)
			if err != nil {
				return err
			}
			plan, err := repo.Plan(app, fleet, publishChecks())
			if err != nil {
				return manifestError(err)
			}
			if p.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"changes": plan.Diff(), "warnings": plan.Warnings(), "revision": plan.Revision()})
			}
			if plan.Unchanged() {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "all of it is published already")
				return err
			}
			printPlan(cmd.OutOrStdout(), plan)
			return nil
		},
	}
	p.flags(cmd)
	return cmd
}

// manifestError makes what is wrong in a document an error that the person can mend.
func manifestError(err error) error {
	var wrong *fleetsync.DocumentError
	if errors.As(err, &wrong) {
		return usageError{err}
	}
	return err
}

func fleetHistoryCommand() *cobra.Command {
	var p fleetFlags
	n := 20
	cmd := &cobra.Command{
		Use:     "history",
		Short:   "Show what was published when",
		Example: "  skerry fleet history -n 5",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 {
				return usageError{fmt.Errorf("-n %d: name how many publications to show", n)}
			}
			repo, err := p.open(cmd)
			if err != nil {
				return err
			}
			list, err := repo.History(cmd.Context(), n)
			if err != nil {
				return err
			}
			if p.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(list)
			}
			for _, e := range list {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  publication %d, revision %d\n", e.Issued.Local().Format("2006-01-02 15:04"), e.Publication, e.Revision)
				for _, c := range e.Changes {
					fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", c)
				}
			}
			return nil
		},
	}
	p.flags(cmd)
	cmd.Flags().IntVarP(&n, "number", "n", n, "of publications")
	return cmd
}

func fleetVerifyCommand() *cobra.Command {
	var p fleetFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check signatures, documents, modules and patches as devices would",
		Long: `Fetch and check everything that devices may: the signatures up to the root in the
folder of keys, the documents, and each module and patch of the versions that
assignments name.`,
		Example: "  skerry fleet verify",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			repo, err := p.open(cmd)
			if err == nil {
				err = repo.Verify(cmd.Context(), p.progress(cmd))
			}
			if err != nil {
				return err
			}
			file, expires := repo.Expires()
			if p.output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"ref": repo.Ref(), "publication": repo.Publication(), "expires": expires, "expires_file": file})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: publication %d is whole and signed until %s\n", repo.Ref(), repo.Publication(), expires.Format(time.DateOnly))
			return err
		},
	}
	p.flags(cmd)
	return cmd
}
