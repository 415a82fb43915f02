package examples_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/examples"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/wasm"
)

var update = flag.Bool("update", false, "rewrite what tests and stories expect from what the examples do")

// work is where the skerry of this tree is built, for all tests.
var work string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "skerry-examples-")
	if err != nil {
		panic(err)
	}
	work = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(work, "skerry")
	return path, testbed.BuildSkerry(path)
})

// program is the skerry of this tree.
func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build skerry: %v", err)
	}
	return path
}

// run runs skerry in a folder, as somebody who stands there, and gives its exit code.
func run(t *testing.T, dir string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// folders are those of the examples.
func folders(t *testing.T) (names []string) {
	t.Helper()
	apps, err := filepath.Glob("*/app.yaml")
	if err != nil || len(apps) == 0 {
		t.Fatalf("there are no examples: %v", err)
	}
	for _, app := range apps {
		names = append(names, filepath.Dir(app))
	}
	return names
}

// TestExamples does in each folder what its README says. Modules of Go are built
// first; those of other languages are committed.
func TestExamples(t *testing.T) {
	for _, name := range folders(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(name, "main.go")); err == nil {
				if code, out := run(t, name, "build", "--force"); code != 0 {
					t.Fatalf("skerry build: exit code %d\n%s", code, out)
				}
			}
			args := []string{"test"}
			if *update {
				args = append(args, "--update")
			}
			if code, out := run(t, name, args...); code != 0 {
				t.Errorf("skerry test: exit code %d\n%s", code, out)
			}
			if language(t, name) == "" {
				return // rules: there is no function to invoke
			}
			const rejected = 3 // the lists have events that no function takes
			if code, out := run(t, name, "invoke", "--events", "event.json"); code != 0 && code != rejected {
				t.Errorf("skerry invoke: exit code %d\n%s", code, out)
			}
		})
	}
}

// language is the end of the name of an example's source, "" if it has none.
func language(t *testing.T, name string) string {
	t.Helper()
	for _, source := range []string{name + ".c", name + ".rs", name + ".ts", name + ".js", "main.go"} {
		if _, err := os.Stat(filepath.Join(name, source)); err == nil {
			return filepath.Ext(source)
		}
	}
	return ""
}

// TestShape holds what `skerry new -t` builds on: an example is called as its folder,
// and so are its function, its module, its source and its tests.
func TestShape(t *testing.T) {
	var languages []string
	for _, name := range folders(t) {
		for _, file := range []string{"event.json", "README.md", name + "_test.yaml"} {
			if _, err := os.Stat(filepath.Join(name, file)); err != nil {
				t.Error(err)
			}
		}
		text, err := os.ReadFile(filepath.Join(name, "app.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var app struct {
			Metadata  struct{ Name string }
			Functions map[string]struct{ Module struct{ Path string } }
		}
		if err := yaml.Unmarshal(text, &app); err != nil {
			t.Fatal(err)
		}
		end := language(t, name)
		languages = append(languages, end)
		module := "./" + name + map[bool]string{true: ".js", false: ".wasm"}[end == ".js"]
		switch f, ok := app.Functions[name]; {
		case app.Metadata.Name != name:
			t.Errorf("%s/app.yaml is called %q", name, app.Metadata.Name)
		case end == "" && len(app.Functions) > 0:
			t.Errorf("%s has functions and no source %s.*", name, name)
		case end != "" && (!ok || len(app.Functions) > 1 || f.Module.Path != module):
			t.Errorf("%s/app.yaml has not one function %s with the module %s", name, name, module)
		}
	}
	for _, end := range []string{"", ".c", ".rs", ".ts", ".js", ".go"} {
		if !slices.Contains(languages, end) {
			t.Errorf("no example has a source %q", end)
		}
	}
}

// TestListed compares the table of README.md with the folders.
func TestListed(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range folders(t) {
		if !strings.Contains(string(text), "| ["+name+"]("+name+") |") {
			t.Errorf("README.md does not list %s", name)
		}
	}
}

func TestEmbeddedExamplesAreComplete(t *testing.T) {
	for _, name := range []string{"overheat", "rollup", "counter"} {
		bin, err := examples.Files.ReadFile(name + "/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := wasm.Inspect(bin); err != nil || info.ABI != wasm.SkerryV1 {
			t.Errorf("%s: %s, %v", name, info.ABI, err)
		}
		if _, err := examples.Files.ReadFile(name + "/app.yaml"); err != nil {
			t.Error(err)
		}
	}
}
