package wasm

import (
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
)

// abi is how one kind of guest is started and given an event. One abi serves
// one module, that is one worker, and may keep what belongs to it.
type abi interface {
	// config is what the next instance is made with.
	config(m *module) wazero.ModuleConfig
	// start initialises a new instance. An error refuses it.
	start(ctx *guestContext, in *instance) error
	// handle gives the event of ctx.run to the guest. It returns nil to commit,
	// an agent error to decide otherwise, or what the call into the guest
	// returned, which then is looked into.
	handle(ctx *guestContext, in *instance) error
	// once tells that every event gets an instance of its own.
	once() bool
}

// newABI is the abi of a module.
func newABI(kind ABI) abi {
	switch kind {
	case WASICommand:
		return &command{}
	case Extism:
		return &extism{}
	}
	return &reactor{}
}

// trapped marks an error of a call into the guest: the instance is of no more use.
type trapped struct{ err error }

func (t *trapped) Error() string { return t.err.Error() }
func (t *trapped) Unwrap() error { return t.err }

func trap(err error) error {
	if err == nil {
		return nil
	}
	return &trapped{err}
}

// Results of skerry_handle.
const (
	handleCommit = 0
	handleReject = 1
	handleRetry  = 2
)

// reactor is a guest of ABI skerry_v1: called for each event, and asks the host.
type reactor struct{}

func (*reactor) once() bool { return false }

func (*reactor) config(m *module) wazero.ModuleConfig {
	return m.base.WithStdout(&m.out).WithStderr(&m.out)
}

// start calls what the module exports for its start.
func (*reactor) start(ctx *guestContext, in *instance) error {
	in.handle = in.mod.ExportedFunction("skerry_handle")
	if f := in.mod.ExportedFunction("_initialize"); f != nil {
		if err := in.call(ctx, f, nil); err != nil {
			return trap(err)
		}
	}
	f := in.mod.ExportedFunction("skerry_init")
	if f == nil {
		return nil
	}
	if err := in.call(ctx, f, in.result[:]); err != nil {
		return trap(err)
	}
	if n := int32(in.result[0]); n != 0 {
		return ctx.run.ownFault("skerry_init", n)
	}
	return nil
}

func (*reactor) handle(ctx *guestContext, in *instance) error {
	if err := in.call(ctx, in.handle, in.result[:]); err != nil {
		return trap(err)
	}
	return ctx.run.outcome(int32(in.result[0]))
}

// outcome translates what skerry_handle returned.
func (r *run) outcome(returned int32) error {
	switch returned {
	case handleCommit:
		return nil
	case handleReject:
		return wrapText(agent.ErrReject, r.words())
	case handleRetry:
		return wrapText(agent.ErrRetry, r.words())
	}
	return r.ownFault("skerry_handle", returned)
}

// ownFault is the guest's own word that it failed. What a script threw says it
// all: its author knows nothing of export and number. Guests that fail tend to
// fail alike: the last error is kept.
func (r *run) ownFault(export string, returned int32) error {
	text := r.words()
	if l := &r.last; l.err == nil || l.export != export || l.returned != returned || l.text != text {
		err := errors.New(text)
		if r.script == nil || text == "" {
			err = withText(fmt.Sprintf("%s returned %d", export, returned), text)
		}
		r.last = failure{export, text, returned, &agent.Fault{Kind: agent.FaultError, Err: err}}
	}
	return r.last.err
}

// failure is what a guest said when it failed.
type failure struct {
	export, text string
	returned     int32
	err          error
}

// isTrap tells whether err came out of a call into the guest.
func isTrap(err error) bool {
	_, ok := errors.AsType[*trapped](err)
	return ok
}
