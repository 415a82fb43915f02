package wasm

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero/api"
)

// key is block for the name of a variable or of a configuration entry.
func (r *run) key(name string, handle uint64) string {
	b := r.block(name, handle)
	if len(b) > maxLine {
		r.end(agent.FaultError, "%s: a key of %d bytes, at most %d are allowed", name, len(b), maxLine)
	}
	return r.names.of(b)
}

// plugOutputSet takes the result as it is now; Extism would read it after the
// plug-in has returned.
func plugOutputSet(r *run, _ api.Module, stack []uint64) {
	var data []byte
	if n := stack[1]; n > 0 {
		var ok bool
		if data, ok = r.plug.view(stack[0], n); !ok {
			r.stray("output_set", stack[0])
		}
	}
	if err := r.inv.SetResult(data); err != nil {
		r.failed("output_set", err)
	}
}

func plugErrorSet(r *run, _ api.Module, stack []uint64) {
	r.plug.err = stack[0]
	if stack[0] == 0 {
		r.inv.SetError("")
		return
	}
	r.inv.SetError(short(r.block("error_set", stack[0])))
}

func plugErrorGet(r *run, _ api.Module, stack []uint64) { stack[0] = r.plug.err }

func plugConfigGet(r *run, mod api.Module, stack []uint64) {
	value, _ := r.setting(r.key("config_get", stack[0]))
	stack[0] = hand(r, mod, value)
}

// setting is an attribute of the event or an entry of the function's environment.
func (r *run) setting(key string) (string, bool) {
	inv := r.inv
	if r.starting {
		return inv.Config(key)
	}
	switch ev := inv.Event; key {
	case "skerry.topic":
		return ev.Subject, true
	case "skerry.event-id":
		return ev.ID, true
	case "skerry.trigger":
		return inv.Trigger, true
	case "skerry.type":
		return ev.Type, true
	case "skerry.source":
		return ev.Source, true
	case "skerry.content-type":
		return ev.ContentType, true
	case "skerry.time":
		return ev.Time.UTC().Format(time.RFC3339Nano), true
	case "skerry.attempt":
		return strconv.Itoa(inv.Attempt), true
	}
	return inv.Config(key)
}

func plugVarGet(r *run, mod api.Module, stack []uint64) {
	value, _, err := r.inv.Get(r.key("var_get", stack[0]))
	if err != nil {
		r.failed("var_get", err)
	}
	stack[0] = hand(r, mod, value)
}

func plugVarSet(r *run, _ api.Module, stack []uint64) {
	key := r.key("var_set", stack[0])
	var err error
	if stack[1] == 0 {
		err = r.inv.Delete(key)
	} else {
		err = r.inv.Set(key, r.block("var_set", stack[1]), 0)
	}
	if err != nil {
		r.failed("var_set", err)
	}
}

func plugLog(level slog.Level) func(*run, api.Module, []uint64) {
	return func(r *run, _ api.Module, stack []uint64) {
		r.log(level, r.block("log", stack[0]))
	}
}

// plugLogLevel says that everything is logged: 0 is trace.
func plugLogLevel(_ *run, _ api.Module, stack []uint64) { stack[0] = 0 }

// short is as much of a text as the agent keeps, so that copying a huge one
// takes no time.
func short(text []byte) string { return string(text[:min(len(text), maxLine)]) }
