package wasm_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// The first 21 failures come at once, and then 100 a second, whether the runs
// fail or the instances for them do not start.
func TestFailuresArePaced(t *testing.T) {
	for name, meanwhile := range map[string]time.Duration{"runs": 0, "starts": time.Minute} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testPace(t, meanwhile) }) })
	}
}

func testPace(t *testing.T, meanwhile time.Duration) {
	rt, m, fn := oddMinute(t)
	wantTrap := func() {
		_, err := invoke(m, &fn, nil, "x")
		wantFault(t, err, agent.FaultTrap, "unreachable")
	}
	wantTrap()
	<-time.After(meanwhile)
	begun := time.Now()
	for range 120 {
		wantTrap()
	}
	if took := time.Since(begun); took != time.Second {
		t.Errorf("120 failures took %v, want a second", took)
	}
	<-time.After(2*time.Minute - meanwhile)
	begun = time.Now()
	for range 10 {
		wantTrap()
		if _, err := invoke(m, &fn, nil, ""); err != nil {
			t.Errorf("an event that does not fail: %v", err)
		}
	}
	if took := time.Since(begun); took != 0 {
		t.Errorf("10 failures after a rest took %v", took)
	}
	if err := rt.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// oddMinute is a function that starts in even minutes, and in a bubble time
// begins with one.
func oddMinute(t *testing.T) (*wasm.Runtime, agent.Module, agent.Function) {
	b := blobs{}
	s := &bench{t, wasm.NewRuntime(b, wasm.Options{Log: quiet()}), b}
	fn := s.function("oddminute")
	fn.KeepWarm = true
	return s.rt, s.load(fn), fn
}

// The first 128 refused calls take no time, and then 8,000 a second.
func TestRefusedCallsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blobs{}
		s := &bench{t, wasm.NewRuntime(b, wasm.Options{Log: quiet()}), b}
		fn := s.function("testdata/hostile/publishflood.wasm")
		fn.KeepWarm = true
		fn.Permissions.Publish = []string{"alerts/#"}
		fn.Limits.Outputs, fn.Limits.Calls = 5, 1000
		m := s.load(fn)
		begun := time.Now()
		_, err := invoke(m, &fn, nil, "")
		wantFault(t, err, agent.FaultLimit, "host calls")
		if took := time.Since(begun); took != 112*time.Millisecond { // of 995 calls, each 64 behind the first
			t.Errorf("took %v, want 112ms", took)
		}
		if err := s.rt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestWhoStopsDoesNotWaitForThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, m, fn := oddMinute(t)
		ctx, cancel := context.WithCancel(context.Background())
		inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
		for range 21 {
			inv.Begin(event("x"), "test/trigger", 1)
			wantFault(t, m.Invoke(ctx, inv), agent.FaultTrap, "unreachable")
		}
		begun := time.Now()
		time.AfterFunc(time.Millisecond, cancel)
		inv.Begin(event("x"), "test/trigger", 1)
		if err := m.Invoke(ctx, inv); err == nil || ctx.Err() == nil {
			t.Errorf("a run that was stopped: %v", err)
		}
		if took := time.Since(begun); took != time.Millisecond {
			t.Errorf("took %v, want a millisecond", took)
		}
		if err := rt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
