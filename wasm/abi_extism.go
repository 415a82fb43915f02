package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
)

// extism is an Extism plug-in: one of its functions is called for each event,
// and reaches event and agent through extism:host/env.
type extism struct {
	info  *Info
	env   map[string]string
	entry string
}

// extismFunction is the variable of a function's environment that names the
// export to call.
const extismFunction = "EXTISM_FUNCTION"

func (*extism) once() bool { return false }

func (e *extism) config(m *module) wazero.ModuleConfig {
	e.info, e.env = &m.code.info, m.fn.Env
	return m.base.WithStdout(&m.out).WithStderr(&m.out)
}

// start initialises the language's runtime in the ways that Extism knows, and
// finds the function to call.
func (e *extism) start(ctx *guestContext, in *instance) error {
	var err error
	if e.entry, err = e.info.Entry(e.env); err != nil {
		return err
	}
	in.handle = in.mod.ExportedFunction(e.entry)
	for _, name := range e.info.initialisers() {
		var args [2]uint64 // of hs_init: no arguments for the program
		if err := in.call(ctx, in.mod.ExportedFunction(name), args[:]); err != nil {
			return trap(err)
		}
	}
	return nil
}

// handle calls the function. One without a result succeeds by returning, or by
// an exit with code 0.
func (e *extism) handle(ctx *guestContext, in *instance) error {
	in.result[0] = 0
	if err := in.call(ctx, in.handle, in.result[:]); err != nil {
		return unlessDone(err)
	}
	n := int32(uint32(in.result[0]))
	if n == 0 {
		return nil
	}
	fact := fmt.Sprintf("%s returned %d", e.entry, n)
	return &agent.Fault{Kind: agent.FaultError, Err: withText(fact, ctx.run.inv.Effects.Err)}
}

// unlessDone is trap for all but an exit with code 0. Either way the instance
// is closed, and the next run gets another one.
func unlessDone(err error) error {
	var exit *sys.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 0 {
		return nil
	}
	return trap(err)
}

// Entry is the export of an Extism plug-in that is called for each event of a
// function with the environment env: the one that EXTISM_FUNCTION names, else
// "handle", else the only one that can be meant.
func (info *Info) Entry(env map[string]string) (string, error) {
	if name := env[extismFunction]; name != "" {
		ex := info.export("func", name)
		switch {
		case ex == nil:
			return "", fmt.Errorf("env %s names %q, which the plug-in does not export; it exports %s", extismFunction, name, list(info.entries()))
		case !slices.Contains([]string{"()->i32", "()->i64", "()->"}, ex.Type):
			return "", fmt.Errorf("env %s names %q of type %s; a function of an Extism plug-in is ()->i32", extismFunction, name, ex.Type)
		}
		return name, nil
	}
	entries := info.entries()
	switch {
	case slices.Contains(entries, "handle"):
		return "handle", nil
	case len(entries) == 1:
		return entries[0], nil
	case len(entries) == 0:
		return "", fmt.Errorf("the plug-in exports no function of type ()->i32; export one, or name one of type ()-> in env %s of the function", extismFunction)
	}
	return "", fmt.Errorf("the plug-in exports %s; name the one to call in env %s of the function", list(entries), extismFunction)
}

// entries are the exports that may be what a plug-in is for: of type ()->i32
// and not of its language's runtime.
func (info *Info) entries() []string {
	var names []string
	for _, ex := range info.Exports {
		if ex.Kind == "func" && !ex.Imported && ex.Type == "()->i32" && !isPlumbing(ex.Name) {
			names = append(names, ex.Name)
		}
	}
	return names
}

// isPlumbing tells whether compilers export a function under that name by
// themselves.
func isPlumbing(name string) bool {
	return strings.HasPrefix(name, "_") || strings.HasPrefix(name, "asyncify_") || name == "hs_init" || name == "hs_exit"
}

// initialisers are the exports to call once per instance, in order.
func (info *Info) initialisers() []string {
	var names []string
	has := func(name, typ string) bool {
		ex := info.export("func", name)
		return ex != nil && ex.Type == typ
	}
	switch {
	case has("_initialize", "()->"):
		names = append(names, "_initialize")
	case has("__wasm_call_ctors", "()->"):
		names = append(names, "__wasm_call_ctors")
	}
	if has("hs_init", "(i32,i32)->") && info.export("func", "hs_exit") != nil {
		names = append(names, "hs_init")
	}
	return names
}

// list names at most ten exports.
func list(names []string) string {
	const most = 10
	if len(names) == 0 {
		return "no function of type ()->i32"
	}
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}
