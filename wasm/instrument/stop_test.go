package instrument_test

import (
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// engines are the interpreter and the compiler; where wazero has no compiler, the
// interpreter twice.
var engines = []struct {
	name   string
	config wazero.RuntimeConfig
}{
	{"interpreter", wazero.NewRuntimeConfigInterpreter()},
	{"compiler", wazero.NewRuntimeConfig()},
}

var none = signature{}

// single is a module of one function () -> () and what it may call.
func single(code []byte, more ...[]byte) build {
	m := build{types: []signature{none}, pages: 256}
	for _, c := range append([][]byte{code}, more...) {
		m.funcs = append(m.funcs, fn{code: c, locals: []byte{i32, i64}})
	}
	return m
}

var hostile = []struct {
	name  string
	build build
	err   error
}{
	{"spin", single(cat(op(loop, empty), op(br, 0), op(end))), errFuel},
	{"spin by br_table", single(cat(op(block, empty), op(loop, empty), op(localGet, 0), op(brTable, 1, 0, 0), op(end), op(end))), errFuel},
	{"spin through an inner loop", single(cat(
		op(loop, empty), op(block, empty), op(loop, empty), op(br, 2), op(end), op(end), op(end))), errFuel},
	{"spin over a long body", single(cat(op(loop, empty), repeat(5000, cat(op(localGet, 0), op(drop))), op(br, 0), op(end))), errFuel},
	{"fill", single(cat(op(loop, empty), int32Const(0), int32Const(7), int32Const(16<<20), []byte{0xfc, 11, 0}, op(br, 0), op(end))), errFuel},
	{"copy", single(cat(op(loop, empty), int32Const(1), int32Const(0), int32Const(16<<20-1), []byte{0xfc, 10, 0, 0}, op(br, 0), op(end))), errFuel},
	{"bomb", bomb(), errFuel},
	{"recursion", single(op(call, 0)), errStack},
	{"mutual recursion", single(op(call, 1), op(call, 2), op(call, 0)), errStack},
	{"indirect recursion", single(cat(int32Const(0), op(callIndirect, 0, 0))), errStack},
	{"recursion with many values", single(cat(repeat(500, op(0x3f, 0)), op(call, 0), repeat(500, op(drop)))), errStack},
	{"indirect mutual recursion", single(op(call, 1), cat(int32Const(0), op(callIndirect, 0, 0))), errStack},
	{"recursion in a loop", single(cat(op(loop, empty), op(call, 0), op(br, 0), op(end))), errStack},
}

// bomb is 60 functions of which each calls the next one twice, without loops.
func bomb() build {
	var calls [][]byte
	for i := range 60 {
		calls = append(calls, cat(op(call, i+1), op(call, i+1)))
	}
	return single(calls[0], append(calls[1:], nil)...)
}

// TestStops runs what never ends on its own, with little fuel and stack.
func TestStops(t *testing.T) {
	for _, e := range engines {
		for _, h := range hostile {
			t.Run(e.name+"/"+h.name, func(t *testing.T) {
				rt := wazero.NewRuntimeWithConfig(t.Context(), e.config)
				defer rt.Close(t.Context())
				m := &meter{slice: 1 << 14, fuel: 1 << 21, stack: 100_000}
				m.link(t, rt)
				mod, err := rt.Instantiate(t.Context(), rewrite(t, h.build.bytes(), instrument.Options{}).Module)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = mod.ExportedFunction("run").Call(t.Context()); !errors.Is(err, h.err) {
					t.Errorf("got %v, want %v", err, h.err)
				}
			})
		}
	}
}

// TestStartStops has a start function that loops: fuel and stack start at 0,
// so that the host is asked before it could set anything.
func TestStartStops(t *testing.T) {
	b := single(nil, cat(op(loop, empty), op(br, 0), op(end)))
	b.start = true
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(t.Context())
	m := &meter{slice: 1 << 14, fuel: 1 << 20}
	m.link(t, rt)
	if _, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module); !errors.Is(err, errFuel) {
		t.Errorf("got %v, want %v", err, errFuel)
	}
}

// TestResume gives more stack and fuel whenever they are used up: the result
// is that of the plain module, and all stack is given back.
func TestResume(t *testing.T) {
	// run(n) = n == 0 ? 0 : run(n-1) + 1
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1}
	b.funcs = []fn{{code: cat(
		op(localGet, 0), op(iff, i32),
		op(localGet, 0), int32Const(1), op(0x6b), op(call, 0), int32Const(1), op(0x6a),
		op(els), int32Const(0), op(end),
	)}}
	var spent []int64
	for _, e := range engines {
		for _, slice := range []int64{1, 100, 1 << 30} {
			rt := wazero.NewRuntimeWithConfig(t.Context(), e.config)
			defer rt.Close(t.Context())
			m := &meter{slice: slice, fuel: 1 << 40, stack: 1 << 28}
			m.link(t, rt)
			mod, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module)
			if err != nil {
				t.Fatal(err)
			}
			res, err := mod.ExportedFunction("run").Call(t.Context(), 1000)
			if err != nil || uint32(res[0]) != 1000 {
				t.Fatal(res, err)
			}
			if got := mod.ExportedGlobal(instrument.StackGlobal).Get(); uint32(got) != 1<<28 {
				t.Errorf("%d bytes of stack are left, want %d", got, 1<<28)
			}
			spent = append(spent, m.spent(mod))
		}
	}
	for _, s := range spent {
		if s != spent[0] {
			t.Fatalf("the fuel spent differs by engine or slice: %d", spent)
		}
	}
}

// TestGrow asks the host for memory.
func TestGrow(t *testing.T) {
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1, funcs: []fn{{code: cat(op(localGet, 0), []byte{0x40, 0})}}}
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig())
	defer rt.Close(t.Context())
	m := &meter{slice: 1 << 20, fuel: 1 << 30}
	m.link(t, rt)
	mod, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ pages, want uint32 }{{0, 1}, {1, 1}, {0, 2}, {1, ^uint32(0)}} {
		res, err := mod.ExportedFunction("run").Call(t.Context(), uint64(step.pages))
		if err != nil || api.DecodeU32(res[0]) != step.want {
			t.Errorf("memory.grow %d: %d, %v; want %d", step.pages, res, err, step.want)
		}
	}
}
