package wasm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// An instance is replaced after so long, or so many runs, because some guests
// leak and none should depend on never being replaced.
const (
	maxAge  = 24 * time.Hour
	maxRuns = 1_000_000
)

// ready makes sure that there is an instance in a state to be used.
func (m *module) ready(parent context.Context) error {
	in := m.in
	if in == nil {
		return m.start(parent)
	}
	switch fresh := m.fn.Isolation == agent.IsolationFresh; {
	case in.mod.IsClosed(), in.runs >= maxRuns, m.used-in.born > maxAge:
	case in.runs == 0:
		return nil
	case fresh && in.image != nil && in.mem.Size()/pageBytes == in.pages: // memory cannot shrink
		in.restore()
		return nil
	case !fresh && !m.outgrown(in):
		return nil
	}
	m.discard(parent)
	return m.start(parent)
}

// soon is the number of runs within which an instance that outgrew the ceiling
// shows that the ceiling is too low for the function.
const soon = 1000

// outgrown tells whether in takes more than twice the memory it started with,
// or than has shown to be usual for the function.
func (m *module) outgrown(in *instance) bool {
	if in.mem.Size()/pageBytes <= m.ceiling {
		return false
	}
	if in.runs < soon {
		m.ceiling *= 2
	}
	return true
}

// start makes the instance and lets it initialise itself.
func (m *module) start(parent context.Context) error {
	m.run.script = m.code.script
	m.run.begin(parent, &m.fn, startInvocation(&m.fn), true)
	m.run.random = false
	m.out.begin()
	defer m.logStart(parent)
	in, err := newInstance(m.code, &m.run, m.abi.config(m))
	if err != nil {
		return fmt.Errorf("start the module: %w", m.run.fault(err, m.out.why()))
	}
	if err := m.abi.start(&m.ctx, in); err != nil {
		return fmt.Errorf("start the module: %w", errors.Join(m.verdict(err), in.close(parent)))
	}
	in.born, in.pages, in.started = now(), in.mem.Size()/pageBytes, in.used(&m.run)
	m.in, m.used, m.run.ended = in, in.born, in.born
	m.warm.Store(true)
	m.ceiling = max(m.ceiling, 2*in.pages)
	if m.restorable() {
		in.image = in.snapshot()
	}
	return nil
}

// restorable tells whether an image can give the instance back its first state.
// Random numbers drawn at the start would be the same in each run.
func (m *module) restorable() bool {
	return m.fn.Isolation == agent.IsolationFresh && !m.code.entry.Impure && !m.run.random
}

// logStart logs what the module said while it started: no run keeps it.
func (m *module) logStart(ctx context.Context) {
	m.out.flush()
	for _, l := range m.run.inv.Effects.Logs {
		m.owner.log.Log(ctx, l.Level, "function started", "function", m.fn.Name, "said", l.Text)
	}
}

// discard closes the instance; the next run gets another one.
func (m *module) discard(ctx context.Context) {
	m.run.plug.unmap()
	if m.in == nil {
		return
	}
	if err := m.in.close(ctx); err != nil {
		m.owner.log.Warn("cannot close an instance", "function", m.fn.Name, "err", err)
	}
	m.in = nil
	m.warm.Store(false)
}

// A worker makes so many new instances for spoilt ones at once, and then one per
// failEvery: making them is the agent's work, with garbage to collect.
const (
	failBurst = 20
	failEvery = 10 * time.Millisecond
)

// pace lets a function wait whose last run failed, and others before.
func (m *module) pace(ctx context.Context) {
	if !m.failed {
		return
	}
	m.failed = false
	pause(ctx, m.fails.next(now(), failBurst, failEvery))
}

// rate lets things be done so many at once, and then one per so long.
type rate struct{ due instant }

// next counts one thing and tells how long it must wait.
func (r *rate) next(at instant, burst int, every time.Duration) time.Duration {
	r.due = max(r.due, at-time.Duration(burst)*every) + every
	return r.due - at
}

// pause lasts as long, or until ctx ends.
func pause(ctx context.Context, length time.Duration) {
	if length <= 0 {
		return
	}
	t := time.NewTimer(length)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
