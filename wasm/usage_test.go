package wasm_test

import (
	"maps"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// A fill is paid for before it is tried; what was not done is not told as used.
func TestFillThatTrapsCostsNoMoreThanTheLimit(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("fillbeyond")
	inv, err := invoke(s.load(fn), &fn, nil, "")
	wantFault(t, err, agent.FaultTrap, "out of bounds memory access")
	if inv.Usage.Fuel < 1<<20 {
		t.Errorf("4 GiB cost %d units", inv.Usage.Fuel)
	}
	fn.Limits.Fuel = 1000
	inv, err = invoke(s.load(fn), &fn, nil, "")
	wantFault(t, err, agent.FaultFuel, "more than 1000 units of fuel; raise limits.fuel of the function")
	if inv.Usage.Fuel != 1000 {
		t.Errorf("used %d units of 1000", inv.Usage.Fuel)
	}
}

func TestStartsForOneRunAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name      string
		isolation agent.Isolation
		counted   bool
	}{
		{"seeded", agent.IsolationFresh, true}, // drew a random number: cannot be restored
		{"seeded", agent.IsolationWarm, false},
		{"keeper", agent.IsolationFresh, false},
	} {
		s := newBench(t, wasm.Options{})
		fn := s.function(tt.name)
		fn.Isolation = tt.isolation
		m := s.load(fn)
		var first int64
		for i := range 3 {
			inv, err := invoke(m, &fn, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			n := inv.Usage.Start
			if first = max(first, n); n > 0 != tt.counted || n != first {
				t.Errorf("%s, isolation %d: run %d tells of a start of %d units", tt.name, tt.isolation, i+1, n)
			}
		}
	}
}

func TestWarmCountsInstances(t *testing.T) {
	s := newBench(t, wasm.Options{})
	keeper, trap, command := s.function("keeper"), s.function("trap"), s.function("command")
	for range 2 {
		if _, err := invoke(s.load(keeper), &keeper, view{}, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.load(command)
	m := s.load(trap)
	want := map[string]int{"test/keeper": 2}
	if !wasm.Interpreted() { // else it begins with its first event
		want["test/trap"] = 1
	}
	if got := s.rt.Warm(); !maps.Equal(got, want) {
		t.Errorf("loaded: %v, want %v", got, want)
	}
	_, err := invoke(m, &trap, nil, "x")
	wantFault(t, err, agent.FaultTrap, "unreachable")
	delete(want, "test/trap")
	if got := s.rt.Warm(); !maps.Equal(got, want) {
		t.Errorf("after a trap: %v, want %v", got, want)
	}
}
