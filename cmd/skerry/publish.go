package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func publishCommand() *cobra.Command {
	var p fleetFlags
	var noStart, noBuild bool
	var percent string
	cmd := &cobra.Command{
		Use:   "publish [app.yaml] [fleet.yaml]",
		Short: "Sign an app, and who runs it, and put them into the fleet's registry",
		Long: `Sign an app's modules and documents with the fleet's keys and push them to its OCI
registry or OCI image layout (skerry fleet init begins one). Every gateway of the
fleet has them at its next look, or at once with --hint. Without a file it is the
app.yaml of this folder.

A module that is missing, or was built from another source than lies beside it, is
built first, as skerry build does, unless --no-build. Each module is started once
here, with the settings and limits of its function: what does not start is not
published. What changes is shown first, permissions that a function gains marked,
and a person is asked, unless --yes.

With a fleet document, that decides which devices run which version. Without
one, the first publish of an app gives it to every device, and later ones move
its only unconditional assignment to the new version. With --percent a part of
the devices gets it, and the others keep theirs (skerry fleet promote then).`,
		Example: `  skerry publish
  skerry publish app.yaml --percent 10
  skerry publish app.yaml fleet.yaml --yes --hint mqtts://hub.example:8883
  skerry publish fleet.yaml --fleet plant-west`,
		Args: args(0, 2),
		RunE: func(cmd *cobra.Command, files []string) error {
			files, err := orAppHere(files)
			if err != nil {
				return err
			}
			app, fleet, err := sortFiles(files)
			if err != nil {
				return usageError{err}
			}
			checks := startChecks(cmd.Context())
			if noStart {
				checks.Start = nil
			}
			repo, err := p.open(cmd)
			if err != nil {
				return err
			}
			if app != "" && !noBuild {
				if err := buildForPublish(cmd, app); err != nil {
					return err
				}
			}
			plan, err := repo.Plan(app, fleet, checks)
			if err == nil && percent != "" {
				err = assignPart(repo, plan, app, fleet, percent)
			}
			if err != nil {
				return manifestError(err)
			}
			return p.finish(cmd, repo, plan)
		},
	}
	p.flags(cmd)
	p.asking(cmd)
	cmd.Flags().StringVar(&percent, "percent", "", "give the version to so many of the devices, before what they are assigned now")
	cmd.Flags().BoolVar(&noBuild, "no-build", false, "take the modules as they are")
	cmd.Flags().BoolVar(&noStart, "no-start", false, "do not try whether each function starts")
	return cmd
}

// assignPart gives the plan's app to a part of the devices.
func assignPart(repo *fleetsync.FleetRepo, plan *fleetsync.Plan, app, fleet, percent string) error {
	n, err := parsePercent(percent)
	switch {
	case err != nil:
		return usageError{fmt.Errorf("--percent %s: %w", percent, err)}
	case fleet != "" || app == "":
		return usageError{errors.New("--percent is for an app without a fleet document: write percent into its assignments there")}
	}
	return repo.Assign(plan, func(f *fleetsync.Fleet) error {
		promote(f, plan.App(), n)
		return nil
	})
}

func printPublished(w io.Writer, r *fleetsync.PublishResult, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	var b strings.Builder
	switch what := r.App + "@" + r.Version; {
	case r.Unchanged:
		fmt.Fprintf(&b, "all of it is published already, nothing was changed")
	case r.App == "":
		fmt.Fprintf(&b, "published")
	case r.Unassigned:
		fmt.Fprintf(&b, "published %s, NOT ASSIGNED to any device yet", what)
	default:
		fmt.Fprintf(&b, "published %s", what)
	}
	fmt.Fprintf(&b, ": %s, fleet %q at revision %d, %s sent\n", r.Ref, r.Fleet, r.Revision, agent.BytesText(r.Bytes))
	for _, m := range r.Modules {
		fmt.Fprintf(&b, "  %s  %s  %s\n", m.Function, m.Digest, agent.BytesText(m.Size))
		for _, patch := range m.Patches {
			what := "compressed"
			if !patch.Whole() {
				what = "patch of " + agent.Digest(patch.From).Short()
			}
			fmt.Fprintf(&b, "    %s  %s\n", what, agent.BytesText(patch.Size))
		}
	}
	if r.Unassigned {
		fmt.Fprintf(&b, "note: the fleet document has rules of its own for %s: skerry fleet promote %[1]s %[2]s --percent 10\n", r.App, r.Version)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sortFiles tells the app's file from the fleet's by their kind.
func sortFiles(files []string) (app, fleet string, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", "", fmt.Errorf("there is no file %s: name the manifest of an app, or that of a fleet", file)
		case errors.Is(err, syscall.EISDIR):
			return "", "", fmt.Errorf("%s is a folder: name the manifest in it, as in %s", file, filepath.Join(file, appFile))
		case err != nil:
			return "", "", fmt.Errorf("read the manifest: %w", err)
		}
		into := &app
		if fleetKind.Match(text) {
			into = &fleet
		}
		if *into != "" {
			return "", "", fmt.Errorf("%s and %s are of the same kind: publish one app and one fleet document at a time", *into, file)
		}
		*into = file
	}
	return app, fleet, nil
}

// Also in JSON of one line, as skerry fleet show -o json has it.
var fleetKind = regexp.MustCompile(`(?m)(?:^|[{,])\s*["']?kind["']?\s*:\s*["']?Fleet\b`)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// progressBar shows how much of a step is done, until all of it is.
func progressBar(w io.Writer) func(done, total int64) {
	shown := ""
	return func(done, total int64) {
		const width = 40
		full := int(width * min(max(done, 0), total) / max(1, total))
		bar := fmt.Sprintf("\r  [%-*s] %s of %s", width, stars[:full], agent.BytesText(done), agent.BytesText(total))
		if bar == shown {
			return
		}
		shown = bar
		fmt.Fprint(w, bar)
		if done >= total {
			fmt.Fprintln(w)
		}
	}
}

const stars = "########################################"
