package instrument_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// outcome is all that can be seen of a run.
type outcome struct {
	result string // or the kind of trap
	state  string // globals
	memory []byte
	work   int64
	spent  int64
}

// play runs a generated module, plain or rewritten.
func play(t *testing.T, config wazero.RuntimeConfig, bin []byte, slice int64) outcome {
	rt := wazero.NewRuntimeWithConfig(t.Context(), config)
	defer rt.Close(t.Context())
	const stack = 1 << 24
	m := &meter{slice: slice, fuel: 1 << 40, stack: stack}
	m.link(t, rt)
	mod, err := rt.Instantiate(t.Context(), bin)
	if err != nil {
		t.Fatalf("%v\n%x", err, bin)
	}
	g := guest{mod: mod}
	g.global(instrument.StackGlobal, stack)
	var o outcome
	res, err := mod.ExportedFunction("run").Call(t.Context())
	if err != nil {
		o.result = kind(err)
	} else {
		o.result = fmt.Sprint(mask(res, []api.ValueType{i32}))
		if x := mod.ExportedGlobal(instrument.StackGlobal); x != nil && uint32(x.Get()) != stack {
			t.Errorf("%d bytes of stack are left, want %d\n%x", uint32(x.Get()), stack, bin)
		}
	}
	o.memory, _ = mod.Memory().Read(0, mod.Memory().Size())
	o.memory = bytes.Clone(o.memory)
	o.work = int64(mod.ExportedGlobal("a").Get())
	for _, name := range []string{"a", "b", "c", "d"} {
		o.state += fmt.Sprint(name, mod.ExportedGlobal(name).Get(), " ")
	}
	if mod.ExportedGlobal(instrument.FuelGlobal) != nil {
		o.spent = m.spent(mod)
	}
	return o
}

// leafWeight is what a call of a leaf by the host may cost unpaid.
const leafWeight = 32

// FuzzRewrite compares generated modules with what they are rewritten to.
func FuzzRewrite(f *testing.F) {
	for i := range 40 {
		seed := make([]byte, 300)
		for k := range seed {
			seed[k] = byte(k*(2*i+1) + i*i + k*k>>3)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		g := &generator{src: src}
		bin := g.module().bytes()
		want := play(t, wazero.NewRuntimeConfigInterpreter(), bin, 1<<30)
		var spent int64
		for i, remainders := range []bool{false, true} {
			res := rewrite(t, bin, instrument.Options{Remainders: remainders})
			configs := []wazero.RuntimeConfig{wazero.NewRuntimeConfigInterpreter()}
			if len(src)%4 == i {
				configs = append(configs, wazero.NewRuntimeConfigCompiler())
			}
			for k, config := range configs {
				got := play(t, config, res.Module, int64(1000+1000*k))
				if got.result != want.result || got.state != want.state || !bytes.Equal(got.memory, want.memory) {
					t.Fatalf("%s, %s; plain %s, %s; memory equal: %v\n%x", got.result, got.state, want.result, want.state, bytes.Equal(got.memory, want.memory), bin)
				}
				if got.spent < workWeight*got.work-leafWeight {
					t.Fatalf("%d units of fuel for %d pieces of work\n%x", got.spent, got.work, bin)
				}
				if i+k > 0 && got.spent != spent {
					t.Fatalf("%d units of fuel, and %d before\n%x", got.spent, spent, bin)
				}
				spent = got.spent
			}
		}
	})
}

// FuzzRewriteBytes gives arbitrary bytes: what is accepted and valid stops.
func FuzzRewriteBytes(f *testing.F) {
	for _, h := range hostile {
		f.Add(h.build.bytes())
	}
	for _, pattern := range []string{"v2/testdata/br_table.*.wasm", "v2/testdata/simd_lane.*.wasm", "v2/testdata/elem.1*.wasm", "v2/testdata/bulk.*.wasm"} {
		files, _ := filepath.Glob(filepath.Join(specDir(f), pattern))
		for _, file := range files {
			bin, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(bin) < 4000 {
				f.Add(bin)
			}
		}
	}
	f.Fuzz(func(t *testing.T, bin []byte) {
		res, err := instrument.Rewrite(bin, instrument.Options{Remainders: len(bin)%2 == 0})
		_, unread := instrument.Read(bin)
		if err != nil {
			return
		}
		if unread != nil {
			t.Fatalf("Read refuses what Rewrite does not: %v", unread)
		}
		again, err := instrument.Rewrite(bin, instrument.Options{Remainders: len(bin)%2 == 0})
		if err != nil || !bytes.Equal(res.Module, again.Module) {
			t.Fatal("the second rewriting differs")
		}
		config := wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16).WithCoreFeatures(api.CoreFeaturesV2)
		rt := wazero.NewRuntimeWithConfig(t.Context(), config)
		defer rt.Close(t.Context())
		m := &meter{slice: 1 << 12, fuel: 1 << 18, stack: 1 << 14}
		m.link(t, rt)
		mod, err := rt.Instantiate(t.Context(), res.Module)
		if err != nil {
			return
		}
		for name, def := range mod.ExportedFunctionDefinitions() {
			if len(def.ParamTypes()) == 0 {
				m.fuel, m.stack = 1<<18, 1<<14
				_, _ = mod.ExportedFunction(name).Call(t.Context())
			}
		}
	})
}
