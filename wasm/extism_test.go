package wasm_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

const plugins = "testdata/guests/extism/"

// plugin loads a plug-in of testdata with 2 MiB of memory.
func plugin(t *testing.T, name string, adapt func(*agent.Function)) (agent.Module, *agent.Function) {
	t.Helper()
	s := newBench(t, wasm.Options{})
	fn := s.function(plugins + name + ".wasm")
	fn.Limits.Memory = 2 << 20
	fn.Limits.Output = 4 << 20
	if adapt != nil {
		adapt(&fn)
	}
	return s.load(fn), &fn
}

func wantResult(t *testing.T, m agent.Module, fn *agent.Function, v view, data, want string) *agent.Invocation {
	t.Helper()
	inv, err := invoke(m, fn, v, data)
	if err != nil {
		t.Fatalf("%.40q: %v", data, err)
	}
	if got := string(inv.Effects.Result); got != want {
		t.Errorf("%.40q: result %.100q, want %.100q", data, got, want)
	}
	return inv
}

func TestExtismAlarm(t *testing.T) {
	m, fn := plugin(t, "alarm", func(fn *agent.Function) { fn.Env = map[string]string{"LIMIT": "80"} })
	if inv := wantResult(t, m, fn, nil, `{"temperature":79.5}`, ""); inv.Effects.Result != nil {
		t.Errorf("no alarm sets a result: %q", inv.Effects.Result)
	}
	inv := wantResult(t, m, fn, nil, `{"temperature":91.25}`, `{"alarm":"overheat","temperature":91.25}`)
	if u := inv.Usage; u.Calls != 2 || u.Fuel < 500 || u.Memory <= 64<<10 {
		t.Errorf("usage %+v, want 2 calls, fuel for 20 accesses too, and memory beside the module's own", u)
	}
	_, err := invoke(m, fn, nil, `{}`)
	wantFault(t, err, agent.FaultError, "alarm returned 1: the reading has no temperature")
}

// TestExtismInputAndOutput gives events of all sizes, and finds each unchanged.
func TestExtismInputAndOutput(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	big := bytes.Repeat(all, 1<<20/len(all))
	for _, name := range []string{"echo", "probe"} {
		m, fn := plugin(t, name, func(fn *agent.Function) { fn.Limits.Memory = 8 << 20 })
		for _, n := range []int{0, 1, 7, 8, 9, 256, 4095, 4096, 4097, 65537, 1 << 20, 3} {
			data := "e" + string(big[:n]) // for probe: echo
			inv := wantResult(t, m, fn, nil, data, data)
			if inv.Effects.Result == nil {
				t.Errorf("%s: no result for %d bytes", name, n)
			}
		}
	}
	m, fn := plugin(t, "echo", nil)
	if inv := wantResult(t, m, fn, nil, "", ""); inv.Effects.Result == nil {
		t.Error("an empty output is no result")
	}
}

func TestExtismConfig(t *testing.T) {
	m, fn := plugin(t, "probe", func(fn *agent.Function) { fn.Env = map[string]string{"LIMIT": "80", "skerry.other": "own"} })
	for key, want := range map[string]string{
		"LIMIT": "80", "NONE": "-", "skerry.other": "own", "skerry.none": "-",
		"skerry.topic": "sensors/l1/s1/temperature", "skerry.event-id": "ev1", "skerry.trigger": "test/trigger",
		"skerry.type": "io.skerry.mqtt", "skerry.source": "/gw7/mqtt/plant", "skerry.content-type": "application/json",
		"skerry.time": "2023-11-14T22:13:20.123Z", "skerry.attempt": "1",
	} {
		wantResult(t, m, fn, nil, "c"+key, want)
	}
	_, err := invoke(m, fn, nil, "c"+strings.Repeat("k", 5000))
	wantFault(t, err, agent.FaultError, "config_get: a key of 5000 bytes")
}

func TestExtismVars(t *testing.T) {
	m, fn := plugin(t, "probe", nil)
	v := view{"a": []byte("old")}
	wantResult(t, m, fn, v, "ga", "old")
	wantResult(t, m, fn, v, "gb", "-")
	inv := wantResult(t, m, fn, v, "sa=new", "")
	if w := inv.Effects.Writes; len(w) != 1 || w[0].Key != "a" || string(w[0].Value) != "new" {
		t.Errorf("writes %+v", w)
	}
	wantResult(t, m, fn, v, "ga", "old") // the run before was not committed
	inv = wantResult(t, m, fn, v, "da", "")
	if w := inv.Effects.Writes; len(w) != 1 || w[0].Value != nil {
		t.Errorf("writes %+v", w)
	}
	_, err := invoke(m, fn, v, "g"+strings.Repeat("k", 257))
	wantFault(t, err, agent.FaultError, "var_get: state key")
	_, err = invoke(m, fn, v, "s=novalue")
	wantFault(t, err, agent.FaultTrap, "var_set was given 0, which is no block")
	wantResult(t, m, fn, v, "ga", "old")
}

func TestExtismFailures(t *testing.T) {
	m, fn := plugin(t, "probe", nil)
	for _, tt := range []struct {
		data string
		kind agent.FaultKind
		text string
	}{
		{"xno such sensor", agent.FaultError, "handle returned 1: no such sensor"},
		{"?", agent.FaultError, "handle returned -1"},
		{"t", agent.FaultTrap, "unreachable"},
		{"o10", agent.FaultTrap, "load_u8 at offset 0 is outside of what the plug-in allocated"},
		{"o11073741824", agent.FaultTrap, "load_u8 at offset 1073741824"},
		{"o21073741817", agent.FaultTrap, "load_u64 at offset 1073741817"},
		{"o218446744073709551615", agent.FaultTrap, "load_u64 at offset -1"},
		{"o34294967296", agent.FaultTrap, "store_u8 at offset 4294967296"},
		{"o48", agent.FaultTrap, "store_u64 at offset 8"},
		{"o5100", agent.FaultTrap, "input_load_u8 at offset"},
		{"o61", agent.FaultTrap, "input_load_u64 at offset 1"},
		{"o618446744073709551608", agent.FaultTrap, "input_load_u64 at offset -8"},
		{"o71073741824", agent.FaultTrap, "output_set at offset"},
		{"o85", agent.FaultTrap, "log was given 5, which is no block"},
		{"o95", agent.FaultTrap, "error_set was given 5"},
	} {
		_, err := invoke(m, fn, nil, tt.data)
		wantFault(t, err, tt.kind, tt.text)
		wantResult(t, m, fn, nil, "e", "e")
	}
}

func TestExtismLog(t *testing.T) {
	m, fn := plugin(t, "probe", nil)
	inv := wantResult(t, m, fn, nil, "lhello", "0")
	var levels []slog.Level
	for _, l := range inv.Effects.Logs {
		if l.Text != "hello" {
			t.Errorf("line %q", l.Text)
		}
		levels = append(levels, l.Level)
	}
	want := []slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	if !slices.Equal(levels, want) {
		t.Errorf("levels %v", levels)
	}
}

// fetch answers requests without a network.
type fetch struct{ last *agent.HTTPRequest }

func (f *fetch) Fetch(_ context.Context, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	asked := *r
	asked.Body = bytes.Clone(r.Body) // which is the function's memory
	f.last = &asked
	if strings.HasSuffix(r.URL, "/down") {
		return nil, errors.New("connection refused")
	}
	return &agent.HTTPResponse{Status: 201, Header: []agent.HTTPField{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}, Body: []byte("made")}, nil
}

func TestExtismHTTP(t *testing.T) {
	m, fn := plugin(t, "probe", func(fn *agent.Function) { fn.Permissions.HTTP = []string{"api.example.com"} })
	f := &fetch{}
	run := func(data string) (*agent.Invocation, error) {
		inv := agent.NewInvocation(fn, view{}, agent.Outside{Fetch: f})
		inv.Begin(event(data), "test/trigger", 1)
		return inv, m.Invoke(context.Background(), inv)
	}
	inv, err := run(`h{"url":"https://api.example.com/x","method":"PUT","headers":{"B":"2","A":"1"}}` + "\nbody")
	if err != nil || string(inv.Effects.Result) != `{"x-a":"1, 2"}2made` {
		t.Fatalf("%v, result %q", err, inv.Effects.Result)
	}
	r := f.last
	if r.Method != "PUT" || r.URL != "https://api.example.com/x" || string(r.Body) != "body" || len(r.Header) != 2 || r.Header[0].Name != "A" || r.IdempotencyKey == "" {
		t.Errorf("request %+v", r)
	}
	if _, err := run(`h{"url":"https://api.example.com/y"}`); err != nil || f.last.Method != "GET" || len(f.last.Body) != 0 {
		t.Errorf("%v, request %+v", err, f.last)
	}
	for data, want := range map[string]string{
		`h{"url":"https://other.example.com/"}`:          "permissions.http",
		`h{"url":"https://api.example.com/down"}`:        "http_request: connection refused",
		`h{"url":"file:///etc/passwd"}`:                  "want a URL with http or https",
		`h{"url":`:                                       "http_request: read the request",
		`h{"url":"https://api.example.com/","method":7}`: "http_request: read the request",
	} {
		_, err := run(data)
		wantFault(t, err, agent.FaultError, want)
	}
	wantResult(t, m, fn, nil, "e", "e")
}

func TestExtismMemory(t *testing.T) {
	m, fn := plugin(t, "probe", nil)
	wantResult(t, m, fn, nil, "b20000", "0") // far more than the limit, and freed
	wantResult(t, m, fn, nil, "a1000000", "1")
	wantResult(t, m, fn, nil, "a2000000", "0") // the module's own memory counts too
	wantResult(t, m, fn, nil, "a18446744073709551615", "0")
	wantResult(t, m, fn, nil, "a0", "0")
	for range 3 {
		wantResult(t, m, fn, nil, "z", "0") // what the last run wrote is gone
		wantResult(t, m, fn, nil, "r", "0")
	}
	_, err := invoke(m, fn, nil, "k3000000")
	wantFault(t, err, agent.FaultMemory, "raise limits.memory")
	_, err = invoke(m, fn, view{}, "e"+strings.Repeat("x", 3<<20))
	wantFault(t, err, agent.FaultMemory, "3145729 bytes for the plug-in are beyond its limit of 2 MiB")
}

// TestExtismKeepsNothing runs a warm plug-in again and again.
func TestExtismKeepsNothing(t *testing.T) {
	m, fn := plugin(t, "echo", nil)
	first := wantResult(t, m, fn, nil, "event", "event").Usage
	big := strings.Repeat("x", 1<<20)
	if u := wantResult(t, m, fn, nil, big, big).Usage; u.Memory < first.Memory+1<<20 {
		t.Errorf("1 MiB of data made memory %d from %d", u.Memory, first.Memory)
	}
	for range 2000 {
		if u := wantResult(t, m, fn, nil, "event", "event").Usage; u.Memory != first.Memory || u.Fuel != first.Fuel {
			t.Fatalf("usage %+v, was %+v", u, first)
		}
	}
}

// TestExtismBounds has a plug-in read shared memory for ever, which is not
// counted as host calls.
func TestExtismBounds(t *testing.T) {
	m, fn := plugin(t, "probe", func(fn *agent.Function) { fn.Limits.Timeout = 50 * time.Millisecond })
	began := time.Now()
	_, err := invoke(m, fn, nil, "w")
	wantFault(t, err, agent.FaultTimeout, "ran longer than 50ms")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it ended after %v", took)
	}
	m, fn = plugin(t, "probe", func(fn *agent.Function) { fn.Limits.Fuel = 1_000_000 })
	inv, err := invoke(m, fn, nil, "w")
	wantFault(t, err, agent.FaultFuel, "1000000 units")
	if inv.Usage.Calls != 0 {
		t.Errorf("%d host calls", inv.Usage.Calls)
	}
	m, fn = plugin(t, "probe", func(fn *agent.Function) { fn.Limits.Calls = 3 })
	_, err = invoke(m, fn, nil, "l")
	wantFault(t, err, agent.FaultTrap, "log was given 0")
	_, err = invoke(m, fn, nil, "lx")
	wantFault(t, err, agent.FaultLimit, "more than 3 host calls")
	m, fn = plugin(t, "echo", func(fn *agent.Function) { fn.Limits.Output = 100 })
	_, err = invoke(m, fn, nil, strings.Repeat("x", 101))
	wantFault(t, err, agent.FaultLimit, "output_set: 101 bytes of output")
}

func TestExtismIsolation(t *testing.T) {
	m, fn := plugin(t, "probe", nil)
	wantResult(t, m, fn, nil, "n", "1")
	wantResult(t, m, fn, nil, "n", "2")
	m, fn = plugin(t, "probe", func(fn *agent.Function) { fn.Isolation = agent.IsolationFresh })
	for range 3 {
		wantResult(t, m, fn, nil, "n", "1")
		wantResult(t, m, fn, nil, "z", "0")
	}
}

func TestExtismStart(t *testing.T) {
	for name, want := range map[string]string{"first": "1", "second": "m", "silent": "s"} {
		m, fn := plugin(t, "start", func(fn *agent.Function) { fn.Env = map[string]string{"EXTISM_FUNCTION": name, "MODE": "m"} })
		wantResult(t, m, fn, nil, "", want)
	}
	s := newBench(t, wasm.Options{})
	for _, tt := range []struct{ name, mode, want string }{
		{"", "", "exports first, second; name the one to call in env EXTISM_FUNCTION"},
		{"third", "", `names "third", which the plug-in does not export; it exports first, second`},
		{"add", "", `names "add" of type (i32)->i32`},
		{"first", "v", "var_set was called while the plug-in starts"},
	} {
		fn := s.function(plugins + "start.wasm")
		fn.Env = map[string]string{"EXTISM_FUNCTION": tt.name, "MODE": tt.mode}
		if err := s.start(fn); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestExtismPluginKit runs a plug-in that was built with Extism's own kit.
func TestExtismPluginKit(t *testing.T) {
	m, fn := plugin(t, "vowels", nil)
	v := view{}
	total := []string{"3", "6", "9", "12"}
	for _, want := range total {
		inv := wantResult(t, m, fn, v, "Hello World", `{"count":3,"total":`+want+`,"in":"Hello World"}`)
		if l := inv.Effects.Logs; len(l) != 1 || l[0].Text != "counted sensors/l1/s1/temperature" {
			t.Errorf("logs %+v", l)
		}
		v["total"] = inv.Effects.Writes[0].Value
	}
	fn.Env = map[string]string{"vowels": "ü"}
	// The kit takes characters for bytes: it writes behind its block, and cuts the end off.
	wantResult(t, m, fn, view{}, "für alle Fälle", `{"count":1,"total":1,"in":"für alle Fälle`)
}

// TestExtismBesideOtherABIs has guests of other kinds use Extism's functions.
func TestExtismBesideOtherABIs(t *testing.T) {
	for name, want := range map[string]wasm.ABI{
		"vowels": wasm.Extism, "start": wasm.Extism, "handler": wasm.SkerryV1, "both": wasm.Extism,
	} {
		info, err := wasm.Inspect(fixture(t, plugins+name+".wasm"))
		if err != nil || info.ABI != want {
			t.Errorf("%s: %s, %v; want %s", name, info.ABI, err, want)
		}
	}
	m, fn := plugin(t, "handler", nil)
	inv, err := invoke(m, fn, nil, "event")
	if !errors.Is(err, agent.ErrReject) || string(inv.Effects.Result) != "event" {
		t.Errorf("%v, result %q", err, inv.Effects.Result)
	}
	m, fn = plugin(t, "both", func(fn *agent.Function) { fn.Env = map[string]string{"EXTISM_FUNCTION": "_start"} })
	for _, data := range []string{"one", "two"} {
		wantResult(t, m, fn, nil, data, data) // each run exits with code 0
	}
	_, err = invoke(m, fn, nil, "")
	wantFault(t, err, agent.FaultError, "exited with code 3")
}

// TestExtismIsNotForCommands refuses what would call Extism's functions before
// there is an event: a start function runs while the instance is made.
func TestExtismIsNotForCommands(t *testing.T) {
	const want = "module is a WASI command that imports extism:host/env"
	bin := fixture(t, plugins+"command.wasm")
	for name, inspect := range map[string]func([]byte) (wasm.Info, error){"inspect": wasm.Inspect, "describe": wasm.Describe} {
		if _, err := inspect(bin); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	s := newBench(t, wasm.Options{})
	if _, err := s.rt.Load(context.Background(), s.function(plugins+"command.wasm")); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("load: %v, want %q", err, want)
	}
}

// TestExtismMemoryIsGivenBack loads plug-ins, lets each take 64 MiB, and wants
// both the bytes and the addresses back.
func TestExtismMemoryIsGivenBack(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function(plugins + "probe.wasm")
	fn.Limits.Memory = 1 << 30
	keep := s.load(fn) // keeps the code
	if _, err := invoke(keep, &fn, nil, "a64000000"); err != nil {
		t.Fatal(err)
	}
	before := addresses(t)
	for range 20 {
		m, err := s.rt.Load(context.Background(), fn)
		if err != nil {
			t.Fatal(err)
		}
		wantResult(t, m, &fn, nil, "a64000000", "1")
		if err := m.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if grown := addresses(t) - before; grown > 4<<30 {
		t.Errorf("20 plug-ins that are closed hold %d MiB of addresses", grown>>20)
	}
}

// addresses is the address space of this process that is mapped, bytes.
func addresses(t *testing.T) int64 {
	t.Helper()
	stat, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

func TestExtismGoPlugin(t *testing.T) {
	out := filepath.Join(t.TempDir(), "shout.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./"+plugins+"goguest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the plug-in: %v\n%s", err, text)
	}
	s := newBench(t, cached(t))
	fn := s.function(out)
	fn.Limits.Memory = 16 << 20
	fn.Limits.Timeout = time.Minute // interpreting Go on 32 bits takes its time
	fn.Permissions.Publish = []string{"alerts/#"}
	m := s.load(fn)
	inv := wantResult(t, m, &fn, nil, "hear", "HEAR+++")
	if p := inv.Effects.Publishes; len(p) != 1 || p[0].Topic != "alerts/shout" || string(p[0].Data) != "hear" || p[0].QoS != 1 {
		t.Errorf("publishes %+v", p)
	}
	_, err := invoke(m, &fn, nil, "")
	wantFault(t, err, agent.FaultTrap, "panic: nothing to shout")
	wantResult(t, m, &fn, nil, "again", "AGAIN+++")
}
