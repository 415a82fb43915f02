package wasm_test

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// resident is the process's memory in use, bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(stat))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// noLeak runs f often and fails if memory or goroutines grew with it.
func noLeak(t *testing.T, f func()) {
	t.Helper()
	for range leakRounds / 10 {
		f()
	}
	memory, goroutines := resident(t), runtime.NumGoroutine()
	for range leakRounds {
		f()
	}
	if grown := resident(t) - memory; grown > 16<<20 {
		t.Errorf("%d rounds left %d KiB", leakRounds, grown>>10)
	}
	if now := runtime.NumGoroutine(); now > goroutines+5 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

func TestLoadAndCloseLeaveNothing(t *testing.T) {
	for _, tt := range []struct {
		name, module string
		opts         wasm.Options
	}{
		{"from the cache", "../examples/overheat/overheat.wasm", cached(t)},
		{"compiled each time", "trap", wasm.Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newBench(t, tt.opts)
			fn := s.function(tt.module)
			noLeak(t, func() {
				m, err := s.rt.Load(context.Background(), fn)
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestTrapsLeaveNothing(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("trap")
	m := s.load(fn)
	noLeak(t, func() {
		_, err := invoke(m, &fn, nil, "boom")
		wantFault(t, err, agent.FaultTrap, "unreachable")
	})
}

func TestCommandsLeaveNothing(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("command")
	m := s.load(fn)
	noLeak(t, func() {
		if _, err := invoke(m, &fn, nil, "1"); err == nil {
			t.Fatal("exit code 1 committed")
		}
	})
}
