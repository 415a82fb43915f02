package wasm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// conformance lists the guests of testdata/guests/conformance: the same program
// in each language, which does what an event's subject says with arguments from
// its data. So one table holds for the host and for every SDK.
var conformance = []string{"c", "rust", "assemblyscript", "zig", "go"}

// guestModule is the path of a guest's module. Those in Go are too large to
// keep, and are built.
func guestModule(t testing.TB, dir string) string {
	t.Helper()
	kind, lang, _ := strings.Cut(dir, "/")
	switch lang {
	case "go", "go-json":
	case "javascript":
		return "testdata/guests/" + dir + "/" + kind + ".js"
	default:
		return "testdata/guests/" + dir + "/" + kind + ".wasm"
	}
	out := filepath.Join(t.TempDir(), kind+".wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./testdata/guests/"+dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, text)
	}
	return out
}

// subject is a conformance guest, ready to be asked.
type subject struct {
	*bench
	fn   agent.Function
	mod  agent.Module
	web  fakeWeb
	view view
}

func newSubject(t *testing.T, lang string) *subject {
	t.Helper()
	s := newBench(t, cached(t))
	g := &subject{bench: s, fn: s.function(guestModule(t, "conformance/"+lang)), view: view{"n": []byte("41"), "word": []byte("x"), "dir/a": {}, "dir/b": {1}}}
	g.fn.Limits.Memory = 32 << 20
	g.fn.Limits.Timeout = time.Minute // interpreting Go on 32 bits takes its time
	g.fn.Env = map[string]string{"BOOT": "up", "LIMIT": "80", "EMPTY": ""}
	g.fn.Secrets = []string{"token", "unset"}
	g.fn.Permissions = agent.Permissions{
		Publish: []string{"alerts/#"}, Invoke: []string{"central/ops", "local/next"}, HTTP: []string{"https://api.example.com"},
	}
	g.mod = s.load(g.fn)
	return g
}

func (g *subject) invocation() *agent.Invocation {
	secrets := func(name string) (string, bool) { return "s3cret", name == "token" }
	return agent.NewInvocation(&g.fn, g.view, agent.Outside{Secrets: secrets, Fetch: &g.web})
}

func (g *subject) ask(inv *agent.Invocation, command, data string) error {
	ev := event(data)
	ev.Subject = command
	inv.Begin(ev, "test/trigger", 3)
	return g.mod.Invoke(context.Background(), inv)
}

// args is what a command gets: each its length and its bytes.
func args(list ...string) string {
	var b []byte
	for _, a := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(a)))
		b = append(b, a...)
	}
	return string(b)
}

// fakeWeb answers every request with itself.
type fakeWeb struct{ asked []agent.HTTPRequest }

func (w *fakeWeb) Fetch(_ context.Context, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	asked := *r
	asked.Body = bytes.Clone(r.Body) // which is the function's memory
	w.asked = append(w.asked, asked)
	if strings.HasSuffix(r.URL, "/down") {
		return nil, errors.New("nothing came back")
	}
	return &agent.HTTPResponse{Status: 201, Header: []agent.HTTPField{{Name: "Size", Value: "1"}, {Name: "Kind", Value: "test: 1"}}, Body: r.Body}, nil
}

func TestConformance(t *testing.T) {
	for _, lang := range conformance {
		t.Run(lang, func(t *testing.T) {
			g := newSubject(t, lang)
			t.Run("calls", g.testCalls)
			t.Run("payloads", g.testPayloads)
			t.Run("verdicts", g.testVerdicts)
			t.Run("outside", g.testOutside)
			t.Run("json", g.testJSON)
			t.Run("random json", g.testRandomJSON)
			t.Run("memory", g.testMemory)
			t.Run("start", g.testStart)
		})
	}
}

func write(key, value string) []agent.Write {
	return []agent.Write{{Scope: "state/test/conformance", Key: key, Value: []byte(value)}}
}

var (
	allBytes = func() string {
		b := make([]byte, 256)
		for i := range b {
			b[i] = byte(i)
		}
		return string(b)
	}()
	longKey = strings.Repeat("k", 256)
)

// calls are commands with their answers and what they decide.
var calls = []struct {
	command string
	args    []string
	want    string
	effects agent.Effects
}{
	{"boot", nil, "=up", agent.Effects{}},
	{"fields", nil, "=fields|application/json|test/trigger|ev1|1700000000123|/gw7/mqtt/plant|io.skerry.mqtt|3|test/conformance", agent.Effects{}},

	{"config", []string{"LIMIT"}, "=80", agent.Effects{}},
	{"config", []string{"EMPTY"}, "=", agent.Effects{}},
	{"config", []string{"NONE"}, "!not found", agent.Effects{}},
	{"secret", []string{"token"}, "=s3cret", agent.Effects{}},
	{"secret", []string{"unset"}, "!not found", agent.Effects{}},
	{"secret", []string{"root"}, "!denied", agent.Effects{}},

	{"publish", []string{"alerts/1", "hot", "5"}, "=", agent.Effects{Publishes: []agent.Publish{{Topic: "alerts/1", Data: []byte("hot"), QoS: 1, Retain: true}}}},
	{"publish", []string{"alerts/é", allBytes, "2"}, "=", agent.Effects{Publishes: []agent.Publish{{Topic: "alerts/é", Data: []byte(allBytes), QoS: 2}}}},
	{"publish", []string{"alerts/1", "", "0"}, "=", agent.Effects{Publishes: []agent.Publish{{Topic: "alerts/1", Data: []byte{}}}}},
	{"publish", []string{"other", "hot", "0"}, "!denied", agent.Effects{}},
	{"publish", []string{"alerts/#", "hot", "0"}, "!invalid", agent.Effects{}},
	{"publish", []string{"alerts/1", "hot", "3"}, "!invalid", agent.Effects{}},
	{"publish", []string{"alerts/1", "hot", "8"}, "!invalid", agent.Effects{}},
	{"emit", []string{"next", allBytes}, "=", agent.Effects{Emits: []agent.Emit{{Function: "test/next", Data: []byte(allBytes)}}}},
	{"emit", []string{"self", "x"}, "!denied", agent.Effects{}},
	{"followup", []string{"ops", "text/plain", "hélp"}, "=", agent.Effects{Followups: []agent.Followup{{Target: "ops", ContentType: "text/plain", Data: []byte("hélp")}}}},
	{"followup", []string{"cloud", "text/plain", "x"}, "!denied", agent.Effects{}},
	{"log", []string{"0", "quiet"}, "=", agent.Effects{Logs: []agent.LogLine{{Level: slog.LevelDebug, Text: "quiet"}}}},
	{"log", []string{"1", "naïve 😀"}, "=", agent.Effects{Logs: []agent.LogLine{{Level: slog.LevelInfo, Text: "naïve 😀"}}}},
	{"log", []string{"2", ""}, "=", agent.Effects{Logs: []agent.LogLine{{Level: slog.LevelWarn}}}},
	{"log", []string{"3", "loud"}, "=", agent.Effects{Logs: []agent.LogLine{{Level: slog.LevelError, Text: "loud"}}}},

	{"get", []string{"n"}, "=41", agent.Effects{}},
	{"get", []string{"dir/a"}, "=", agent.Effects{}},
	{"get", []string{"none"}, "!not found", agent.Effects{}},
	{"get", []string{""}, "!invalid", agent.Effects{}},
	{"get", []string{"/shared"}, "!not found", agent.Effects{}},
	{"get", []string{"/"}, "!invalid", agent.Effects{}},
	{"get", []string{longKey + "k"}, "!invalid", agent.Effects{}},
	{"set", []string{"é", allBytes, "0"}, "=", agent.Effects{Writes: write("é", allBytes)}},
	{"set", []string{longKey, "", "0"}, "=", agent.Effects{Writes: write(longKey, "")}},
	{"set", []string{"k", strings.Repeat("v", 64<<10), "0"}, "=", agent.Effects{Writes: write("k", strings.Repeat("v", 64<<10))}},
	{"set", []string{"k", strings.Repeat("v", 64<<10+1), "0"}, "!limit", agent.Effects{}},
	{"set", []string{"/k", "v", "0"}, "=", agent.Effects{Writes: []agent.Write{{Scope: "state/test", Key: "/k", Value: []byte("v")}}}},
	{"delete", []string{"n"}, "=", agent.Effects{Writes: []agent.Write{{Scope: "state/test/conformance", Key: "n"}}}},
	{"delete", []string{""}, "!invalid", agent.Effects{}},
	{"add", []string{"n", "1"}, "=42", agent.Effects{Writes: write("n", "42")}},
	{"add", []string{"new", "-9223372036854775807"}, "=-9223372036854775807", agent.Effects{Writes: write("new", "-9223372036854775807")}},
	{"add", []string{"word", "1"}, "!invalid", agent.Effects{}},
	{"cas", []string{"n", "41", "42"}, "=1", agent.Effects{Writes: write("n", "42")}},
	{"cas", []string{"n", "40", "42"}, "=0", agent.Effects{}},
	{"cas", []string{"n", "", "42"}, "=0", agent.Effects{}},
	{"cas", []string{"new", "", allBytes}, "=1", agent.Effects{Writes: write("new", allBytes)}},
	{"cas", []string{"", "", "x"}, "!invalid", agent.Effects{}},
	{"list", []string{"", "0"}, "=dir/a\ndir/b\nn\nword", agent.Effects{}},
	{"list", []string{"dir/", "1"}, "=dir/a", agent.Effects{}},
	{"list", []string{"none", "0"}, "=", agent.Effects{}},
	{"list", []string{"/", "0"}, "=", agent.Effects{}},
}

func (g *subject) testCalls(t *testing.T) {
	inv := g.invocation()
	for _, tt := range calls {
		name := tt.command + " " + strings.Join(tt.args, ", ")
		if err := g.ask(inv, tt.command, args(tt.args...)); err != nil {
			t.Errorf("%.60q: %v", name, err)
			continue
		}
		fx := inv.Effects
		if got := string(fx.Result); got != tt.want {
			t.Errorf("%.60q: answered %.100q, want %.100q", name, got, tt.want)
		}
		if fx.Result = nil; !sameDecisions(fx, tt.effects) {
			t.Errorf("%.60q: decided\n%+v, want\n%+v", name, fx, tt.effects)
		}
	}
}

// sameDecisions is sameEffects that takes nothing and an empty list for the same.
func sameDecisions(a, b agent.Effects) bool {
	return fmt.Sprint(a.Err, a.Writes, a.Publishes, a.Followups, a.Emits, a.Logs) ==
		fmt.Sprint(b.Err, b.Writes, b.Publishes, b.Followups, b.Emits, b.Logs)
}

func (g *subject) testPayloads(t *testing.T) {
	inv := g.invocation()
	large := strings.Repeat(allBytes, 1<<20/len(allBytes))
	for _, data := range []string{"", "x", "\x00", "naïve 😀", allBytes, strings.Repeat("y", 4096), strings.Repeat("y", 4097), large, "after"} {
		if err := g.ask(inv, "echo", data); err != nil || string(inv.Effects.Result) != data {
			t.Errorf("%d bytes came back as %d bytes, %v", len(data), len(inv.Effects.Result), err)
		}
	}
	if err := g.ask(inv, "set", args("long", strings.Repeat(allBytes, 256), "60")); err != nil || len(inv.Effects.Writes) != 1 {
		t.Fatal(err, inv.Effects.Writes)
	}
	w := inv.Effects.Writes[0]
	if left := time.Until(w.Expires); left < 50*time.Second || left > 61*time.Second {
		t.Errorf("expires in %v, want a minute", left)
	}
	g.view["long"] = bytes.Clone(w.Value)
	defer delete(g.view, "long")
	if err := g.ask(inv, "get", args("long")); err != nil || string(inv.Effects.Result) != "="+string(g.view["long"]) {
		t.Errorf("64 KiB of state came back as %d bytes, %v", len(inv.Effects.Result), err)
	}
	for i := range 1200 {
		g.view[fmt.Sprintf("many/%0100d", i)] = []byte{}
	}
	if err := g.ask(inv, "list", args("many/", "600")); err != nil || strings.Count(string(inv.Effects.Result), "\n") != 599 {
		t.Errorf("600 keys came back as %d bytes, %v", len(inv.Effects.Result), err)
	}
	for i := range 1200 {
		delete(g.view, fmt.Sprintf("many/%0100d", i))
	}
}

func (g *subject) testVerdicts(t *testing.T) {
	inv := g.invocation()
	if err := g.ask(inv, "reject", args("never, naïve")); !errors.Is(err, agent.ErrReject) || !strings.Contains(err.Error(), "never, naïve") {
		t.Errorf("reject: %v", err)
	}
	if err := g.ask(inv, "retry", args("later")); !errors.Is(err, agent.ErrRetry) || !strings.Contains(err.Error(), "later") {
		t.Errorf("retry: %v", err)
	}
	wantFault(t, g.ask(inv, "fail", args("broken")), agent.FaultError, "skerry_handle returned 3: broken")
	wantFault(t, g.ask(inv, "trap", ""), agent.FaultTrap, "")
	wantFault(t, g.ask(inv, "throw", args("seven is bad: 7")), agent.FaultTrap, "seven is bad: 7")
	const why = `publish to "other": not granted; add it to permissions.publish`
	wantFault(t, g.ask(inv, "refused", args("other")), agent.FaultError, why)
	if err := g.ask(inv, "why", args("other")); err != nil || !strings.HasPrefix(string(inv.Effects.Result), "="+why) {
		t.Errorf("why answered %q, %v; want %s", inv.Effects.Result, err, why)
	}
	if err := g.ask(inv, "boot", ""); err != nil || string(inv.Effects.Result) != "=up" {
		t.Errorf("after the trap: %q, %v", inv.Effects.Result, err)
	}
}

func (g *subject) testOutside(t *testing.T) {
	inv := g.invocation()
	ask := func(command string, list ...string) string {
		t.Helper()
		if err := g.ask(inv, command, args(list...)); err != nil {
			t.Errorf("%s %q: %v", command, list, err)
		}
		return string(inv.Effects.Result)
	}
	before := time.Now()
	if got := ask("sleep", "20"); got != "=" || time.Since(before) < 20*time.Millisecond {
		t.Errorf("sleep answered %q after %v", got, time.Since(before))
	}
	if now, err := strconv.ParseInt(strings.TrimPrefix(ask("now"), "="), 10, 64); err != nil || now < before.UnixMilli() || now > time.Now().UnixMilli() {
		t.Errorf("now is %d, %v", now, err)
	}
	one, two := ask("random", "32"), ask("random", "32")
	if len(one) != 33 || len(two) != 33 || one == two {
		t.Errorf("random answered %q and %q", one, two)
	}

	body := strings.Repeat(allBytes[1:128], 300)
	for _, tt := range []struct{ request, want string }{
		{"POST https://api.example.com/v1?a=b\nX-One: 1\n\n" + body, "=201\ntest: 1\n" + body},
		{"GET https://api.example.com/\n\n", "=201\ntest: 1\n"},
		{"GET https://api.example.com/down\n\n", "!io"},
		{"GET https://other.example.com/\n\n", "!denied"},
		{"GET http://api.example.com/\n\n", "!denied"},
		{"GET ftp://api.example.com/\n\n", "!invalid"},
	} {
		if got := ask("http", tt.request); got != tt.want {
			t.Errorf("%.60q answered %.60q (%d bytes), want %.60q", tt.request, got, len(got), tt.want)
		}
	}
	if len(g.web.asked) != 3 {
		t.Fatalf("%d requests were made, want 3", len(g.web.asked))
	}
	r := g.web.asked[0]
	if r.Method != "POST" || r.URL != "https://api.example.com/v1?a=b" || len(r.Header) != 1 || r.Header[0] != (agent.HTTPField{Name: "X-One", Value: "1"}) || string(r.Body) != body {
		t.Errorf("asked %s %s %v, %d bytes", r.Method, r.URL, r.Header, len(r.Body))
	}
}

// jsonCases are a kind, a document and a path: .name is a member, #n an element.
var jsonCases = []struct {
	what, doc string
	path      []string
	want      string
}{
	{"raw", ` {"a" : {"b":[ 1, {"c":"]"}, [] ]} , "x":1}`, []string{".a", ".b", "#1"}, `={"c":"]"}`},
	{"raw", `{"a":{"x":1},"x":[2]}`, []string{".x"}, "=[2]"},
	{"raw", `{"x":1,"x":2}`, []string{".x"}, "=1"},
	{"raw", `{"a\"b":1,"\u0066":-2.5e3,"é":{}}`, []string{".f"}, "=-2.5e3"},
	{"raw", `{"a\"b":1}`, []string{`.a"b`}, "=1"},
	{"raw", `{"\ud83d\ude00":1}`, []string{".😀"}, "=1"},
	{"raw", `{"a\\b":1}`, []string{`.a\b`}, "=1"},
	{"raw", `{"a\b":1}`, []string{`.a\b`}, "!not found"},
	{"raw", `{"é":{}}`, []string{".é"}, "={}"},
	{"raw", `{}`, []string{".a"}, "!not found"},
	{"raw", `{"ab":1}`, []string{".a"}, "!not found"},
	{"raw", `{"a":1}`, []string{".ab"}, "!not found"},
	{"raw", `[]`, []string{"#0"}, "!not found"},
	{"raw", `[1]`, []string{"#1"}, "!not found"},
	{"raw", `[[1,2],3]`, []string{"#1"}, "=3"},
	{"raw", `{"a":"x\"}","b":1}`, []string{".b"}, "=1"},
	{"raw", `5`, []string{".a"}, "!invalid"},
	{"raw", `{"a":1`, []string{".b"}, "!invalid"},
	{"raw", `{"a" 1}`, []string{".a"}, "!invalid"},
	{"raw", `{"a":}`, []string{".a"}, "!invalid"},
	{"raw", `{"b":1,}`, []string{".a"}, "!invalid"},
	{"raw", `{"b":"x`, []string{".a"}, "!invalid"},
	{"raw", `{"b":[1}`, []string{".a"}, "!invalid"},
	{"raw", ``, []string{".a"}, "!invalid"},
	{"text", `{"s":"plain"}`, []string{".s"}, "=plain"},
	{"text", `"\"\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00é"`, nil, "=\"\\/\b\f\n\r\té€😀é"},
	{"text", `"a\ud83dx\ude00"`, nil, "=a\uFFFDx\uFFFD"},
	{"text", `""`, nil, "="},
	{"text", `"\x"`, nil, "!invalid"},
	{"text", `"\u12g4"`, nil, "!invalid"},
	{"text", `5`, nil, "!invalid"},
	{"text", `{}`, []string{".s"}, "!not found"},
	{"bool", `[true,false]`, []string{"#0"}, "=1"},
	{"bool", `[true,false]`, []string{"#1"}, "=0"},
	{"bool", `null`, nil, "!invalid"},
	{"bool", `"true"`, nil, "!invalid"},
	{"int", `-9223372036854775808`, nil, "=-9223372036854775808"},
	{"int", `9223372036854775807`, nil, "=9223372036854775807"},
	{"int", `9223372036854775808`, nil, "!invalid"},
	{"int", `0`, nil, "=0"},
	{"int", `1.0`, nil, "!invalid"},
	{"int", `01`, nil, "!invalid"},
	{"int", `"1"`, nil, "!invalid"},
	{"float", `"31.5"`, nil, "!invalid"},
	{"float", `-`, nil, "!invalid"},
	{"float", `1.`, nil, "!invalid"},
	{"float", `.5`, nil, "!invalid"},
	{"float", `1e`, nil, "!invalid"},
	{"float", `+1`, nil, "!invalid"},
	{"float", `1e999`, nil, "!invalid"},
	{"float", `null`, nil, "!invalid"},
}

func (g *subject) testJSON(t *testing.T) {
	inv := g.invocation()
	for _, tt := range jsonCases {
		err := g.ask(inv, "json", args(append([]string{tt.what, tt.doc}, tt.path...)...))
		if got := string(inv.Effects.Result); got != tt.want || err != nil {
			t.Errorf("%s of %s at %q is %q, %v; want %q", tt.what, tt.doc, tt.path, got, err, tt.want)
		}
	}
	for _, text := range []string{"0", "-0", "31.5", "-40", "1e22", "1.5e-7", "123456789.123456", "0.001", "2E+3", "1e-30", "1.7976931348623157e308", "5e-324", "3.141592653589793238462643", "100000000000000000000000"} {
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.ask(inv, "json", args("float", text)); err != nil || len(inv.Effects.Result) != 9 {
			t.Errorf("%s: %q, %v", text, inv.Effects.Result, err)
			continue
		}
		got := math.Float64frombits(binary.LittleEndian.Uint64(inv.Effects.Result[1:]))
		exact := len(text) < 18 && !strings.Contains(text, "e-3") && !strings.Contains(text, "e308")
		if off := math.Abs(got - want); exact && got != want || off > math.Abs(want)*1e-14 || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// testRandomJSON compares with encoding/json on documents that nobody wrote.
func (g *subject) testRandomJSON(t *testing.T) {
	inv, rnd := g.invocation(), rand.New(rand.NewPCG(1, 2))
	for range 300 {
		doc, err := json.Marshal(randomDoc(rnd, 0))
		if err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(2) == 0 {
			var spaced bytes.Buffer
			if err := json.Indent(&spaced, doc, " ", "\t"); err != nil {
				t.Fatal(err)
			}
			doc = spaced.Bytes()
		}
		var whole any
		if err := json.Unmarshal(doc, &whole); err != nil {
			t.Fatal(err)
		}
		path, what, want := randomPath(rnd, whole)
		err = g.ask(inv, "json", args(append([]string{what, string(doc)}, path...)...))
		if got := string(inv.Effects.Result); got != want || err != nil {
			t.Fatalf("%s of %s at %q is %q, %v; want %q", what, doc, path, got, err, want)
		}
	}
}

func randomDoc(r *rand.Rand, depth int) any {
	names := []string{"a", "b", "temp", "é", "a\"b", "😀", "x\ny", ""}
	switch n := r.IntN(8); {
	case n < 2 && depth < 4:
		doc := map[string]any{}
		for range r.IntN(5) {
			doc[names[r.IntN(len(names))]] = randomDoc(r, depth+1)
		}
		return doc
	case n < 4 && depth < 4:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomDoc(r, depth+1)
		}
		return list
	case n == 4:
		return math.Round(r.NormFloat64()*1e6) / 1e3
	case n == 5:
		return r.IntN(2) == 0
	case n == 6:
		return nil
	}
	return strings.Repeat(names[r.IntN(len(names))], r.IntN(4))
}

// randomPath goes down a document, and tells what is to be found at its end.
func randomPath(r *rand.Rand, doc any) (path []string, what, want string) {
	for {
		switch v := doc.(type) {
		case map[string]any:
			name := "nothing"
			for k := range v {
				name = min(name, k)
			}
			if _, ok := v[name]; !ok {
				return append(path, "."+name), "raw", "!not found"
			}
			path, doc = append(path, "."+name), v[name]
		case []any:
			i := r.IntN(len(v) + 1)
			path = append(path, "#"+strconv.Itoa(i))
			if i == len(v) {
				return path, "raw", "!not found"
			}
			doc = v[i]
		case float64:
			return path, "float", "=" + string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)))
		case bool:
			return path, "bool", map[bool]string{false: "=0", true: "=1"}[v]
		case string:
			return path, "text", "=" + v
		default:
			return path, "raw", "=null"
		}
	}
}

// testMemory runs a guest often: what it leaves behind must be used again.
func (g *subject) testMemory(t *testing.T) {
	inv := g.invocation()
	data := strings.Repeat("z", 300)
	kinds := []struct{ command, data string }{
		{"echo", data},
		{"fields", ""},
		{"config", args("LIMIT")},
		{"set", args("n", data, "0")},
		{"get", args("n")},
		{"list", args("", "0")},
		{"json", args("float", `{"a":[{"b":"`+data+`"}],"c":31.5}`, ".c")},
		{"publish", args("alerts/1", data, "0")},
	}
	round := func(n int) int64 {
		for i := range n {
			if k := kinds[i%len(kinds)]; g.ask(inv, k.command, k.data) != nil {
				t.Fatalf("%s failed: %s", k.command, inv.Effects.Err)
			}
		}
		return inv.Usage.Memory
	}
	events := 10_000
	if wasm.Interpreted() {
		events = 1_000
	}
	round(events) // until the garbage collectors have found their pace
	before := round(1)
	if after := round(events); before <= 0 || after > before {
		t.Errorf("%d events grew the memory from %d to %d bytes", events, before, after)
	}
}

func (g *subject) testStart(t *testing.T) {
	fn := g.fn
	fn.Env = nil
	if err := g.start(fn); err == nil || !strings.Contains(err.Error(), "BOOT is not set") {
		t.Errorf("started without BOOT: %v", err)
	}
}

// alarms are one small function in each language and style: above a threshold
// it asks central for help.
var alarms = []string{"c", "rust", "rust-std", "assemblyscript", "zig", "go", "go-json", "javascript", "wasi-c"}

const (
	hotEvent  = `{"sensor":"s1","line":3,"temp":31.5,"unit":"C","ts":1700000000123,"seq":420,"site":"plant-west","ok":true,"humidity":44.25}`
	coolEvent = `{"sensor":"s1","line":3,"temp":29.5,"unit":"C","ts":1700000000123,"seq":420,"site":"plant-west","ok":true,"humidity":44.25}`
	hotAlarm  = `{"alarm":"hot","sensor":"s1","line":3,"temp":31.5,"limit":30}`
)

func alarmFunction(t testing.TB, s *bench, lang string) agent.Function {
	t.Helper()
	fn := s.function(guestModule(t, "alarm/"+lang))
	fn.Limits.Memory = 32 << 20
	fn.Env = map[string]string{"threshold": "30"}
	fn.Permissions.Invoke = []string{"central/central"}
	return fn
}

func TestAlarms(t *testing.T) {
	for _, lang := range alarms {
		t.Run(lang, func(t *testing.T) {
			s := newBench(t, cached(t))
			fn := alarmFunction(t, s, lang)
			m := s.load(fn)
			inv, err := invoke(m, &fn, view{}, hotEvent)
			want := agent.Effects{Followups: []agent.Followup{{Target: "central", ContentType: "application/json", Data: []byte(hotAlarm)}}}
			if err != nil || !sameDecisions(inv.Effects, want) {
				t.Errorf("decided %+v, %v; want %s", inv.Effects.Followups, err, hotAlarm)
			}
			if inv, err := invoke(m, &fn, view{}, coolEvent); err != nil || !sameDecisions(inv.Effects, agent.Effects{}) {
				t.Errorf("cool: decided %v, %v", inv.Effects, err)
			}
			if _, err := invoke(m, &fn, view{}, `{"temp":"hot"}`); !errors.Is(err, agent.ErrReject) || !strings.Contains(err.Error(), "no number temp") {
				t.Errorf("without a number: %v", err)
			}
		})
	}
}

// BenchmarkAlarm is one event that raises an alarm, in a warm instance, the
// host's side included.
func BenchmarkAlarm(b *testing.B) {
	for _, lang := range alarms {
		b.Run(lang, func(b *testing.B) {
			s := newBench(b, wasm.Options{})
			fn := alarmFunction(b, s, lang)
			m := s.load(fn)
			inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
			ev := event(hotEvent)
			b.ReportAllocs()
			for b.Loop() {
				inv.Begin(ev, "t", 1)
				if err := m.Invoke(context.Background(), inv); err != nil || len(inv.Effects.Followups) != 1 {
					b.Fatal(err, inv.Effects.Followups)
				}
			}
		})
	}
}
