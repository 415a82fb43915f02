package wasm

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// slice is the fuel a guest gets at a time: 10 to 60 us of work where it is
// compiled, and the longest that a guest holds the scheduler.
const slice = 32 << 10

// stackFor is how many bytes the calls of a guest may take on the native stack,
// as instrument counts them: a quarter of its memory. wazero would let it have
// 400 MB beside its memory.
func stackFor(memory int64) int32 {
	return int32(min(max(memory/4, 256<<10), 4<<20))
}

// scriptStack is stackFor for JavaScript. The engine's interpreter needs 19 KiB
// and more for each call; with so much, it is the engine that finds its stack
// full, at about 150 calls, and throws an error that can be caught.
const scriptStack = 8 << 20

// stop ends a guest from within a host call: it is thrown there, and comes back
// from the call into the guest.
type stop struct {
	kind agent.FaultKind
	text string
}

func (s *stop) Error() string { return s.text }

// guard is what bounds one run: the rewritten guest calls it once per slice of
// fuel, when its stack is used up, and to have more memory.
type guard struct {
	parent   context.Context // of the run: ends when the agent stops
	deadline time.Time
	timeout  time.Duration
	fuel     int64 // limit; 0: none
	granted  int64 // fuel given since the run began
	calls    int   // host calls left
	maxCalls int
	pages    uint32 // limit of memory
	stack    int32  // limit of the call stack, bytes
	beside   int64  // bytes of memory that the guest has beside its linear one
	refused  bool   // memory was asked for beyond it
	stacked  bool   // the stack was given
	reason   *stop  // why the guard ended the run
}

// end throws s.
func (g *guard) end(kind agent.FaultKind, format string, args ...any) {
	g.reason = &stop{kind, fmt.Sprintf(format, args...)}
	panic(g.reason)
}

// check ends a run whose time is over. Host functions that can take long call it.
func (g *guard) check() {
	if time.Until(g.deadline) < 0 {
		g.end(agent.FaultTimeout, "ran longer than %v", g.timeout)
	}
	if g.parent.Err() != nil {
		g.end(agent.FaultTimeout, "stopped while running")
	}
}

// nextSlice is the fuel that a guest who has used so much gets next.
func (g *guard) nextSlice(used int64) int64 {
	next := int64(slice)
	if g.fuel > 0 {
		if used > g.fuel {
			g.end(agent.FaultFuel, "used more than %d units of fuel", g.fuel)
		}
		next = min(next, g.fuel-used)
	}
	g.granted = used + next
	return next
}

// tick gives the guest, who has left (less than 0) fuel, its next slice.
func (g *guard) tick(left int64) int64 {
	g.check()
	return g.nextSlice(g.granted - left)
}

// deep ends a run whose calls go too deep. An instance that is starting has not
// been given its stack yet.
func (g *guard) deep(left int32) int32 {
	if g.stacked {
		g.end(agent.FaultTrap, "calls nested too deeply: more than %d KiB of call stack", g.stack>>10)
	}
	g.stacked = true
	return left + g.stack
}

// grow is memory.grow within the function's limit; -1 refuses.
func (g *guard) grow(mem api.Memory, pages uint32) uint32 {
	g.check()
	had := mem.Size() / pageBytes
	if (int64(had)+int64(pages))*pageBytes+g.beside > int64(g.pages)*pageBytes {
		g.refused = true
		return 0xffff_ffff
	}
	had, ok := mem.Grow(pages)
	if !ok { // the module's own maximum
		return 0xffff_ffff
	}
	return had
}

// call counts a host call.
func (g *guard) call() {
	if g.calls--; g.calls < 0 {
		g.end(agent.FaultLimit, "made more than %d host calls; raise limits.calls of the function if it needs them", g.maxCalls)
	}
	if g.calls%callsPerCheck == 0 {
		g.check()
	}
}

// callsPerCheck is how many host calls are made between two looks at the clock:
// they cost the guest as much fuel as the agent's time they take on average, and
// some take a thousand times longer.
const callsPerCheck = 8

// linkGuard makes the import module that instrument.Rewrite adds.
func linkGuard(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(instrument.Module)
	export := func(name string, typ api.ValueType, f func(*guard, api.Module, []uint64)) {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			f(&runOf(ctx).guard, mod, stack)
		}), []api.ValueType{typ}, []api.ValueType{typ}).Export(name)
	}
	export("tick", i64, func(g *guard, _ api.Module, stack []uint64) {
		stack[0] = uint64(g.tick(int64(stack[0])))
	})
	export("deep", i32, func(g *guard, _ api.Module, stack []uint64) {
		stack[0] = uint64(uint32(g.deep(int32(uint32(stack[0])))))
	})
	export("grow", i32, func(g *guard, mod api.Module, stack []uint64) {
		stack[0] = uint64(g.grow(mod.Memory(), uint32(stack[0])))
	})
	_, err := b.Instantiate(ctx)
	return err
}
