package instrument_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// TestReferences takes references again and again: what the host keeps for
// them does not grow, and they lead to the right functions.
func TestReferences(t *testing.T) {
	give := func(n int32) fn { return fn{typ: 1, code: int32Const(n)} }
	b := build{
		types: []signature{{[]byte{i32}, []byte{i32}}, {nil, []byte{i32}}}, pages: 1, globals: []byte{i64},
		funcs: []fn{{code: cat(
			op(loop, empty),
			int32Const(0), op(0xd2, 2), op(0x26, 0), int32Const(2), op(0xd2, 1), op(0x26, 0),
			op(localGet, 0), int32Const(1), op(0x6b), op(localTee, 0), op(brIf, 0), op(end),
			int32Const(0), op(callIndirect, 1, 0), int32Const(2), op(callIndirect, 1, 0), op(0x6b),
		)}, give(5), give(7)},
	}
	res := rewrite(t, b.bytes(), instrument.Options{})
	if fmt.Sprint(res.Globals) != "[skerry:g0]" {
		t.Errorf("the state is %q", res.Globals)
	}
	for _, e := range engines {
		rt := wazero.NewRuntimeWithConfig(t.Context(), e.config)
		defer rt.Close(t.Context())
		(&meter{slice: 1 << 20, fuel: 1 << 40}).link(t, rt)
		mod, err := rt.Instantiate(t.Context(), res.Module)
		if err != nil {
			t.Fatal(err)
		}
		call := func(n uint64) {
			got, err := mod.ExportedFunction("run").Call(t.Context(), n)
			if err != nil || api.DecodeI32(got[0]) != 2 {
				t.Errorf("%s: %d, %v; want 2", e.name, got, err)
			}
		}
		call(1)
		before := heap()
		call(200_000)
		if grown := heap() - before; grown > 2<<20 {
			t.Errorf("%s: 400000 references took %d bytes of the host", e.name, grown)
		}
		runtime.KeepAlive(mod)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestReferencesRefused bounds the functions that code takes references to,
// and refuses those that WebAssembly wants to be declared.
func TestReferencesRefused(t *testing.T) {
	module := func(n int) []byte {
		b := build{types: []signature{none}, pages: 1, funcs: []fn{{code: each(n, func(i int) []byte { return cat(op(0xd2, i), op(drop)) })}}}
		for len(b.funcs) < n {
			b.funcs = append(b.funcs, fn{})
		}
		return b.bytes()
	}
	if _, err := instrument.Rewrite(module(1000), instrument.Options{}); err != nil {
		t.Error(err)
	}
	if _, err := instrument.Rewrite(module(1001), instrument.Options{}); err == nil || !strings.Contains(err.Error(), "more than 1000 functions") {
		t.Errorf("1001 references: %v", err)
	}
	undeclared := cat(
		[]byte("\x00asm\x01\x00\x00\x00"), []byte{1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0},
		[]byte{10}, sized(vector(sized([]byte{0, 0xd2, 0, drop, end}))),
	)
	if _, err := instrument.Rewrite(undeclared, instrument.Options{}); err == nil || !strings.Contains(err.Error(), "not declared") {
		t.Errorf("undeclared: %v", err)
	}
}
