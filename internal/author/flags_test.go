package author

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFlagsAreThoseOfTheMakefiles keeps one truth: modules of tests are built by
// wasm/guest/build.mk, all others by this package.
func TestFlagsAreThoseOfTheMakefiles(t *testing.T) {
	dir := t.TempDir()
	guest, err := filepath.Abs("../../wasm/guest")
	if err != nil {
		t.Fatal(err)
	}
	text := "include " + guest + "/build.mk\n%:\n\t@echo '$($@)'\n"
	file := filepath.Join(dir, "Makefile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"C_GUEST":    append(append([]string{"P"}, cFlags(false)...), "-I", "S/c"),
		"WASI_GUEST": append(append([]string{"P"}, cFlags(true)...), "-I", "S/c"),
		"RUST_GUEST": slices.Concat([]string{"P"}, rustFlags, guestFlags),
		"AS_GUEST":   append(append([]string{"P"}, asFlags...), "--use", "abort=S/assemblyscript/skerry/abort"),
		"ZIG_GUEST": append(append([]string{"P"}, zigFlags...),
			"--mod", "skerry::S/zig/skerry.zig", "--deps", "skerry", "--cache-dir", "B/zig", "--global-cache-dir", "B/zig"),
	} {
		// What each of the two has of its own: programs, folders, and that a warning is an error.
		out, err := exec.Command("make", "-s", "-f", file, "CLANG=P", "RUSTC=P", "ASC=P", "ZIG=P", "SDK=S", "BUILD=B", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(string(out), " -Werror", ""), "'", ""))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s of wasm/guest/build.mk, sorted\n  %q\nof this package\n  %q", name, got, want)
		}
	}
}

func FuzzReadMark(f *testing.F) {
	sum := [32]byte{1, 2, 3}
	f.Add(marked([]byte("\x00asm\x01\x00\x00\x00"), sum))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x80\x80\x80\x80\x10"))
	f.Fuzz(func(t *testing.T, module []byte) {
		readMark(module) // does not panic
		if len(module) != 8 {
			return
		}
		if got, ok := readMark(marked(module, sum)); !ok || got != sum {
			t.Errorf("the mark of %q is %x, %v", module, got, ok)
		}
	})
}

func TestNamesAreReplacedWhereTheyAreNames(t *testing.T) {
	tm := Template{Name: "oee", app: "oee"}
	for _, tt := range []struct{ file, text, want string }{
		{"app.yaml", "metadata: {name: oee, version: 1.0.0}", "metadata: {name: line-7, version: 1.0.0}"},
		{"app.yaml", "\n  oee:\n    module: {path: ./oee.wasm}", "\n  line-7:\n    module: {path: ./line-7.wasm}"},
		{"app.yaml", "    mqtt: {topic: oee/+/oee}", "    mqtt: {topic: oee/+/oee}"},
		{"app.yaml", "  - {name: a, function: oee}", "  - {name: a, function: line-7}"},
		{"app.yaml", "name: oee-two", "name: oee-two"},
		{"app.yaml", "  name: oee  # a\n  b: c       # d\n\n  # e\n", "  name: line-7 # a\n  b: c         # d\n\n  # e\n"},
		{"app.yaml", "name: oee       # a\nb: c            # d", "name: line-7    # a\nb: c            # d"},
		{"app.yaml", "name: oee    # a\nb: c  # d", "name: line-7 # a\nb: c  # d"},
		{"oee_test.yaml", "    after: {oee: {x: null}}", "    after: {line-7: {x: null}}"},
		{"oee_test.yaml", "    state:\n      oee:\n        x: a", "    state:\n      line-7:\n        x: a"},
		{"oee_test.yaml", "data: {oee: 0.8}", "data: {oee: 0.8}"},
		{"README.md", "# oee\n\nAn oee of `oee.c`, see [c](../../wasm/guest/c/README.md).", "# line-7\n\nAn oee of `line-7.c`, see c."},
		{"oee.ts", `import * as skerry from "../../wasm/guest/assemblyscript/skerry"; oee()`, `import * as skerry from "./sdk/skerry"; oee()`},
		{"main.go", `	skerry "github.com/skerry-edge/skerry/wasm/guest/go"`, `	skerry "example.com/line-7/skerry"`},
	} {
		if got := tm.edit(tt.file, tt.text, "line-7"); got != tt.want {
			t.Errorf("%s\n%s\nbecomes\n%s\nwant\n%s", tt.file, tt.text, got, tt.want)
		}
	}
	for file, want := range map[string]string{"oee.c": "line-7.c", "oee_test.yaml": "line-7_test.yaml", "main.go": "main.go", "src/lib.rs": "src/lib.rs"} {
		if got := tm.rename(file, "line-7"); got != want {
			t.Errorf("%s becomes %s, want %s", file, got, want)
		}
	}
}
