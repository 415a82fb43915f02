package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

// command is a WASI command: a fresh instance per event, the event's data on
// standard input, the result on standard output, log lines on standard error.
type command struct {
	env    wazero.ModuleConfig // with the function's own environment
	stdin  bytes.Reader
	stdout boundedBuffer
}

// Exit codes that mean more than failure, as sysexits.h numbers them.
const (
	exitReject = 65 // EX_DATAERR
	exitRetry  = 75 // EX_TEMPFAIL
)

func (*command) once() bool { return true }

func (c *command) config(m *module) wazero.ModuleConfig {
	if c.env == nil {
		c.stdout.check = m.run.check
		c.env = m.base.WithStdin(&c.stdin).WithStdout(&c.stdout).WithStderr(&m.out)
		for k, v := range m.fn.Env {
			c.env = c.env.WithEnv(k, v)
		}
	}
	inv := m.run.inv
	c.stdin.Reset(inv.Event.Data)
	c.stdout.begin(m.fn.Limits.Output)
	return eventEnv(c.env, inv)
}

func (*command) start(_ *guestContext, in *instance) error {
	in.handle = in.mod.ExportedFunction("_start")
	return nil
}

// handle runs _start to its end. The exit code may ask for more than a retry.
func (c *command) handle(ctx *guestContext, in *instance) error {
	err := in.call(ctx, in.handle, nil)
	inv := ctx.run.inv
	var exit *sys.ExitError
	switch {
	case c.stdout.over && ctx.run.reason == nil:
		fact := fmt.Errorf("wrote more than %d bytes to standard output: %w; raise limits.output of the function", c.stdout.limit, agent.ErrLimit)
		return &agent.Fault{Kind: agent.FaultLimit, Err: fact}
	case err == nil, errors.As(err, &exit) && exit.ExitCode() == 0:
		return setResult(inv, c.stdout.Bytes())
	case exit != nil && exit.ExitCode() == exitReject:
		return &exited{agent.ErrReject}
	case exit != nil && exit.ExitCode() == exitRetry:
		return &exited{agent.ErrRetry}
	}
	return trap(err)
}

// exited is a verdict whose reason is the last line of standard error.
type exited struct{ verdict error }

func (e *exited) Error() string { return e.verdict.Error() }
func (e *exited) Unwrap() error { return e.verdict }

// setResult keeps what the command wrote, if it wrote anything.
func setResult(inv *agent.Invocation, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if err := inv.SetResult(data); err != nil {
		return &agent.Fault{Kind: agent.FaultLimit, Err: fmt.Errorf("keep standard output as the result: %w", err)}
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
