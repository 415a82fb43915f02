package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/javascript"
)

// guest is the alarm in one language, and what it should take.
type guest struct {
	name     string
	path     string // of the module below the folder of guests
	build    bool   // path is a folder with a Go program
	event    string
	env      map[string]string
	native   func([]byte) error
	mark     float64 // us per event
	noAllocs bool    // it may allocate nothing in the host
	overhead float64 // that fuel may cost, %; 0: not measured
	bin      []byte
}

const (
	guestFolder = "wasm/testdata/guests"
	hot         = `{"sensor":"s1","line":3,"temp":31.5,"unit":"C","ts":1700000000123,"seq":420,"site":"plant-west","ok":true,"humidity":44.25}`
	hotExtism   = `{"sensor":"s1","line":3,"temperature":91.5,"unit":"C","ts":1700000000123,"seq":420,"site":"plant-west","ok":true,"humidity":44.25}`
)

var threshold = map[string]string{"threshold": "30"}

// allGuests are the alarms there should be.
func allGuests() []guest {
	return []guest{
		{name: "C", path: "alarm/c/alarm.wasm", native: alarmSmall, mark: 1, noAllocs: true, overhead: 25},
		{name: "Rust, no_std", path: "alarm/rust/alarm.wasm", native: alarmSmall, mark: 1, noAllocs: true, overhead: 35},
		{name: "Rust, std", path: "alarm/rust-std/alarm.wasm", native: alarmSmall, mark: 1, noAllocs: true, overhead: 35},
		{name: "Zig", path: "alarm/zig/alarm.wasm", native: alarmSmall, overhead: 35},
		{name: "AssemblyScript", path: "alarm/assemblyscript/alarm.wasm", native: alarmSmall, mark: 5, overhead: 35},
		{name: "Go, small reader", path: "alarm/go", build: true, native: alarmSmall, mark: 2.5, overhead: 25},
		{name: "Go, encoding/json", path: "alarm/go-json", build: true, native: alarmJSON, mark: 50, overhead: 25},
		{name: "JavaScript", path: "alarm/javascript/alarm.js", native: alarmJSON, mark: 30},
		{name: "Extism, C", path: "extism/alarm.wasm", native: alarmSmall, event: hotExtism, env: map[string]string{"LIMIT": "80"}, mark: 4},
		{name: "WASI command, C", path: "alarm/wasi-c/alarm.wasm", native: alarmSmall, mark: 70},
	}
}

// findGuests reads those that which matches and that are there, and names the others.
func findGuests(ctx context.Context, which *regexp.Regexp) (found []guest, missing []string, err error) {
	if _, err := os.Stat(guestFolder); err != nil {
		return nil, nil, fmt.Errorf("%w: run it from the root of the repository", err)
	}
	for _, g := range allGuests() {
		if !which.MatchString(g.name) {
			continue
		}
		path := filepath.Join(guestFolder, g.path)
		if g.build {
			if path, err = buildGo(ctx, path); err != nil {
				return nil, nil, err
			}
			defer os.Remove(path)
		}
		switch g.bin, err = os.ReadFile(path); {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, g.name)
			continue
		case err != nil:
			return nil, nil, err
		}
		if g.event == "" {
			g.event, g.env = hot, threshold
		}
		found = append(found, g)
	}
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("no guest is named like %s", which)
	}
	return found, missing, nil
}

// buildGo builds a Go guest into a new file.
func buildGo(ctx context.Context, folder string) (string, error) {
	f, err := os.CreateTemp("", "benchwasm-*.wasm")
	if err != nil {
		return "", err
	}
	f.Close()
	cmd := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", f.Name(), "./"+folder)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build %s: %w: %s", folder, err, text), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// engine is the module that wazero alone is given.
func (g *guest) engine() []byte {
	if strings.HasSuffix(g.path, ".js") {
		return javascript.Engine()
	}
	return g.bin
}

// function is the guest as an app would have it.
func (g *guest) function() agent.Function {
	limits := agent.DefaultLimits
	limits.Memory = 32 << 20
	return agent.Function{
		Name: "bench/alarm", Digest: digest(g.bin), Env: g.env, Limits: limits,
		Permissions: agent.Permissions{Invoke: []string{"central/central"}},
	}
}
