package instrument_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// initModule has a passive segment of size bytes, and functions "run" (to,
// from, length), which does memory.init, and one that drops the segment.
func initModule(size int) build {
	b := build{types: []signature{{params: []byte{i32, i32, i32}}, none}, pages: 64, data: make([]byte, size)}
	for i := range b.data {
		b.data[i] = byte(i*7 + i>>8)
	}
	b.funcs = []fn{
		{code: cat(op(localGet, 0), op(localGet, 1), op(localGet, 2), []byte{0xfc, 8, 0, 0})},
		{typ: 1, code: []byte{0xfc, 9, 0}},
	}
	b.exports = []string{"drop"}
	return b
}

// TestMemoryInit copies from segments that are longer than a chunk: the host
// has its turn in between, and traps leave memory as it was.
func TestMemoryInit(t *testing.T) {
	const size, memory = 2<<20 + 5, 64 << 16
	b := initModule(size)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			rt := wazero.NewRuntimeWithConfig(t.Context(), e.config)
			defer rt.Close(t.Context())
			m := &meter{slice: 5000, fuel: 1 << 40}
			m.link(t, rt)
			mod, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]byte, memory)
			check := func(to, from, length uint32, ok bool) {
				t.Helper()
				if ok {
					copy(want[to:], b.data[from:from+length])
				}
				_, err := mod.ExportedFunction("run").Call(t.Context(), uint64(to), uint64(from), uint64(length))
				if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "out of bounds memory access") {
					t.Errorf("to %d from %d, %d bytes: %v", to, from, length, err)
				}
				if got, _ := mod.Memory().Read(0, memory); !bytes.Equal(got, want) {
					t.Fatalf("to %d from %d, %d bytes: the wrong bytes are in memory", to, from, length)
				}
			}
			check(3, 1, size-1, true)
			check(memory-size, 0, size, true)
			check(100, 7, 256<<10, true)
			check(101, 9, 256<<10+1, true)
			check(memory, size, 0, true)
			if m.deepest < -5000 {
				t.Errorf("%d units passed before the host was asked", -m.deepest)
			}
			check(0, 1, size, false)
			check(0, 2, ^uint32(0), false)
			check(memory-size+1, 0, size, false)
			check(memory-10, 0, 11, false)
			check(memory, size, 1, false)
			check(memory+1, 0, 0, false)
			if _, err := mod.ExportedFunction("drop").Call(t.Context()); err != nil {
				t.Fatal(err)
			}
			check(0, 0, size, false)
			check(0, 0, 1, false)
			check(0, 0, 0, true)
		})
	}
}

// TestTablesTogether lets all tables grow: together they end where one does.
func TestTablesTogether(t *testing.T) {
	b := build{types: []signature{{params: []byte{i32}, results: []byte{i32}}}, pages: 1}
	for i := range 16 {
		b.funcs = append(b.funcs, fn{code: cat([]byte{0xd0, 0x70}, op(localGet, 0), op(0xfc, 15, i))})
		if i > 0 {
			b.tables = append(b.tables, limits{min: 10, max: 1 << 20})
		}
	}
	b.tables[14].max = 20
	b.exports = strings.Split("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", " ")
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig())
	defer rt.Close(t.Context())
	(&meter{slice: 1000, fuel: 1 << 40}).link(t, rt)
	mod, err := rt.Instantiate(t.Context(), rewrite(t, b.bytes(), instrument.Options{}).Module)
	if err != nil {
		t.Fatal(err)
	}
	entries := func(name string, grow int32) int32 {
		res, err := mod.ExportedFunction(name).Call(t.Context(), api.EncodeI32(grow))
		if err != nil {
			t.Fatal(err)
		}
		return api.DecodeI32(res[0])
	}
	grown := int32(0)
	for _, name := range append(b.exports, "run") {
		grown -= entries(name, 0)
		for step := int32(1 << 17); step > 0; step /= 2 {
			entries(name, step)
		}
		grown += entries(name, 0)
	}
	if grown != 16_000 {
		t.Errorf("the tables grow by %d entries in all, want 16000", grown)
	}
}
