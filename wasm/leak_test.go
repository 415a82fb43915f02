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
	for range 100 {
		f()
	}
	memory, goroutines := resident(t), runtime.NumGoroutine()
	for range 1000 {
		f()
	}
	if grown := resident(t) - memory; grown > 16<<20 {
		t.Errorf("1,000 rounds left %d KiB", grown>>10)
	}
	if now := runtime.NumGoroutine(); now > goroutines+5 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

func TestLoadAndCloseLeaveNothing(t *testing.T) {
	s := newBench(t, wasm.Options{CacheDir: t.TempDir()})
	fn := s.function("../examples/overheat/overheat.wasm")
	noLeak(t, func() {
		m, err := s.rt.Load(context.Background(), fn)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
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
