package when_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
)

var captures = []string{"line", "id"}

// plant is what an expression over reading sees.
func plant(state map[string]string) agent.Terms {
	t := terms(reading)
	t.Event.ID, t.Event.Time = "e7", time.Date(2026, 7, 1, 12, 30, 0, 250e6, time.FixedZone("", 7200))
	t.Trigger = &agent.Trigger{Filter: "site/+/+/raw", Captures: []agent.Capture{{Name: "line", Level: 1}, {Name: "id", Level: 2}}}
	t.State = func(key string) ([]byte, error) {
		if v, ok := state[key]; ok {
			return []byte(v), nil
		}
		if key == "broken" {
			return nil, errors.New("no disk")
		}
		return nil, nil
	}
	return t
}

func TestConditionOverCapturesAndState(t *testing.T) {
	state := map[string]string{"limit": "80", "mode": "away", "last": `{"t":95.25}`}
	for _, tt := range []struct {
		expr           string
		stateless      bool // what the stateless part says; true if there is none
		whole          bool
		parts, failing string
	}{
		{`capture.line == "7" and capture["id"] == "temp"`, true, true, "stateless", ""},
		{`capture.line == "8"`, false, false, "stateless", ""},
		{`int(capture.line) + 1 == 8`, true, true, "stateless", ""},
		{`time == "2026-07-01T10:30:00.250Z" and id == "e7"`, true, true, "stateless", ""},
		{`clock == "trusted"`, true, true, "stateless", ""},
		{`text startsWith "{" and text matches "^.[^}]*temperature"`, true, true, "stateless", ""},
		{`data.temperature > state("limit")`, true, true, "stateful", ""},
		{`data.temperature > 80 and state("mode") == "away"`, true, true, "both", ""},
		{`state("mode") == "home" and data.temperature > 80`, true, false, "both", ""},
		{`state("mode") == "away" and data.temperature > 99 and qos == 1`, false, false, "both", ""},
		{`qos == 0 or state("mode") == "away"`, true, true, "stateful", ""},
		{`state("last").t == data.temperature`, true, true, "stateful", ""},
		{`state("absent") == nil`, true, true, "stateful", ""},
		{`state("last" + "").t > 1 and not state("absent")`, true, true, "stateful", ""},
		{`state(data.unit) == nil`, true, true, "stateful", ""},
		{`any(data.list, # > 2) and (state("limit") ?? 5) == 80`, true, true, "both", ""},
		{`state("broken") == 1`, true, false, "stateful", "no disk"},
		{`state(data.list) == 1`, true, false, "stateful", "string"},
	} {
		less, full, err := when.Language{}.Condition(tt.expr, captures)
		if err != nil {
			t.Errorf("Condition(%s): %v", tt.expr, err)
			continue
		}
		if parts := map[[2]bool]string{{true, false}: "stateless", {false, true}: "stateful", {true, true}: "both"}[[2]bool{less != nil, full != nil}]; parts != tt.parts {
			t.Errorf("%s: parts are %q, want %q", tt.expr, parts, tt.parts)
		}
		got := true
		if less != nil {
			if got, err = less.Match(withoutState(plant(nil))); got != tt.stateless || err != nil {
				t.Errorf("%s without state = %v, %v, want %v", tt.expr, got, err, tt.stateless)
			}
		}
		if full != nil && got {
			got, err = full.Match(plant(state))
		}
		if got != tt.whole || (err != nil) != (tt.failing != "") || err != nil && !strings.Contains(err.Error(), tt.failing) {
			t.Errorf("%s = %v, %v, want %v %s", tt.expr, got, err, tt.whole, tt.failing)
		}
	}
}

// withoutState are those of the router, which has no state.
func withoutState(t agent.Terms) agent.Terms {
	t.State = nil
	return t
}

func TestLanguageRefuses(t *testing.T) {
	condition := func(text string) error { _, _, err := when.Language{}.Condition(text, captures); return err }
	value := func(text string) error { _, err := when.Language{}.Value(text, captures); return err }
	template := func(text string) error { _, err := when.Language{}.Template(text, captures); return err }
	for _, tt := range []struct {
		compile    func(string) error
		text, want string
	}{
		{condition, `capture.lin == "7"`, `unknown capture "lin": the topic of the trigger captures line, id, at column 1`},
		{condition, `capture == "7"`, `capture is not a value: write capture.name`},
		{condition, `capture[topic] == "7"`, `capture is not a value`},
		{condition, `capture.line > 3`, `string and int`},
		{condition, `capture.line.x == 3`, `column`},
		{condition, `capture.line`, `must yield true or false, not string`},
		{condition, `result == 3`, `only templates have it`},
		{condition, `captur.line == "7"`, `did you mean capture?`},
		{condition, `state() == 3`, `not enough arguments`},
		{condition, `state(3) == 3`, `column`},
		{condition, `stat("x") == 3`, `did you mean state?`},
		{condition, `state == 3`, `state is not a value: write state("key")`},
		{condition, `level == 3`, `level is not a value: write level(1)`},
		{condition, `any(data.rooms, state("x") == #)`, `state is not available inside a loop`},
		{condition, `topic() == 3`, `topic is no function: leave the parentheses out`},
		{condition, `data() == 3`, `data is no function`},
		{condition, strings.Repeat("x", 2000), "condition has 2000 bytes, at most 1024"},
		{value, ``, `expression is empty: leave it out, or write one such as`},
		{value, `state("x")`, `state is available in when only`},
		{value, `data.x +`, `at column 8`},
		{value, `temperature`, `did you mean data.temperature?`},
		{template, `{"a":}`, `is not JSON`},
		{template, `"t is ${data.t"`, `template "t is ${data.t": ${ without its }: close it, or write $${ for the two characters, at column 6`},
		{template, `{"a":"t is ${datta.t}"}`, `template "t is ${datta.t}": unknown name "datta": did you mean data? (at column 8)`},
		{template, `{"a":"${data.t +}"}`, `at column 10`},
		{template, `{"a":["line\n${data.t}\n  ${tpoic}"]}`, `did you mean topic?, at line 3 column 5`},
		{template, `"${}"`, `at column 3`},
		{template, `"${state(\"x\")}"`, `state is available in when only, at column 3`},
		{template, `"${capture.x}"`, `unknown capture "x": the topic of the trigger captures line, id, at column 3`},
		{template, `"` + strings.Repeat("x", 20_000) + `"`, `at most 16384`},
		{template, `"` + strings.Repeat("${qos}", 101) + `"`, `101 values, at most 100`},
	} {
		err := tt.compile(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: %v, want one line with %q", tt.text, err, tt.want)
		}
	}
	_, _, err := when.Language{}.Condition(`capture.line == "7"`, nil)
	if want := `unknown capture "line": the topic of the trigger captures nothing, write a level of it as {line}`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestValue(t *testing.T) {
	for _, tt := range []struct {
		expr, data string
		want       any
		failing    string
	}{
		{`data.temperature`, reading, 95.25, ""},
		{`data.nested`, reading, map[string]any{"level": map[string]any{"deep": 7.0}}, ""},
		{`data.list[-1]`, reading, 2.0, ""},
		{`data`, `[1,"x"]`, []any{1.0, "x"}, ""},
		{`data`, `hello`, nil, ""},
		{`data.unit`, `{"unit":"\u00b0C"}`, "°C", ""},
		{`data.absent`, reading, nil, ""},
		{`capture.line + "/" + capture.id`, reading, "7/temp", ""},
		{`[data.ok, qos, retained, {"n": size - size}]`, reading, []any{true, 1, false, map[string]any{"n": 0}}, ""},
		{`data.list[0:2]`, reading, []any{3.0, 1.0}, ""},
		{`[1, 2, 3]`, reading, []any{1, 2, 3}, ""},
		{`round(data.temperature / 10)`, reading, 10.0, ""},
		{`data.temperature / 0`, reading, nil, "no number"},
		{`[1, {"x": [0 / data.zero]}]`, `{"zero":0}`, nil, "no number"},
		{`data.absent * 2`, reading, nil, "<nil>"},
		{`data.nothing ?? "none"`, reading, "none", ""},
		{`"fixed"`, reading, "fixed", ""},
		{`level(1)`, reading, "7", ""},
		{`level(int(level(1)) - 6)`, reading, "7", ""},
	} {
		v, err := when.Language{}.Value(tt.expr, captures)
		if err != nil {
			t.Errorf("Value(%s): %v", tt.expr, err)
			continue
		}
		in := plant(nil)
		in.Event.Data = []byte(tt.data)
		got, err := v.Value(in)
		if !reflect.DeepEqual(got, tt.want) || (err != nil) != (tt.failing != "") || err != nil && !strings.Contains(err.Error(), tt.failing) {
			t.Errorf("%s = %#v, %v, want %#v %s", tt.expr, got, err, tt.want, tt.failing)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, tt := range []struct{ template, result, want string }{
		{`{"t":"${data.temperature}","line":"${capture.line}"}`, ``, `{"t":95.25,"line":"7"}`},
		{
			`{"text": "line ${capture.line} is at ${data.temperature} \"${data.unit}\"", "n": [1, null]}`, ``,
			`{"text":"line 7 is at 95.25 \"C\"","n":[1,null]}`,
		},
		{`"line ${capture.line}: ${data.temperature} ${data.ok}"`, ``, `line 7: 95.25 true`},
		{`"${data.unit}"`, ``, `C`},
		{`"${data.nested}"`, ``, `{"level":{"deep":7}}`},
		{`"${data.big}"`, ``, `9007199254740993`},
		{`{"b":"${data.big}","at ${capture.id}":1,"${data.unit}":2}`, ``, `{"b":9007199254740993,"at temp":1,"C":2}`},
		{`"${data.absent}"`, ``, `null`},
		{`{"a":"${data.absent}","b":"is ${data.absent}"}`, ``, `{"a":null,"b":"is null"}`},
		{`"${data.absent ?? ''}"`, ``, ``},
		{`"costs $5, $${data.x} and $$"`, ``, `costs $5, ${data.x} and $$`},
		{`{"a":"$${x}"}`, ``, `{"a":"${x}"}`},
		{`{"a":"a \u003c b \u0026 ${\"<\"}"}`, ``, `{"a":"a < b & <"}`},
		{`{"a":"${ {\"x\": \"}\"} }"}`, ``, `{"a":{"x":"}"}}`},
		{`"${result.score}"`, `{"score":0.5}`, `0.5`},
		{`{"r":"${result}"}`, `{"score": 0.5}`, `{"r":{"score":0.5}}`},
		{`{"r":"${result}"}`, `no JSON "at all"`, `{"r":"no JSON \"at all\""}`},
		{`"${result}"`, `plain`, `plain`},
		{`{"r":"${result}"}`, ``, `{"r":null}`},
		{`{"r":"${result ?? data.ok}"}`, ``, `{"r":true}`},
		{`{"all":"${data.list}","in":"of ${data.list}"}`, ``, `{"all":[3,1,2],"in":"of [3,1,2]"}`},
		{`["${data.temperature > 80}", 5, {}]`, ``, `[true,5,{}]`},
		{`7`, ``, `7`},
		{`""`, ``, ``},
	} {
		m, err := when.Language{}.Template(tt.template, captures)
		if err != nil {
			t.Errorf("Template(%s): %v", tt.template, err)
			continue
		}
		in := plant(nil)
		if tt.result != "" {
			in.Result = []byte(tt.result)
		}
		for range 2 {
			if got, err := m.Render(in); err != nil || string(got) != tt.want {
				t.Errorf("%s = %s, %v, want %s", tt.template, got, err, tt.want)
			}
		}
	}
}

func TestTemplateThatFails(t *testing.T) {
	for _, tt := range []struct{ template, want string }{
		{`{"a":"${data.unit + 1}"}`, `template, at ${data.unit + 1}: `},
		{`"${1 / (qos - qos)}"`, `no number`},
		{`"` + strings.Repeat("${data.long}", 20) + `"`, "makes more than 1048576 bytes"},
	} {
		m, err := when.Language{}.Template(tt.template, nil)
		if err != nil {
			t.Fatal(err)
		}
		in := terms(fmt.Sprintf(`{"unit":"C","long":%q}`, strings.Repeat("x", 100_000)))
		if out, err := m.Render(in); out != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %d bytes, %v, want %s", tt.template, len(out), err, tt.want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(`{"t":"${data.temperature}","x":["$${", "at ${capture.line}", 1.5]}`, reading, `{"a":1}`)
	f.Add(`"${result} is ${data.list[0] + 1} on ${topic}"`, reading, `no JSON`)
	f.Add(`{"${data.unit}":"${ {\"x\": data} }"}`, `{"unit":"\"\n"}`, ``)
	f.Fuzz(func(t *testing.T, text, data, result string) {
		m, err := when.Language{}.Template(text, captures)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Template(%q): error of several lines: %v", text, err)
			}
			return
		}
		in := plant(nil)
		in.Event.Data, in.Result = []byte(data), []byte(result)
		out, err := m.Render(in)
		if err == nil && !strings.HasPrefix(strings.TrimSpace(text), `"`) && !json.Valid(out) {
			t.Errorf("%s on %q makes %q", text, data, out)
		}
	})
}

func FuzzValue(f *testing.F) {
	f.Add(`[data.list, capture.line, {"n": qos}]`, reading)
	f.Add(`round(data.temperature / 10) ?? data["nested"]["level"]`, reading)
	f.Fuzz(func(t *testing.T, text, data string) {
		v, err := when.Language{}.Value(text, captures)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("Value(%q): error of several lines: %v", text, err)
			}
			return
		}
		in := plant(nil)
		in.Event.Data = []byte(data)
		first, err := v.Value(in)
		again, errAgain := v.Value(in)
		if !reflect.DeepEqual(first, again) || (err == nil) != (errAgain == nil) {
			t.Errorf("%q on %q gives %v, %v, then %v, %v", text, data, first, err, again, errAgain)
		}
	})
}
