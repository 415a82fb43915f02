package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// command is a WASI command: a fresh instance per event, the event's data on
// standard input, the result on standard output, log lines on standard error.
type command struct {
	owner  *Runtime
	code   *code
	fn     agent.Function
	config wazero.ModuleConfig // with the function's environment
	run    run
	closed bool
}

// Exit codes that mean more than failure, as sysexits.h numbers them.
const (
	exitReject = 65 // EX_DATAERR
	exitRetry  = 75 // EX_TEMPFAIL
)

func newCommand(owner *Runtime, c *code, fn agent.Function) *command {
	m := &command{owner: owner, code: c, fn: fn}
	m.config = m.run.moduleConfig(fn.Name)
	for k, v := range fn.Env {
		m.config = m.config.WithEnv(k, v)
	}
	return m
}

// Invoke starts the command for the event of inv and waits for its end.
func (m *command) Invoke(parent context.Context, inv *agent.Invocation) error {
	if m.closed {
		return fmt.Errorf("run %s: the module is closed", m.fn.Name)
	}
	ctx, cancel := context.WithTimeout(parent, m.fn.Limits.Timeout)
	defer cancel()
	m.run = run{inv: inv, stop: ctx.Done()}
	out := &boundedBuffer{limit: m.fn.Limits.Output}
	logs := &lineWriter{emit: func(line string) { inv.Log(slog.LevelInfo, line) }}
	logs.begin()
	config := eventEnv(m.config, inv).WithStdin(bytes.NewReader(inv.Event.Data)).WithStdout(out).WithStderr(logs)
	mod, err := m.execute(&runContext{ctx, &m.run}, config)
	logs.flush()
	switch {
	case out.over && parent.Err() == nil:
		fact := fmt.Errorf("wrote more than %d bytes to standard output: %w", out.limit, agent.ErrLimit)
		return &agent.Fault{Kind: agent.FaultError, Err: fact}
	case err == nil:
		return setResult(inv, out.Bytes())
	}
	m.owner.log.Debug("run failed", "function", m.fn.Name, "err", err)
	f := failure{
		err: err, parent: parent, ctx: ctx, timeout: m.fn.Limits.Timeout,
		grown: m.code.grownTo(mod), stderr: logs.why,
	}
	return f.exit()
}

// execute runs _start in an instance of its own and closes it. The module it
// returns is closed, but tells how large its memory was.
func (m *command) execute(ctx context.Context, config wazero.ModuleConfig) (api.Module, error) {
	mod, err := m.code.rt.InstantiateModule(ctx, m.code.wasm, config)
	if err != nil {
		return nil, err
	}
	err = mod.ExportedFunction("_start").CallWithStack(ctx, nil)
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 0 {
		err = nil
	}
	return mod, errors.Join(err, mod.Close(ctx))
}

// exit is fault for a command, whose exit code may ask for more than a retry.
func (f *failure) exit() error {
	var exit *sys.ExitError
	if f.ctx.Err() == nil && errors.As(f.err, &exit) {
		switch exit.ExitCode() {
		case exitReject:
			return wrapText(agent.ErrReject, f.stderr)
		case exitRetry:
			return wrapText(agent.ErrRetry, f.stderr)
		}
	}
	return f.fault()
}

// setResult keeps what the command wrote, if it wrote anything.
func setResult(inv *agent.Invocation, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if err := inv.SetResult(data); err != nil {
		return &agent.Fault{Kind: agent.FaultError, Err: fmt.Errorf("keep standard output as the result: %w", err)}
	}
	return nil
}

// eventEnv adds what the command may know of the event besides its data.
func eventEnv(c wazero.ModuleConfig, inv *agent.Invocation) wazero.ModuleConfig {
	ev := inv.Event
	for _, name := range inv.Function.Secrets {
		if value, err := inv.Secret(name); err == nil {
			c = c.WithEnv(secretEnv(name), value)
		}
	}
	return c.
		WithEnv("SKERRY_TOPIC", ev.Subject).
		WithEnv("SKERRY_EVENT_ID", ev.ID).
		WithEnv("SKERRY_EVENT_SOURCE", ev.Source).
		WithEnv("SKERRY_EVENT_TYPE", ev.Type).
		WithEnv("SKERRY_TIME", ev.Time.UTC().Format(time.RFC3339Nano)).
		WithEnv("SKERRY_TRIGGER", inv.Trigger).
		WithEnv("SKERRY_FUNCTION", inv.Function.Name).
		WithEnv("SKERRY_ATTEMPT", strconv.Itoa(inv.Attempt))
}

// secretEnv is the variable of a secret: "pager-token" is SKERRY_SECRET_PAGER_TOKEN.
func secretEnv(name string) string {
	return "SKERRY_SECRET_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Close releases the compiled code with the last of its users.
func (m *command) Close(ctx context.Context) error {
	if m.closed {
		return nil
	}
	m.closed = true
	return m.owner.release(ctx, m.code)
}
