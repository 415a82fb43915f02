package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
)

// module is one worker's function: an instance that lives from one event to the
// next, or one for each event.
type module struct {
	owner *Runtime
	fn    agent.Function
	base  wazero.ModuleConfig
	ctx   guestContext
	run   run
	out   lineWriter // what the guest prints becomes log lines

	mu      sync.Mutex // held during a run
	abi     abi
	code    *code       // nil while idle
	in      *instance   // nil until needed, and after a failure
	warm    atomic.Bool // whether there is one, for who does not hold mu
	ceiling uint32      // pages at which a warm instance is replaced
	used    instant
	failed  bool // the last run, and spoilt its instance
	fails   rate // of such runs
	closed  bool
}

func newModule(owner *Runtime, fn agent.Function) *module {
	m := &module{owner: owner, fn: fn}
	m.run.starts, m.run.wall = startTimeout(owner.slow), owner.wall
	m.ctx.run = &m.run
	m.out.emit = func(line []byte) { m.run.log(slog.LevelInfo, line) }
	m.out.check = m.run.check
	m.base = m.run.moduleConfig(fn.Name)
	return m
}

// load compiles the module, and starts it: what cannot start is refused before
// it is given events. Where modules are interpreted, that waits for the first
// event, since it takes long and much memory.
func (m *module) load(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if m.owner.slow {
		info, err := m.owner.check(ctx, m.fn.Digest)
		if err != nil {
			return err
		}
		return m.fits(&info)
	}
	if err := m.wake(ctx); err != nil || m.abi.once() {
		return err
	}
	return m.start(ctx)
}

// wake makes the code of the function ready.
func (m *module) wake(ctx context.Context) error {
	if m.code != nil {
		return nil
	}
	c, err := m.owner.acquire(ctx, m.fn.Digest)
	if err != nil {
		return err
	}
	if err := m.fits(&c.info); err != nil {
		return errors.Join(err, m.owner.release(ctx, c))
	}
	m.code, m.used = c, now()
	m.owner.started()
	if m.abi == nil {
		m.abi = newABI(c.info.ABI)
	}
	return nil
}

// fits tells whether the module can start within the function's memory, and
// whether the function names what to call if it has to.
func (m *module) fits(info *Info) error {
	if limit := pagesFor(m.fn.Limits.Memory); info.MemoryMin > limit {
		return fmt.Errorf("module needs %s of memory to start, its limit is %s; raise limits.memory of the function",
			pageSize(info.MemoryMin), pageSize(limit))
	}
	if info.ABI == Extism {
		_, err := info.Entry(m.fn.Env)
		return err
	}
	return nil
}

// Invoke gives the event of inv to the function.
func (m *module) Invoke(parent context.Context, inv *agent.Invocation) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fmt.Errorf("run %s: the module is closed", m.fn.Name)
	}
	if err := m.wake(parent); err != nil {
		return err
	}
	defer m.contain(parent, &err)
	m.pace(parent)
	if m.abi.once() {
		return m.runOnce(parent, inv)
	}
	if err := m.ready(parent); err != nil {
		m.failed = true
		return err
	}
	m.run.begin(parent, &m.fn, inv, false)
	m.out.begin()
	in := m.in
	in.runs++
	err = m.abi.handle(&m.ctx, in)
	m.finish(in)
	verdict := m.verdict(err)
	if err != nil && isTrap(err) || m.run.refused { // an instance without memory to spare only fails from here on
		m.failed = true
		m.discard(parent)
	}
	return verdict
}

// contain makes a failed run of a panic. Nothing is known to panic here; but what
// strangers wrote must not end the agent.
func (m *module) contain(ctx context.Context, err *error) {
	if p := recover(); p != nil {
		m.owner.log.Error("a run ended in a panic of the agent's; please report it", "function", m.fn.Name, "panic", p, "stack", string(debug.Stack()))
		m.failed = true
		m.discard(ctx)
		*err = &agent.Fault{Kind: agent.FaultTrap, Err: fmt.Errorf("the sandbox failed: %v", p)}
	}
}

// runOnce gives the event to an instance of its own.
func (m *module) runOnce(parent context.Context, inv *agent.Invocation) error {
	m.run.begin(parent, &m.fn, inv, false)
	m.out.begin()
	in, err := newInstance(m.code, &m.run, m.abi.config(m))
	if err != nil {
		m.out.flush()
		m.failed = true
		return m.verdict(trap(err))
	}
	if err = m.abi.start(&m.ctx, in); err == nil {
		err = m.abi.handle(&m.ctx, in)
	}
	m.finish(in)
	_, left := errors.AsType[*exited](err)
	m.failed = err != nil && !left
	if closing := in.close(parent); closing != nil {
		m.owner.log.Warn("cannot close an instance", "function", m.fn.Name, "err", closing)
	}
	return m.verdict(err)
}

// A run that did no more than this took much less than rest: that it ended when
// it began is near enough, and saves a thirtieth of what a small run costs.
const (
	briefFuel  = 8 << 10
	briefCalls = 4
)

// finish notes what the run cost.
func (m *module) finish(in *instance) {
	m.out.flush()
	r := &m.run
	u := &r.inv.Usage
	u.Calls = r.maxCalls - max(r.calls, 0)
	u.Fuel, u.Memory = in.used(r), int64(in.mem.Size())+r.beside
	r.ended = r.ticked
	if u.Calls > briefCalls || u.Fuel > briefFuel || m.owner.slow {
		r.ended = now()
	}
	m.used = r.ended
	if limit := m.fn.Limits.Fuel; limit > 0 {
		u.Fuel = min(u.Fuel, limit) // what was asked for beyond it was not done
	}
	if m.fn.Isolation == agent.IsolationFresh && in.image == nil {
		u.Start = in.started
	}
}

// verdict is what the agent is told.
func (m *module) verdict(err error) error {
	if err == nil {
		return nil
	}
	if isTrap(err) {
		m.owner.log.Debug("run failed", "function", m.fn.Name, "err", err)
		return m.run.fault(err, m.out.why())
	}
	if left, ok := errors.AsType[*exited](err); ok {
		return wrapText(left.verdict, m.out.why())
	}
	return err
}

// closeIfIdle closes the instance, and gives back its code, when nobody used it
// for long enough; otherwise it tells when to ask again, if at all.
func (m *module) closeIfIdle(at instant) (wait time.Duration, again bool) {
	if m.fn.KeepWarm {
		return 0, false
	}
	after := m.fn.IdleAfter
	if after == 0 {
		after = idleAfter
	}
	if !m.mu.TryLock() { // it runs now
		return after, true
	}
	defer m.mu.Unlock()
	if m.code == nil || m.closed {
		return 0, false
	}
	if wait := after - (at - m.used); wait > 0 {
		return wait, true
	}
	if err := m.rest(context.Background()); err != nil {
		m.owner.log.Warn("cannot close an idle instance", "function", m.fn.Name, "err", err)
	}
	return 0, false
}

// rest gives back instance and code.
func (m *module) rest(ctx context.Context) error {
	m.discard(ctx)
	if m.code == nil {
		return nil
	}
	c := m.code
	m.code = nil
	return m.owner.release(ctx, c)
}

// Close ends the module after the run it is in.
func (m *module) Close(ctx context.Context) error {
	m.owner.forget(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	return m.rest(ctx)
}
