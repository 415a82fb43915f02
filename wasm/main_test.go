package wasm_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/skerry-edge/skerry/wasm"
)

// shared is a folder for what the tests of this process make once.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "skerry-wasm-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(shared); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// cached are options for what takes long to compile: it is compiled once for all
// tests. The race detector makes the compiler 50 times slower, so a process
// without it compiles then, as one does for the agent.
func cached(t testing.TB) wasm.Options {
	t.Helper()
	opts := wasm.Options{CacheDir: filepath.Join(shared, "code"), Key: make([]byte, 32)}
	if race {
		program, err := compiler()
		if err != nil {
			t.Fatal(err)
		}
		opts.Compiler = []string{program, "compile-module"}
	}
	return opts
}

// compiler builds the compiling process. Only a test has the compiler of a test:
// wazero keeps code under its version, which the build tells other programs alone.
var compiler = sync.OnceValues(func() (string, error) {
	program := filepath.Join(shared, "compiler")
	cmd := exec.Command("go", "test", "-c", "-o", program, "./codecache")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the compiling process: %w\n%s", err, text)
	}
	return program, nil
})
