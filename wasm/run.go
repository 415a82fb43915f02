package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// run is what one instance is doing now: host functions reach the invocation
// through it. It belongs to the goroutine of the instance's worker.
type run struct {
	inv      *agent.Invocation
	starting bool            // no event yet: _initialize or skerry_init runs
	stop     <-chan struct{} // closed when the guest must come to an end
}

type runKey struct{}

// runContext carries a run to host functions without the map of WithValue.
type runContext struct {
	context.Context
	run *run
}

func (c *runContext) Value(key any) any {
	if key == (runKey{}) {
		return c.run
	}
	return c.Context.Value(key)
}

// runOf finds the run that a host function serves. Guests are only ever called
// with a runContext.
func runOf(ctx context.Context) *run { return ctx.Value(runKey{}).(*run) }

// sleep serves the guest's sleeps, no longer than the run may last.
func (r *run) sleep(ns int64) {
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.stop:
	}
}

// moduleConfig is what every instance gets: real time and randomness (wazero's
// own are fake, and the same on every device), one argument, no files.
func (r *run) moduleConfig(name string) wazero.ModuleConfig {
	return wazero.NewModuleConfig().
		WithName(""). // instances of one module live side by side
		WithArgs(name).
		WithStartFunctions(). // called by us, under a deadline
		WithRandSource(rand.Reader).
		WithSysWalltime().
		WithSysNanotime().
		WithNanosleep(r.sleep)
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

// failure is a call into a guest that did not return.
type failure struct {
	err     error
	parent  context.Context // of the call, without the function's deadline
	ctx     context.Context // with it
	timeout time.Duration
	grown   string // the memory limit, if the guest's memory had grown up to it
	stderr  string // the line there that says best why
}

// fault classifies f for counters and dead letters. The contexts decide before
// the error does, since a guest can exit with any code it likes.
func (f *failure) fault() error {
	var exit *sys.ExitError
	switch {
	case f.parent.Err() != nil:
		return fmt.Errorf("stopped while running: %w", context.Cause(f.parent))
	case f.ctx.Err() != nil:
		return &agent.Fault{Kind: agent.FaultTimeout, Err: fmt.Errorf("ran longer than %v", f.timeout)}
	case errors.As(f.err, &exit):
		return &agent.Fault{Kind: agent.FaultError, Err: withText(fmt.Sprintf("exited with code %d", exit.ExitCode()), f.stderr)}
	case f.grown != "":
		return &agent.Fault{Kind: agent.FaultMemory, Err: fmt.Errorf("trapped with its memory grown to the limit of %s: %s", f.grown, trapText(f.err))}
	}
	return &agent.Fault{Kind: agent.FaultTrap, Err: withText(trapText(f.err), f.stderr)}
}

// trapText is what trapped and where: "unreachable in alarm".
func trapText(err error) string {
	what, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:\n")
	what = strings.TrimPrefix(what, "wasm error: ")
	where, _, _ := strings.Cut(strings.TrimSpace(trace), "(")
	if where = strings.TrimPrefix(where, "."); where == "" {
		return oneLine(errors.New(what))
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

// grownTo is the memory limit in words if mod has used it up by growing; ""
// otherwise. A module that starts at its limit never asked for more.
func (c *code) grownTo(mod api.Module) string {
	limit := min(c.key.pages, c.info.MemoryMax)
	if mod == nil || limit <= c.info.MemoryMin || mod.Memory().Size()/pageBytes < limit {
		return ""
	}
	return pageSize(limit)
}
