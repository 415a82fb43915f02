package wasm_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// What a flood prints or logs beyond its limit is counted, and no work for the
// garbage collector.
func TestFloodsLeaveLittleGarbage(t *testing.T) {
	for _, module := range []string{"printflood", "logflood"} {
		s := newBench(t, wasm.Options{})
		fn := s.function("testdata/hostile/" + module + ".wasm")
		fn.Limits.Fuel = 85_000 // printing begins at 80,000
		m := s.load(fn)
		inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
		allocs := testing.AllocsPerRun(3, func() {
			inv.Begin(event(""), "t", 1)
			wantFault(t, m.Invoke(t.Context(), inv), agent.FaultFuel, "raise limits.fuel")
		})
		t.Logf("%s: %d lines kept, %d dropped, %.0f allocations", module, len(inv.Effects.Logs), inv.Effects.Dropped, allocs)
		most := 500.0
		if wasm.Interpreted() {
			most += 2 * float64(inv.Effects.Dropped) // wazero's interpreter makes some for each call
		}
		if inv.Effects.Dropped < 500 || allocs > most {
			t.Errorf("%s: %d lines were dropped, with %.0f allocations", module, inv.Effects.Dropped, allocs)
		}
	}
}

// Functions that fail again and again, or ask for what they do not get, are as
// little work for the garbage collector, which holds up everybody.
func TestFailuresLeaveLittleGarbage(t *testing.T) {
	for _, tt := range []struct {
		module string
		fault  agent.FaultKind
		says   string
		most   uint64 // bytes that ten runs leave
	}{
		{"hostile/httplines", agent.FaultLimit, "host calls", 1 << 20},
		{"hostile/pollwrap", agent.FaultError, "returned 28", 640},
		{"outflood", agent.FaultLimit, "wrote more than", 1 << 20},
	} {
		t.Run(tt.module, func(t *testing.T) {
			s := newBench(t, cached(t))
			fn := s.function("testdata/" + tt.module + ".wasm")
			fn.Limits.Calls = 100
			m := s.load(fn)
			inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
			ev := event("")
			run := func() {
				inv.Begin(ev, "t", 1)
				wantFault(t, m.Invoke(t.Context(), inv), tt.fault, tt.says)
			}
			run()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 10 {
				run()
			}
			runtime.ReadMemStats(&after)
			if left := after.TotalAlloc - before.TotalAlloc; left > tt.most && !wasm.Interpreted() {
				t.Errorf("ten runs left %d bytes, want at most %d", left, tt.most)
			}
		})
	}
}

// A list counts as one host call, and one more for each 16 keys.
func TestLongListsCountAsSeveralCalls(t *testing.T) {
	m, begin := probeBench(t)
	state := view{}
	for i := range 160 {
		state[fmt.Sprintf("k%03d", i)] = nil
	}
	for _, tt := range []struct{ limit, calls int }{{0, 13}, {15, 3}, {32, 5}} {
		inv := begin(state)
		if n, _ := probe(t, m, inv, kvList, text("k"), tt.limit, bufAt, 0); n == 0 {
			t.Error("an empty list")
		}
		if inv.Usage.Calls != tt.calls {
			t.Errorf("a list of at most %d keys counts as %d calls, want %d", tt.limit, inv.Usage.Calls, tt.calls)
		}
	}
}
