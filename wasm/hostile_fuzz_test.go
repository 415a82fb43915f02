package wasm_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// FuzzLoad gives arbitrary modules to Inspect, Load and Invoke: whatever they
// are, the process lives on and none of it takes long.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/*.wasm", "testdata/hostile/*.wasm", "testdata/guests/alarm/*/*.wasm"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			if bin, err := os.ReadFile(p); err != nil {
				f.Fatal(err)
			} else if len(bin) < 32<<10 {
				f.Add(bin)
			}
		}
	}
	for _, c := range append(documentedCalls(f), wasiCalls(f)...) {
		f.Add(caller(c.module, c.name, c.params, c.results))
	}
	s := newBench(f, wasm.Options{})
	f.Fuzz(func(t *testing.T, module []byte) {
		begun := time.Now()
		info, err := wasm.Inspect(module)
		if err == nil && info.ABI == "" {
			t.Error("accepted a module of no ABI")
		}
		if bytes.HasPrefix(module, []byte(header)) { // what Inspect refuses too: a device may be given it
			tryModule(t, s, module)
		}
		limit := slowness * 200 * time.Millisecond
		if wasm.Interpreted() {
			limit += time.Minute // two starts, of half a minute at most
		}
		if took := time.Since(begun); took > limit {
			t.Errorf("it took %v", took)
		}
	})
}

// tryModule runs what can be loaded.
func tryModule(t *testing.T, s *bench, module []byte) {
	fn := agent.Function{Name: "test/fuzz", Digest: s.b.add(module), Limits: agent.Limits{
		Memory: 1 << 20, Timeout: 10 * time.Millisecond, Fuel: 1_000_000, Calls: 1000,
	}}
	defer delete(s.b, fn.Digest)
	m, err := s.rt.Load(context.Background(), fn)
	if err != nil {
		return
	}
	for range 2 {
		if inv, err := invoke(m, &fn, view{}, "data"); err == nil && inv.Usage.Fuel > fn.Limits.Fuel {
			t.Errorf("it used %d units of fuel", inv.Usage.Fuel)
		}
	}
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
}
