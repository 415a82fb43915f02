package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const extismModule = "extism:host/env"

// plugFunc is one function of the import module extism:host/env. What an
// Extism host would refuse ends the run.
type plugFunc struct {
	name    string
	params  []api.ValueType
	results []api.ValueType
	kind    plugKind
	call    func(r *run, mod api.Module, stack []uint64)
}

type plugKind uint8

const (
	plugAccess plugKind = iota // only reads or writes plugMemory: costs fuel, and is not counted as a host call
	plugCall                   // a host call
	plugEvent                  // a host call that needs an event
)

// accessFuel is what a plugAccess costs: it takes as long as so many units of
// a guest's work. Without it a guest could have the host work for next to no fuel.
const accessFuel = 16

var (
	plugNone = []api.ValueType(nil)
	plugI32  = []api.ValueType{i32}
	plugI64  = []api.ValueType{i64}
	plugTwo  = []api.ValueType{i64, i64}
)

// plugFuncs are what the plug-in kits of Extism import. A parameter or result
// that is an i64 is a handle, an address or a length.
var plugFuncs = []plugFunc{
	{"input_length", plugNone, plugI64, plugAccess, plugInputLength},
	{"input_load_u8", plugI64, plugI32, plugAccess, plugInputByte},
	{"input_load_u64", plugI64, plugI64, plugAccess, plugInputWord},
	{"input_offset", plugNone, plugI64, plugAccess, plugInputOffset},
	{"alloc", plugI64, plugI64, plugAccess, plugAlloc},
	{"free", plugI64, plugNone, plugAccess, plugFree},
	{"length", plugI64, plugI64, plugAccess, plugLength},
	{"length_unsafe", plugI64, plugI64, plugAccess, plugLength},
	{"load_u8", plugI64, plugI32, plugAccess, plugLoadByte},
	{"load_u64", plugI64, plugI64, plugAccess, plugLoadWord},
	{"store_u8", []api.ValueType{i64, i32}, plugNone, plugAccess, plugStoreByte},
	{"store_u64", plugTwo, plugNone, plugAccess, plugStoreWord},
	{"reset", plugNone, plugNone, plugCall, plugReset},
	{"output_set", plugTwo, plugNone, plugEvent, plugOutputSet},
	{"error_set", plugI64, plugNone, plugCall, plugErrorSet},
	{"error_get", plugNone, plugI64, plugCall, plugErrorGet},
	{"config_get", plugI64, plugI64, plugCall, plugConfigGet},
	{"var_get", plugI64, plugI64, plugEvent, plugVarGet},
	{"var_set", plugTwo, plugNone, plugEvent, plugVarSet},
	{"http_request", plugTwo, plugI64, plugEvent, plugRequest},
	{"http_status_code", plugNone, plugI32, plugCall, plugStatus},
	{"http_headers", plugNone, plugI64, plugCall, plugHeaders},
	{"log_trace", plugI64, plugNone, plugCall, plugLog(slog.LevelDebug)},
	{"log_debug", plugI64, plugNone, plugCall, plugLog(slog.LevelDebug)},
	{"log_info", plugI64, plugNone, plugCall, plugLog(slog.LevelInfo)},
	{"log_warn", plugI64, plugNone, plugCall, plugLog(slog.LevelWarn)},
	{"log_error", plugI64, plugNone, plugCall, plugLog(slog.LevelError)},
	{"get_log_level", plugNone, plugI32, plugCall, plugLogLevel},
}

// signature is the function's type as Import.Type spells it.
func (f *plugFunc) signature() string {
	names := func(types []api.ValueType) string {
		var names []string
		for _, t := range types {
			names = append(names, api.ValueTypeName(t))
		}
		return strings.Join(names, ",")
	}
	return "(" + names(f.params) + ")->" + names(f.results)
}

func checkExtismImport(im Import) error {
	i := slices.IndexFunc(plugFuncs, func(f plugFunc) bool { return f.name == im.Name })
	switch {
	case i < 0:
		return fmt.Errorf("module imports %s.%s, which this release does not offer; see wasm/ABI.md, or update the agent", extismModule, im.Name)
	case plugFuncs[i].signature() != im.Type:
		return fmt.Errorf("module imports %s.%s as %s, it is %s; build it with a plug-in kit of Extism 1.0 or later", extismModule, im.Name, im.Type, plugFuncs[i].signature())
	}
	return nil
}

// linkExtism makes the import module extism:host/env in rt.
func linkExtism(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(extismModule)
	for i := range plugFuncs {
		f := &plugFuncs[i]
		b.NewFunctionBuilder().WithGoModuleFunction(f.adapt(), f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func (f *plugFunc) adapt() api.GoModuleFunc {
	if f.kind == plugAccess {
		return func(ctx context.Context, mod api.Module, stack []uint64) {
			r := runOf(ctx)
			r.granted += accessFuel
			f.call(r, mod, stack)
		}
	}
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		r := runOf(ctx)
		r.call()
		if r.starting && f.kind == plugEvent {
			r.end(agent.FaultError, "%s was called while the plug-in starts; call it while it handles an event", f.name)
		}
		f.call(r, mod, stack)
	}
}

// failed ends a run whose call the agent refused.
func (r *run) failed(name string, err error) {
	kind := agent.FaultError
	if errors.Is(err, agent.ErrLimit) {
		kind = agent.FaultLimit
	}
	r.end(kind, "%s: %v", name, err)
}
