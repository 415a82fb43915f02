package wasm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Error numbers of skerry_v1.
const (
	errnoInvalid  = -1 // bad pointer, bad argument
	errnoNotFound = -2
	errnoDenied   = -3
	errnoLimit    = -4
	errnoIO       = -6
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// hostFunc is one function of the import module skerry_v1. It reads its
// arguments from args as uint32 (the upper halves of i32 slots are garbage)
// and must refuse pointers that mem refuses.
type hostFunc struct {
	name    string
	params  []api.ValueType
	result  api.ValueType
	call    func(r *run, mem api.Memory, args []uint64) int64
	atStart bool // may be called from _initialize and skerry_init
}

// hostFuncs are frozen: functions are added, never changed.
var hostFuncs = []hostFunc{
	{"event_get", []api.ValueType{i32, i32, i32}, i32, eventGet, false},
	{"result_set", []api.ValueType{i32, i32}, i32, resultSet, false},
	{"error_set", []api.ValueType{i32, i32}, i32, errorSet, true},
	{"log", []api.ValueType{i32, i32, i32}, i32, logLine, true},
	{"config_get", []api.ValueType{i32, i32, i32, i32}, i32, configGet, true},
	{"secret_get", []api.ValueType{i32, i32, i32, i32}, i32, secretGet, false},
	{"publish", []api.ValueType{i32, i32, i32, i32, i32}, i32, publish, false},
	{"emit", []api.ValueType{i32, i32, i32, i32}, i32, emit, false},
	{"followup", []api.ValueType{i32, i32, i32, i32, i32, i32}, i32, followup, false},
	{"now_ms", nil, i64, nowMillis, true},
	{"kv_get", []api.ValueType{i32, i32, i32, i32}, i32, kvGet, false},
	{"kv_set", []api.ValueType{i32, i32, i32, i32, i32}, i32, kvSet, false},
	{"kv_delete", []api.ValueType{i32, i32}, i32, kvDelete, false},
	{"kv_add", []api.ValueType{i32, i32, i64}, i64, kvAdd, false},
	{"kv_cas", []api.ValueType{i32, i32, i32, i32, i32, i32}, i32, kvCompareAndSet, false},
	{"kv_list", []api.ValueType{i32, i32, i32, i32, i32}, i32, kvList, false},
	{"random_get", []api.ValueType{i32, i32}, i32, randomGet, true},
	{"sleep_ms", []api.ValueType{i32}, i32, sleepMillis, false},
	{"error_get", []api.ValueType{i32, i32}, i32, errorGet, true},
	{"http", []api.ValueType{i32, i32, i32, i32}, i32, httpRequest, false},
}

// signature is the function's type as Import.Type spells it.
func (f *hostFunc) signature() string {
	names := make([]string, len(f.params))
	for i, p := range f.params {
		names[i] = api.ValueTypeName(p)
	}
	return "(" + strings.Join(names, ",") + ")->" + api.ValueTypeName(f.result)
}

// linkHost makes the import module skerry_v1 in rt. The functions find the run
// they serve in the context of the call, so all instances share them.
func linkHost(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(hostModule)
	for _, f := range hostFuncs {
		b.NewFunctionBuilder().
			WithGoModuleFunction(f.adapt(), f.params, []api.ValueType{f.result}).
			Export(f.name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("link %s: %w", hostModule, err)
	}
	return nil
}

func (f hostFunc) adapt() api.GoModuleFunc {
	refused := int64(errnoDenied)
	if f.result == i64 {
		refused = math.MinInt64
	}
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		r := runOf(ctx)
		r.call()
		r.told = false
		n := refused
		if f.atStart || !r.starting {
			n = f.call(r, mod.Memory(), stack)
		}
		switch {
		case r.told:
		case n == refused && r.starting:
			r.refuse(f.name + ": not while the function starts")
		case n == errnoInvalid && f.result == i32:
			r.refuse(f.name + ": a pointer or another argument is invalid")
		case n == errnoLimit && f.result == i32:
			r.refuse(f.name + ": it is too large")
		case n == errnoNotFound && f.result == i32:
			r.refusal = ""
		}
		if f.result == i32 {
			n = int64(uint32(n))
		}
		stack[0] = uint64(n)
	}
}

// errno is the number for what an Invocation answers, whose words it keeps.
func (r *run) errno(err error) int64 {
	if err != nil {
		r.refuse(err.Error())
	}
	return errno(err)
}

// A worker is refused so many calls at once, and then one per refuseEvery, half a
// burst at a time: the words why are garbage to collect, 2 KB for each request.
const (
	refuseBurst = 128
	refuseEvery = 125 * time.Microsecond
)

// refuse keeps why a call was refused, for error_get and for a run that fails
// without words of its own.
func (r *run) refuse(why string) {
	r.refusal, r.told = why, true
	if wait := r.refusals.next(now(), refuseBurst/2, refuseEvery); wait >= refuseBurst/2*refuseEvery {
		r.sleep(int64(wait))
	}
}

// errno translates what an Invocation answers.
func errno(err error) int64 {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, agent.ErrDenied):
		return errnoDenied
	case errors.Is(err, agent.ErrLimit), errors.Is(err, agent.ErrFull):
		return errnoLimit
	case errors.Is(err, agent.ErrInvalid):
		return errnoInvalid
	case errors.Is(err, agent.ErrNotFound):
		return errnoNotFound
	}
	return errnoIO
}

// namePerCall is how many bytes of a name take as long as a host call.
const namePerCall = 4 << 10

// takeName is take for what names something, and comes again and again. Nothing
// that long names anything.
func takeName(r *run, mem api.Memory, args []uint64) (string, bool) {
	b, ok := take(mem, args)
	if !ok || len(b) > 64<<10 {
		return "", false
	}
	if n := len(b) / namePerCall; n > 0 { // it is copied, and seldom of use
		r.more(n)
	}
	return r.names.of(b), true
}

// take reads the guest's bytes at a pair of arguments (pointer, length). The
// slice is a view of guest memory: whoever keeps it copies it.
func take(mem api.Memory, args []uint64) ([]byte, bool) {
	return mem.Read(uint32(args[0]), uint32(args[1]))
}

// takeText is take for text of which only so much is kept: a guest must not have
// the host copy all of its memory for it.
func takeText(mem api.Memory, args []uint64) (string, bool) {
	b, ok := take(mem, args)
	return short(b), ok
}

// give writes data to the guest's buffer at a pair of arguments (pointer,
// capacity) if it fits, and returns its full length.
func give(mem api.Memory, args []uint64, data []byte) int64 {
	if n := len(data); uint64(n) > uint64(uint32(args[1])) {
		return int64(n)
	}
	if !mem.Write(uint32(args[0]), data) {
		return errnoInvalid
	}
	return int64(len(data))
}

// giveString is give without turning s into a slice.
func giveString(mem api.Memory, args []uint64, s string) int64 {
	if n := len(s); uint64(n) > uint64(uint32(args[1])) {
		return int64(n)
	}
	if !mem.WriteString(uint32(args[0]), s) {
		return errnoInvalid
	}
	return int64(len(s))
}
