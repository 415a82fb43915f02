package instrument_test

import (
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// TestJumpsAhead goes through 40 places, as Go does it: the loop around them,
// which would charge for all of them each time, is not passed again.
func TestJumpsAhead(t *testing.T) {
	const n = 40
	code := []byte{localGet, 0, localSet, n} // the place to start at
	build := build{types: []signature{{[]byte{i32}, []byte{i32}}, none}, pages: 1}
	build.funcs = []fn{{locals: repeat(n, []byte{i32}), code: cat(code, machine(n), op(localGet, 1))}, {typ: 0, code: op(localGet, 0)}}
	bin := build.bytes()
	for _, e := range engines {
		for _, start := range []uint64{0, 1, 7, 39, 1000} {
			plain := newGuest(t, e.config, bin, "", "run")
			short := newGuest(t, e.config, rewrite(t, bin, instrument.Options{}).Module, "", "run")
			want, got := []uint64{start}, []uint64{start}
			plain.run(t, want)
			short.run(t, got)
			if got[0] != want[0] {
				t.Errorf("%s from place %d: %d, plain %d", e.name, start, got[0], want[0])
			}
			if spent := short.meter.spent(short.mod); spent > n*20 {
				t.Errorf("%s from place %d: %d units of fuel for at most %d instructions", e.name, start, spent, n*20)
			}
		}
	}
}

// TestJumpsThatStay are not led astray: the local variable is another one, the
// block has ended, or the place lies behind. A place that no table can have leads
// to the last one.
func TestJumpsThatStay(t *testing.T) {
	head := cat(op(loop, empty), op(block, empty), op(block, empty), op(localGet, 1), op(brTable, 1, 0, 1), op(end))
	count := cat(op(localGet, 0), int32Const(1), op(0x6a), op(localTee, 0), int32Const(5), op(0x4b), op(iff, empty), op(localGet, 0), op(ret), op(end))
	jump := func(local, place, around int) []byte {
		return cat(int32Const(int32(place)), op(localSet, local), op(br, around))
	}
	for name, code := range map[string][]byte{
		"another local":    cat(head, count, jump(2, 1, 1), op(end), op(end)),
		"a block that was": cat(head, count, op(end), op(block, empty), jump(1, 0, 1), op(end), op(end)),
		"behind":           cat(head, count, jump(1, 0, 1), op(end), op(end)),
		"nowhere":          cat(head, count, jump(1, -1, 1), op(end), op(end)),
		"far away":         cat(head, count, jump(1, 1<<30, 1), op(end), op(end)),
		"ahead":            cat(head, count, jump(1, 1, 1), op(end), int32Const(7), op(localSet, 0), op(end)),
	} {
		b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1}
		b.funcs = []fn{{locals: []byte{i32, i32}, code: cat(code, op(localGet, 0))}}
		bin := b.bytes()
		want, got := []uint64{0}, []uint64{0}
		newGuest(t, wazero.NewRuntimeConfigInterpreter(), bin, "", "run").run(t, want)
		newGuest(t, wazero.NewRuntimeConfigInterpreter(), rewrite(t, bin, instrument.Options{}).Module, "", "run").run(t, got)
		if got[0] != want[0] {
			t.Errorf("%s: %d, plain %d", name, got[0], want[0])
		}
	}
}
