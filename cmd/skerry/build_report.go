package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// buildReport is what skerry build tells of an app.
type buildReport struct {
	File      string           `json:"file"` // the manifest
	App       string           `json:"app"`
	Version   string           `json:"version"`
	Functions []functionReport `json:"functions,omitempty"` // by name; none of rules
	Triggers  int              `json:"triggers"`
}

type functionReport struct {
	Name        string              `json:"name"` // app/function
	Module      string              `json:"module"`
	Source      string              `json:"source,omitempty"` // the file that the compiler began with
	Language    string              `json:"language,omitempty"`
	Compiler    string              `json:"compiler,omitempty"`
	Built       time.Duration       `json:"build_ns,omitempty"`
	Digest      agent.Digest        `json:"digest"`
	Size        int                 `json:"size"` // bytes
	ABI         wasm.ABI            `json:"abi"`
	Starts      bool                `json:"starts"`
	Reason      string              `json:"reason,omitempty"` // why not
	Start       time.Duration       `json:"start_ns,omitempty"`
	StartFuel   int64               `json:"start_fuel,omitempty"`
	Memory      int64               `json:"memory"` // bytes, once it has started
	MemoryLimit int64               `json:"memory_limit"`
	Uses        []string            `json:"uses,omitempty"`    // calls that need a grant, and have one
	Missing     map[string]string   `json:"missing,omitempty"` // calls that have none, and what to add
	Unused      map[string][]string `json:"unused,omitempty"`  // grants by key that no call needs
}

func reportBuild(ctx context.Context, file string, app *fleetsync.App, built map[string]builtModule) (*buildReport, error) {
	r := &buildReport{File: file, App: app.Metadata.Name, Version: app.Metadata.Version, Triggers: len(app.Triggers)}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		def := app.Functions[name]
		if def.Module.Path == "" {
			continue
		}
		fn, path, err := fleetsync.LocalFunction(file, name, wasm.Interpreted(), publishChecks())
		if err != nil {
			return nil, usageError{err}
		}
		module, err := readModule(path)
		if err != nil {
			return nil, err
		}
		fn.Digest, fn.Size = module.digest(), int64(len(module))
		m := built[modulePath(file, def.Module.Path)]
		f := functionReport{
			Name: fn.Name, Module: path, Source: m.Main, Language: m.Language, Compiler: m.compiler, Built: m.took,
			Digest: fn.Digest, Size: len(module), MemoryLimit: fn.Limits.Memory,
		}
		if err := f.look(ctx, &def, fn, module); err != nil {
			f.Reason = loadText(err, fn.Name)
		}
		r.Functions = append(r.Functions, f)
	}
	return r, nil
}

// look inspects the module and starts it. An error says why it does not start.
func (f *functionReport) look(ctx context.Context, def *fleetsync.AppFunction, fn agent.Function, module oneModule) error {
	if err := fleetsync.CheckModuleFile(f.Module, module); err != nil {
		return fmt.Errorf("it %w", err)
	}
	info, err := wasm.Inspect(module)
	if err != nil {
		return err
	}
	f.ABI, f.Memory = info.ABI, startMemory(info)
	if info.ABI == wasm.SkerryV1 { // the imports of others do not tell what they need
		f.compareGrants(def, hostImports(info))
	}
	return f.start(ctx, fn, module)
}

func (f *functionReport) compareGrants(def *fleetsync.AppFunction, imports []string) {
	f.Missing, f.Unused = fleetsync.MissingGrants(def, imports), fleetsync.UnusedGrants(def, imports)
	for _, name := range imports {
		if fleetsync.NeededGrant(name) != "" && f.Missing[name] == "" {
			f.Uses = append(f.Uses, name)
		}
	}
	slices.Sort(f.Uses)
}

// start measures the start of an instance whose code is compiled already.
func (f *functionReport) start(ctx context.Context, fn agent.Function, module oneModule) (err error) {
	fn.Limits.Timeout = max(fn.Limits.Timeout, startWithin)
	rt := sandbox(module, nil, nil)
	defer closing(&err, rt.Close)
	for range 2 { // the first one waits for the compiler
		begin := time.Now()
		m, err := rt.Load(ctx, fn)
		if err != nil {
			return err
		}
		defer closing(&err, m.Close)
		f.Start = time.Since(begin)
		if fuel, memory := m.(interface{ Started() (fuel, memory int64) }).Started(); memory > 0 {
			f.StartFuel, f.Memory = fuel, memory
		}
	}
	f.Starts = true
	return nil
}

func (r *buildReport) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%s\n", r.App, r.Version)
	if len(r.Functions) == 0 {
		fmt.Fprintf(&b, "  %s, nothing to compile\n", agent.CountText(r.Triggers, "rule"))
	}
	for i := range r.Functions {
		r.Functions[i].print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *functionReport) print(b *strings.Builder) {
	line := func(label, format string, a ...any) {
		fmt.Fprintf(b, "  %-9s%s\n", label, wrapped(fmt.Sprintf(format, a...), 11))
	}
	fmt.Fprintf(b, "\n%s\n", f.Name)
	from := ""
	switch {
	case f.Compiler == "" && f.Language != "":
		from = ", as " + f.Source + " was built before"
	case f.Compiler != "":
		from = fmt.Sprintf(", built from %s by %s in %s", f.Source, f.Compiler, round(f.Built))
	}
	line("module", "%s, %s%s", f.Module, agent.BytesText(int64(f.Size)), from)
	if f.ABI != "" {
		line("abi", "%s: %s", f.ABI, abiWords[f.ABI])
	}
	switch {
	case !f.Starts:
		line("DOES NOT", "start: %s", f.Reason)
		return
	case f.ABI == wasm.WASICommand:
		line("start", "at each event, beginning with %s of the %s of memory it may have", agent.BytesText(f.Memory), agent.BytesText(f.MemoryLimit))
	case wasm.Interpreted():
		line("start", "at the first event, with %s of the %s of memory it may have", agent.BytesText(f.Memory), agent.BytesText(f.MemoryLimit))
	default:
		line("start", "%s, %d fuel, %s of the %s of memory it may have", round(f.Start), f.StartFuel, agent.BytesText(f.Memory), agent.BytesText(f.MemoryLimit))
	}
	f.printGrants(line)
}

// printGrants compares what is called with what is granted.
func (f *functionReport) printGrants(line func(label, format string, a ...any)) {
	switch {
	case f.ABI != wasm.SkerryV1:
		line("grants", "shown by running it: what %s calls is not known before", f.ABI)
		return
	case len(f.Uses) > 0:
		line("grants", "%s: granted", strings.Join(f.Uses, ", "))
	case len(f.Missing) == 0:
		line("grants", "needs none")
	}
	_, name, _ := strings.Cut(f.Name, "/")
	for _, call := range slices.Sorted(maps.Keys(f.Missing)) {
		line("MISSING", "%s: it is called and not granted, so publish refuses it. Add %s to function %s", call, f.Missing[call], name)
	}
	for _, key := range slices.Sorted(maps.Keys(f.Unused)) {
		line("unused", "%s [%s]: no call in the module needs it, so take it out", key, strings.Join(f.Unused[key], ", "))
	}
}

// failedToStart names the first function that does not.
func failedToStart(reports []*buildReport) error {
	for _, r := range reports {
		for _, f := range r.Functions {
			if !f.Starts {
				return errors.New(f.Name + " does not start: " + f.Reason)
			}
		}
	}
	return nil
}
