package agent_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// decodedAt is what encoding/json finds at path.
func decodedAt(data []byte, path []agent.Step) (value any, found bool) {
	if json.Unmarshal(data, &value) != nil {
		return nil, false
	}
	for _, step := range path {
		switch in := value.(type) {
		case map[string]any:
			if value, found = in[step.Name]; !found || step.Element {
				return nil, false
			}
		case []any:
			i := step.Index
			if i < 0 {
				i += len(in)
			}
			if !step.Element || i < 0 || i >= len(in) {
				return nil, false
			}
			value = in[i]
		default:
			return nil, false
		}
	}
	return value, true
}

// compareField tells what Field finds apart from what encoding/json does.
func compareField(t *testing.T, data []byte, path []agent.Step) {
	t.Helper()
	want, found := decodedAt(data, path)
	ev := &agent.Event{Data: data}
	for range 2 { // what is noted of the first time must be right
		raw := ev.Field(path)
		if !found {
			if raw != nil {
				t.Fatalf("%q at %v: got %q, want nothing", data, path, raw)
			}
			continue
		}
		var got any
		if err := json.Unmarshal(raw, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q at %v: got %q (%v), want %v", data, path, raw, err, want)
		}
	}
	if once := agent.FieldOf(data, path); (once != nil) != found {
		t.Fatalf("%q at %v: found once %q, want %v", data, path, once, found)
	}
}

// steps reads "a.b[0].-1" as a path: numbers in brackets are elements.
func steps(text string) (path []agent.Step) {
	for part := range strings.SplitSeq(text, ".") {
		name, index, isList := strings.Cut(part, "[")
		if name != "" || !isList {
			path = append(path, agent.Step{Name: name})
		}
		if i, err := strconv.Atoi(strings.TrimSuffix(index, "]")); isList && err == nil {
			path = append(path, agent.Step{Index: i, Element: true})
		}
	}
	return path
}

var documents = []string{
	``, ` `, `{}`, `[]`, `null`, `7`, `-0`, `01`, `1.`, `.5`, `-`, `1e5`, `1e999`, `-1E-999`, `"x`, `"x"`, `tru`, `true `, `truex`,
	`{"a":1}`, `{"a":1,}`, `{"a":1,"a":2}`, `{"a":{"x":1},"a":{"y":2}}`, `{"a" : [ 1 , {"b":null} ] }`, `{"a":1} x`, `{a:1}`, `{"a"}`, `{,}`,
	`{"\u0061":3}`, `{"a":1,"\u0061":3}`, `{"\ud800":1,"�":2}`, "{\"\xff\":1,\"�\":2}", "{\"a\":\"\x01\"}", "{\"a\":\"\x7f\"}",
	`{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, `{"a":"\\"}`, `{"":{"":5}}`, `{"a\"b":1}`, `{"é":1}`,
	`{"a":1,"b":1e400}`, `{"a":[[],[[]],{}]}`, `[1,2,[3,{"a":4}]]`, "\t\r\n{ \"a\" :\n1 }\v", "\ufeff{}", `[1,]`, `[,1]`, `[1 2]`, `{"a":--1}`,
	`{"b":` + strings.Repeat("1", 309) + `,"a":1}`, `{"b":` + strings.Repeat("9", 309) + `,"a":1}`, `{"b":0.` + strings.Repeat("0", 400) + `1,"a":1}`,
	strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	`{"a":` + strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999) + `}`, `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
	strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat("}", 10_000), strings.Repeat(`{"a":`, 10_001) + `1` + strings.Repeat("}", 10_001),
}

var paths = []string{"a", "a.x", "a.y", "a[0]", "a[1].b", "[0]", "[-1]", "[2][-1].a", "[-4]", "", ".", "�", `a"b`, "é", "b"}

func TestFieldIsWhatJSONHas(t *testing.T) {
	for _, doc := range documents {
		compareField(t, []byte(doc), nil)
		for _, path := range paths {
			compareField(t, []byte(doc), steps(path))
		}
	}
}

func TestFieldOfReplacedData(t *testing.T) {
	ev := &agent.Event{Data: []byte(`{"a":1,"b":2}`)}
	ev.Field(steps("b"))
	ev.Data = []byte(`{"b":3}`)
	if got := ev.Field(steps("b")); string(got) != "3" {
		t.Errorf("b = %s, want 3", got)
	}
}

func FuzzField(f *testing.F) {
	for i, doc := range documents {
		if len(doc) < 1000 {
			f.Add([]byte(doc), paths[i%len(paths)])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		compareField(t, data, nil)
		compareField(t, data, steps(path))
		for range 3 { // somewhere in the document
			compareField(t, data, anyPath(data))
		}
	})
}

// anyPath leads to a place that encoding/json knows.
func anyPath(data []byte) (path []agent.Step) {
	var value any
	_ = json.Unmarshal(data, &value)
	for {
		switch in := value.(type) {
		case map[string]any:
			var name string
			for name = range in {
				break
			}
			value = in[name]
			path = append(path, agent.Step{Name: name})
		case []any:
			if len(in) == 0 {
				return path
			}
			i := rand.IntN(2*len(in)) - len(in)
			path = append(path, agent.Step{Index: i, Element: true})
			value = in[(i+len(in))%len(in)]
		default:
			return path
		}
		if rand.IntN(4) == 0 {
			return path
		}
	}
}
