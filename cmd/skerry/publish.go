package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

func publishCommand() *cobra.Command {
	var to, output string
	var plainHTTP bool
	cmd := &cobra.Command{
		Use:   "publish app.yaml [fleet.yaml] --to oci://HOST/REPOSITORY:TAG",
		Short: "Put an app, and who runs it, into a registry",
		Long: `Push an app's modules and documents to an OCI registry or an OCI image layout.
Every gateway that follows the reference has them at its next look.

With a fleet document, that decides which devices run which version. Without
one, the first publish gives the app to every device, and later ones move the
app's only unconditional assignment to the new version.`,
		Example: `  skerry publish app.yaml --to oci://registry.example/acme/fleet:latest
  skerry publish app.yaml fleet.yaml --to oci-layout:/media/usb/fleet`,
		Args: args(1, 2),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if to == "" {
				return usageError{errors.New("say where to: --to oci://HOST/REPOSITORY:TAG or --to oci-layout:/path")}
			}
			opts := fleetsync.PublishOptions{Ref: to, AppFile: files[0], Checks: manifestChecks(), PlainHTTP: plainHTTP}
			if len(files) == 2 {
				opts.FleetFile = files[1]
			}
			if output == "text" && isTerminal(os.Stderr) {
				opts.Progress = progressBar(cmd.ErrOrStderr())
			}
			result, err := fleetsync.Publish(cmd.Context(), opts)
			if err != nil {
				return err
			}
			return printPublished(cmd.OutOrStdout(), result, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&to, "to", os.Getenv("SKERRY_REGISTRY_REF"), "reference to publish to; also from SKERRY_REGISTRY_REF")
	f.BoolVar(&plainHTTP, "plain-http", false, "use http with a registry that is not on this machine")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printPublished(w io.Writer, r fleetsync.PublishResult, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintln(w, r)
	return err
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progressBar shows how much of the upload is done.
func progressBar(w io.Writer) func(done, total int64) {
	return func(done, total int64) {
		const width = 40
		full := int(width * done / max(1, total))
		fmt.Fprintf(w, "\r  [%-*s] %s of %s", width, stars[:full], bytesText(done), bytesText(total))
		if done >= total {
			fmt.Fprintln(w)
		}
	}
}

const stars = "########################################"
