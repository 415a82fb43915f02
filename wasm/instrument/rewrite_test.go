package instrument_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// TestExamples runs the examples in C, AssemblyScript and Go, plain and
// rewritten: they call the host as often and leave the same memory.
func TestExamples(t *testing.T) {
	for _, e := range examples {
		bin := example(t, e.name)
		config := wazero.NewRuntimeConfig()
		if e.name == "convert" {
			config = wazero.NewRuntimeConfigInterpreter() // compiling Go takes long
		}
		plain := newGuest(t, config, bin, e.data, "skerry_handle")
		want := plain.repeat(t, 20)
		for _, remainders := range []bool{false, true} {
			res := rewrite(t, bin, instrument.Options{Remainders: remainders})
			g := newGuest(t, config, res.Module, e.data, "skerry_handle")
			got := g.repeat(t, 20)
			if *g.decided != *plain.decided || e.name != "convert" && !bytes.Equal(got, want) { // Go keeps times and seeds
				t.Errorf("%s: %d calls of the host, plain %d; or other memory", e.name, *g.decided, *plain.decided)
			}
			if res.Impure {
				t.Errorf("%s is impure", e.name)
			}
		}
	}
}

// repeat runs the guest n times and gives its memory.
func (g *guest) repeat(t *testing.T, n int) []byte {
	for range n {
		g.run(t, make([]uint64, 1))
	}
	memory, _ := g.mod.Memory().Read(0, g.mod.Memory().Size())
	return memory
}

func globalModule() build {
	return build{
		types: []signature{none, {[]byte{i32}, nil}}, pages: 1, globals: []byte{i32, i64, i32},
		funcs: []fn{{code: cat(int32Const(7), op(globalSet, 2), int64Const(-8), op(globalSet, 1))}},
	}
}

// TestGlobals reads the state of an instance and puts it into another.
func TestGlobals(t *testing.T) {
	res := rewrite(t, globalModule().bytes(), instrument.Options{})
	if want := []string{"skerry:g0", "skerry:g1", "skerry:g2"}; !slices.Equal(res.Globals, want) {
		t.Fatalf("globals %q, want %q", res.Globals, want)
	}
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig())
	defer rt.Close(t.Context())
	(&meter{slice: 1000, fuel: 1 << 20}).link(t, rt)
	var mods [2]api.Module
	for i := range mods {
		var err error
		if mods[i], err = rt.InstantiateWithConfig(t.Context(), res.Module, wazero.NewModuleConfig().WithName(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := mods[0].ExportedFunction("run").Call(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range res.Globals {
		mods[1].ExportedGlobal(name).(api.MutableGlobal).Set(mods[0].ExportedGlobal(name).Get())
	}
	if b, c := int64(mods[1].ExportedGlobal("b").Get()), uint32(mods[1].ExportedGlobal("c").Get()); b != -8 || c != 7 {
		t.Errorf("the second instance has %d and %d, want -8 and 7", b, c)
	}
}

func TestImpure(t *testing.T) {
	for _, tt := range []struct {
		name string
		code []byte
		want bool
	}{
		{"nothing", nil, false},
		{"memory.fill", cat(int32Const(0), int32Const(0), int32Const(0), []byte{0xfc, 11, 0}), false},
		{"memory.init", cat(int32Const(0), int32Const(0), int32Const(0), []byte{0xfc, 8, 0, 0}), false},
		{"table.get", cat(int32Const(0), op(0x25, 0), op(drop)), false},
		{"table.set", cat(int32Const(0), []byte{0xd0, 0x70}, op(0x26, 0)), true},
		{"table.fill", cat(int32Const(0), []byte{0xd0, 0x70}, int32Const(0), []byte{0xfc, 17, 0}), true},
		{"table.copy", cat(int32Const(0), int32Const(0), int32Const(0), []byte{0xfc, 14, 0, 0}), true},
		{"table.init", cat(int32Const(0), int32Const(0), int32Const(0), []byte{0xfc, 12, 0, 0}), true},
		{"table.grow", cat([]byte{0xd0, 0x70}, int32Const(0), []byte{0xfc, 15, 0}, op(drop)), true},
		{"data.drop", []byte{0xfc, 9, 0}, true},
		{"elem.drop", []byte{0xfc, 13, 0}, true},
	} {
		if got := rewrite(t, single(tt.code).bytes(), instrument.Options{}).Impure; got != tt.want {
			t.Errorf("%s: impure is %v", tt.name, got)
		}
	}
}

// TestRefused has what must not get through: indices that would reach what is
// added, reserved names, and what compilers take too long for.
func TestRefused(t *testing.T) {
	loops := cat(repeat(100, op(loop, empty)), repeat(100, op(end)))
	for _, tt := range []struct {
		name string
		bin  []byte
		want string
	}{
		{"empty", nil, "not a core WebAssembly module"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "components"},
		{"cut", []byte("\x00asm\x01\x00\x00\x00\x01\x05"), "ends too early"},
		{"rewritten twice", rewrite(t, single(nil).bytes(), instrument.Options{}).Module, "reserved"},
		{"added function", single(op(call, 1)).bytes(), "calls function 1, which is not there"},
		{"added function, by reference", single(cat([]byte{0xd2, 1}, op(drop))).bytes(), "function 1, which is not there"},
		{"added function, by a reference far off", single(cat([]byte{0xd2, 0xff, 0xff, 0xff, 0xff, 0x0f}, op(drop))).bytes(), "function 4294967295, which is not there"},
		{"fuel", single(cat(int64Const(1<<40), op(globalSet, 0))).bytes(), "global 0, which is not there"},
		{"added type", single(cat(int32Const(0), op(callIndirect, 1, 0))).bytes(), "by type 1"},
		{"added type of a block", single(cat(op(block, 1), op(end))).bytes(), "block of type 1"},
		{"added local", single(cat(op(localGet, 2), op(drop))).bytes(), "local variable 2, which is not there"},
		{"second table", single(cat(int32Const(0), op(0x25, 1), op(drop))).bytes(), "table 1, which is not there"},
		{"second data segment", single([]byte{0xfc, 9, 1}).bytes(), "data segment 1, which is not there"},
		{"second element segment", single([]byte{0xfc, 13, 1}).bytes(), "element segment 1, which is not there"},
		{"label", single(op(br, 1)).bytes(), "label 1, which is not there"},
		{"else alone", single(op(els)).bytes(), "else without an if"},
		{"end too many", single(op(end)).bytes(), "do not match their ends"},
		{"end missing", single(op(block, empty)).bytes(), "do not match their ends"},
		{"type of a function", build{types: []signature{none}, pages: 1, funcs: []fn{{typ: 3}}}.bytes(), "type 3, which is not there"},
		{"tail call", single([]byte{0x12, 0}).bytes(), "function 0 of the module cannot be run: opcode 0x12 is not part of WebAssembly 2.0"},
		{"exceptions", single([]byte{0x08, 0}).bytes(), "opcode 0x08"},
		{"atomics", single([]byte{0xfe, 0x03, 0}).bytes(), "opcode 0xfe"},
		{"relaxed vectors", single([]byte{0xfd, 0x80, 0x02}).bytes(), "opcode 0xfd 0x100"},
		{"long number", single([]byte{i32Const, 0xff, 0xff, 0xff, 0xff, 0x4f, drop}).bytes(), "number in the module is too long"},
		{"locals", build{types: []signature{none}, pages: 1, funcs: []fn{{locals: repeat(10_001, []byte{i32})}}}.bytes(), "local variables"},
		{"blocks", single(repeat(9000, cat(op(block, empty), op(end)))).bytes(), "more than 8000 blocks"},
		{"nesting", single(cat(repeat(5000, op(block, empty)), repeat(5000, op(end)))).bytes(), "nests more than 4000 blocks"},
		{"loops", single(loops).bytes(), "nests more than 64 loops"},
		{"frame", single(repeat(60_000, op(call, 0))).bytes(), "bytes of stack"},
		{"body", single(repeat(300_000, []byte{0x01})).bytes(), "a function of"},
		{"branches", single(cat(int32Const(0), op(brTable, append([]int{20_000}, make([]int, 20_001)...)...))).bytes(), "targets"},
	} {
		_, err := instrument.Rewrite(tt.bin, instrument.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestSegmentsOutside refuses segments that wazero gets wrong on 32 bits.
func TestSegmentsOutside(t *testing.T) {
	head := cat([]byte("\x00asm\x01\x00\x00\x00"), []byte{1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 4, 4, 1, 0x70, 0, 1, 5, 3, 1, 0, 1})
	code := []byte{10, 4, 1, 2, 0, end}
	for _, tt := range []struct {
		at   int32
		size int
		ok   bool
	}{{0, 1, true}, {1, 0, true}, {1, 1, false}, {-1, 1, false}, {1<<31 - 1, 1, false}} {
		bin := cat(head, []byte{9}, sized(vector(cat([]byte{0}, int32Const(tt.at), []byte{end}, u(tt.size), make([]byte, tt.size)))), code)
		if _, err := instrument.Rewrite(bin, instrument.Options{}); (err == nil) != tt.ok {
			t.Errorf("%d functions at %d of a table of 1: %v", tt.size, tt.at, err)
		}
	}
	for _, tt := range []struct {
		at   int32
		size int
		ok   bool
	}{{0, 65536, true}, {65536, 0, true}, {65535, 2, false}, {-1, 1, false}, {1<<31 - 1, 10, false}} {
		bin := cat(head, code, []byte{11}, sized(vector(cat([]byte{0}, int32Const(tt.at), []byte{end}, sized(make([]byte, tt.size))))))
		if _, err := instrument.Rewrite(bin, instrument.Options{}); (err == nil) != tt.ok {
			t.Errorf("%d bytes at %d of one page: %v", tt.size, tt.at, err)
		}
	}
}

// TestNamesQuoted keeps a stranger's line breaks out of what the host prints.
func TestNamesQuoted(t *testing.T) {
	head := cat([]byte("\x00asm\x01\x00\x00\x00"))
	name := cat(sized([]byte("a\nb")), sized([]byte("c\n"+strings.Repeat("d", 5000))))
	for _, bin := range [][]byte{
		cat(head, []byte{2}, sized(vector(cat(name, []byte{3, i32, 1})))),
		cat(head, []byte{2}, sized(vector(cat(name, []byte{1, 0x70, 0, 0})))),
		cat(head, []byte{7}, sized(vector(cat(sized([]byte("a\n"+strings.Repeat("d", 5000))), []byte{0, 0})))),
		cat(head, []byte{7}, sized(vector(cat(sized([]byte("skerry:\n"+strings.Repeat("d", 5000))), []byte{0, 0})))),
	} {
		if _, err := instrument.Rewrite(bin, instrument.Options{}); err == nil || strings.ContainsAny(err.Error(), "\n") || len(err.Error()) > 500 {
			t.Errorf("got %v", err)
		}
	}
}

// TestReservedNames refuses an export that a host would take for its own.
func TestReservedNames(t *testing.T) {
	bin := single(nil).bytes()
	mine := bytes.Replace(bin, []byte("\x03run"), []byte("\x03skr"), 1)
	if _, err := instrument.Rewrite(mine, instrument.Options{}); err != nil {
		t.Error(err)
	}
	b := cat([]byte("\x00asm\x01\x00\x00\x00"), []byte{6, 6, 1, i64, 1, i64Const, 0, end}, []byte{7}, sized(cat([]byte{1}, sized([]byte("skerry:fuel")), []byte{3, 0})))
	if _, err := instrument.Rewrite(b, instrument.Options{}); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Errorf("got %v", err)
	}
}

// TestNames keeps names of functions, which have other indices now, and drops
// other custom sections.
func TestNames(t *testing.T) {
	names := cat(sized([]byte("name")), []byte{1}, sized(vector(cat(u(0), sized([]byte("outer"))), cat(u(1), sized([]byte("inner"))))))
	other := cat(sized([]byte("producers")), repeat(5000, []byte{'x'}))
	bin := cat(single(op(call, 1), []byte{0}).bytes(), []byte{0}, sized(names), []byte{0}, sized(other))
	res := rewrite(t, bin, instrument.Options{})
	if len(res.Module) > len(bin)-4000 {
		t.Errorf("%d bytes become %d", len(bin), len(res.Module))
	}
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(t.Context())
	(&meter{slice: 1000, fuel: 1 << 20}).link(t, rt)
	mod, err := rt.Instantiate(t.Context(), res.Module)
	if err != nil {
		t.Fatal(err)
	}
	_, err = mod.ExportedFunction("run").Call(t.Context())
	if err == nil || !strings.Contains(err.Error(), "inner") || !strings.Contains(err.Error(), "outer") {
		t.Errorf("the trap does not name its functions: %v", err)
	}
}

// TestTableLimits gives every table a maximum.
func TestTableLimits(t *testing.T) {
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1, funcs: []fn{{
		code: cat([]byte{0xd0, 0x70}, op(localGet, 0), []byte{0xfc, 15, 0}),
	}}}
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig())
	defer rt.Close(t.Context())
	(&meter{slice: 1000, fuel: 1 << 20}).link(t, rt)
	mod, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ entries, want uint32 }{{15_999, 1}, {1, 16_000}, {1, ^uint32(0)}, {1 << 31, ^uint32(0)}} {
		res, err := mod.ExportedFunction("run").Call(t.Context(), uint64(step.entries))
		if err != nil || uint32(res[0]) != step.want {
			t.Errorf("table.grow %d: %d, %v; want %d", step.entries, res, err, step.want)
		}
	}
}
