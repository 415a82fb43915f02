package wasm_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

func TestWarmInstancesKeepTheirState(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("keeper")
	m := s.load(fn)
	for i := range 5 {
		inv, err := invoke(m, &fn, nil, "")
		if want := string([]byte{byte(i + 1), byte(i + 1), 1}); err != nil || string(inv.Effects.Result) != want {
			t.Fatalf("run %d: %v, %v", i, inv.Effects.Result, err)
		}
	}
}

func TestFreshInstancesKeepNothing(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("keeper")
	fn.Isolation = agent.IsolationFresh
	m := s.load(fn)
	for i := range 2000 {
		inv, err := invoke(m, &fn, nil, "")
		if err != nil || string(inv.Effects.Result) != "\x01\x01\x01" {
			t.Fatalf("run %d: %v, %v", i, inv.Effects.Result, err)
		}
	}
}

func TestFreshInstancesDrawNewRandomNumbers(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("seeded")
	fn.Isolation = agent.IsolationFresh
	m := s.load(fn)
	seen := map[string]bool{}
	for range 100 {
		inv, err := invoke(m, &fn, nil, "")
		if err != nil || seen[string(inv.Effects.Result)] {
			t.Fatalf("drawn again: %x, %v", inv.Effects.Result, err)
		}
		seen[string(inv.Effects.Result)] = true
	}
}

func TestGrownInstancesAreReplaced(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("keeper")
	m := s.load(fn)
	most := byte(0)
	for range 200 { // each adds a page of the 16 there are
		inv, err := invoke(m, &fn, nil, "x")
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, inv.Effects.Result[2])
	}
	if most < 3 {
		t.Errorf("an instance had at most %d pages: growing a little must not replace it for ever", most)
	}
	inv, err := invoke(m, &fn, nil, "")
	if err != nil || inv.Effects.Result[0] > 100 {
		t.Errorf("after %d runs there still is the first instance: %v", inv.Effects.Result[0], err)
	}
}

func TestIdleInstancesAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := blobs{}
		rt := wasm.NewRuntime(b, wasm.Options{Log: quiet()})
		s := &bench{t, rt, b}
		idle, warm := s.function("keeper"), s.function("keeper")
		idle.IdleAfter, warm.KeepWarm = time.Minute, true
		runs := func(m agent.Module, fn *agent.Function) byte {
			inv, err := invoke(m, fn, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			return inv.Effects.Result[0]
		}
		m, k := s.load(idle), s.load(warm)
		for i := range byte(3) {
			if n := runs(m, &idle); n != i+1 {
				t.Fatalf("run %d of the instance, want %d", n, i+1)
			}
			<-time.After(40 * time.Second)
			synctest.Wait()
		}
		runs(k, &warm)
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if n := runs(m, &idle); n != 1 {
			t.Errorf("run %d of the instance after two idle minutes, want a new one", n)
		}
		if n := runs(k, &warm); n != 2 {
			t.Errorf("run %d of the instance that is kept warm, want 2", n)
		}
		if err := rt.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestFuelIsCountedAndLimited(t *testing.T) {
	used := map[bool]int64{}
	for _, interpret := range []bool{false, true} {
		s := newBench(t, wasm.Options{Interpret: interpret})
		fn := s.function("work")
		m := s.load(fn)
		var before int64
		for range 3 {
			inv, err := invoke(m, &fn, nil, "0123456789")
			if err != nil {
				t.Fatal(err)
			}
			if n := inv.Usage.Fuel; n < 10_000 || before != 0 && n != before {
				t.Errorf("used %d units, then %d", before, n)
			}
			before = inv.Usage.Fuel
		}
		used[interpret] = before

		fn.Limits.Fuel = before
		if _, err := invoke(s.load(fn), &fn, nil, "0123456789"); err != nil {
			t.Errorf("with just as much fuel as it needs: %v", err)
		}
		fn.Limits.Fuel = before - 1
		m = s.load(fn)
		for range 2 {
			_, err := invoke(m, &fn, nil, "0123456789")
			wantFault(t, err, agent.FaultFuel, "units of fuel")
		}
	}
	if used[false] != used[true] {
		t.Errorf("compiled code uses %d units, interpreted code %d", used[false], used[true])
	}
}

func TestHostCallsAreCountedAndLimited(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("work")
	if inv, err := invoke(s.load(fn), &fn, nil, "x"); err != nil || inv.Usage.Calls != 1 {
		t.Errorf("%d calls, %v; want 1", inv.Usage.Calls, err)
	}
	flood := s.function("hostflood")
	flood.Limits.Calls = 100
	inv, err := invoke(s.load(flood), &flood, nil, "")
	wantFault(t, err, agent.FaultLimit, "more than 100 host calls")
	if inv.Usage.Calls != 100 {
		t.Errorf("%d calls", inv.Usage.Calls)
	}
}
