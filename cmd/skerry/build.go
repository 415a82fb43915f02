package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/internal/author"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// appFile is the manifest that commands take when none is named.
const appFile = "app.yaml"

func buildCommand() *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "build [FOLDER|app.yaml]...",
		Short: "Compile functions, and compare what they need with what they are granted",
		Long: `Compile the modules of an app.yaml, that of this folder unless others are named,
from what lies beside each: NAME.c, NAME.rs, NAME.ts (AssemblyScript) or NAME.zig
for NAME.wasm, Cargo.toml, main.go or go.mod. JavaScript and rules need no
compiler. Nothing is downloaded; a compiler that is missing is named with the
command that installs it. CLANG, RUSTC, CARGO, ASC, ZIG and GO name others. A module
notes what it was built from, and is built again when that has changed, whatever the
clock says; --force builds all, as after a change of compiler.

Then each function is started as on a device, and shown: size, ABI, what starting
takes, and what it calls beside what app.yaml grants.

Exit codes: 0 built, 1 it does not compile or start, or a compiler is missing, 2
wrong command line or manifest.`,
		Example: "  skerry build\n  skerry build functions/alarm functions/report -o json",
		Args:    args(0, 100),
		RunE: func(cmd *cobra.Command, places []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if len(places) == 0 {
				places = []string{"."}
			}
			return buildAll(cmd, places, force, output)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "build what has not changed, too")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

// buildAll builds the apps of these folders or manifests, and reports each.
func buildAll(cmd *cobra.Command, places []string, force bool, output string) error {
	var reports []*buildReport
	for _, place := range places {
		file, app, err := openApp(place)
		if err != nil {
			return err
		}
		built, err := buildModules(cmd.Context(), file, app, cmd.ErrOrStderr(), force)
		if err != nil {
			return err
		}
		report, err := reportBuild(cmd.Context(), file, app, built)
		if err != nil {
			return err
		}
		if output == "text" {
			if err := report.print(cmd.OutOrStdout()); err != nil {
				return err
			}
		}
		reports = append(reports, report)
	}
	if output == "json" {
		if err := printJSON(cmd.OutOrStdout(), reports); err != nil {
			return err
		}
	}
	return failedToStart(reports)
}

// openApp reads the manifest at place, or in the folder that is place.
func openApp(place string) (file string, app *fleetsync.App, err error) {
	file, err = appAt(place)
	if err != nil {
		return "", nil, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", nil, usageError{fmt.Errorf("read the manifest: %w", err)}
	}
	app, err = fleetsync.ParseApp(file, text, publishChecks())
	if err != nil {
		return "", nil, usageError{err}
	}
	return file, app, nil
}

// appAt is the manifest at place, or in the folder that is place.
func appAt(place string) (string, error) {
	info, err := os.Stat(place)
	if err == nil && !info.IsDir() {
		return place, nil
	}
	file := place
	if err == nil || filepath.Ext(place) == "" {
		file = filepath.Join(place, appFile)
	}
	if err == nil {
		_, err = os.Stat(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", usageError{fmt.Errorf("there is no %s: name the folder of an app, or begin one with skerry new", file)}
	}
	if err != nil {
		return "", usageError{fmt.Errorf("look for the manifest: %w", err)}
	}
	return file, nil
}

// builtModule is a module of an app, and how it came to be.
type builtModule struct {
	author.Source
	compiler string // "" if it was not built now
	took     time.Duration
}

// buildModules builds the modules of an app, by their path: all, or those that are
// missing or were made from another source. What compilers say, and what is built,
// goes to stderr.
func buildModules(ctx context.Context, file string, app *fleetsync.App, stderr io.Writer, all bool) (map[string]builtModule, error) {
	built := map[string]builtModule{}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		path := app.Functions[name].Module.Path
		if path == "" {
			continue // it lies in the registry
		}
		path = modulePath(file, path)
		if _, done := built[path]; done {
			continue
		}
		m, err := buildModule(ctx, path, stderr, all)
		if err != nil {
			return nil, err
		}
		built[path] = m
	}
	return built, nil
}

// modulePath is where a path of a manifest leads.
func modulePath(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), filepath.FromSlash(path))
}

func buildModule(ctx context.Context, path string, stderr io.Writer, force bool) (builtModule, error) {
	source, err := author.Find(path)
	if err != nil {
		return builtModule{}, err
	}
	m := builtModule{Source: source}
	if source.Language == "" {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return m, noSource(path)
		}
		return m, nil
	}
	state, err := source.State()
	if err != nil {
		return m, err
	}
	if state == author.Foreign && !force {
		fmt.Fprintf(stderr, "note: %s is older than %s, and was not made by skerry build: it is left as it is; skerry build --force builds it from that\n", path, source.Main)
	}
	if state != author.Stale && !force {
		return m, nil
	}
	fmt.Fprintf(stderr, "building %s from %s\n", path, source.Main)
	begin := time.Now()
	m.compiler, err = source.Build(ctx, stderr)
	m.took = time.Since(begin)
	return m, err
}

// noSource says what would be built.
func noSource(path string) error {
	if filepath.Ext(path) != ".wasm" {
		return usageError{fmt.Errorf("%s is not there: write it, or name another file in the manifest", path)}
	}
	stem := strings.TrimSuffix(filepath.Base(path), ".wasm")
	return usageError{fmt.Errorf("%s is not there, and nothing beside it to build it from: %s.c, .rs, .ts, .zig, Cargo.toml or main.go", path, stem)}
}
