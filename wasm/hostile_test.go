package wasm_test

import (
	"cmp"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// attack is a function that means harm, and how it ends.
type attack struct {
	name   string
	module string // in testdata/; "" is hostile/<name>
	data   string // of the event
	memory int64  // limit in bytes; 0 means 1 MiB
	fault  agent.FaultKind
	says   string // a part of the error
	atLoad bool   // it is refused before it is given an event
	long   bool   // memory or tables that grow are cleared by the kernel: stopping it may take longer

	// native runs in place of a function until the context ends.
	native func(context.Context, *testing.T)
}

// attacks without a fault must be served like any other function.
var attacks = []attack{
	{name: "endless loop", module: "loop", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "call bomb", module: "callbomb", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "deep recursion", module: "recursion", fault: agent.FaultTrap, says: tooDeep},
	{name: "mutual", fault: agent.FaultTrap, says: tooDeep},
	{name: "frames", fault: agent.FaultTrap, says: tooDeep},
	{name: "indirect", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "brtable", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "simd", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "float", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "misses", memory: 64 << 20, fault: agent.FaultTimeout, says: "ran longer than", long: true},

	{name: "memory growth", module: "grower", fault: agent.FaultMemory, says: "raise limits.memory", long: true},
	{name: "memory growth to 256 MiB", module: "grower", memory: 256 << 20, fault: agent.FaultMemory, says: "raise limits.memory", long: true},
	{name: "table growth", module: "tablegrower", fault: agent.FaultTimeout, says: "ran longer than", long: true},
	{name: "tables", fault: agent.FaultTimeout, says: "ran longer than", long: true},
	{name: "huge initial memory", module: "hostile/fill", fault: "", says: "module needs 64 MiB of memory to start", atLoad: true},
	{name: "bulk memory", module: "bulk", memory: 64 << 20, fault: agent.FaultTimeout, says: "ran longer than", long: true},
	{name: "fill", memory: 64 << 20, fault: agent.FaultTimeout, says: "ran longer than", long: true},
	{name: "copy", memory: 64 << 20, fault: agent.FaultTimeout, says: "ran longer than", long: true},

	{name: "start loops", module: "startloop", fault: agent.FaultTimeout, says: "ran longer than", atLoad: true},
	{name: "initloop", fault: agent.FaultTimeout, says: "ran longer than", atLoad: true},
	{name: "inittrap", fault: agent.FaultTrap, says: "unreachable", atLoad: true},
	{name: "initgrow"},
	{name: "starttrap", fault: agent.FaultTrap, says: "out of bounds memory access", atLoad: true},
	{name: "startdeep", fault: agent.FaultTrap, says: tooDeep, atLoad: true},
	{name: "databeyond", says: "outside of memory", atLoad: true},
	{name: "elembeyond", says: "outside of its table", atLoad: true}, // wazero alone leaves out what does not fit
	{name: "exit", data: "xxx", fault: agent.FaultError, says: "exited with code 3"},
	{name: "exit with code 0", module: "hostile/exit", fault: agent.FaultError, says: "exited with code 0"},
	{name: "exitinit", fault: agent.FaultError, says: "exited with code 0", atLoad: true},
	{name: "exitstart", fault: agent.FaultError, says: "exited with code 0", atLoad: true},
	{name: "handlehost", says: "exports neither", atLoad: true}, // sched_yield, which would answer 0
	{name: "wrong ABI", module: "wrongabi", says: "exports neither", atLoad: true},

	{name: "publishflood", fault: agent.FaultLimit, says: "host calls"},
	{name: "logflood", fault: agent.FaultLimit, says: "host calls"},
	{name: "printflood", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "output flood", module: "outflood", fault: agent.FaultLimit, says: "wrote more than"},
	{name: "host-call flood", module: "hostflood", fault: agent.FaultLimit, says: "host calls"},
	{name: "kvflood", fault: agent.FaultLimit, says: "host calls"},
	{name: "kvlist", fault: agent.FaultLimit, says: "host calls"},
	{name: "http", fault: agent.FaultLimit, says: "host calls"},
	{name: "httplines", fault: agent.FaultTimeout, says: "ran longer than"},

	{name: "sleeping", module: "sleep", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "iovecs", memory: 16 << 20, fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "entropy", memory: 64 << 20, fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "polls", memory: 16 << 20, fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "pollwrap", fault: agent.FaultError, says: "returned 28"},
	{name: "descriptors", fault: agent.FaultTimeout, says: "ran longer than"},
	{name: "commandloop", fault: agent.FaultTimeout, says: "ran longer than"},

	{name: "unreachable", module: "hostile/traps", data: "\x00", fault: agent.FaultTrap, says: "unreachable"},
	{name: "division by zero", module: "hostile/traps", data: "\x01", fault: agent.FaultTrap, says: "divide by zero"},
	{name: "remainder by zero", module: "hostile/traps", data: "\x02", fault: agent.FaultTrap, says: "divide by zero"},
	{name: "division overflow", module: "hostile/traps", data: "\x03", fault: agent.FaultTrap, says: "integer overflow"},
	{name: "load beyond memory", module: "hostile/traps", data: "\x04", fault: agent.FaultTrap, says: "out of bounds memory"},
	{name: "load beyond 32 bits", module: "hostile/traps", data: "\x05", fault: agent.FaultTrap, says: "out of bounds memory"},
	{name: "call of another type", module: "hostile/traps", data: "\x06", fault: agent.FaultTrap, says: "indirect call type mismatch"},
	{name: "call of nothing", module: "hostile/traps", data: "\x07", fault: agent.FaultTrap, says: "invalid table access"},
	{name: "call beyond the table", module: "hostile/traps", data: "\x08", fault: agent.FaultTrap, says: "invalid table access"},
	{name: "conversion of NaN", module: "hostile/traps", data: "\x09", fault: agent.FaultTrap, says: "invalid conversion to integer"},
	{name: "conversion overflow", module: "hostile/traps", data: "\x0a", fault: agent.FaultTrap, says: "integer overflow"},
	{name: "memory.init beyond memory", module: "hostile/traps", data: "\x0b", fault: agent.FaultTrap, says: "out of bounds memory"},
	{name: "table.init beyond the table", module: "hostile/traps", data: "\x0c", fault: agent.FaultTrap, says: "invalid table access"},
	{name: "memory.copy beyond memory", module: "hostile/traps", data: "\x0d", fault: agent.FaultTrap, says: "out of bounds memory"},
}

const tooDeep = "nested too deeply"

// slowness is how many times slower than usual this machine may be: 10, or
// TEST_SLOW times that where everything is emulated.
var slowness = func() time.Duration {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("TEST_SLOW"), "1"))
	if err != nil {
		panic("TEST_SLOW must be a number: " + err.Error())
	}
	return time.Duration(10 * n)
}()

const hostileTimeout = 50 * time.Millisecond

func (a *attack) function(s *bench) agent.Function {
	fn := s.function("testdata/" + cmp.Or(a.module, "hostile/"+a.name) + ".wasm")
	fn.Name = "test/" + strings.ReplaceAll(a.name, " ", "-")
	fn.Limits.Memory = cmp.Or(a.memory, fn.Limits.Memory)
	fn.Limits.Timeout = hostileTimeout
	fn.Permissions.Publish = []string{"alerts/#"}
	if a.fault != agent.FaultTimeout && a.fault != "" {
		fn.Limits.Timeout *= 20 * slowness // something else is to end it
	}
	if a.fault == agent.FaultTimeout {
		fn.Limits.Calls = 1 << 30
	}
	return fn
}

// overshoot is how late a run may be stopped: 20 ms on an idle machine, and
// 100 ms where the kernel has to give or take much memory.
func (a *attack) overshoot() time.Duration {
	if a.long {
		return 100 * time.Millisecond
	}
	return 20 * time.Millisecond
}

// run makes the attack once and tells how long it took.
func (a *attack) run(t *testing.T, s *bench) time.Duration {
	t.Helper()
	fn := a.function(s)
	m, err := s.rt.Load(context.Background(), fn)
	switch {
	case a.atLoad && err != nil:
		a.check(t, err)
		return 0
	case a.atLoad && !wasm.Interpreted(): // which starts modules with their first event
		t.Fatal("it was loaded, and should have been refused")
	case err != nil:
		t.Fatalf("load: %v", err)
	}
	begun := time.Now()
	inv, err := invoke(m, &fn, nil, a.data)
	took := time.Since(begun)
	a.check(t, err)
	if n := inv.Usage.Memory; n > fn.Limits.Memory {
		t.Errorf("it had %d bytes of memory, its limit is %d", n, fn.Limits.Memory)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	return took
}

func (a *attack) check(t *testing.T, err error) {
	t.Helper()
	switch {
	case a.fault != "":
		wantFault(t, err, a.fault, a.says)
	case a.says == "" && err != nil:
		t.Errorf("it failed: %v", err)
	case a.says != "" && (err == nil || !strings.Contains(err.Error(), a.says)):
		t.Errorf("got %v, want %q", err, a.says)
	}
}

// TestHostileBattery makes every attack twice: the second time must leave the
// process as the first did.
func TestHostileBattery(t *testing.T) {
	s := newBench(t, wasm.Options{})
	good := s.function("work")
	neighbour := s.load(good)
	battery := func(t *testing.T) {
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) {
				took := a.run(t, s)
				if late := took - hostileTimeout; a.fault == agent.FaultTimeout && !a.atLoad && late > slowness*a.overshoot() {
					t.Errorf("it was stopped %v after its time", late)
				}
				if inv, err := invoke(neighbour, &good, nil, "0123456789"); err != nil || inv.Usage.Fuel < 10_000 {
					t.Errorf("its neighbour does not work any more: %v", err)
				}
			})
		}
	}
	t.Run("first", battery)
	memory, goroutines := resident(t), runtime.NumGoroutine()
	t.Run("second", battery)
	if grown := resident(t) - memory; grown > 16<<20 {
		t.Errorf("the second round left %d KiB", grown>>10)
	}
	if now := runtime.NumGoroutine(); now > goroutines+5 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

// TestFailingFunctionWaits: a new instance for each event would be as much work
// for the agent as its function can make it.
func TestFailingFunctionWaits(t *testing.T) {
	s := newBench(t, wasm.Options{})
	for _, name := range []string{"hostile/traps", "outflood"} {
		fn := s.function("testdata/" + name + ".wasm")
		m := s.load(fn)
		begun := time.Now()
		for range 40 {
			if _, err := invoke(m, &fn, nil, "\x00"); err == nil {
				t.Fatalf("%s did not fail", name)
			}
		}
		if took := time.Since(begun); took < 100*time.Millisecond {
			t.Errorf("%s failed 40 times in %v", name, took)
		}
	}
}
