package instrument_test

import (
	"testing"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// TestTightLoopsArePaidFor counts down from n: each pass costs its five
// instructions, and little more than that is charged in advance.
func TestTightLoopsArePaidFor(t *testing.T) {
	const pass, ahead = 5, 1024 + 100
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1}
	down := cat(op(localGet, 0), int32Const(1), op(0x6b), op(localTee, 0))
	b.funcs = []fn{{code: cat(op(loop, empty), down, op(brIf, 0), op(end), op(localGet, 0))}}
	bin := rewrite(t, b.bytes(), instrument.Options{}).Module
	for _, e := range engines {
		for _, n := range []uint64{1, 3, 4, 5, 36, 37, 1000, 100_000} {
			g := newGuest(t, e.config, bin, "", "run")
			g.run(t, []uint64{n})
			if spent := g.meter.spent(g.mod); spent < int64(n*pass) || spent > int64(n*pass+ahead) {
				t.Errorf("%s: %d passes cost %d units", e.name, n, spent)
			}
		}
	}
}
