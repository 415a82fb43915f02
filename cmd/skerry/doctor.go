package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
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
	var o doctorOptions
	var output string
	cmd := &cobra.Command{
		Use:   "doctor [-c skerry.yaml]",
		Short: "Look over this device: engine, memory, disk, clock, configuration, brokers",
		Long: `Look over this device and its configuration, measure how fast functions run
here, ask the registry, brokers and targets whether they can do what is needed, and
say what to do about what is wrong: of brokers above all what loses messages.

It changes nothing, sends nothing to targets, leaves no session at a broker, and may
run beside the agent; run it as the agent's user. What does not answer is given up
after 4 seconds; --offline asks nobody. Exit code 1 if something fails.`,
		Example: "  skerry doctor -c /etc/skerry/skerry.yaml\n  skerry doctor --offline\n  skerry doctor -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			o.named = cmd.Flags().Changed("config")
			findings := o.examine(cmd.Context())
			if err := printFindings(cmd.OutOrStdout(), findings, output); err != nil {
				return err
			}
			return failed(findings)
		},
	}
	cmd.Flags().StringVarP(&o.path, "config", "c", defaultConfig, "configuration file of the agent")
	cmd.Flags().BoolVar(&o.offline, "offline", false, "ask nobody on the network: no registry, broker or target")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// doctorOptions say what is looked at.
type doctorOptions struct {
	path    string // of the configuration
	named   bool   // it was asked for: that there is none is a mistake
	offline bool
}

// examine looks at everything.
func (o *doctorOptions) examine(ctx context.Context) []finding {
	out := []finding{checkEngine(ctx), checkCPU(), checkClock("/")}
	_, err := os.Stat(o.path)
	if errors.Is(err, fs.ErrNotExist) && !o.named {
		return append(out, checkMemory(nil),
			finding{"config", warning, "there is none at " + o.path + ", so the rest is not looked at", "name it with -c"})
	}
	cfg, err := LoadConfig(o.path)
	if err != nil {
		return append(out, checkMemory(nil), finding{"config", failing, oneSentence(err), "mend it: docs/configuration.md has every key"})
	}
	out = append(out, finding{"config", fine, o.path + " is in order", ""})
	for _, w := range cfg.Warnings {
		out = append(out, finding{"config", warning, w, ""})
	}
	out = append(out, checkIdentity(cfg.Data, "/")...)
	far, functions := o.askOthers(ctx, &cfg)
	out = append(out, far...)
	out = append(out, checkFiles(&cfg)...)
	out = append(out, checkMemory(functions), checkData(&cfg))
	out = append(out, checkMount(cfg.Data, "/")...)
	return append(out, checkCache(&cfg))
}

// askOthers asks the registry, the agent, brokers and targets, all at a time as far as
// that goes, so that it takes a few seconds where nobody answers. Functions are those
// of the fleet.
func (o *doctorOptions) askOthers(ctx context.Context, cfg *Config) (out []finding, functions []agent.Function) {
	running, err := askAgent(ctx, cfg)
	if o.offline {
		return agentFindings(cfg, &running, err, false), nil
	}
	var fleet, brokers, targets []finding
	var asking sync.WaitGroup
	asking.Go(func() { fleet, functions = checkRegistry(ctx, cfg) })
	asking.Go(func() { brokers = checkBrokers(ctx, cfg, filtersOf(&running)) })
	asking.Go(func() { targets = checkTargets(ctx, cfg) })
	asking.Wait()
	away := slices.ContainsFunc(fleet, func(f finding) bool { return f.Check == "registry" && f.State != fine })
	return slices.Concat(fleet, agentFindings(cfg, &running, err, away), brokers, targets), functions
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
