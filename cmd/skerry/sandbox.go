package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// oneModule is the module cache of a sandbox.
type oneModule []byte

func (m oneModule) Blob(agent.Digest) ([]byte, error) { return m, nil }

func (m oneModule) digest() agent.Digest {
	return agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(m)))
}

const maxModuleFile = 64 << 20 // bytes; the runtime says better what is too large for it

// readModule reads the file of a module, of whatever kind.
func readModule(path string) (oneModule, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usageError{fmt.Errorf("%s does not exist: name the .wasm file that the compiler wrote, or a .js file", path)}
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("read the module: %w", err)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxModuleFile))
	if errors.Is(err, syscall.EISDIR) {
		return nil, usageError{fmt.Errorf("%s is a folder: name the .wasm or .js file in it", path)}
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("read the module: %w", err)}
	}
	return data, nil
}

// sandbox makes the runtime that devices have, for some modules. What a module
// says while it starts goes to said, if that is not nil; wall is what functions are
// told is the time, nil the real one. Compiled code is kept in
// the user's cache, so that only the first run of a module waits for it.
func sandbox(modules wasm.Modules, said func(slog.Level, string), wall func() time.Time) *wasm.Runtime {
	opts := wasm.Options{
		Compiler: compiler(), ModuleSize: wasm.MaxModuleSize, Wall: wall, Log: slog.New(startLog{slog.DiscardHandler, said}),
	}
	if dir, err := os.UserCacheDir(); err == nil {
		dir = filepath.Join(dir, "skerry")
		if os.MkdirAll(dir, 0o700) == nil {
			if key, err := deviceKey(dir); err == nil {
				opts.CacheDir, opts.Key = filepath.Join(dir, compiledDir), key
			}
		}
	}
	return wasm.NewRuntime(modules, opts)
}

// startLog picks out of the runtime's log what a guest said when it started.
// All else there is about running on, and no matter for one run.
type startLog struct {
	slog.Handler
	said func(slog.Level, string)
}

func (h startLog) Enabled(context.Context, slog.Level) bool { return h.said != nil }

func (h startLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "said" {
			h.said(r.Level, a.Value.String())
		}
		return true
	})
	return nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// functionName makes the name of a function of the file of its module.
func functionName(path string) string {
	base := strings.ToLower(filepath.Base(path))
	base = strings.TrimSuffix(base, filepath.Ext(base))
	return "local/" + strings.Trim(notInNames.ReplaceAllString(base, "-"), "-")
}

// emptyState is the state of a function that never ran.
type emptyState struct{}

func (emptyState) Get(string, string) ([]byte, error)         { return nil, nil }
func (emptyState) Keys(string, string, int) ([]string, error) { return nil, nil }

// closing adds the error of closing to err.
func closing(err *error, close func(context.Context) error) {
	*err = errors.Join(*err, close(context.Background()))
}
