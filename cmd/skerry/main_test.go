package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// asSkerry makes the test binary be skerry itself, so that tests can start,
// stop and kill the real thing.
const asSkerry = "TEST_AS_SKERRY"

func TestMain(m *testing.M) {
	if os.Getenv(asSkerry) != "" {
		os.Exit(run())
	}
	testscript.Main(m, map[string]func(){"skerry": func() { os.Exit(run()) }})
}

// TestScripts runs users' sessions: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
