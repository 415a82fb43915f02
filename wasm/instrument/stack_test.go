package instrument_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// shapes are functions run(n i32) -> i32 that call themselves n times, with
// frames that are hard to estimate.
var shapes = []struct {
	name     string
	locals   []byte
	before   []byte // the call
	after    []byte
	operands int // left by before, and added up after
}{
	{name: "small"},
	{
		name: "200 locals", locals: repeat(200, []byte{i64}),
		before: each(200, func(i int) []byte {
			return cat(op(localGet, 0), op(0xad), int64Const(int64(i+1)), op(0x7e), op(localSet, i+1))
		}),
		after: each(200, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0x37, 0, 0)) }),
	},
	{
		name: "200 operands", operands: 200,
		before: each(200, func(i int) []byte { return cat(op(localGet, 0), int32Const(int32(i*3+1)), op(0x6c)) }),
	},
	{
		name: "64 vectors", locals: repeat(64, []byte{v128}),
		before: each(64, func(i int) []byte {
			return cat(op(localGet, 0), int32Const(int32(i+1)), op(0x6c), op(0xfd, 0x11), op(localSet, i+1))
		}),
		after: each(64, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0xfd, 11, 0, 0)) }),
	},
	{
		name: "60 floats", locals: repeat(60, []byte{f64}),
		before: each(60, func(i int) []byte {
			return cat(op(localGet, 0), int32Const(int32(i+1)), op(0x6c), op(0xb7), op(localSet, i+1))
		}),
		after: each(60, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0x39, 0, 0)) }),
	},
	{
		name: "paths that meet", locals: repeat(40, []byte{i32}), before: storm(40, 60),
		after: each(40, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0x36, 0, 0)) }),
	},
	{
		name: "jumps ahead", locals: repeat(40, []byte{i32}), before: machine(40),
		after: each(40, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0x36, 0, 0)) }),
	},
	{
		name: "tight loops", locals: repeat(40, []byte{i32}),
		before: each(40, func(i int) []byte {
			return cat(op(loop, empty), op(localGet, i+1), int32Const(1), op(0x6a), op(localTee, i+1), int32Const(100), op(0x48), op(brIf, 0), op(end))
		}),
		after: each(40, func(i int) []byte { return cat(int32Const(0), op(localGet, i+1), op(0x36, 0, 0)) }),
	},
	{
		name: "results of calls", operands: 100,
		before: repeat(100, cat(op(localGet, 0), op(call, 1))),
	},
	{
		name:   "vectors of calls",
		before: repeat(100, op(call, 2)), after: sinkVectors,
	},
	{
		name:   "vectors of blocks",
		before: repeat(100, cat(op(block, v128), op(globalGet, 0), op(localGet, 0), op(brIf, 0), op(end))), after: sinkVectors,
	},
}

// sinkVectors passes what is below the result to a function each.
var sinkVectors = cat(op(localSet, 0), repeat(100, op(call, 3)), op(localGet, 0))

func each(n int, f func(i int) []byte) (code []byte) {
	for i := range n {
		code = append(code, f(i)...)
	}
	return code
}

// storm makes, at the end of each of depth blocks, new values of all of n
// local variables, with a call in between: all are on the stack at some time.
func storm(n, depth int) []byte {
	targets := make([]int, 0, depth+2)
	targets = append(targets, depth)
	for i := range depth + 1 {
		targets = append(targets, i)
	}
	set := func(i int) []byte { return cat(op(localGet, 0), int32Const(int32(i+2)), op(0x6c), op(localSet, i+1)) }
	return cat(
		repeat(depth, op(block, empty)), op(block, empty), op(localGet, 0), op(brTable, targets...), op(end),
		each(n, set),
		repeat(depth, cat(op(localGet, 0), op(call, 1), op(drop), op(end))),
	)
}

// machine goes from each of n places, which are named by local variable n, to a
// later one, and sets a local variable at each.
func machine(n int) []byte {
	targets := []int{n - 1}
	for i := range n {
		targets = append(targets, i)
	}
	return cat(op(loop, empty), repeat(n, op(block, empty)), op(localGet, n), op(brTable, targets...), each(n-1, func(i int) []byte {
		return cat(
			op(end), op(localGet, 0), int32Const(int32(i+2)), op(0x6c), op(localSet, i+1),
			op(localGet, 0), int32Const(int32(i%3+1)), op(0x71), op(iff, empty),
			int32Const(int32(min(n-1, i+1+i%2))), op(localSet, n), op(br, n-i), op(end),
		)
	}), op(end), op(end), op(localGet, 0), op(call, 1), op(drop))
}

func shapeModule(locals, before, after []byte, operands int) []byte {
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}, {nil, []byte{v128}}, {[]byte{v128}, nil}}, pages: 1}
	vector := cat([]byte{0xfd, 12}, repeat(16, []byte{5}))
	b.fixed = [][]byte{cat([]byte{v128, 0}, vector, []byte{end})}
	b.funcs = []fn{
		{locals: locals, code: cat(
			op(localGet, 0), []byte{0x45}, op(iff, empty), int32Const(0), op(ret), op(end),
			before, op(localGet, 0), int32Const(1), op(0x6b), op(call, 0), after, repeat(operands, op(0x6a)),
		)},
		{code: cat(op(loop, empty), op(end), op(localGet, 0))},
		{typ: 1, code: cat(op(loop, empty), op(end), vector)},
		{typ: 2, code: cat(op(loop, empty), op(end))},
	}
	return b.bytes()
}

// depthMeter sees where the native stack is: the operands of a host function
// lie on it.
type depthMeter struct {
	low, high uintptr
	least     int32 // bytes of stack that were left
}

func (d *depthMeter) link(t *testing.T, rt wazero.Runtime) {
	b := rt.NewHostModuleBuilder(instrument.Module)
	for _, f := range []struct {
		name string
		typ  api.ValueType
	}{{"tick", api.ValueTypeI64}, {"deep", api.ValueTypeI32}, {"grow", api.ValueTypeI32}} {
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, mod api.Module, stack []uint64) {
			at := uintptr(unsafe.Pointer(&stack[0]))
			d.low, d.high = min(d.low, at), max(d.high, at)
			d.least = min(d.least, int32(mod.ExportedGlobal(instrument.StackGlobal).Get()))
			stack[0] = 0
		}), []api.ValueType{f.typ}, []api.ValueType{f.typ}).Export(f.name)
	}
	if _, err := b.Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestStackBound follows random chains of direct and indirect calls between
// functions: the native stack is at most twice what is counted and 128 KiB.
func TestStackBound(t *testing.T) {
	for seed := range 12 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigCompiler())
		defer rt.Close(t.Context())
		const budget = 1 << 30
		var d depthMeter
		d.link(t, rt)
		mod, err := rt.Instantiate(t.Context(), rewrite(t, webModule(random), instrument.Options{}).Module)
		if err != nil {
			t.Fatal(err)
		}
		run := mod.ExportedFunction("run")
		for range 2 {
			d.low, d.high, d.least = ^uintptr(0), 0, budget
			mod.ExportedGlobal(instrument.StackGlobal).(api.MutableGlobal).Set(budget)
			if _, err := run.Call(t.Context(), 20_000); err != nil {
				t.Fatal(err)
			}
		}
		real, counted := int(d.high-d.low), int(budget-d.least)
		t.Logf("%d bytes, counted %d", real, counted)
		if real < 1<<20 || real > 2*(counted+128<<10) {
			t.Errorf("seed %d: %d bytes of native stack, %d are counted", seed, real, counted)
		}
	}
}

// webModule is ten functions (n) -> n that call two others of them each, one
// after an even and one after an odd n, with n-1, until n is 0.
func webModule(random *rand.Rand) []byte {
	b := build{types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1}
	target := func() []byte {
		f := random.IntN(10)
		if random.IntN(4) == 0 {
			return cat(int32Const(int32(f)), op(callIndirect, 0, 0))
		}
		return op(call, f)
	}
	for range 10 {
		n := random.IntN(30)
		less := cat(op(localGet, 0), int32Const(1), op(0x6b))
		b.funcs = append(b.funcs, fn{code: cat(
			op(localGet, 0), []byte{0x45}, op(iff, empty), int32Const(0), op(ret), op(end),
			each(n, func(i int) []byte { return cat(op(localGet, 0), int32Const(int32(i+3)), op(0x6c)) }),
			op(localGet, 0), int32Const(1), op(0x71), op(iff, i32), less, target(), op(els), less, target(), op(end),
			repeat(n, op(0x6a)),
		)})
	}
	return b.bytes()
}

// TestStackEstimate compares the bytes that are counted for 300 calls inside
// one another with the native stack that they take.
func TestStackEstimate(t *testing.T) {
	for _, s := range shapes {
		bin := shapeModule(s.locals, s.before, s.after, s.operands)
		rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigCompiler())
		defer rt.Close(t.Context())
		const budget = 1 << 30
		var d depthMeter
		d.link(t, rt)
		mod, err := rt.Instantiate(t.Context(), rewrite(t, bin, instrument.Options{}).Module)
		if err != nil {
			t.Fatal(s.name, err)
		}
		run := mod.ExportedFunction("run")
		for range 2 { // the first call makes the stack grow, which moves it
			d.low, d.high, d.least = ^uintptr(0), 0, budget
			mod.ExportedGlobal(instrument.StackGlobal).(api.MutableGlobal).Set(budget)
			if _, err := run.Call(t.Context(), 300); err != nil {
				t.Fatal(s.name, err)
			}
		}
		real, counted := float64(d.high-d.low)/300, float64(budget-d.least)/300
		t.Logf("%s: %.0f bytes a call, counted %.0f", s.name, real, counted)
		if real > 2*counted {
			t.Errorf("%s: a call takes %.0f bytes of native stack, more than twice the %.0f that are counted", s.name, real, counted)
		}
		if counted > 20*real {
			t.Errorf("%s: a call takes %.0f bytes of native stack, %.0f are counted: far too many", s.name, real, counted)
		}
	}
}
