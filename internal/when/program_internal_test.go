package when

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/expr-lang/expr/ast"

	"github.com/skerry-edge/skerry/agent"
)

// programOf compiles a condition as one program of expr, past all that is ours.
func programOf(text string) (operand, error) {
	l, root, err := parse(text, inCondition, nil)
	if err != nil {
		return nil, err
	}
	ast.Walk(&root, l)
	return l.operand(root), l.err
}

var conditions = []string{
	`data.t > 20`, `data.t <= data.u`, `20 > data.t`, `data.t == 20 or data.u != "C"`, `data.t == nil and not data.ok`,
	`data.ok == true`, `data.u < "D"`, `data.u in ["C", "°C", nil, 7, -2.5, false]`, `data in [20, "on"]`, `data.l == data.l`,
	`data.l[0] > 2 and data.l[-1] >= 1`, `data.o.x.y == "z"`, `data["t"] > 1e3`, `data.l[data.i] == 1`, `not (data.t > 3 ? data.ok : data.u)`,
	`data`, `data > 20`, `data.t * 2 > 3`, `(data.t ?? 7) == 7`, `any(data.l, # > 1) and data.ok`, `topic == data.u and qos < data.t`,
	`data?.o?.x != data.o`, `data.t > nil`, `nil == data`, `retained == data.ok`, `level(1) == data.u`, `"a" == data`, `data.u > topic`,
	`any(map(filter(data.l, # > 1), qos), # == 1) and sum(data.l) > 2`, `data.t >= 0 / 0`, `data.t > 0 / 0`, `data.t != 0 / 0`, `data.t in [0 / 0]`, `data.t < 1 / 0`,
}

var events = []string{
	`{"t":21.5,"u":"C","ok":true,"l":[3,1,2],"i":1,"o":{"x":{"y":"z"}}}`, `{"t":"x","u":7,"ok":"no","l":{},"o":null}`, `{"t":20,"u":"\u00b0C","ok":null}`,
	`{"t":-0.0,"u":"C ","l":[]}`, `21`, `"on"`, `true`, `null`, `[]`, ``, `{"t":1e400}`, `{"u":"a","t":9007199254740993}`, `{"u":"\ud800"}`,
}

// compareProgram tells what our tests and operands make of a condition apart
// from what expr makes of it.
func compareProgram(t *testing.T, text, data string) {
	t.Helper()
	program, err := programOf(text)
	ours, _, ourErr := Language{}.Condition(text, nil)
	if err != nil || ourErr != nil || ours == nil { // it may yield no truth, or look at state
		return
	}
	in := agent.Terms{Event: &agent.Event{Subject: "a/C", QoS: 1, Data: []byte(data)}}
	var want bool
	v, err := program.value(in)
	if err == nil {
		want, err = truth(v)
	}
	got, ourErr := ours.Match(in)
	if got != want && err == nil || (err == nil) != (ourErr == nil) {
		t.Errorf("%s on %s = %v, %v; expr says %v, %v", text, data, got, ourErr, want, err)
	}
}

func TestConditionsAreWhatExprMakesOfThem(t *testing.T) {
	for _, text := range conditions {
		for _, data := range events {
			compareProgram(t, text, data)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for i, text := range conditions {
		f.Add(text, events[i%len(events)])
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		if !strings.Contains(text, "state") { // what is apart from it comes first
			compareProgram(t, text, data)
		}
	})
}

// FuzzScalar reads a value without and with encoding/json.
func FuzzScalar(f *testing.F) {
	for _, text := range []string{`-0`, `0.1`, `123456789012345`, `1234567890123456`, `0.000001`, `-12.50`, `1e-7`, `"a"`, `"\u00e9"`, "\"\xff\"", `[1]`, ` true `} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want any
		if json.Unmarshal(data, &want) != nil {
			want = nil
		}
		in := agent.Terms{Event: &agent.Event{Data: data}}
		got, err := (&field{}).value(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %#v, %v, want %#v", data, got, err, want)
		}
		s := (&field{}).scalar(in)
		if s.kind == other {
			return
		}
		if got = s.plain(); !reflect.DeepEqual(got, want) || s.kind == numeric && math.Signbit(s.num) != math.Signbit(want.(float64)) {
			t.Errorf("%q is %#v as a scalar, want %#v", data, got, want)
		}
	})
}
