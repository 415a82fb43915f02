package main

import (
	"os"
	"path/filepath"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// compilerEnv is where agents that are this binary find their compiling process; none
// is this binary once more.
const compilerEnv = "TEST_COMPILER"

// buildCompiler builds a compiling process without the race detector, which makes the
// compiler 50 times slower. It is the whole program, so that both take the same folder
// for the code of their release of wazero. It lies beside this program, in the folder
// that go test removes.
func buildCompiler() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(self), "compiler")
	if err := testbed.BuildSkerry(program); err != nil {
		return err
	}
	compilerProgram = program // for what runs in this process
	return os.Setenv(compilerEnv, program)
}
