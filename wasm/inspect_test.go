package wasm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/wasm"
)

func TestInspectTellsWhatAModuleIs(t *testing.T) {
	for path, want := range map[string]wasm.ABI{
		"testdata/trap.wasm":                 wasm.SkerryV1,
		"testdata/command.wasm":              wasm.WASICommand,
		"../examples/overheat/overheat.wasm": wasm.SkerryV1,
		"../examples/rollup/rollup.wasm":     wasm.SkerryV1,
		"../examples/counter/counter.wasm":   wasm.SkerryV1,
	} {
		info, err := wasm.Inspect(fixture(t, path))
		if err != nil || info.ABI != want {
			t.Errorf("%s: %s, %v; want %s", path, info.ABI, err, want)
		}
	}
	info, err := wasm.Inspect(fixture(t, "testdata/trap.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if info.MemoryMin != 1 || info.MemoryMax != 65536 {
		t.Errorf("memory %d to %d pages, want 1 to 65536", info.MemoryMin, info.MemoryMax)
	}
	if want := (wasm.Import{Module: "skerry_v1", Name: "event_get", Kind: "func", Type: "(i32,i32,i32)->i32"}); info.Imports[0] != want {
		t.Errorf("import %+v, want %+v", info.Imports[0], want)
	}
	if want := (wasm.Export{Name: "skerry_handle", Kind: "func", Type: "()->i32"}); info.Exports[2] != want {
		t.Errorf("export %+v, want %+v", info.Exports[2], want)
	}
}

// Sections of hand-made modules.
const (
	header   = "\x00asm\x01\x00\x00\x00"
	types    = "\x01\x05\x01\x60\x00\x01\x7f" // type 0: ()->i32
	function = "\x03\x02\x01\x00"             // function 0 of type 0
	memory   = "\x05\x03\x01\x00\x01"         // one page
	exports  = "\x07\x1a\x02\x06memory\x02\x00\x0dskerry_handle\x00"
	code     = "\x0a\x06\x01\x04\x00\x41\x00\x0b" // i32.const 0
)

// importing is a module with one imported function of type ()->i32.
func importing(module, name string) string {
	entry := string(rune(len(module))) + module + string(rune(len(name))) + name + "\x00\x00"
	return header + types + "\x02" + string(rune(len(entry)+1)) + "\x01" + entry +
		function + memory + exports + "\x01" + code
}

func TestInspectRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, module, says string
	}{
		{"nothing", "", "not a WebAssembly module"},
		{"text form", "\n(module)", "wat2wasm"},
		{"binary", "\x7fELF\x00", "not a WebAssembly module"},
		{"component", "\x00asm\x0d\x00\x01\x00", "this is a WebAssembly component"},
		{"other version", "\x00asm\x02\x00\x00\x00", "version"},
		{"cut", header + types + function[:3], "ends too early"},
		{"long number", header + "\x01\xff\xff\xff\xff\xff\x01", "too long"},
		{"no memory", header + types + function + "\x07\x11\x01\x0dskerry_handle\x00\x00" + code, `exports no memory named "memory"`},
		{"handle of another type", header + "\x01\x04\x01\x60\x00\x00" + function + memory + exports + "\x00" + "\x0a\x04\x01\x02\x00\x0b", "exports skerry_handle as ()->"},
		{"unknown host function", importing("skerry_v1", "teleport"), "skerry_v1.teleport, which this release does not offer"},
		{"host function of another type", importing("skerry_v1", "kv_get"), "as ()->i32, it is (i32,i32,i32,i32)->i32"},
		{"unknown Extism function", importing("extism:host/env", "input"), "extism:host/env.input, which this release does not offer"},
		{"Extism function of another type", importing("extism:host/env", "alloc"), "as ()->i32, it is (i64)->i64"},
		{"function of an Extism host", importing("extism:host/user", "query"), "only functions of skerry_v1, wasi_snapshot_preview1 and extism:host/env"},
		{"unknown WASI function", importing("wasi_snapshot_preview1", "fork"), "not part of WASI preview 1"},
		{"invalid code", header + types + function + memory + exports + "\x00" + "\x0a\x04\x01\x02\x00\x0b", "module is not valid"},
		{"64-bit memory", header + "\x05\x03\x01\x04\x01", "64-bit memory"},
		{"garbage collection", header + "\x01\x03\x01\x5f\x00", "garbage collection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wasm.Inspect([]byte(tt.module))
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a sentence: %v", err)
			}
		})
	}
	if _, err := wasm.Inspect(fixture(t, "testdata/wrongabi.wasm")); err == nil || !strings.Contains(err.Error(), "wasm/guest") {
		t.Errorf("wrong ABI: %v", err)
	}
	if _, err := wasm.Inspect([]byte(header + types + function + memory + exports + "\x00" + code)); err != nil {
		t.Errorf("the smallest function: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.wasm")
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range append(paths, "../examples/overheat/overheat.wasm") {
		bin, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bin)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		info, err := wasm.Inspect(module)
		if err == nil && info.ABI == "" {
			t.Error("accepted a module of no ABI")
		}
	})
}
