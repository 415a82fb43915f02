package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// compilerEnv is where agents that are this binary find their compiling process; none
// is this binary once more.
const compilerEnv = "TEST_COMPILER"

// buildCompiler builds a compiling process without the race detector, which makes the
// compiler 50 times slower: as tests of package wasm do. It lies beside this program,
// in the folder that go test removes.
func buildCompiler() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(self), "compiler")
	build := exec.Command("go", "test", "-c", "-o", program, "../../wasm/codecache")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the compiling process: %w\n%s", err, text)
	}
	compilerProgram = program // for what runs in this process
	return os.Setenv(compilerEnv, program)
}
