package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// moduleReport is what skerry inspect tells of a module.
type moduleReport struct {
	File            string         `json:"file"`
	Runs            bool           `json:"runs"`             // on this device, as far as can be told without an event
	Reason          string         `json:"reason,omitempty"` // why it does not, or what it lacks to start
	ABI             wasm.ABI       `json:"abi,omitempty"`
	Digest          agent.Digest   `json:"digest"`
	Size            int            `json:"size"` // bytes
	Functions       int            `json:"functions,omitempty"`
	LargestFunction int            `json:"largest_function,omitempty"` // bytes of code
	MemoryStart     int64          `json:"memory_start"`               // bytes
	MemoryMax       int64          `json:"memory_max,omitempty"`       // bytes that the module grows to at most; 0 if it states none
	MemoryLimit     string         `json:"memory_limit,omitempty"`     // the least limits.memory
	Interpreted     bool           `json:"interpreted"`
	Imports         []moduleImport `json:"imports,omitempty"`
	Exports         []moduleExport `json:"exports,omitempty"`
}

type moduleImport struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Type   string `json:"type,omitempty"`
	Needs  string `json:"needs,omitempty"` // in the app's manifest
}

type moduleExport struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	Type string `json:"type,omitempty"`
}

func inspectCommand() *cobra.Command {
	var output string
	var env []string
	cmd := &cobra.Command{
		Use:   "inspect FILE.wasm|FILE.js",
		Short: "Tell what a module is, what it needs, and whether it runs here",
		Long: `Tell what a module is: its ABI, size, memory, imports with what each needs in
the manifest, and exports. It is compiled and started as on a device; one that
does not run here ends the command with exit code 1 and the reason.`,
		Example: "  skerry inspect overheat.wasm\n  skerry inspect handler.js -o json",
		Args:    args(1, 1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			settings, err := parseSettings(env)
			if err != nil {
				return usageError{err}
			}
			module, err := readModule(files[0])
			if err != nil {
				return err
			}
			report := inspectModule(cmd.Context(), files[0], module, settings)
			if err := printReport(cmd.OutOrStdout(), report, output); err != nil {
				return err
			}
			if !report.Runs {
				return fmt.Errorf("%s does not run here: %s", files[0], report.Reason)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&env, "env", nil, "setting to start it with, NAME=VALUE; may be repeated")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func inspectModule(ctx context.Context, file string, module oneModule, env map[string]string) moduleReport {
	r := moduleReport{File: file, Digest: module.digest(), Size: len(module), Interpreted: wasm.Interpreted()}
	if err := fleetsync.CheckModuleFile(file, module); err != nil {
		r.Reason = "it " + err.Error()
		return r
	}
	info, err := wasm.Inspect(module)
	if err != nil {
		r.Reason = oneSentence(err)
		return r
	}
	r.describe(info)
	if info.ABI == wasm.Extism {
		_, err = info.Entry(env)
	}
	lacksSetting := err != nil // the name of its entry point
	if err == nil {
		err = tryStart(ctx, functionName(file), module, r.MemoryStart, env)
		var fault *agent.Fault
		if lacksSetting = errors.As(err, &fault) && fault.Kind == agent.FaultError && info.ABI != wasm.JavaScript; lacksSetting {
			err = fault.Err
		}
	}
	r.Runs = err == nil || lacksSetting
	if err != nil {
		r.Reason = loadText(err, functionName(file))
	}
	return r
}

// loadText is why a function does not load, without its name, which was made up.
func loadText(err error, name string) string {
	return strings.TrimPrefix(oneSentence(err), "load "+name+": ")
}

func (r *moduleReport) describe(info wasm.Info) {
	r.ABI, r.Functions, r.LargestFunction = info.ABI, info.Functions, info.LargestFunction
	r.MemoryStart = startMemory(info)
	if info.MemoryMax < 65536 {
		r.MemoryMax = int64(info.MemoryMax) * 64 << 10
	}
	if r.MemoryStart > 0 {
		r.MemoryLimit = fleetsync.Quantity(r.MemoryStart).String()
	}
	for _, im := range info.Imports {
		out := moduleImport{Module: im.Module, Name: im.Name, Kind: im.Kind, Type: im.Type}
		switch {
		case im.Module == string(wasm.SkerryV1):
			out.Needs = fleetsync.NeededGrant(im.Name)
		case info.ABI == wasm.Extism && im.Name == "http_request":
			out.Needs = fleetsync.NeededGrant("http")
		}
		r.Imports = append(r.Imports, out)
	}
	for _, ex := range info.Exports {
		r.Exports = append(r.Exports, moduleExport{Name: ex.Name, Kind: ex.Kind, Type: ex.Type})
	}
}

// tryStart starts a module with default limits, and the settings env. A Fault of
// kind FaultError says that it refuses to start, perhaps for want of a setting.
func tryStart(ctx context.Context, name string, module oneModule, memory int64, env map[string]string) error {
	limits := fleetsync.DefaultLimits(wasm.Interpreted())
	limits.Memory, limits.Timeout = max(limits.Memory, memory), startWithin
	return startOnce(ctx, agent.Function{Name: name, Digest: module.digest(), Size: int64(len(module)), Env: env, Limits: limits}, module)
}

// oneSentence is an error in one line.
func oneSentence(err error) string { return spaced(err.Error()) }

var abiWords = map[wasm.ABI]string{
	wasm.SkerryV1:    "one instance serves many events",
	wasm.WASICommand: "started anew for each event",
	wasm.Extism:      "an Extism plug-in, one instance serves many events",
	wasm.JavaScript:  "source text, for the engine inside of the agent",
}

func printReport(w io.Writer, r moduleReport, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	if !r.Runs {
		return nil // the error says it
	}
	var b strings.Builder
	line := func(label, format string, a ...any) {
		fmt.Fprintf(&b, "%-9s%s\n", label, wrapped(fmt.Sprintf(format, a...), 9))
	}
	fmt.Fprintf(&b, "%s runs here\n\n", r.File)
	if r.Reason != "" {
		line("but", "it refuses to start, perhaps for want of a setting (--env NAME=VALUE): %s", r.Reason)
	}
	line("abi", "%s: %s", r.ABI, abiWords[r.ABI])
	if r.Functions > 0 {
		line("size", "%s, %d functions, the largest has %s of code", agent.BytesText(int64(r.Size)), r.Functions, agent.BytesText(int64(r.LargestFunction)))
	} else {
		line("size", "%s", agent.BytesText(int64(r.Size)))
	}
	line("digest", "%s", r.Digest)
	if r.MemoryLimit != "" {
		line("memory", "%s", r.memoryText())
	}
	if r.Interpreted {
		line("engine", "interpreted on %s, 30 to 170 times slower than compiled: see skerry doctor", runtime.GOARCH)
	}
	r.printImports(&b)
	if len(r.Exports) > 0 {
		line("exports", "%s", strings.Join(r.exportTexts(), ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *moduleReport) memoryText() string {
	own := "has no maximum of its own"
	if r.MemoryMax > 0 {
		own = "grows to " + agent.BytesText(r.MemoryMax) + " at most"
	}
	need := "the default limit will do"
	if r.MemoryStart > agent.DefaultLimits.Memory {
		need = "needs limits: {memory: " + r.MemoryLimit + "} or more"
	}
	return fmt.Sprintf("starts with %s, %s; %s", agent.BytesText(r.MemoryStart), own, need)
}

// printImports groups imports by what they need.
func (r *moduleReport) printImports(b *strings.Builder) {
	type group struct{ module, needs string }
	names := map[group][]string{}
	var order []group
	for _, im := range r.Imports {
		g := group{im.Module, im.Needs}
		if names[g] == nil {
			order = append(order, g)
		}
		names[g] = append(names[g], im.Name)
	}
	slices.SortStableFunc(order, func(a, b group) int {
		return strings.Compare(a.module+"\x00"+a.needs, b.module+"\x00"+b.needs)
	})
	label := "imports"
	for _, g := range order {
		slices.Sort(names[g])
		fmt.Fprintf(b, "%-9s%s\n", label, wrapped(g.module+": "+strings.Join(names[g], ", "), 9))
		needs := "nothing to grant"
		if g.needs != "" {
			needs = "needs " + g.needs
		}
		fmt.Fprintf(b, "%-9s  %s\n", "", needs)
		label = ""
	}
}

func (r *moduleReport) exportTexts() []string {
	var out []string
	for _, ex := range r.Exports {
		text := ex.Name
		if ex.Kind != "func" && ex.Kind != ex.Name {
			text += " (" + ex.Kind + ")"
		}
		out = append(out, text)
	}
	return out
}

const screenWidth = 80

// wrapped breaks text at spaces to fit the screen; further lines are indented.
func wrapped(text string, indent int) string {
	var b strings.Builder
	column := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case column+1+len(word) > screenWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}
