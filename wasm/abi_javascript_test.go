package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// script is JavaScript source as a function with the limits of a manifest that
// states none.
func (s *bench) script(source string) agent.Function {
	fn := agent.Function{Name: "test/script", Digest: s.b.add([]byte(source)), Limits: agent.DefaultLimits, Env: map[string]string{"LIMIT": "30"}}
	fn.Permissions = agent.Permissions{Publish: []string{"alerts/#"}, Invoke: []string{"central/ops", "local/next"}, HTTP: []string{"https://api.example.com"}}
	fn.Limits.Timeout *= slowness / 10 // one start takes seconds where all is emulated
	return fn
}

// keepEngine has one script running, so that the others find the engine ready.
func (s *bench) keepEngine() {
	s.t.Helper()
	fn := s.script(scriptAlarm)
	if _, err := invoke(s.load(fn), &fn, view{}, scriptEvent); err != nil {
		s.t.Fatal(err)
	}
}

const scriptAlarm = `export default function (event, skerry) {
  const { device, temperature } = event.data;
  if (temperature > 30) skerry.publish("alerts/hot", { device, temperature });
}`

const scriptEvent = `{"device":"press-7","temperature":31.5,"unit":"C","ts":1760000000000,"seq":4711,"tags":["hall-2","line-3"],"ok":true,"n":1}`

func TestScript(t *testing.T) {
	s := newBench(t, cached(t))
	fn := s.script(scriptAlarm)
	m := s.load(fn)
	for range 3 {
		inv, err := invoke(m, &fn, view{}, scriptEvent)
		if err != nil {
			t.Fatal(err)
		}
		if p := inv.Effects.Publishes; len(p) != 1 || p[0].Topic != "alerts/hot" || string(p[0].Data) != `{"device":"press-7","temperature":31.5}` {
			t.Fatalf("published %v", p)
		}
		if inv.Usage.Fuel <= 0 || inv.Usage.Memory <= 0 || inv.Usage.Calls < 2 {
			t.Errorf("usage %+v", inv.Usage)
		}
	}
}

// Every call of skerry reaches the agent.
func TestScriptCalls(t *testing.T) {
	s := newBench(t, cached(t))
	fn := s.script(`export default async (event, skerry) => {
		const { state } = skerry;
		skerry.publish("alerts/a", "1", { qos: 1, retain: true });
		skerry.emit("next", { n: 1 });
		skerry.followup("ops", { n: 2 });
		state.set("k", [1], 60);
		state.add("n");
		state.delete("gone");
		await new Promise((r) => setTimeout(r, 1));
		const r = skerry.http({ url: "https://api.example.com/x", method: "PUT", body: { a: 1 } });
		console.warn("careful");
		return [skerry.config("LIMIT"), state.get("k"), state.list("k"), state.cas("k", [1], 2), r.status, await (await fetch("https://api.example.com/")).text(), Math.random() < 1];
	}`)
	m := s.load(fn)
	inv := agent.NewInvocation(&fn, view{"n": []byte("41")}, agent.Outside{Fetch: &fakeWeb{}})
	inv.Begin(event("{}"), "test/trigger", 1)
	if err := m.Invoke(context.Background(), inv); err != nil {
		t.Fatal(err)
	}
	fx := &inv.Effects
	if want := `["30",[1],["k"],true,201,"",true]`; string(fx.Result) != want {
		t.Errorf("result %s, want %s", fx.Result, want)
	}
	got := fmt.Sprintf("%d %v %v %s %s %s %s", fx.Publishes[0].QoS, fx.Publishes[0].Retain, fx.Emits[0].Function, fx.Followups[0].Target, fx.Followups[0].ContentType, fx.Followups[0].Data, fx.Logs[0].Text)
	if want := `1 true test/next ops application/json {"n":2} careful`; got != want {
		t.Errorf("effects %s, want %s", got, want)
	}
}

func TestScriptOutcomes(t *testing.T) {
	s := newBench(t, cached(t))
	s.keepEngine()
	for _, tt := range []struct {
		name, source string
		kind         agent.FaultKind
		verdict      error
		text         string
		frames       bool // the interpreter, which takes 2,000 calls in each other, ends it before its stack is used up
	}{
		{name: "throws", source: `export default () => { throw new TypeError("bad") }`, kind: agent.FaultError, text: "TypeError: bad\n    at "},
		{name: "rejects", source: `export default (e, skerry) => skerry.reject("no")`, verdict: agent.ErrReject, text: "no"},
		{name: "retries", source: `export default (e, skerry) => skerry.retry("busy")`, verdict: agent.ErrRetry, text: "busy"},
		{name: "is not granted", source: `export default (e, skerry) => skerry.publish("other", 1)`, kind: agent.FaultError, text: `Error: publish to "other": not granted; add it to permissions.publish of the function`},
		{name: "is refused state", source: `export default (e, { state }) => { state.set("n", "x"); state.add("n") }`, kind: agent.FaultError, text: "Error: state.add n: "},
		{name: "asks for an address that is not granted", source: `export default (e, skerry) => skerry.http("https://other.example.com/")`, kind: agent.FaultError, text: "permissions.http"},
		{name: "was refused, and fails for another reason", source: `export default (e, skerry) => { try { skerry.publish("other", 1) } catch {}; null.x }`, kind: agent.FaultError, text: "TypeError: cannot read"},
		{name: "loops", source: `export default () => { for (;;); }`, kind: agent.FaultTimeout},
		{name: "loops in promises", source: `export default async () => { for (;;) await 0 }`, kind: agent.FaultTimeout},
		{name: "loops in a regular expression", source: `export default () => /^(a+)+$/.test("a".repeat(40) + "b")`, kind: agent.FaultTimeout},
		{name: "waits too long", source: `export default () => new Promise((r) => setTimeout(r, 1e6))`, kind: agent.FaultTimeout},
		{name: "takes memory", source: `export default () => { const a = []; for (;;) a.push(new Uint8Array(1e6)) }`, kind: agent.FaultError, text: "out of memory; raise limits.memory of the function"},
		{name: "takes memory in small pieces", source: `export default () => { const a = []; for (;;) a.push({ a: a.length }) }`, kind: agent.FaultError, text: "memory"},
		{name: "calls itself", source: `const f = () => f() + 1; export default () => f()`, kind: agent.FaultError, text: "RangeError: Maximum call stack size exceeded"},
		{name: "calls itself through C", source: `const f = () => [1].map(f); export default () => f()`, kind: agent.FaultError, text: "RangeError"},
		{name: "nests a getter", source: `const o = { get a() { return JSON.stringify(o) } }; export default () => o.a`, kind: agent.FaultError, text: "RangeError"},
		{name: "nests proxies", source: `let p = {}; for (let i = 0; i < 1e4; i++) p = new Proxy(p, {}); export default () => p.a`, kind: agent.FaultError, text: "RangeError", frames: true},
		{name: "nests JSON", source: `export default () => JSON.parse("[".repeat(1e6))`, kind: agent.FaultError, text: "stack overflow", frames: true},
		{name: "nests a result", source: `export default () => { let a = []; for (let i = 0; i < 2e4; i++) a = [a]; return a }`, kind: agent.FaultTrap, text: "calls nested too deeply: more than 8192 KiB", frames: true},
		{name: "nests an expression", source: `export default () => new RegExp("(".repeat(1e5))`, kind: agent.FaultError, text: "SyntaxError"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.frames && wasm.Interpreted() {
				tt.kind, tt.text = agent.FaultTrap, tooDeep
				tt.source = strings.Replace(tt.source, "e4", "e3", 1) // is enough
			}
			fn := s.script(tt.source)
			fn.Limits.Memory = 4 << 20 // soon used up
			fn.Limits.Timeout = 3 * slowness * time.Second
			if tt.kind == agent.FaultTimeout {
				fn.Limits.Timeout = 200 * time.Millisecond
			}
			m := s.load(fn)
			for range 2 { // the next run finds an instance in order
				_, err := invoke(m, &fn, view{}, "{}")
				var fault *agent.Fault
				switch {
				case tt.verdict != nil && errors.Is(err, tt.verdict):
				case tt.verdict == nil && errors.As(err, &fault) && fault.Kind == tt.kind:
				default:
					t.Fatalf("%v, kind %v", err, fault)
				}
				if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "skerry_handle") {
					t.Errorf("%v, want %q in it", err, tt.text)
				}
			}
		})
	}
}

func TestScriptRefused(t *testing.T) {
	s := newBench(t, cached(t))
	s.keepEngine()
	for source, want := range map[string]string{
		"export default (":                  "start the module: error: SyntaxError: unexpected token in expression: the end of the file (the module was taken for JavaScript",
		"interface A { b: string }":         "npx esbuild handler.ts",
		"const a = 1":                       "the source exports no handler",
		"import 'left-pad'":                 "bundle it first",
		"for (;;);":                         "ran longer than",
		"skerry.publish('alerts/a', 1)":     "move it into the handler",
		"skerry.state.get('a')":             "move it into the handler",
		"module.exports = 7":                "exports no handler",
		"export default 7; throw new Error": "Error",
	} {
		err := s.start(s.script(source))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", source, err, want)
		}
	}
}

// A fresh instance knows nothing of the last event, and draws other numbers.
func TestScriptIsolation(t *testing.T) {
	s := newBench(t, cached(t))
	fn := s.script(`let n = 0; export default () => [++n, Math.random()]`)
	fn.Isolation = agent.IsolationFresh
	m := s.load(fn)
	seen := map[string]bool{}
	for range 5 {
		inv, err := invoke(m, &fn, view{}, "{}")
		if err != nil {
			t.Fatal(err)
		}
		result := string(inv.Effects.Result)
		if !strings.HasPrefix(result, "[1,") || seen[result] {
			t.Fatalf("result %s after %v", result, seen)
		}
		seen[result] = true
	}
}

// Sources share one engine, and give it back.
func TestScriptsShareTheEngine(t *testing.T) {
	s := newBench(t, cached(t))
	for n := range 3 {
		fn := s.script(fmt.Sprintf("export default () => %d", n))
		m := s.load(fn)
		inv, err := invoke(m, &fn, view{}, "{}")
		if err != nil || string(inv.Effects.Result) != fmt.Sprint(n) {
			t.Errorf("%d: %v %s", n, err, inv.Effects.Result)
		}
	}
}

func TestScriptInterpreted(t *testing.T) {
	opts := cached(t)
	opts.Interpret = true
	s := newBench(t, opts)
	for source, want := range map[string]string{
		scriptAlarm: "",
		`export default () => [1].map(function f(n) { return n < 40 ? [n + 1].map(f) : [] }).flat(99)`: "",
		`const f = () => f() + 1; export default () => { try { f() } catch (e) { throw e.name } }`:     "RangeError",
	} {
		fn := s.script(source)
		fn.Limits.Timeout = 3 * slowness * time.Second
		_, err := invoke(s.load(fn), &fn, view{}, scriptEvent)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
}

func BenchmarkScript(b *testing.B) {
	for _, bb := range []struct{ name, source string }{
		{"alarm", scriptAlarm},
		{"lambda", `exports.handler = async ({ device, temperature }) => { if (temperature > 30) return { device, temperature } }`},
	} {
		for name, isolation := range map[string]agent.Isolation{"warm": agent.IsolationWarm, "fresh": agent.IsolationFresh} {
			b.Run(bb.name+"/"+name, func(b *testing.B) {
				s := newBench(b, wasm.Options{})
				fn := s.script(bb.source)
				fn.Isolation = isolation
				m := s.load(fn)
				inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
				ev := event(scriptEvent)
				b.ReportAllocs()
				for b.Loop() {
					inv.Begin(ev, "t", 1)
					if err := m.Invoke(context.Background(), inv); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkScriptLoad(b *testing.B) {
	s := newBench(b, wasm.Options{})
	fn := s.script(scriptAlarm)
	s.load(fn)
	for b.Loop() {
		loadAndClose(b, s.rt, fn)
	}
}
