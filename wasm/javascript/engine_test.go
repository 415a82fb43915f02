package javascript_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
)

const (
	commit  = 0
	reject  = 1
	retry   = 2
	failing = 3
	refused = 99 // by skerry_init
)

// shared compiles the engine once: that takes a second.
var shared = sync.OnceValue(func() func(testing.TB) *machine {
	cache := wazero.NewCompilationCache()
	return func(t testing.TB) *machine {
		return newMachine(t, wazero.NewRuntimeConfig().WithCompilationCache(cache), javascript.Engine())
	}
})

// example is one source and one event.
type example struct {
	name    string
	source  string
	data    string
	outcome uint32
	want    string // result; for another outcome a part of the error text
	none    bool   // no result
	effects string // joined by newlines
	logs    string
}

func runExamples(t *testing.T, examples []example) {
	t.Helper()
	m := shared()(t)
	for _, tt := range examples {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(tt.source)
			in, err := m.load(t, h)
			if err != nil {
				if tt.outcome != refused || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("loading failed: %v", err)
				}
				return
			}
			for range 2 { // a warm instance answers as a new one does
				outcome, err := in.run(tt.data)
				if err != nil || outcome != tt.outcome {
					t.Fatalf("outcome %d, %v, %q; want %d; logs %q", outcome, err, in.err, tt.outcome, in.logs)
				}
				h.check(t, &tt)
				if t.Failed() || tt.logs != "" {
					break
				}
				h.state = map[string][]byte{}
			}
		})
	}
}

func (h *host) check(t *testing.T, tt *example) {
	t.Helper()
	switch {
	case tt.outcome != commit && !strings.Contains(h.err, tt.want):
		t.Errorf("error %q, want %q in it", h.err, tt.want)
	case tt.outcome == commit && string(h.result) != tt.want:
		t.Errorf("result %q, want %q", h.result, tt.want)
	case tt.outcome == commit && h.hasResult == tt.none:
		t.Errorf("has a result: %v", h.hasResult)
	}
	if got := strings.Join(h.effects, "\n"); got != tt.effects {
		t.Errorf("effects %q, want %q", got, tt.effects)
	}
	if got := strings.Join(h.logs, "\n"); got != tt.logs {
		t.Errorf("logs %q, want %q", got, tt.logs)
	}
}

// native makes the source of a handler in the native form.
func native(body string) string {
	return "export default function (event, skerry) {\n" + body + "\n}"
}

func TestEvent(t *testing.T) {
	runExamples(t, []example{
		{
			name: "fields", data: `{"a":1}`, source: native(`return [event.id, event.source, event.type, event.subject, event.topic,
			event.contentType, event.trigger, event.attempt, event.function, event.time.toISOString(), event.data.a]`),
			want: `["e-1","/gw7/mqtt/plant","io.skerry.mqtt","plant/7/temp","plant/7/temp","","plant/hot",1,"plant/alarm","2025-10-09T08:53:20.000Z",1]`,
		},
		{
			name: "JSON of the event", data: `7`, source: native(`return event`),
			want: `{"id":"e-1","source":"/gw7/mqtt/plant","type":"io.skerry.mqtt","subject":"plant/7/temp","time":"2025-10-09T08:53:20.000Z","contentType":"","trigger":"plant/hot","attempt":1,"function":"plant/alarm","data":7}`,
		},
		{name: "text that is no JSON", data: `21.5 C`, source: native(`return typeof event.data + event.data`), want: "string21.5 C"},
		{name: "bytes", data: "\xff\x00", source: native(`return [event.data instanceof Uint8Array, event.data[0], event.bytes().length]`), want: `[true,255,2]`},
		{name: "empty", data: "", source: native(`return JSON.stringify(event.data)`), want: `""`},
		{name: "data is parsed once", data: `{"n":1}`, source: native(`event.data.n++; return event.data`), want: `{"n":2}`},
		{name: "text", data: `{"ü":"€"}`, source: native(`return event.text()`), want: `{"ü":"€"}`},
		{name: "invoked on something else", source: native(`Object.getPrototypeOf(event).id`), outcome: failing, want: "TypeError"},
	})
}

// An event that the function keeps stays what it was.
func TestKeptEvent(t *testing.T) {
	in, err := shared()(t).load(t, newHost(`const kept = [];
		export default (event) => { kept.push(event); return kept.map((e) => [e.id, e.data, e.text()]); }`))
	if err != nil {
		t.Fatal(err)
	}
	in.fields[4] = "first"
	if _, err := in.run(`{"n":1}`); err != nil {
		t.Fatal(err)
	}
	in.fields[4] = "second"
	if _, err := in.run(`2`); err != nil {
		t.Fatal(err)
	}
	if want := `[["first",{"n":1},"{\"n\":1}"],["second",2,"2"]]`; string(in.result) != want {
		t.Errorf("result %s, want %s", in.result, want)
	}
}

func TestContentType(t *testing.T) {
	m := shared()(t)
	for _, tt := range []struct {
		contentType, data, want string
		outcome                 uint32
	}{
		{"application/json", `{"a":1}`, `object [object Object]`, commit},
		{"application/cloudevents+json; charset=utf-8", `[1]`, `object 1`, commit},
		{"application/json", `{"a":`, `SyntaxError`, failing},
		{"application/json", "\"\xff\"", `not UTF-8`, failing},
		{"text/plain", `12`, `string 12`, commit},
		{"text/plain", "\xff", `object 255`, commit},
		{"application/octet-stream", `12`, `object 49,50`, commit},
	} {
		h := newHost(native("return typeof event.data + ' ' + event.data"))
		h.fields[2] = tt.contentType
		in, err := m.load(t, h)
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := in.run(tt.data)
		if got := string(in.result) + in.err; err != nil || outcome != tt.outcome || !strings.Contains(got, tt.want) {
			t.Errorf("%s as %s: %d %q %v, want %d %q", tt.data, tt.contentType, outcome, got, err, tt.outcome, tt.want)
		}
	}
}

func TestResult(t *testing.T) {
	runExamples(t, []example{
		{name: "none", source: native(``), none: true},
		{name: "null", source: native(`return null`), want: "null"},
		{name: "string", source: native(`return "a\n"`), want: "a\n"},
		{name: "object", source: native(`return {a: [1, 2.5, -0.001, 1e21, true, null, "x"], b: undefined}`), want: `{"a":[1,2.5,-0.001,1e+21,true,null,"x"]}`},
		{name: "bytes", source: native(`return new Uint8Array([1, 2, 3]).subarray(1)`), want: "\x02\x03"},
		{name: "buffer", source: native(`return new Uint16Array([0x4241]).buffer`), want: "AB"},
		{name: "promise", source: `export default async (event) => { await null; return {n: await new Promise((r) => r(event.data)) }; }`, data: "5", want: `{"n":5}`},
		{name: "function", source: native(`return () => 1`), outcome: failing, want: "cannot be sent"},
		{name: "cycle", source: native(`const a = {}; a.a = a; return a`), outcome: failing, want: "circular"},
		{name: "bigint", source: native(`return 1n`), outcome: failing, want: "TypeError"},
	})
}

func TestFailures(t *testing.T) {
	runExamples(t, []example{
		{name: "throw", source: native("const x = undefined;\nreturn x.y;"), outcome: failing, want: "TypeError: cannot read property 'y' of undefined\n    at default (function.js:3"},
		{name: "rejected promise", source: `export default async () => { throw new RangeError("too hot") }`, outcome: failing, want: "RangeError: too hot"},
		{name: "throw text", source: native(`throw "no"`), outcome: failing, want: "no"},
		{name: "throw object", source: native(`throw {code: 7}`), outcome: failing, want: `{"code":7}`},
		{name: "throw nothing", source: native(`throw undefined`), outcome: failing},
		{name: "throw what throws", source: native(`throw {toJSON() { throw 1 }}`), outcome: failing, want: "no text"},
		{name: "never settles", source: native(`return new Promise(() => {})`), outcome: failing, want: "never settles"},
		{name: "nobody listens", source: native(`Promise.reject(new Error("lost"))`), outcome: failing, want: "lost"},
		{name: "somebody listens later", source: `export default async () => { const p = Promise.reject(new Error("lost")); await 0; try { await p } catch { return "heard" } }`, want: "heard"},
		{name: "reject", source: native(`skerry.reject("bad event")`), outcome: reject, want: "bad event"},
		{name: "reject, caught", source: native(`try { skerry.reject({bad: 1}) } catch {}; return 1`), outcome: reject, want: `{"bad":1}`},
		{name: "reject, async", source: `export default async (e, skerry) => { await 0; skerry.reject("late") }`, outcome: reject, want: "late"},
		{name: "retry", source: native(`skerry.retry("busy")`), outcome: retry, want: "busy"},
		{name: "microtask", source: native(`queueMicrotask(() => { throw new Error("in a microtask") })`), outcome: failing, want: "in a microtask"},
	})
}

func TestSources(t *testing.T) {
	runExamples(t, []example{
		{name: "top-level await", source: "const n = await Promise.resolve(3);\nexport default () => n", want: "3"},
		{name: "hashbang and mark", source: "\ufeffexport default () => 1", want: "1"},
		{name: "hashbang", source: "#!/usr/bin/env node\nexport default () => 1", want: "1"},
		{name: "comment at the end", source: "exports.default = () => 1; exports.__esModule = true; // end", want: "1"},
		{name: "syntax error", source: "export default function () {\n  return 1 +;\n}", outcome: refused, want: "in expression: ';' (the module was taken for JavaScript because it is text)\n    at function.js:2"},
		{name: "syntax error in CommonJS", source: "exports.handler = (\n", outcome: refused, want: "SyntaxError"},
		{name: "throws", source: "null.x", outcome: refused, want: "TypeError"},
		{name: "rejects", source: "Promise.reject(new Error('at start'))\nexport default () => 1", outcome: refused, want: "at start"},
		{name: "no handler", source: "const a = 1", outcome: refused, want: "exports no handler, and nothing else; write: export default"},
		{name: "empty", source: "", outcome: refused, want: "exports no handler, and nothing else"},
		{name: "others than a handler", source: "export const answer = 42; export const a = (x) => x, b = (x) => x", outcome: refused, want: "exports no handler, only a (function), answer (number), b (function);"},
		{name: "a default that is no function", source: "export default 7", outcome: refused, want: "exports no handler, only default (number);"},
		{name: "module.exports of text", source: "module.exports = 'x'", outcome: refused, want: "exports no handler, but a string;"},
		{name: "module.exports of null", source: "module.exports = null", outcome: refused, want: "exports no handler, and nothing else;"},
		{name: "publishes while loading", source: "skerry.publish('a', 1)", outcome: commit + refused, want: ""},
		{name: "require", source: "require('fs')", outcome: refused, want: "bundle it first"},
		{name: "import", source: "import fs from 'fs'; export default () => fs", outcome: refused, want: "bundle it first"},
		{name: "import skerry", source: "import s, { config } from 'skerry'; export default (e, skerry) => [s === skerry, config('limit')]", want: `[true,"30"]`},
		{name: "eval", source: native(`return eval("1")`), outcome: failing, want: "eval is not supported"},
		{name: "new Function", source: native(`return new Function("return 1")()`), outcome: failing, want: "eval is not supported"},
	})
}

func TestAPI(t *testing.T) {
	runExamples(t, []example{
		{
			name: "publish", source: native(`skerry.publish("a/b", {x: 1}); skerry.publish("a", "t", {qos: 1, retain: true}); skerry.publish("c")`),
			none: true, effects: "publish a/b {\"x\":1} 0\npublish a t 5\npublish c  0",
		},
		{name: "publish is not granted", source: native(`skerry.publish("denied", 1)`), outcome: failing, want: "publish to denied: not granted; name it in permissions.publish"},
		{name: "publish, invalid", source: native(`try { skerry.publish("a", 1, {qos: 9}) } catch (e) { return e.code }`), want: "invalid"},
		{
			name: "emit and follow-up", source: native(`skerry.emit("next", [1]); skerry.followup("ticket", {a: 1}); skerry.followup("raw", "x", "text/csv")`),
			none: true, effects: "emit next [1]\nfollowup ticket application/json {\"a\":1}\nfollowup raw text/csv x",
		},
		{
			name: "config and secrets", source: native(`return [skerry.config("limit"), skerry.config("none"), skerry.secret("token"), skerry.secret("none"), process.env.limit]`),
			want: `["30",null,"s3cret",null,"30"]`,
		},
		{name: "secret, denied", source: native(`return skerry.secret("denied")`), outcome: failing, want: "secrets of the manifest"},
		{
			name: "state", source: native(`const s = skerry.state; const before = s.get("k"); s.set("k", {n: [1]}); s.set("t", "5"); s.set("b", new Uint8Array([255]));
			return [before, s.get("k"), s.get("t"), s.get("b").length, s.bytes("t").length, s.list(), s.list("k"), s.list("", 1)]`),
			want: `[null,{"n":[1]},"5",1,3,["b","k","t"],["k"],["b"]]`,
		},
		{name: "state.add", source: native(`const s = skerry.state; return [s.add("n"), s.add("n", 41), s.get("n"), s.delete("n"), s.get("n")]`), want: `[1,42,42,null,null]`},
		{name: "state.add to text", source: native(`skerry.state.set("n", "x"); skerry.state.add("n")`), outcome: failing, want: "Error: state.add n: \"\\\"x\\\"\" is no whole number\n"},
		{name: "state.add of a part", source: native(`skerry.state.add("n", 0.5)`), outcome: failing, want: "whole numbers"},
		{name: "state.cas", source: native(`const s = skerry.state; return [s.cas("k", undefined, {a: 1}), s.cas("k", undefined, 2), s.cas("k", {a: 1}, "x"), s.get("k")]`), want: `[true,false,true,"x"]`},
		{name: "state of undefined", source: native(`skerry.state.set("k", undefined)`), outcome: failing, want: "use state.delete"},
		{
			name: "log", source: native(`console.log("a", {b: 1}, [2], undefined, null, 3n); console.warn("%s is %d%%", "x", 5, "more"); skerry.log.debug(true); skerry.log("i"); console.error(new TypeError("bad").message)`),
			none: true, logs: "1 a {\"b\":1} [2] undefined null 3n\n2 x is 5% more\n0 true\n1 i\n3 bad",
		},
		{name: "timers", source: `export default () => new Promise((r) => { let n = 0; const i = setInterval(() => { if (++n === 3) { clearInterval(i); r(n) } }, 5) })`, want: "3"},
		{name: "left timer", source: native(`setTimeout(() => {}, 1e6)`), none: true, logs: "2 1 timer was dropped: the run was over; await what they do"},
		{name: "left timers", source: native(`setTimeout(() => {}, 1e6); setTimeout(() => {}, 1e6)`), none: true, logs: "2 2 timers were dropped: the run was over; await what they do"},
		{
			name: "base64", source: native(`return [btoa("hé"), atob("aGk="), Buffer.from("aGk_", "base64").toString("hex"), Buffer.from("€").toString("base64url"), Buffer.concat([Buffer.from("a"), Buffer.from("b")]).toString()]`),
			want: `["aOk=","hi","68693f","4oKs","ab"]`,
		},
		{name: "text", source: native(`return new TextDecoder().decode(new TextEncoder().encode("ü€😀"))`), want: "ü€😀"},
		{name: "uuid", source: native(`return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())`), want: "true"},
		{name: "exit", source: native(`process.exit(1)`), outcome: failing, want: "process.exit(1) was called"},
	})
}

func TestHTTP(t *testing.T) {
	h := newHost(`export default async (event, skerry) => {
		const r = skerry.http({ method: "post", url: "https://api.example.com/v1", headers: { "X-Id": "1\r\nEvil: 1" }, body: { a: 1 } });
		const f = await fetch("https://api.example.com/");
		return [r.status, r.ok, r.headers, r.json(), f.headers.get("X-A"), (await f.json()).big.length];
	}`)
	in, err := shared()(t).load(t, h)
	if err != nil {
		t.Fatal(err)
	}
	h.answer = "201\nX-A: 1\nX-A: 2\n\n" + `{"big":"` + strings.Repeat("x", 9000) + `"}`
	outcome, err := in.run("1")
	want := `[201,true,{"x-a":"1, 2"},{"big":"` + strings.Repeat("x", 9000) + `"},"1, 2",9000]`
	if err != nil || outcome != commit || string(in.result) != want {
		t.Errorf("%d %v %q %.200s", outcome, err, in.err, in.result)
	}
	sent := "http POST https://api.example.com/v1\nContent-Type: application/json\nX-Id: 1 Evil: 1\n\n{\"a\":1}|http GET https://api.example.com/\n\n"
	if got := strings.Join(h.effects, "|"); got != sent {
		t.Errorf("sent %q, want %q", got, sent)
	}
	h.answer = ""
	if outcome, err = in.run("1"); err != nil || outcome != failing || !strings.Contains(in.err, "permissions.http") {
		t.Errorf("denied: %d %v %q", outcome, err, in.err)
	}
}

// The host's reason is what authors are told, and only of the call that failed.
func TestRefusals(t *testing.T) {
	runExamples(t, []example{
		{name: "the host's words", source: native(`skerry.publish("refused", 1)`), outcome: failing, want: "Error: publish to refused: the host has its reasons\n"},
		{name: "words that name the call", source: native(`skerry.publish("refused twice", 1)`), outcome: failing, want: "Error: publish to \"refused twice\": not granted\n"},
		{name: "target", source: native(`skerry.emit("refused", 1)`), outcome: failing, want: "Error: emit to local/refused: the host has its reasons\n"},
		{name: "no words", source: native(`skerry.emit("denied", 1)`), outcome: failing, want: "Error: emit to local/denied: not granted; name it in permissions.invoke"},
		{name: "no name", source: native(`skerry.state.set("", 1)`), outcome: failing, want: "Error: state.set: not valid\n"},
		{name: "limit", source: native(`skerry.state.set("full", 1)`), outcome: failing, want: "state.set full: the key or value is too large, or the state is full"},
		{name: "code", source: native(`try { skerry.publish("refused", 1) } catch (e) { return [e.code, e.message] }`), want: `["denied","publish to refused: the host has its reasons"]`},
		{name: "caught, then another", source: native(`try { skerry.publish("refused", 1) } catch {}; throw new Error("mine")`), outcome: failing, want: "Error: mine\n"},
		{name: "while loading", source: `skerry.publish("refused", 1)`, outcome: refused, want: "publish to refused: works while an event is handled only; move it into the handler"},
	})
	in, err := shared()(t).load(t, newHost(native(`fetch("https://10.0.0.1/").catch(() => {}); skerry.http("https://10.0.0.1/")`)))
	if err != nil {
		t.Fatal(err)
	}
	in.answer = "refused http: the address 10.0.0.1 is not granted"
	if _, err := in.run("1"); err != nil || !strings.HasPrefix(in.err, "Error: http: the address 10.0.0.1 is not granted\n") {
		t.Errorf("%v %q", err, in.err)
	}
}

// A stack shows the author's functions, ten at most.
func TestStack(t *testing.T) {
	m := shared()(t)
	for name, source := range map[string]string{
		"deep":           native(`const f = (n) => { if (n) f(n - 1); else throw new Error("deep") }; f(50)`),
		"recursion":      native(`const f = () => f() + 1; f()`),
		"through skerry": native(`skerry.http({ url: { toString() { throw new Error("mine") } } })`),
		"convention":     `exports.handler = async () => null.x`,
	} {
		in, err := m.load(t, newHost(source))
		if err != nil {
			t.Fatal(err)
		}
		if outcome, err := in.run("1"); err != nil || outcome != failing {
			t.Fatalf("%s: %d %v", name, outcome, err)
		}
		frames := strings.Count(in.err, "\n    at ")
		if frames == 0 || frames > 10 || strings.Contains(in.err, "skerry.js") || !strings.Contains(in.err, "(function.js:") {
			t.Errorf("%s: %d frames: %s", name, frames, in.err)
		}
	}
}

// A source that is no JavaScript says what to do if it is TypeScript.
func TestTypeScript(t *testing.T) {
	m := shared()(t)
	for source, typed := range map[string]bool{
		"export default function (event: Event, name: string) {}":           true,
		"interface Reading { device: string }\nexport default (event) => 1": true,
		"export type Reading = { t: Date };\nexport default (e) => 1":       true,
		"import type { Skerry } from 'skerry'\nexport default (e) => 1":     true,
		"enum Level { Low, High }\nexport default (e) => 1":                 true,
		"export default (event) => (event.data as Reading).device":          true,
		"const f = (x: number): Promise<void> => x; module.exports = f":     true,
		"export default (event) => { return 1 +; }":                         false,
		"exports.handler = (": false,
		"device press-7":      false,
	} {
		_, err := m.load(t, newHost(source))
		if err == nil || !strings.Contains(err.Error(), "taken for JavaScript") {
			t.Fatalf("%s: %v", source, err)
		}
		if got := strings.Contains(err.Error(), "TypeScript must be built first: npx esbuild handler.ts --bundle --format=esm --outfile=handler.js"); got != typed {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// Instances restored from one snapshot must not draw the same random numbers.
func TestRandom(t *testing.T) {
	in, err := shared()(t).load(t, newHost(`const first = Math.random(); export default () => [first, Math.random(), Math.random()]`))
	if err != nil {
		t.Fatal(err)
	}
	size := in.mod.Memory().Size()
	snapshot, _ := in.mod.Memory().Read(0, size)
	snapshot = append([]byte(nil), snapshot...)
	seen := map[string]bool{}
	for range 10 {
		if _, err := in.run("1"); err != nil {
			t.Fatal(err)
		}
		if seen[string(in.result)] {
			t.Fatalf("%s came twice", in.result)
		}
		seen[string(in.result)] = true
		if in.mod.Memory().Size() != size || !in.mod.Memory().Write(0, snapshot) {
			t.Fatal("memory grew, so that this test proves nothing")
		}
	}
}

func TestHostileSources(t *testing.T) {
	runExamples(t, []example{
		{name: "recursion", source: native(`const f = () => f() + 1; try { f() } catch (e) { return e instanceof RangeError && e.message }`), want: "Maximum call stack size exceeded: calls nest at most about 150 deep here"},
		{name: "recursion by calls into C", source: native(`const f = () => [1].map(f); f()`), outcome: failing, want: "RangeError"},
		{name: "recursion by getters", source: native(`const o = {get a() { return JSON.stringify(o) }}; return o.a`), outcome: failing, want: "RangeError"},
		{name: "nested JSON", source: native(`return JSON.parse("[".repeat(1e5))`), outcome: failing, want: "stack overflow"},
		{name: "nested data", data: strings.Repeat("[", 100_000), source: native(`return typeof event.data`), want: "string"},
		{name: "nested result", source: native(`let a = []; for (let i = 0; i < 300; i++) a = [a]; return JSON.stringify(a).length === 602 ? a.length : 0`), want: "1"},
		{name: "nested source", source: "export default () => " + strings.Repeat("(", 100_000), outcome: refused, want: "stack overflow"},
		{name: "nested expression", source: native(`return /` + strings.Repeat("(", 50_000) + `/`), outcome: refused},
		{name: "regular expression", source: native(`return /^(a|b|ab)*c/.test("ab".repeat(10) + "c")`), want: "true"},
		{name: "memory", source: native(`const a = []; for (;;) a.push(new Uint8Array(1e6))`), outcome: failing, want: "out of memory; raise limits.memory of the function"},
		{name: "memory in small pieces", source: native(`const a = []; for (;;) a.push({a: a.length})`), outcome: failing, want: "memory"},
		{name: "long string", source: native(`let s = "x"; for (;;) s += s`), outcome: failing, want: "InternalError"},
		{name: "prototypes", data: `{"__proto__":{"a":1},"b":1}`, source: native(`return [Object.keys(event.data), event.data.a, Object.getPrototypeOf(event.data) === Object.prototype]`), want: `[["__proto__","b"],null,true]`},
		{name: "JSON and JSON.stringify were replaced", source: native(`JSON.stringify = () => "mine"; Object.prototype.toJSON = function () { return 7 }; return {a: 1}`), want: "7"},
		{name: "long error", source: native(`throw new Error("é".repeat(9999))`), outcome: failing, want: "ééé"},
	})
}

// jsonSource says what JSON.parse and JSON.stringify make of a text: in the
// engine's own short cut and, after a newline, in QuickJS.
const jsonSource = `export default (event) => {
	const show = (f) => { try { return f() } catch (e) { return e.name } };
	return show(() => JSON.stringify(JSON.parse(event.text()))) + "\n" +
		show(() => JSON.stringify(JSON.parse(event.text(), (k, v) => v), null, ""));
}`

// FuzzJSON: JSON that the short cut takes on must come out as QuickJS's does.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, ` [ 1 , 2 ] `, `{"a":{"b":[{"c":null}]}}`, `-0`, `0`, `0.5`, `-12.25`, `1e3`, `1E-7`, `123456789012345678`, `0.1`, `99999.999`, `1.0005`,
		`"\u00e9\n\"\\/"`, `"é€😀"`, `"\ud83d"`, `{"é":1}`, `{"1":1,"0":2,"a":3}`, `{"a":1,"a":2}`, `{"":1}`, `true`, `null`, `[true,false]`,
		`2147483648`, `-2147483649`, `999999999999999`, `0.000001`, `123456.789`, `-0.125`, `0.57`, `-0.0`, `{"__proto__":1}`, `{"toJSON":1}`,
		`{`, `[1,]`, `{"a":1,}`, `01`, `1.`, `.5`, `+1`, `-`, `"a`, "\"\n\"", `{a:1}`, `nul`, `[1 2]`, `{} x`, `'a'`, ``, `1 2`, `"\x"`, `tru`, `[,1]`, `1.e5`,
	} {
		f.Add(text)
	}
	in, err := shared()(f).load(f, newHost(jsonSource))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		outcome, err := in.run(text)
		if err != nil || outcome != commit {
			t.Fatalf("%q: %d %v %s", text, outcome, err, in.err)
		}
		if mine, theirs, _ := strings.Cut(string(in.result), "\n"); mine != theirs {
			t.Errorf("%q becomes %s, QuickJS says %s", text, mine, theirs)
		}
	})
}

// FuzzData: whatever comes as an event is data of some kind.
func FuzzData(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\u00e9",null]}`), "")
	f.Add([]byte("\xff\xfe"), "text/plain")
	f.Add([]byte("a\xed\xae\xb5"), "") // half of a pair
	f.Add([]byte("\xf4\x90\x80\x80"), "text/plain")
	f.Add([]byte("plain"), "application/octet-stream")
	f.Add([]byte(`"\ud800"`), strings.Repeat("x", 200))
	h := newHost(native(`const d = event.data; return d instanceof Uint8Array ? d.length : -1`))
	in, err := shared()(f).load(f, h)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, contentType string) {
		h.fields[2] = contentType
		outcome, err := in.run(string(data))
		if outcome == failing && strings.Contains(contentType, "json") {
			outcome = commit // it said so, and it is not
		}
		if err != nil || outcome != commit {
			t.Fatalf("%q as %q: %d %v %s", data, contentType, outcome, err, in.err)
		}
		if n := len(data); !utf8.Valid(data) && string(in.result) != strconv.Itoa(n) && !strings.Contains(contentType, "json") {
			t.Errorf("%q as %q has %s bytes", data, contentType, in.result)
		}
	})
}

// A warm instance must not grow.
func TestWarmMemory(t *testing.T) {
	for _, source := range []string{
		alarm, `exports.handler = async (event) => ({ n: event.temperature })`, native(`throw new Error("x")`),
		native(`skerry.state.set("k", event.data); skerry.state.list(); skerry.secret("token"); return new Promise(() => {})`),
	} {
		in, err := shared()(t).load(t, newHost(source))
		if err != nil {
			t.Fatal(err)
		}
		sizes := []uint32{}
		for i := range 6000 {
			if _, err := in.run(event); err != nil {
				t.Fatal(err)
			}
			if i%2000 == 1999 {
				sizes = append(sizes, in.mod.Memory().Size())
			}
		}
		if sizes[2] != sizes[0] {
			t.Errorf("memory grows: %v after %s", sizes, source)
		}
	}
}

// The engine that is committed is the one that README.md tells how to rebuild.
func TestProvenance(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(javascript.Engine())); !strings.Contains(string(readme), sum) {
		t.Errorf("README.md does not name the engine, sha256 %s", sum)
	}
}
