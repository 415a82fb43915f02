package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func publishCommand() *cobra.Command {
	var to, output string
	var plainHTTP, noStart bool
	cmd := &cobra.Command{
		Use:   "publish app.yaml [fleet.yaml] --to oci://HOST/REPOSITORY:TAG",
		Short: "Put an app, and who runs it, into a registry",
		Long: `Push an app's modules and documents to an OCI registry or an OCI image layout.
Every gateway that follows the reference has them at its next look.

Each module is started once here, with the settings and limits of its function:
what does not start is not published.

With a fleet document, that decides which devices run which version. Without
one, the first publish of an app gives it to every device, and later ones move
its only unconditional assignment to the new version.`,
		Example: `  skerry publish app.yaml --to oci://registry.example/acme/fleet:latest
  skerry publish fleet.yaml --to oci://registry.example/acme/fleet:latest
  skerry publish app.yaml fleet.yaml --to oci-layout:/media/usb/fleet`,
		Args: args(1, 2),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if to == "" {
				return usageError{errors.New("say where to: --to oci://HOST/REPOSITORY:TAG or --to oci-layout:/path")}
			}
			if _, err := fleetsync.NewRegistry(to, fleetsync.RegistryOptions{}); err != nil {
				return usageError{err}
			}
			opts := fleetsync.PublishOptions{Ref: to, Checks: startChecks(cmd.Context()), PlainHTTP: plainHTTP}
			if noStart {
				opts.Checks.Start = nil
			}
			if err := sortFiles(files, &opts); err != nil {
				return usageError{err}
			}
			if output == "text" && isTerminal(os.Stderr) {
				opts.Progress = progressBar(cmd.ErrOrStderr())
			}
			result, err := fleetsync.Publish(cmd.Context(), opts)
			var wrong *fleetsync.DocumentError
			if errors.As(err, &wrong) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			return printPublished(cmd.OutOrStdout(), result, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", os.Getenv("SKERRY_REGISTRY_REF"), "reference to publish to; also from SKERRY_REGISTRY_REF")
	f.BoolVar(&plainHTTP, "plain-http", false, "use http with a registry that is not on this machine")
	f.BoolVar(&noStart, "no-start", false, "do not try whether each function starts")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printPublished(w io.Writer, r fleetsync.PublishResult, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	var b strings.Builder
	switch what := r.App + "@" + r.Version; {
	case r.App == "":
		fmt.Fprintf(&b, "published the fleet document")
	case r.Unchanged:
		fmt.Fprintf(&b, "%s is there already, nothing was changed", what)
	case r.Unassigned:
		fmt.Fprintf(&b, "published %s, NOT ASSIGNED to any device yet", what)
	default:
		fmt.Fprintf(&b, "published %s", what)
	}
	fmt.Fprintf(&b, ": %s, fleet %q at revision %d, %s sent\n", r.Ref, r.Fleet, r.Revision, agent.BytesText(r.Bytes))
	for _, m := range r.Modules {
		fmt.Fprintf(&b, "  %s  %s  %s\n", m.Function, m.Digest, agent.BytesText(m.Size))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "note: %s\n", w)
	}
	if r.Unassigned {
		fmt.Fprintf(&b, "note: the fleet document has rules of its own for %s: name version %s there and publish it\n", r.App, r.Version)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sortFiles tells the app's file from the fleet's by their kind.
func sortFiles(files []string, opts *fleetsync.PublishOptions) error {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the manifest: %w", err)
		}
		into := &opts.AppFile
		if fleetKind.Match(text) {
			into = &opts.FleetFile
		}
		if *into != "" {
			return fmt.Errorf("%s and %s are of the same kind: publish one app and one fleet document at a time", *into, file)
		}
		*into = file
	}
	return nil
}

var fleetKind = regexp.MustCompile(`(?m)^\s*"?kind"?:\s*"?Fleet\b`)

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressBar shows how much of the upload is done.
func progressBar(w io.Writer) func(done, total int64) {
	return func(done, total int64) {
		const width = 40
		full := int(width * done / max(1, total))
		fmt.Fprintf(w, "\r  [%-*s] %s of %s", width, stars[:full], agent.BytesText(done), agent.BytesText(total))
		if done >= total {
			fmt.Fprintln(w)
		}
	}
}

const stars = "########################################"
