package wasm_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/skerry-edge/skerry/wasm"
	"github.com/tetratelabs/wazero"
)

const remainders = 24 // that testdata/remainders.wat keeps at once

// integer is what the module computes with.
type integer interface {
	int32 | uint32 | int64 | uint64
}

// joined is what testdata/remainders.wat computes; ok is false if it divides by 0.
func joined[T integer](a, b T) (sum T, ok bool) {
	for i := range remainders {
		divisor := b + T(i)
		if divisor == 0 {
			return 0, false
		}
		sum = sum*31 + (a+T(7*i))%divisor
	}
	return sum, true
}

// kinds are the four instructions in the order of the module.
var kinds = []struct {
	export string
	want   func(a, b uint64) (uint64, bool)
}{
	{"i32.rem_s", func(a, b uint64) (uint64, bool) {
		n, ok := joined(int32(uint32(a)), int32(uint32(b)))
		return uint64(uint32(n)), ok
	}},
	{"i32.rem_u", func(a, b uint64) (uint64, bool) { n, ok := joined(uint32(a), uint32(b)); return uint64(n), ok }},
	{"i64.rem_s", func(a, b uint64) (uint64, bool) { n, ok := joined(int64(a), int64(b)); return uint64(n), ok }},
	{"i64.rem_u", joined[uint64]},
}

// pairs are dividends and divisors: all pairs of edges, and random ones.
func pairs() (all [][2]uint64) {
	edges := []uint64{
		0, 1, 2, 3, 10, math.MaxInt32, 1 << 31, math.MaxUint32, 1 << 32, math.MaxInt64, 1 << 63, 1<<63 + 1,
		math.MaxUint64 - remainders, math.MaxUint64 - 1, math.MaxUint64, 1<<32 - remainders - 1, 1<<31 - remainders,
	}
	for _, a := range edges {
		for _, b := range edges {
			all = append(all, [2]uint64{a, b})
		}
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		all = append(all, [2]uint64{random.Uint64() >> random.IntN(64), random.Uint64() >> random.IntN(64)})
	}
	return all
}

// TestRemainders guards against a fault of wazero 1.12.0 on arm64: a remainder
// that is spilled from its register comes back as the quotient. Modules are
// rewritten there so that they have none.
func TestRemainders(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("remainders")
	m := s.load(fn)
	compared := 0
	for kind, k := range kinds {
		for _, p := range pairs() {
			want, ok := k.want(p[0], p[1])
			if !ok {
				continue
			}
			data := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, p[0]), p[1])
			inv, err := invoke(m, &fn, nil, string(append(data, byte(kind))))
			if err != nil {
				t.Fatalf("%s of %#x by %#x: %v", k.export, p[0], p[1], err)
			}
			if got := binary.LittleEndian.Uint64(inv.Effects.Result); got != want {
				t.Errorf("%s of %#x by %#x: %#x, want %#x", k.export, p[0], p[1], got, want)
			}
			compared++
		}
	}
	t.Logf("%d right; wazero alone has %d wrong", compared, plainWrong(t))
}

// plainWrong counts what wazero computes wrongly in the module as it was
// written. Where that is nothing, nothing needs to be rewritten either.
func plainWrong(t *testing.T) (wrong int) {
	rt := wazero.NewRuntime(t.Context())
	defer rt.Close(t.Context())
	b := rt.NewHostModuleBuilder("skerry_v1")
	b.NewFunctionBuilder().WithFunc(func(_, _, _ uint32) uint32 { return 0 }).Export("event_get")
	b.NewFunctionBuilder().WithFunc(func(_, _ uint32) uint32 { return 0 }).Export("result_set")
	if _, err := b.Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	mod, err := rt.Instantiate(t.Context(), fixture(t, "testdata/remainders.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range kinds {
		mask := uint64(math.MaxUint64)
		if i < 2 {
			mask = math.MaxUint32
		}
		for _, p := range pairs() {
			if want, ok := k.want(p[0], p[1]); ok {
				got, err := mod.ExportedFunction(k.export).Call(t.Context(), p[0]&mask, p[1]&mask)
				if err != nil || got[0]&mask != want {
					wrong++
				}
			}
		}
	}
	return wrong
}
