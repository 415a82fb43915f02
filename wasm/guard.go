package wasm

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// A guest gets fuel by the slice, and holds the scheduler for as long as that
// lasts: 10 to 60 us where it is compiled. Work that costs more than its fuel (a
// first touch of a page takes microseconds) gets smaller slices.
const (
	firstSlice    = 8 << 10
	smallestSlice = 1 << 10
	largestSlice  = 32 << 10
	shortSlice    = 250 * time.Microsecond // the next one may be larger
	longSlice     = time.Millisecond       // the next one must be smaller
	turn          = 500 * time.Microsecond // a worker goes on for so long, in one run or in many, before others that wait have theirs
	rest          = turn / 2               // between two runs: others had their turn
)

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
	deadline instant
	timeout  time.Duration
	slice    int64   // fuel given at a time
	ticked   instant // when it was given
	turned   instant // when others had their turn
	load     load    // when the last turn was due
	fuel     int64   // limit; 0: none
	granted  int64   // fuel given since the run began
	calls    int     // host calls left
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

// check ends a run whose time is over. Host functions that can take long call
// it, so that others have their turn between two of them.
func (g *guard) check() {
	at := now()
	g.checkAt(at)
	g.giveTurn(at)
}

func (g *guard) checkAt(at instant) {
	if at > g.deadline {
		g.end(agent.FaultTimeout, "ran longer than %v; raise limits.timeout of the function if it needs more", g.timeout)
	}
	if g.parent.Err() != nil {
		g.end(agent.FaultTimeout, "stopped while running")
	}
}

// grant is the fuel that a guest who has used so much gets next, or why it gets
// none.
func (g *guard) grant(used int64) (int64, *stop) {
	next := g.slice
	if g.fuel > 0 {
		if used > g.fuel {
			return 0, &stop{agent.FaultFuel, fmt.Sprintf("used more than %d units of fuel; raise limits.fuel of the function if it needs more", g.fuel)}
		}
		next = min(next, g.fuel-used)
	}
	g.granted = used + next
	return next, nil
}

// tick gives the guest, who has left (less than 0) fuel, its next slice.
func (g *guard) tick(left int64) int64 {
	at := now()
	g.checkAt(at)
	g.adapt(at - g.ticked)
	g.ticked = g.giveTurn(at)
	next, s := g.grant(g.granted - left)
	if s != nil {
		g.reason = s
		panic(s)
	}
	return next
}

// giveTurn lets the scheduler run what waits, if it is time: Go itself would let
// it wait for 10 ms. It returns the time, which was at.
func (g *guard) giveTurn(at instant) instant {
	if at-g.turned <= turn {
		return at
	}
	if g.load.crowded() {
		runtime.Gosched()
		at = now()
	}
	g.turned = at
	return at
}

// load is what the scheduler of Go has to do.
type load [2]metrics.Sample

// crowded tells whether something waits, or no processor is free for what may
// come. To give a turn for nothing wakes a thread, and the system may well run
// that in place of this one: then two share a processor while another is idle,
// and events wait until the system sees that.
func (l *load) crowded() bool {
	l[0].Name, l[1].Name = "/sched/goroutines/running:goroutines", "/sched/goroutines/runnable:goroutines"
	metrics.Read(l[:])
	return l[0].Value.Uint64() >= uint64(runtime.GOMAXPROCS(0)) || l[1].Value.Uint64() > 0
}

// instant is a time to compare with others: since epoch, by one clock where
// time.Now reads two. 0 is long ago, also where time is that of a test.
type instant = time.Duration

var epoch = time.Now().Add(-50 * 365 * 24 * time.Hour)

func now() instant { return time.Since(epoch) }

// adapt sizes the slice by how long the last one took.
func (g *guard) adapt(took time.Duration) {
	switch {
	case took > longSlice:
		g.slice = max(g.slice/4, smallestSlice)
	case took < shortSlice:
		g.slice = min(g.slice*2, largestSlice)
	}
}

// deep ends a run whose calls go too deep. An instance that is starting has not
// been given its stack yet.
func (g *guard) deep(left int32) int32 {
	if g.stacked {
		g.end(agent.FaultTrap, "calls nested too deeply: more than %d KiB of call stack, which is a quarter of limits.memory and at most 4 MiB", g.stack>>10)
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
	g.count(1)
	if g.calls%callsPerCheck == 0 {
		g.check()
	}
}

// more counts a host call as n more, because it takes as long as these.
func (g *guard) more(n int) {
	g.count(n)
	g.check()
}

func (g *guard) count(calls int) {
	if g.calls -= calls; g.calls < 0 {
		g.end(agent.FaultLimit, "made more than %d host calls (long lists and names count as several); raise limits.calls of the function if it needs them", g.maxCalls)
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
