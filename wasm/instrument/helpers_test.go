package instrument_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

var (
	errFuel  = errors.New("out of fuel")
	errStack = errors.New("out of stack")
)

// meter is the host's side of a rewritten module.
type meter struct {
	slice   int64 // fuel per tick
	fuel    int64 // that tick may still give
	stack   int32 // bytes that deep may still give
	used    int64 // fuel given so far
	deepest int64 // fuel left when tick was called, at the least
}

// link instantiates the host functions of m in rt.
func (m *meter) link(tb testing.TB, rt wazero.Runtime) {
	tb.Helper()
	i32, i64 := api.ValueTypeI32, api.ValueTypeI64
	b := rt.NewHostModuleBuilder(instrument.Module)
	add := func(name string, t api.ValueType, f api.GoModuleFunc) {
		b = b.NewFunctionBuilder().WithGoModuleFunction(f, []api.ValueType{t}, []api.ValueType{t}).Export(name)
	}
	add("tick", i64, func(_ context.Context, _ api.Module, stack []uint64) {
		if m.fuel < m.slice {
			panic(errFuel)
		}
		m.fuel -= m.slice
		m.deepest = min(m.deepest, int64(stack[0]))
		m.used += m.slice
		stack[0] = uint64(int64(stack[0]) + m.slice)
	})
	add("deep", i32, func(_ context.Context, _ api.Module, stack []uint64) {
		if m.stack <= 0 {
			panic(errStack)
		}
		stack[0] = api.EncodeI32(int32(uint32(stack[0])) + m.stack)
		m.stack = 0
	})
	add("grow", i32, func(_ context.Context, mod api.Module, stack []uint64) {
		old, ok := mod.Memory().Grow(uint32(stack[0]))
		if !ok {
			old = ^uint32(0)
		}
		stack[0] = uint64(old)
	})
	if _, err := b.Instantiate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// spent is the fuel that mod has used.
func (m *meter) spent(mod api.Module) int64 {
	return m.used - int64(mod.ExportedGlobal(instrument.FuelGlobal).Get())
}

func rewrite(tb testing.TB, bin []byte, opts instrument.Options) instrument.Result {
	tb.Helper()
	res, err := instrument.Rewrite(bin, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return res
}
