package wasm_test

import (
	"context"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

func overheat(b *testing.B, opts wasm.Options) (*bench, agent.Function) {
	s := newBench(b, opts)
	fn := s.function("../examples/overheat/overheat.wasm")
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/+/overheat"}, Invoke: []string{"central/alerts"}}
	return s, fn
}

func benchInvoke(b *testing.B, v view, data string, publishes int) {
	s, fn := overheat(b, wasm.Options{})
	m := s.load(fn)
	inv := agent.NewInvocation(&fn, v, agent.Outside{})
	ev := event(data)
	b.ReportAllocs()
	for b.Loop() {
		inv.Begin(ev, "t", 1)
		if err := m.Invoke(context.Background(), inv); err != nil || len(inv.Effects.Publishes) != publishes {
			b.Fatalf("%v, %d publishes", err, len(inv.Effects.Publishes))
		}
	}
}

func BenchmarkInvokeMiss(b *testing.B) {
	benchInvoke(b, view{}, `{"id":"s1","seq":17,"ts":1700000000123,"temperature":41.25,"unit":"C","site":"plant-west","line":"l1","ok":true}`, 0)
}

func BenchmarkInvokeHit(b *testing.B) {
	benchInvoke(b, view{}, `{"id":"s1","seq":17,"ts":1700000000123,"temperature":91.25,"unit":"C","site":"plant-west","line":"l1","ok":true}`, 1)
}

func BenchmarkInvokeCommand(b *testing.B) {
	s := newBench(b, wasm.Options{})
	fn := s.function("command")
	m := s.load(fn)
	inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
	ev := event(".ok")
	b.ReportAllocs()
	for b.Loop() {
		inv.Begin(ev, "t", 1)
		if err := m.Invoke(context.Background(), inv); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstantiate loads one more instance of code that is compiled.
func BenchmarkInstantiate(b *testing.B) {
	s, fn := overheat(b, wasm.Options{})
	s.load(fn)
	for b.Loop() {
		loadAndClose(b, s.rt, fn)
	}
}

func BenchmarkCompileCold(b *testing.B) {
	s, fn := overheat(b, wasm.Options{})
	for b.Loop() {
		loadAndClose(b, s.rt, fn)
	}
}

func BenchmarkCompileCached(b *testing.B) {
	s, fn := overheat(b, wasm.Options{CacheDir: b.TempDir()})
	loadAndClose(b, s.rt, fn)
	for b.Loop() {
		loadAndClose(b, s.rt, fn)
	}
}

func BenchmarkInspect(b *testing.B) {
	bin := fixture(b, "../examples/overheat/overheat.wasm")
	for b.Loop() {
		if _, err := wasm.Inspect(bin); err != nil {
			b.Fatal(err)
		}
	}
}

func loadAndClose(b *testing.B, rt *wasm.Runtime, fn agent.Function) {
	m, err := rt.Load(context.Background(), fn)
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// benchFlood runs what never ends on its own until a limit ends it.
func benchFlood(b *testing.B, module string) {
	s := newBench(b, wasm.Options{})
	fn := s.function("testdata/hostile/" + module + ".wasm")
	fn.Limits.Fuel = 64 << 10
	m := s.load(fn)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := invoke(m, &fn, nil, ""); err == nil {
			b.Fatal("it ended")
		}
	}
}

func BenchmarkPrintFlood(b *testing.B) { benchFlood(b, "printflood") }
func BenchmarkLogFlood(b *testing.B)   { benchFlood(b, "logflood") }
func BenchmarkListFlood(b *testing.B)  { benchFlood(b, "kvlist") }
