package wasm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// hostCall is a function of the host as a guest imports it.
type hostCall struct {
	module, name    string
	params, results []byte
}

// documentedCalls are the functions of skerry_v1 as ABI.md lists them.
func documentedCalls(t testing.TB) (calls []hostCall) {
	row := regexp.MustCompile(`(?m)^\| ` + "`" + `(\w+)\((.*)\)( -> i64)?` + "`")
	for _, m := range row.FindAllStringSubmatch(string(fixture(t, "ABI.md")), -1) {
		c := hostCall{module: "skerry_v1", name: m[1], results: []byte{valueI32}}
		if m[3] != "" {
			c.results = []byte{valueI64}
		}
		for param := range strings.SplitSeq(m[2], ", ") {
			switch {
			case strings.HasSuffix(param, ": i64"):
				c.params = append(c.params, valueI64)
				c.results = []byte{valueI64} // there is one such function
			case param != "":
				c.params = append(c.params, valueI32)
			}
		}
		if c.name != "_initialize" && !strings.HasPrefix(c.name, "skerry_") {
			calls = append(calls, c)
		}
	}
	if len(calls) < 19 {
		t.Fatalf("found %d host functions in ABI.md", len(calls))
	}
	return calls
}

// wasiCalls are the functions of WASI preview 1 that wazero has.
func wasiCalls(t testing.TB) (calls []hostCall) {
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(t.Context())
	module, err := wasi_snapshot_preview1.NewBuilder(rt).Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, def := range module.ExportedFunctions() {
		calls = append(calls, hostCall{wasi_snapshot_preview1.ModuleName, name, def.ParamTypes(), def.ResultTypes()})
	}
	return calls
}

// extismCalls are functions of Extism, with I for an i64 and i for an i32.
func extismCalls() (calls []hostCall) {
	kinds := strings.NewReplacer("I", string(rune(valueI64)), "i", string(rune(valueI32)))
	for _, c := range strings.Fields(`alloc(I)I free(I) length(I)I load_u8(I)i load_u64(I)I store_u8(Ii) store_u64(II)
		input_length()I input_load_u8(I)i input_load_u64(I)I output_set(II) error_set(I) config_get(I)I var_get(I)I var_set(II)
		http_request(II)I http_status_code()i http_headers()I log_warn(I) log_error(I) get_log_level()i`) {
		name, types, _ := strings.Cut(c, "(")
		params, results, _ := strings.Cut(kinds.Replace(types), ")")
		calls = append(calls, hostCall{"extism:host/env", name, []byte(params), []byte(results)})
	}
	return calls
}

// pointers are where memory of 64 KiB begins and ends, signs change and sums
// wrap around.
var pointers = []uint64{
	0, 1, 2, 3, 8, 64, 1024, 65528, 65535, 65536, 65537, 1 << 28, 0x7fff_ffff, 0x8000_0000,
	0xffff_0000, 1 << 30, 1<<30 + 16, 1<<30 + 4095, 0xffff_fff8, 0xffff_ffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1,
}

// TestHostileArguments gives every function of the host arguments that lie. It
// may refuse them or end the run; it must do so in time and harm nobody.
func TestHostileArguments(t *testing.T) {
	s := newBench(t, wasm.Options{})
	for _, c := range slices.Concat(documentedCalls(t), wasiCalls(t), extismCalls()) {
		t.Run(c.module+"."+c.name, func(t *testing.T) {
			fn := s.function("work")
			fn.Digest = s.b.add(caller(c.module, c.name, c.params, c.results))
			fn.Limits.Timeout = 20 * time.Millisecond // some calls sleep as long as they may
			fn.Permissions = agent.Permissions{Publish: []string{"#"}, Invoke: []string{"local/", "central/"}}
			random := rand.New(rand.NewPCG(1, 2))
			for range 15 {
				m := s.load(fn) // one that fails more often is made to wait
				for range 20 {
					lie(t, m, &fn, len(c.params), random)
				}
			}
		})
	}
}

func lie(t *testing.T, m agent.Module, fn *agent.Function, params int, random *rand.Rand) {
	t.Helper()
	var data []byte
	for range params {
		data = binary.LittleEndian.AppendUint64(data, pointers[random.IntN(len(pointers))])
	}
	inv := agent.NewInvocation(fn, view{}, agent.Outside{})
	inv.Begin(event(string(data)), "test/trigger", 1)
	begun := time.Now()
	err := m.Invoke(context.Background(), inv)
	var fault *agent.Fault
	if err != nil && !errors.As(err, &fault) {
		t.Errorf("with % x: %v", data, err)
	}
	if late := time.Since(begun) - fn.Limits.Timeout; late > slowness*20*time.Millisecond {
		t.Errorf("with % x: it took %v longer than it may", data, late)
	}
}
