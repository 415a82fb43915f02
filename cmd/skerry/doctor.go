package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// finding is one thing that skerry doctor looked at.
type finding struct {
	Check string       `json:"check"`
	State findingState `json:"state"`
	Text  string       `json:"text"`
	Next  string       `json:"next,omitempty"` // what to do about it
}

type findingState string

const (
	fine    findingState = "ok"
	warning findingState = "warn"
	failing findingState = "fail"
)

const defaultConfig = "/etc/skerry/skerry.yaml"

func doctorCommand() *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:   "doctor [-c skerry.yaml]",
		Short: "Look over this device: engine, memory, disk, clock, configuration",
		Long: `Look over this device and its configuration, measure how fast functions run
here, and say what to do about what is wrong. It changes nothing, and may run
beside the agent; run it as the agent's user. Exit code 1 if something fails.`,
		Example: "  skerry doctor -c /etc/skerry/skerry.yaml\n  skerry doctor -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			findings := examine(cmd.Context(), path, cmd.Flags().Changed("config"))
			if err := printFindings(cmd.OutOrStdout(), findings, output); err != nil {
				return err
			}
			return failed(findings)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration file of the agent")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// examine looks at everything. Without a configuration, named says whether one
// was asked for.
func examine(ctx context.Context, path string, named bool) []finding {
	out := []finding{checkEngine(ctx), checkCPU(), checkClock()}
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return append(out, checkMemory(nil),
			finding{"config", warning, "there is none at " + path + ", so the rest is not looked at", "name it with -c"})
	}
	cfg, err := LoadConfig(path)
	if err != nil {
		return append(out, checkMemory(nil), finding{"config", failing, oneSentence(err), "mend it: docs/configuration.md has every key"})
	}
	out = append(out, finding{"config", fine, path + " is in order", ""})
	for _, w := range cfg.Warnings {
		out = append(out, finding{"config", warning, w, ""})
	}
	out = append(out, checkIdentity(cfg.Data, "/")...)
	fleet, functions := checkRegistry(ctx, &cfg)
	out = append(out, fleet...)
	out = append(out, checkAgent(ctx, &cfg)...)
	out = append(out, checkMemory(functions), checkData(&cfg), checkCache(&cfg))
	return out
}

// failed is an error if a finding fails.
func failed(findings []finding) error {
	n := 0
	for _, f := range findings {
		if f.State == failing {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed: do what they say, and run skerry doctor again", n, len(findings))
}

func printFindings(w io.Writer, findings []finding, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(findings)
	}
	var b strings.Builder
	const indent = 16
	for _, f := range findings {
		fmt.Fprintf(&b, "%-5s %-9s %s\n", f.State, f.Check, wrapped(f.Text, indent))
		if f.Next != "" {
			fmt.Fprintf(&b, "%*s%s\n", indent, "", wrapped("-> "+f.Next, indent))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
