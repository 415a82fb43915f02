package instrument_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// Events that the examples understand.
var (
	reading    = `{"id":"s1","seq":17,"ts":1700000000123,"temperature":41.25,"unit":"C","site":"plant-west","line":"l1","ok":true}`
	fahrenheit = `{"id":"s1","fahrenheit":98.6}`
)

// fakeHost gives the functions of skerry_v1 that bin imports: events hold
// data, state is empty, and what is decided is counted.
func fakeHost(tb testing.TB, rt wazero.Runtime, compiled wazero.CompiledModule, data string) *int {
	decided := new(int)
	b := rt.NewHostModuleBuilder("skerry_v1")
	for _, def := range compiled.ImportedFunctions() {
		if module, name, _ := def.Import(); module == "skerry_v1" {
			b = b.NewFunctionBuilder().WithGoModuleFunction(fakeFunc(name, data, decided), def.ParamTypes(), def.ResultTypes()).Export(name)
		}
	}
	if _, err := b.Instantiate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return decided
}

func fakeFunc(name, data string, decided *int) api.GoModuleFunc {
	fields := map[uint32]string{0: data, 1: "sensors/l1/s1/temperature"}
	notFound := api.EncodeI32(-2)
	return func(_ context.Context, mod api.Module, stack []uint64) {
		switch name {
		case "event_get":
			s := fields[uint32(stack[0])]
			if len(s) <= int(uint32(stack[2])) {
				mod.Memory().WriteString(uint32(stack[1]), s)
			}
			stack[0] = uint64(len(s))
		case "config_get", "kv_get":
			stack[0] = notFound
		default:
			*decided++
			stack[0] = 0
		}
	}
}

// guest is an instance of a module, plain or rewritten.
type guest struct {
	mod     api.Module
	meter   *meter
	handle  api.Function
	decided *int
}

func (g *guest) global(name string, v uint64) {
	if x := g.mod.ExportedGlobal(name); x != nil {
		x.(api.MutableGlobal).Set(v)
	}
}

func newGuest(tb testing.TB, config wazero.RuntimeConfig, bin []byte, data, entry string) *guest {
	tb.Helper()
	ctx := tb.Context()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	tb.Cleanup(func() { rt.Close(context.WithoutCancel(ctx)) })
	g := &guest{meter: &meter{slice: 1 << 18, fuel: 1 << 60, stack: 1 << 20}}
	g.meter.link(tb, rt)
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	compiled, err := rt.CompileModule(ctx, bin)
	if err != nil {
		tb.Fatal(err)
	}
	g.decided = fakeHost(tb, rt, compiled, data)
	g.mod, err = rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		tb.Fatal(err)
	}
	if f := g.mod.ExportedFunction("skerry_init"); f != nil {
		if res, err := f.Call(ctx); err != nil || res[0] != 0 {
			tb.Fatal(res, err)
		}
	}
	g.handle = g.mod.ExportedFunction(entry)
	return g
}

func (g *guest) run(tb testing.TB, stack []uint64) {
	g.global(instrument.StackGlobal, 1<<20)
	if err := g.handle.CallWithStack(tb.Context(), stack); err != nil {
		tb.Fatal(err)
	}
}

var examples = []struct{ name, data string }{
	{"overheat", reading},
	{"rollup", reading},
	{"convert", fahrenheit},
}

// example gives the module of an example; convert is built from its source.
func example(tb testing.TB, name string) []byte {
	tb.Helper()
	path := "../../examples/" + name + "/" + name + ".wasm"
	if name == "convert" {
		path = filepath.Join(tb.TempDir(), "convert.wasm")
		cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", path, "../../examples/convert")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			tb.Fatalf("build the example: %v\n%s", err, text)
		}
	}
	bin, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

// compare measures the plain module and the rewritten one in turns, so that
// both see the same machine, and reports how much slower the second is.
func compare(b *testing.B, bin []byte, data, entry string, args ...uint64) {
	res := rewrite(b, bin, instrument.Options{})
	guests := [2]*guest{
		newGuest(b, wazero.NewRuntimeConfigCompiler(), bin, data, entry),
		newGuest(b, wazero.NewRuntimeConfigCompiler(), res.Module, data, entry),
	}
	var took, best [2]time.Duration
	const round = 64
	stack := make([]uint64, 8)
	rounds := 0
	for b.Loop() {
		for i, g := range guests {
			start := time.Now()
			for range round {
				copy(stack, args)
				g.run(b, stack)
			}
			d := time.Since(start)
			took[i] += d
			if best[i] == 0 || d < best[i] {
				best[i] = d
			}
		}
		rounds++
	}
	for i, name := range []string{"plain-ns", "rewritten-ns"} {
		b.ReportMetric(float64(took[i].Nanoseconds())/float64(rounds*round), name)
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "ratio")
	b.ReportMetric(float64(best[1])/float64(best[0]), "best-ratio")
	b.ReportMetric(100*float64(len(res.Module)-len(bin))/float64(len(bin)), "%size")
}

func BenchmarkExamples(b *testing.B) {
	for _, e := range examples {
		b.Run(e.name, func(b *testing.B) { compare(b, example(b, e.name), e.data, "skerry_handle") })
	}
}

// counting is a bare loop, the worst ratio of charging to work.
var counting = build{
	types: []signature{{[]byte{i32}, []byte{i32}}}, pages: 1,
	funcs: []fn{{locals: []byte{i32}, code: cat(
		op(loop, empty), op(localGet, 1), int32Const(1), op(0x6a), op(localTee, 1), op(localGet, 0), op(0x49), op(brIf, 0), op(end),
		op(localGet, 1),
	)}},
}.bytes()

func BenchmarkLoop(b *testing.B) {
	compare(b, counting, "", "run", 100_000)
}

func BenchmarkRewrite(b *testing.B) {
	for _, e := range examples {
		bin := example(b, e.name)
		b.Run(e.name, func(b *testing.B) {
			b.SetBytes(int64(len(bin)))
			for b.Loop() {
				rewrite(b, bin, instrument.Options{})
			}
		})
	}
}
