package wasm_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// wantFault fails unless err is a Fault of kind whose text contains words.
func wantFault(t *testing.T, err error, kind agent.FaultKind, words string) {
	t.Helper()
	var fault *agent.Fault
	if !errors.As(err, &fault) || fault.Kind != kind || !strings.Contains(fault.Error(), words) {
		t.Errorf("got %v, want a fault of kind %s that says %q", err, kind, words)
	}
}

func TestVerdicts(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("verdict")
	m := s.load(fn)
	if _, err := invoke(m, &fn, nil, "\x00"); err != nil {
		t.Errorf("commit: %v", err)
	}
	_, err := invoke(m, &fn, nil, "\x01")
	if !errors.Is(err, agent.ErrReject) || !strings.Contains(err.Error(), "no device id") {
		t.Errorf("reject: %v", err)
	}
	_, err = invoke(m, &fn, nil, "\x02")
	if !errors.Is(err, agent.ErrRetry) || !strings.Contains(err.Error(), "no device id") {
		t.Errorf("retry: %v", err)
	}
	_, err = invoke(m, &fn, nil, "\x03")
	wantFault(t, err, agent.FaultError, "skerry_handle returned 3: no device id")
}

func TestDeadlineStopsALoop(t *testing.T) {
	for name, stop := range map[string]string{"loop": "loop", "sleep": "sleep"} {
		t.Run(name, func(t *testing.T) {
			s := newBench(t, wasm.Options{})
			fn := s.function(stop)
			fn.Limits.Timeout = 50 * time.Millisecond
			m := s.load(fn)
			for range 3 { // each on a fresh instance
				begun := time.Now()
				_, err := invoke(m, &fn, nil, "")
				wantFault(t, err, agent.FaultTimeout, "ran longer than 50ms")
				if took := time.Since(begun); took > 2*time.Second {
					t.Errorf("took %v", took)
				}
			}
		})
	}
}

func TestStoppingTheAgentIsNoTimeout(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("loop")
	m := s.load(fn)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
	inv.Begin(event(""), "t", 1)
	err := m.Invoke(ctx, inv)
	var fault *agent.Fault
	if !errors.Is(err, context.Canceled) || errors.As(err, &fault) {
		t.Errorf("got %v, want context.Canceled and no fault", err)
	}
}

func TestMemoryStaysWithinItsLimit(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("grower")
	fn.Limits.Memory = 512 << 10
	m := s.load(fn)
	for range 3 {
		_, err := invoke(m, &fn, nil, "")
		wantFault(t, err, agent.FaultMemory, "512 KiB")
	}
}

func TestAFunctionWorksAfterATrap(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("trap")
	m := s.load(fn)
	for range 3 {
		_, err := invoke(m, &fn, nil, "boom")
		wantFault(t, err, agent.FaultTrap, "unreachable")
		if _, err := invoke(m, &fn, nil, ""); err != nil {
			t.Errorf("after the trap: %v", err)
		}
	}
}

func TestOutputFloodIsLimited(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("flood")
	fn.Permissions.Publish = []string{"#"}
	m := s.load(fn)
	inv, err := invoke(m, &fn, nil, "")
	wantFault(t, err, agent.FaultError, "returned 7")
	if n := len(inv.Effects.Publishes); n > fn.Limits.Outputs {
		t.Errorf("%d publishes, at most %d", n, fn.Limits.Outputs)
	}
	var bytes int64
	for _, p := range inv.Effects.Publishes {
		bytes += int64(len(p.Data))
	}
	if bytes > fn.Limits.Output {
		t.Errorf("published %d bytes, at most %d", bytes, fn.Limits.Output)
	}
}

func TestInit(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("init")
	wantFault(t, s.start(fn), agent.FaultError, "skerry_init returned 2: READY is not set")
	fn.Env = map[string]string{"READY": "yes"}
	if _, err := invoke(s.load(fn), &fn, nil, ""); err != nil {
		t.Error(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	s := newBench(t, wasm.Options{})
	big := s.function("trap")
	big.Limits.Memory = 1
	wrong := s.function("wrongabi")
	missing := agent.Function{Name: "test/missing", Digest: s.function("loop").Digest[:70] + "0"}
	changed := s.function("loop")
	s.b["sha256:00"] = s.b[changed.Digest]
	changed.Digest = "sha256:00"
	for _, tt := range []struct {
		fn   agent.Function
		says string
	}{
		{wrong, "exports neither skerry_handle nor _start"},
		{missing, "not found"},
		{changed, "not sha256:00 as the app says"},
	} {
		if _, err := s.rt.Load(context.Background(), tt.fn); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("load %s: %v, want %q", tt.fn.Name, err, tt.says)
		}
	}
	s.load(big) // less than a page is a page
}

func TestLoadRefusesMemoryBelowTheModules(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("../examples/overheat/overheat.wasm")
	fn.Limits.Memory = 64 << 10
	_, err := s.rt.Load(context.Background(), fn)
	if err == nil || !strings.Contains(err.Error(), "raise limits.memory") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestManyModulesOfOneFunction(t *testing.T) {
	s := newBench(t, wasm.Options{CacheDir: t.TempDir()})
	fn := s.function("trap")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m, err := s.rt.Load(context.Background(), fn)
			if err != nil {
				t.Errorf("load: %v", err)
				return
			}
			for i := range 50 {
				data := strings.Repeat("x", i%2)
				if _, err := invoke(m, &fn, view{}, data); (err != nil) != (data != "") {
					t.Errorf("run with %q: %v", data, err)
				}
			}
			if err := m.Close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestClosedModuleRefuses(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("trap")
	m := s.load(fn)
	for range 2 {
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := invoke(m, &fn, nil, ""); err == nil {
		t.Error("a closed module ran")
	}
}

func TestClosingTheRuntimeWhileLoading(t *testing.T) {
	s := newBench(t, wasm.Options{CacheDir: t.TempDir()})
	fns := []agent.Function{s.function("trap"), s.function("verdict"), s.function("command")}
	var wg sync.WaitGroup
	for _, fn := range fns {
		wg.Go(func() {
			m, err := s.rt.Load(context.Background(), fn)
			if err != nil {
				return // the runtime was closed first
			}
			if err := m.Close(context.Background()); err != nil {
				t.Errorf("close %s: %v", fn.Name, err)
			}
		})
	}
	if err := s.rt.Close(context.Background()); err != nil {
		t.Errorf("close the runtime: %v", err)
	}
	wg.Wait()
	if _, err := s.rt.Load(context.Background(), fns[0]); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("load after close: %v", err)
	}
}
