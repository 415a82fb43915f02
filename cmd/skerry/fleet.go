package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func fleetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Begin a fleet, decide which devices run what, and look after its keys",
		Long: `A fleet is what is published under one reference: versions of apps, a document
that says which devices run which of them, and signatures over all of it. Devices
take only what is signed by the fleet's keys, which stay with those who publish:
in a folder of their own, ~/.config/skerry/fleets/NAME.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(fleetInitCommand(), fleetShowCommand(), fleetDiffCommand(), fleetHistoryCommand(), fleetVerifyCommand(),
		fleetPromoteCommand(), fleetPauseCommand(), fleetResumeCommand(), fleetRollbackCommand(), fleetRevokeCommand(),
		fleetRotateCommand(), fleetExportCommand(), fleetSimCommand(), fleetStatusCommand(), fleetClaimCommand())
	return cmd
}

// fleetFlags are the flags of all commands that need a fleet's folder of keys.
type fleetFlags struct {
	keys, fleet, to string
	caFile          string
	plainHTTP       bool
	yes             bool
	output          string
	hint            brokerAccess
}

func (p *fleetFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.keys, "keys", os.Getenv(keysEnv), "folder of the fleet's keys; also from SKERRY_KEYS")
	f.StringVar(&p.fleet, "fleet", "", "name of the fleet, where there are several in ~/.config/skerry/fleets")
	f.StringVar(&p.to, "to", os.Getenv("SKERRY_REGISTRY_REF"), "reference, if it is not the one the fleet was begun with; also from SKERRY_REGISTRY_REF")
	f.StringVar(&p.caFile, "ca-file", "", "PEM file of the authorities to trust instead of the system's")
	f.BoolVar(&p.plainHTTP, "plain-http", false, "use http with a registry that is not on this machine")
	f.StringVarP(&p.output, "output", "o", "text", "text or json")
}

// asking adds the flag of commands that show what they would do, and ask.
func (p *fleetFlags) asking(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&p.yes, "yes", "y", false, "publish without asking")
	p.hint.flags(cmd, "hint", "broker that wakes the devices, such as mqtts://host:8883; without it they find out at their next look")
}

// open reads what is published.
func (p *fleetFlags) open(cmd *cobra.Command) (*fleetsync.FleetRepo, error) {
	access, err := p.access(cmd.Context())
	if err != nil {
		return nil, err
	}
	repo, err := fleetsync.OpenFleet(cmd.Context(), access)
	if errors.Is(err, fleetsync.ErrNoKeys) {
		err = usageError{err}
	}
	return repo, err
}

// access finds the folder of keys.
func (p *fleetFlags) access(ctx context.Context) (fleetsync.Access, error) {
	a := fleetsync.Access{Ref: p.to, Keys: p.keys, PlainHTTP: p.plainHTTP, Passphrase: passphrases(ctx)}
	if err := checkOutput(p.output); err != nil {
		return a, err
	}
	if p.to != "" {
		if _, err := fleetsync.NewRegistry(p.to, fleetsync.RegistryOptions{}); err != nil {
			return a, usageError{err}
		}
	}
	var err error
	if a.TLS, err = trusting("--ca-file", p.caFile); err != nil {
		return a, usageError{err}
	}
	if a.Keys == "" {
		if a.Keys, err = findKeys(p.fleet, p.to); err != nil {
			return a, usageError{err}
		}
		return a, nil
	}
	if note, err := fleetsync.ReadKeys(a.Keys); err == nil && p.fleet != "" && note.Name != p.fleet {
		return a, usageError{fmt.Errorf("%s has the keys of fleet %s, not of %s: leave out --fleet, or --keys and SKERRY_KEYS", a.Keys, note.Name, p.fleet)}
	}
	return a, nil
}

// trusting is a TLS configuration with the authorities in a PEM file that setting
// names; nil for "".
func trusting(setting, caFile string) (*tls.Config, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM: name the one that signed the registry's", setting, caFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// fleetsDir is where folders of keys are looked for.
func fleetsDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no home for fleets' keys: name the folder with --keys (%w)", err)
	}
	return filepath.Join(dir, "skerry", "fleets"), nil
}

// findKeys is the folder of the fleet of that name, or published at ref, or the
// only one there is.
func findKeys(name, ref string) (string, error) {
	dir, err := fleetsDir()
	if err != nil {
		return "", err
	}
	folders, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return "", err
	}
	var found, names []string
	for _, folder := range folders {
		note, err := fleetsync.ReadKeys(folder)
		if err != nil {
			continue // something else lies there
		}
		names = append(names, filepath.Base(folder))
		if name != "" && filepath.Base(folder) != name || name == "" && ref != "" && !fleetsync.SameRef(note.Ref, ref) {
			continue
		}
		found = append(found, folder)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(names) == 0:
		return "", fmt.Errorf("%w, and there is no fleet in %s yet: make one with: skerry fleet init oci://HOST/REPOSITORY", fleetsync.ErrNoKeys, dir)
	case len(found) > 1:
		return "", fmt.Errorf("there are several fleets: say which with --fleet, one of %s", strings.Join(names, ", "))
	case name != "":
		return "", fmt.Errorf("there is no fleet %q in %s: there are %s", name, dir, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("no fleet in %s is published to %s: say which with --fleet, one of %s, or name the folder with --keys", dir, ref, strings.Join(names, ", "))
}

// finish shows a plan, asks, publishes it, and tells the devices.
func (p *fleetFlags) finish(cmd *cobra.Command, repo *fleetsync.FleetRepo, plan *fleetsync.Plan) error {
	if p.hint.URL != "" { // before it is too late
		if _, err := p.hint.client(); err != nil {
			return err
		}
	}
	asks := !plan.Unchanged() && !p.yes
	if p.output == "text" {
		printPlan(cmd.OutOrStdout(), plan)
	} else if asks {
		printPlan(cmd.ErrOrStderr(), plan)
	}
	noted := len(plan.Warnings())
	if asks {
		if err := confirm(cmd, fmt.Sprintf("publish this to %s?", repo.Ref())); err != nil {
			return err
		}
	}
	result, err := repo.Push(cmd.Context(), plan, p.progress(cmd))
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: run it again, and see with skerry fleet show what is published")
	}
	if err != nil {
		return err
	}
	if err := printPublished(cmd.OutOrStdout(), &result, p.output); err != nil {
		return err
	}
	if p.output == "text" {
		printNotes(cmd.OutOrStdout(), result.Warnings[noted:])
	}
	if p.hint.URL == "" {
		return nil
	}
	return publishHint(cmd.Context(), p.hint, repo.Name(), fleetsync.Hint{Revision: result.Revision, Digest: string(result.Digest)})
}

// progress shows bars to a person.
func (p *fleetFlags) progress(cmd *cobra.Command) fleetsync.Progress {
	if p.output != "text" || !isTerminal(os.Stderr) {
		return nil
	}
	return progressBars(cmd.ErrOrStderr())
}

// printPlan lists what differs from what is published.
func printPlan(w io.Writer, plan *fleetsync.Plan) {
	gained := 0
	for _, c := range plan.Diff() {
		fmt.Fprintf(w, "  %s\n", c)
		if c.Gained {
			gained++
		}
	}
	if gained > 0 {
		fmt.Fprintf(w, "A function may do what it may not do now: see %s marked GAINED.\n", agent.CountText(gained, "line"))
	}
	printNotes(w, plan.Warnings())
}

func printNotes(w io.Writer, notes []string) {
	for _, text := range notes {
		fmt.Fprintf(w, "note: %s\n", text)
	}
}

// progressBars shows a bar for each step.
func progressBars(w io.Writer) fleetsync.Progress {
	bars := map[string]func(done, total int64){}
	return func(step string, done, total int64) {
		if bars[step] == nil {
			fmt.Fprintf(w, "%s\n", step)
			bars[step] = progressBar(w)
		}
		bars[step](done, total)
	}
}
