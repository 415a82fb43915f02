package wasm

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

// run is what one instance is doing now: host functions reach the invocation
// through it. It belongs to the goroutine of the instance's worker.
type run struct {
	guard
	inv      *agent.Invocation
	script   *script          // JavaScript that the instance runs
	starting bool             // no event yet: _initialize or skerry_init runs
	starts   time.Duration    // what starting may take, at least
	wall     func() time.Time // nil: the real one
	random   bool             // random numbers were drawn while starting
	answer   []byte           // of the last http call
	names    names
	ended    instant    // the last run, or the start
	refusal  string     // why a host call was refused, the last one
	refusals rate       // of all runs
	last     failure    // of any run
	told     bool       // by the call that goes on
	plug     plugMemory // of an Extism plug-in
}

// begin prepares the run of inv under the limits of fn. Starting takes more
// than running: it has the default timeout at least.
func (r *run) begin(parent context.Context, fn *agent.Function, inv *agent.Invocation, starting bool) {
	timeout := fn.Limits.Timeout
	if starting {
		timeout = max(timeout, r.starts)
	}
	at := now()
	if at-r.ended > rest {
		r.turned = at
	}
	r.ticked = r.giveTurn(at)
	r.parent, r.deadline, r.timeout = parent, r.ticked+timeout, timeout
	r.slice = cmp.Or(r.slice, firstSlice)
	r.fuel, r.granted = fn.Limits.Fuel, 0
	r.calls, r.maxCalls = fn.Limits.Calls, fn.Limits.Calls
	r.pages, r.stack = pagesFor(fn.Limits.Memory), stackFor(fn.Limits.Memory)
	r.refused, r.stacked, r.reason = false, false, nil
	if starting {
		r.fuel = 0
	}
	if r.script != nil {
		r.stack = scriptStack
	}
	r.inv, r.starting, r.answer, r.refusal = inv, starting, nil, ""
	r.plug.reset()
	r.beside = r.plug.taken()
}

// startTimeout is what an instance may take to start, at least.
func startTimeout(slow bool) time.Duration {
	if slow {
		return 30 * time.Second
	}
	return time.Second
}

type runKey struct{}

// guestContext carries a run to host functions. It has no deadline of its own,
// and no other values: what wazero looks up in it must be found to be absent
// quickly.
type guestContext struct{ run *run }

func (*guestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*guestContext) Done() <-chan struct{}       { return nil }
func (*guestContext) Err() error                  { return nil }

func (c *guestContext) Value(key any) any {
	if key == (runKey{}) {
		return c.run
	}
	return nil
}

// runOf finds the run that a host function serves. Guests are only ever called
// with a guestContext.
func runOf(ctx context.Context) *run {
	if c, ok := ctx.(*guestContext); ok {
		return c.run
	}
	return ctx.Value(runKey{}).(*run) // within what wazero adds while it instantiates
}

// sleep serves the guest's sleeps, no longer than the run may last.
func (r *run) sleep(ns int64) {
	pause(r.parent, min(time.Duration(max(ns, 0)), r.deadline-now()))
	r.check()
}

// Read gives true random numbers, as io.Reader.
func (r *run) Read(p []byte) (int, error) {
	r.random = r.random || r.starting
	for rest := p; len(rest) > 0; {
		n, _ := rand.Read(rest[:min(len(rest), 64<<10)]) // never fails
		rest = rest[n:]
		r.check()
	}
	return len(p), nil
}

// moduleConfig is what every instance gets: real time and randomness (wazero's
// own are fake, and the same on every device), one argument, no files.
func (r *run) moduleConfig(name string) wazero.ModuleConfig {
	c := wazero.NewModuleConfig().
		WithName(""). // instances of one module live side by side
		WithArgs(name).
		WithStartFunctions(). // called by us
		WithRandSource(r).
		WithSysWalltime().
		WithSysNanotime().
		WithNanosleep(r.sleep)
	if r.wall == nil {
		return c
	}
	return c.WithWalltime(func() (sec int64, nsec int32) {
		now := r.wall()
		return now.Unix(), int32(now.Nanosecond())
	}, sys.ClockResolution(time.Microsecond))
}

// time is what the guest is told.
func (r *run) time() time.Time {
	if r.wall == nil {
		return time.Now()
	}
	return r.wall()
}

// noState is the state of an instance that starts: none, and nothing is kept.
type noState struct{}

func (noState) Get(string, string) ([]byte, error)         { return nil, nil }
func (noState) Keys(string, string, int) ([]string, error) { return nil, nil }

func startInvocation(fn *agent.Function) *agent.Invocation {
	inv := agent.NewInvocation(fn, noState{}, agent.Outside{})
	inv.Begin(&agent.Event{}, "", 0)
	return inv
}

// words are the run's own about its failure: the function's, or else why a host
// call was refused.
func (r *run) words() string { return cmp.Or(r.inv.Effects.Err, r.refusal) }

// fault classifies a call into a guest that did not return, for counters and
// dead letters; said is the line of its output that says best why.
func (r *run) fault(err error, said string) error {
	var fault *agent.Fault
	var exit *sys.ExitError
	said = cmp.Or(r.inv.Effects.Err, said, r.refusal)
	switch {
	case r.parent.Err() != nil:
		return fmt.Errorf("stopped while running: %w", context.Cause(r.parent))
	case r.reason != nil && r.reason.kind == agent.FaultTrap && r.refused, r.reason == nil && r.refused && !errors.As(err, &fault):
		return &agent.Fault{Kind: agent.FaultMemory, Err: fmt.Errorf("was refused memory beyond its limit of %s, then: %s; raise limits.memory of the function if it needs more", pageSize(r.pages), trapText(err))}
	case r.reason != nil:
		return &agent.Fault{Kind: r.reason.kind, Err: withText(r.reason.text, said)}
	case errors.As(err, &fault):
		return err
	case errors.As(err, &exit):
		return &agent.Fault{Kind: agent.FaultError, Err: withText(fmt.Sprintf("exited with code %d", exit.ExitCode()), said)}
	}
	return &agent.Fault{Kind: agent.FaultTrap, Err: withText(trapText(err), said)}
}

// trapText is what trapped and where: "unreachable in alarm", or in a function by
// its index in the module as it was published.
func trapText(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\nGo runtime stack trace:")
	what, trace, _ := strings.Cut(text, "\nwasm stack trace:\n")
	what = strings.TrimSuffix(strings.TrimPrefix(what, "wasm error: "), " (recovered by wazero)")
	if what == "stack overflow" { // of the interpreter, which has a limit of its own
		what = "calls nested too deeply: more than the 2,000 that functions which are interpreted may have"
	}
	where, _, _ := strings.Cut(strings.TrimSpace(trace), "(")
	if where = strings.TrimPrefix(where, "."); where == "" {
		return oneLine(errors.New(what))
	}
	if index, ok := strings.CutPrefix(where, "$"); ok { // the module was built without names
		if n, err := strconv.Atoi(index); err == nil {
			where = fmt.Sprintf("function %d", n-instrument.AddedFuncs)
		}
	}
	return what + " in " + where
}

// withText joins a fact with the guest's own words, if it said any.
func withText(fact, text string) error {
	if text == "" {
		return errors.New(fact)
	}
	return errors.New(fact + ": " + text)
}

func wrapText(err error, text string) error {
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}

// names keeps the short strings that a guest passes again and again (topics,
// targets, keys), so that they are made once: of each hash the last one.
type names []string

const (
	maxNames   = 256
	maxNameLen = 128
)

var nameSeed = maphash.MakeSeed()

func (n *names) of(b []byte) string {
	if len(b) > maxNameLen {
		return string(b)
	}
	if *n == nil {
		*n = make(names, maxNames)
	}
	name := &(*n)[maphash.Bytes(nameSeed, b)%maxNames]
	if *name != string(b) {
		*name = string(b)
	}
	return *name
}
