package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asSkerry makes the test binary be skerry itself, so that tests can start,
// stop and kill the real thing.
const asSkerry = "TEST_AS_SKERRY"

func TestMain(m *testing.M) {
	endAtOnce()
	if program := os.Getenv(compilerEnv); program != "" {
		compilerProgram = program
	}
	compiling := len(os.Args) > 1 && os.Args[1] == compiler()[1] // by an agent that is this binary
	fuzzing := slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzzworker") })
	if os.Getenv(asSkerry) != "" && !fuzzing || compiling {
		go tellGoroutines()
		os.Exit(run())
	}
	if os.Getenv(pageEnv) == "" {
		os.Setenv(pageEnv, pageOff) // agents of tests do not meet at the page's port
	}
	os.Setenv(asSkerry, "1")                          // whoever is started from here on
	if raceDetector && os.Getenv(compilerEnv) == "" { // scripts' commands have it
		if err := buildCompiler(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	testscript.Main(m, map[string]func(){"skerry": func() { os.Exit(run()) }})
}

// endAtOnce begins the process anew, once, with the race detector told not to wait
// for a second before it ends: hundreds of agents, commands and compilers that tests
// start are this binary, some of them with no environment to inherit.
func endAtOnce() {
	if !raceDetector || os.Getenv("GORACE") != "" {
		return
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), "GORACE=atexit_sleep_ms=0"))
	panic(err) // Exec returns for no other reason
}

// TestScripts runs users' sessions: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		env.Setenv("EXAMPLES", examples)
		env.Setenv(pageEnv, pageOff)
		env.Setenv(compilerEnv, os.Getenv(compilerEnv))
		env.Setenv("GORACE", os.Getenv("GORACE"))
		env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config")) // where fleets' keys go
		return nil
	}})
}

func TestExitCodesTellWhoseTurnItIs(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args string
		want int
	}{
		{"version", 0},
		{"run -c DIR/none.yaml", 2},
		{"run --nope", 2},
		{"nope", 2},
		{"pubish", 2},
		{"publish DIR/none.yaml --to oci-layout:DIR/fleet", 2},
		{"publish ../../examples/overheat/app.yaml --to ftp://x", 2},
		{"demo --for 3s --offline 3s", 2},
		{"status --socket DIR/none.sock", 1},
		{"uplink --socket DIR/none.sock", 1},
		{"uplink shwo", 2},
		{"uplink drop alerts --socket DIR/none.sock", 2},
	} {
		cmd := exec.Command(os.Args[0], strings.Fields(strings.ReplaceAll(tt.args, "DIR", dir))...)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tt.want {
			t.Errorf("skerry %s: exit code %d (%v), want %d\n%s", tt.args, got, err, tt.want, out)
		}
		if lines := strings.Count(strings.TrimSpace(string(out)), "\n"); tt.want != 0 && lines != 0 {
			t.Errorf("skerry %s says more than one sentence:\n%s", tt.args, out)
		}
	}
}
