package javascript_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// host is skerry_v1 as these tests need it: it grants everything but what is
// named "denied", and keeps what a run decided.
type host struct {
	source  string
	data    []byte
	fields  map[uint32]string
	config  map[string]string
	secrets map[string]string
	state   map[string][]byte
	answer  string // of http
	imports imports

	result    []byte
	hasResult bool
	err       string
	refusal   string   // why a call was refused, for error_get
	effects   []string // "publish topic data flags", in order
	logs      []string // "level text"
	slept     time.Duration
}

const (
	notFound = -2
	denied   = -3
)

func newHost(source string) *host {
	h := &host{
		source: source,
		fields: map[uint32]string{
			1: "plant/7/temp", 3: "plant/hot", 4: "e-1", 5: "1760000000000", 7: "/gw7/mqtt/plant",
			8: "io.skerry.mqtt", 9: "1", 10: "plant/alarm",
		},
		config:  map[string]string{"limit": "30"},
		secrets: map[string]string{"token": "s3cret"},
		state:   map[string][]byte{},
	}
	h.imports = h.functions()
	maps.Copy(h.imports, h.sourceFunctions())
	return h
}

func (h *host) begin(data string) {
	h.data, h.result, h.hasResult, h.err, h.refusal = []byte(data), nil, false, "", ""
	h.effects, h.logs, h.slept = nil, nil, 0
}

func give(mem api.Memory, args []uint64, value []byte) int64 {
	if len(value) <= int(uint32(args[1])) && !mem.Write(uint32(args[0]), value) {
		return -1
	}
	return int64(len(value))
}

func take(mem api.Memory, args []uint64) []byte {
	b, ok := mem.Read(uint32(args[0]), uint32(args[1]))
	if !ok {
		panic("the engine gave a pointer outside of its memory")
	}
	return slices.Clone(b)
}

func (h *host) decide(name string, format string, args ...any) int64 {
	switch name {
	case "denied":
		return denied
	case "refused":
		h.refusal = "the host has its reasons"
		return denied
	case "refused twice":
		h.refusal = "publish to \"refused twice\": not granted"
		return denied
	}
	h.effects = append(h.effects, fmt.Sprintf(format, args...))
	return 0
}

type imports = map[string]func(mem api.Memory, a []uint64) int64

// functions are the imports by "name parameters", parameters as i or I for i32
// and i64; all but now_ms, kv_add and limit_get answer an i32.
func (h *host) functions() imports {
	all := imports{}
	for _, part := range []imports{h.readFunctions(), h.effectFunctions(), h.stateFunctions(), h.systemFunctions()} {
		maps.Copy(all, part)
	}
	return all
}

func (h *host) readFunctions() imports {
	lookup := func(values map[string]string, mem api.Memory, a []uint64) int64 {
		key := string(take(mem, a))
		if key == "denied" {
			return denied
		}
		if v, ok := values[key]; ok {
			return give(mem, a[2:], []byte(v))
		}
		return notFound
	}
	return imports{
		"event_get iii": func(mem api.Memory, a []uint64) int64 {
			if uint32(a[0]) == 0 {
				return give(mem, a[1:], h.data)
			}
			return give(mem, a[1:], []byte(h.fields[uint32(a[0])]))
		},
		"result_set ii": func(mem api.Memory, a []uint64) int64 {
			h.result, h.hasResult = take(mem, a), true
			return 0
		},
		"error_set ii": func(mem api.Memory, a []uint64) int64 {
			h.err = string(take(mem, a))
			return 0
		},
		"error_get ii": func(mem api.Memory, a []uint64) int64 { return give(mem, a, []byte(h.refusal)) },
		"log iii": func(mem api.Memory, a []uint64) int64 {
			h.logs = append(h.logs, fmt.Sprintf("%d %s", uint32(a[0]), take(mem, a[1:])))
			return 0
		},
		"config_get iiii": func(mem api.Memory, a []uint64) int64 { return lookup(h.config, mem, a) },
		"secret_get iiii": func(mem api.Memory, a []uint64) int64 { return lookup(h.secrets, mem, a) },
	}
}

func (h *host) effectFunctions() imports {
	return imports{
		"publish iiiii": func(mem api.Memory, a []uint64) int64 {
			topic := string(take(mem, a))
			if flags := uint32(a[4]); flags&3 == 3 {
				return -1
			}
			return h.decide(topic, "publish %s %s %d", topic, take(mem, a[2:]), uint32(a[4]))
		},
		"emit iiii": func(mem api.Memory, a []uint64) int64 {
			return h.decide(string(take(mem, a)), "emit %s %s", take(mem, a), take(mem, a[2:]))
		},
		"followup iiiiii": func(mem api.Memory, a []uint64) int64 {
			return h.decide(string(take(mem, a)), "followup %s %s %s", take(mem, a), take(mem, a[2:]), take(mem, a[4:]))
		},
	}
}

func (h *host) stateFunctions() imports {
	return imports{
		"kv_get iiii": func(mem api.Memory, a []uint64) int64 {
			if v, ok := h.state[string(take(mem, a))]; ok {
				return give(mem, a[2:], v)
			}
			return notFound
		},
		"kv_set iiiii": func(mem api.Memory, a []uint64) int64 {
			key := string(take(mem, a))
			if key == "" {
				return -1
			}
			if key == "full" {
				return -4
			}
			h.state[key] = take(mem, a[2:])
			return 0
		},
		"kv_delete ii": func(mem api.Memory, a []uint64) int64 {
			delete(h.state, string(take(mem, a)))
			return 0
		},
		"kv_add iiI": func(mem api.Memory, a []uint64) int64 {
			key := string(take(mem, a))
			n := int64(0)
			if v, ok := h.state[key]; ok {
				var err error
				if n, err = strconv.ParseInt(string(v), 10, 64); err != nil {
					h.refusal = fmt.Sprintf("kv_add: %q is no whole number", v)
					return math.MinInt64
				}
			}
			n += int64(a[2])
			h.state[key] = strconv.AppendInt(nil, n, 10)
			return n
		},
		"kv_cas iiiiii": func(mem api.Memory, a []uint64) int64 {
			key := string(take(mem, a))
			old, ok := h.state[key]
			if absent := uint32(a[3]) == math.MaxUint32; ok == absent || !absent && string(old) != string(take(mem, a[2:])) {
				return 0
			}
			h.state[key] = take(mem, a[4:])
			return 1
		},
		"kv_list iiiii": func(mem api.Memory, a []uint64) int64 {
			var list []byte
			left := int(uint32(a[2])-1) + 1
			for _, k := range slices.Sorted(maps.Keys(h.state)) {
				if !strings.HasPrefix(k, string(take(mem, a))) || uint32(a[2]) > 0 && left == 0 {
					continue
				}
				left--
				list = append(binary.LittleEndian.AppendUint16(list, uint16(len(k))), k...)
			}
			return give(mem, a[3:], list)
		},
	}
}

func (h *host) systemFunctions() imports {
	return imports{
		"now_ms ": func(api.Memory, []uint64) int64 { return time.Now().UnixMilli() },
		"random_get ii": func(mem api.Memory, a []uint64) int64 {
			b := make([]byte, uint32(a[1]))
			_, _ = rand.Read(b) // never fails
			mem.Write(uint32(a[0]), b)
			return 0
		},
		"sleep_ms i": func(_ api.Memory, a []uint64) int64 {
			h.slept += time.Duration(uint32(a[0])) * time.Millisecond
			return 0
		},
		"http iiii": func(mem api.Memory, a []uint64) int64 {
			if n := uint32(a[1]); n > 0 && h.decide("", "http %s", take(mem, a)) < 0 {
				return denied
			}
			if h.answer == "" {
				return denied
			}
			if why, ok := strings.CutPrefix(h.answer, "refused "); ok {
				h.refusal = why
				return denied
			}
			return give(mem, a[2:], []byte(h.answer))
		},
	}
}

func (h *host) sourceFunctions() imports {
	return imports{
		javascript.SourceGet + " ii": func(mem api.Memory, a []uint64) int64 { return give(mem, a, []byte(h.source)) },
		javascript.LimitGet + " i": func(_ api.Memory, a []uint64) int64 {
			return map[uint32]int64{javascript.LimitTimeout: 1000, javascript.LimitMemory: 16 << 20}[uint32(a[0])]
		},
	}
}

type hostKey struct{}

// link makes an import module of functions, which are found in the host that
// the context of the call carries.
func link(ctx context.Context, t testing.TB, rt wazero.Runtime, module string, get func(h *host) imports) {
	t.Helper()
	b := rt.NewHostModuleBuilder(module)
	for key := range get(newHost("")) {
		name, params, _ := strings.Cut(key, " ")
		types := []api.ValueType{}
		for _, p := range params {
			types = append(types, map[rune]api.ValueType{'i': api.ValueTypeI32, 'I': api.ValueTypeI64}[p])
		}
		result := api.ValueTypeI32
		if name == "now_ms" || name == "kv_add" || name == javascript.LimitGet {
			result = api.ValueTypeI64
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			stack[0] = uint64(ctx.Value(hostKey{}).(*host).imports[key](mod.Memory(), stack))
			if result == api.ValueTypeI32 {
				stack[0] = uint64(uint32(stack[0]))
			}
		}), types, []api.ValueType{result}).Export(name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
}

// machine is the engine, compiled once for all tests of a process.
type machine struct {
	rt   wazero.Runtime
	code wazero.CompiledModule
}

func newMachine(t testing.TB, config wazero.RuntimeConfig, engine []byte) *machine {
	t.Helper()
	ctx := context.Background()
	m := &machine{rt: wazero.NewRuntimeWithConfig(ctx, config.WithMemoryLimitPages(256))}
	t.Cleanup(func() {
		if err := m.rt.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	link(ctx, t, m.rt, "skerry_v1", (*host).functions)
	link(ctx, t, m.rt, javascript.Module, (*host).sourceFunctions)
	var err error
	if m.code, err = m.rt.CompileModule(ctx, engine); err != nil {
		t.Fatal(err)
	}
	return m
}

// instance is one function, loaded.
type instance struct {
	*host
	ctx    context.Context
	mod    api.Module
	handle api.Function
	stack  [1]uint64
}

// load returns an error where skerry_init refuses the source.
func (m *machine) load(t testing.TB, h *host) (*instance, error) {
	t.Helper()
	ctx := context.WithValue(context.Background(), hostKey{}, h)
	mod, err := m.rt.InstantiateModule(ctx, m.code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mod.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	in := &instance{host: h, ctx: ctx, mod: mod, handle: mod.ExportedFunction("skerry_handle")}
	for _, name := range []string{"_initialize", "skerry_init"} {
		if err := mod.ExportedFunction(name).CallWithStack(ctx, in.stack[:]); err != nil {
			return nil, err
		}
	}
	if in.stack[0] != 0 {
		return nil, fmt.Errorf("%s", h.err)
	}
	return in, nil
}

// run handles one event.
func (in *instance) run(data string) (outcome uint32, err error) {
	in.begin(data)
	err = in.handle.CallWithStack(in.ctx, in.stack[:])
	return uint32(in.stack[0]), err
}
