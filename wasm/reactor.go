package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// reactor is a function of ABI skerry_v1: one warm instance, called for each
// event and replaced after a trap, an exit or a timeout.
type reactor struct {
	owner  *Runtime
	code   *code
	fn     agent.Function
	config wazero.ModuleConfig
	run    run
	out    lineWriter // what the guest prints becomes log lines

	mod    api.Module   // nil until started, and after a failure
	handle api.Function // looking it up costs more than calling it
	result [1]uint64
	closed bool
}

// Results of skerry_handle.
const (
	handleCommit = 0
	handleReject = 1
	handleRetry  = 2
)

func newReactor(owner *Runtime, c *code, fn agent.Function) *reactor {
	m := &reactor{owner: owner, code: c, fn: fn}
	m.out.emit = func(line string) { m.run.inv.Log(slog.LevelInfo, line) }
	m.config = m.run.moduleConfig(fn.Name).WithStdout(&m.out).WithStderr(&m.out)
	return m
}

// start makes the instance and lets it initialise itself, under the deadline
// of one run.
func (m *reactor) start(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, m.fn.Limits.Timeout)
	defer cancel()
	m.run = run{inv: startInvocation(&m.fn), starting: true, stop: ctx.Done()}
	m.out.begin()
	defer m.logStart(parent)
	guest := &runContext{ctx, &m.run}
	mod, err := m.code.rt.InstantiateModule(guest, m.code.wasm, m.config)
	if err != nil {
		return fmt.Errorf("start the module: %w", m.fault(parent, ctx, err))
	}
	m.mod, m.handle = mod, mod.ExportedFunction("skerry_handle")
	if err := m.initialise(guest); err != nil {
		err = m.fault(parent, ctx, err)
		m.discard(parent)
		return fmt.Errorf("start the module: %w", err)
	}
	return nil
}

// initialise calls what the module exports for its start.
func (m *reactor) initialise(ctx context.Context) error {
	if f := m.mod.ExportedFunction("_initialize"); f != nil {
		if err := f.CallWithStack(ctx, nil); err != nil {
			return err
		}
	}
	f := m.mod.ExportedFunction("skerry_init")
	if f == nil {
		return nil
	}
	if err := f.CallWithStack(ctx, m.result[:]); err != nil {
		return err
	}
	if n := int32(m.result[0]); n != 0 {
		text := fmt.Sprintf("skerry_init returned %d", n)
		return &agent.Fault{Kind: agent.FaultError, Err: withText(text, m.run.inv.Effects.Err)}
	}
	return nil
}

// logStart logs what the module said while it started: no run keeps it.
func (m *reactor) logStart(ctx context.Context) {
	m.out.flush()
	for _, l := range m.run.inv.Effects.Logs {
		m.owner.log.Log(ctx, l.Level, "function started", "function", m.fn.Name, "said", l.Text)
	}
}

// Invoke runs skerry_handle for the event of inv.
func (m *reactor) Invoke(parent context.Context, inv *agent.Invocation) error {
	if m.closed {
		return fmt.Errorf("run %s: the module is closed", m.fn.Name)
	}
	if m.mod == nil || m.mod.IsClosed() {
		if err := errors.Join(m.drop(parent), m.start(parent)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(parent, m.fn.Limits.Timeout)
	defer cancel()
	m.run = run{inv: inv, stop: ctx.Done()}
	m.out.begin()
	err := m.handle.CallWithStack(&runContext{ctx, &m.run}, m.result[:])
	m.out.flush()
	if err != nil {
		err = m.fault(parent, ctx, err)
		m.discard(parent)
		return err
	}
	return outcome(uint32(m.result[0]), inv.Effects.Err)
}

// outcome translates what skerry_handle returned; text is what it gave to error_set.
func outcome(returned uint32, text string) error {
	switch returned {
	case handleCommit:
		return nil
	case handleReject:
		return wrapText(agent.ErrReject, text)
	case handleRetry:
		return wrapText(agent.ErrRetry, text)
	}
	fact := fmt.Sprintf("skerry_handle returned %d", int32(returned))
	return &agent.Fault{Kind: agent.FaultError, Err: withText(fact, text)}
}

func wrapText(err error, text string) error {
	if text == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, text)
}

func (m *reactor) fault(parent, ctx context.Context, err error) error {
	var fault *agent.Fault
	if errors.As(err, &fault) {
		return err
	}
	m.owner.log.Debug("run failed", "function", m.fn.Name, "err", err)
	f := failure{
		err: err, parent: parent, ctx: ctx, timeout: m.fn.Limits.Timeout,
		grown: m.code.grownTo(m.mod), stderr: m.out.why,
	}
	return f.fault()
}

// drop closes the instance; the next Invoke starts a fresh one.
func (m *reactor) drop(ctx context.Context) error {
	if m.mod == nil {
		return nil
	}
	err := m.mod.Close(ctx)
	m.mod, m.handle = nil, nil
	return err
}

// discard is drop where another error is already on its way to the caller.
func (m *reactor) discard(ctx context.Context) {
	if err := m.drop(ctx); err != nil {
		m.owner.log.Warn("cannot close an instance", "function", m.fn.Name, "err", err)
	}
}

// Close releases the instance, and the compiled code with the last of them.
func (m *reactor) Close(ctx context.Context) error {
	if m.closed {
		return nil
	}
	m.closed = true
	return errors.Join(m.drop(ctx), m.owner.release(ctx, m.code))
}
