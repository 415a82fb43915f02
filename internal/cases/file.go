package cases

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Suffix is how the names of files with tests end.
const Suffix = "_test.yaml"

// File is one file of tests.
type File struct {
	Path  string
	App   string // path of the manifest
	Tests []*Test

	text []byte
}

// Test gives events, and says what functions are to do.
type Test struct {
	Name    string
	Line    int
	Start   time.Time
	Env     map[string]string            // over the settings of the functions
	Secrets map[string]string            // by name
	State   map[string]map[string][]byte // before: by function, and key; those that begin with "/" are shared
	Events  []Event
	Until   time.Duration // the clock goes on so far after the last event
	Expect  []Want
	After   []Kept // state afterwards

	node *yaml.Node
}

// Kept is a key of the state, and what it is to be.
type Kept struct {
	Line          int
	Function, Key string
	Want          *Data // nil: there is no such key
}

// usualStart is when tests begin that do not say: a Monday morning.
var usualStart = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

// IsTest tells whether text is a file of tests, right or wrong: nobody misses one for
// a slip in its head. Other programs, too, call files so.
func IsTest(text []byte) bool {
	root, err := tree("", text)
	if err != nil {
		return strings.Contains(string(text), "kind: Test") || strings.Contains(string(text), "apiVersion: skerry/")
	}
	var version, kind string
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "apiVersion":
			version = root.Content[i+1].Value
		case "kind":
			kind = root.Content[i+1].Value
		}
	}
	return kind == "Test" || strings.HasPrefix(version, "skerry/") && kind != "App" && kind != "Fleet"
}

// Parse reads a file of tests. The error joins one sentence for each fault.
func Parse(path string, text []byte) (*File, error) {
	root, err := tree(path, text)
	if err != nil {
		return nil, err
	}
	f := &File{Path: path, text: text}
	d := &decoder{file: path}
	var version, kind string
	app := "app.yaml"
	d.object(root, "", keys{
		"apiVersion": d.text(&version), "kind": d.text(&kind), "app": d.text(&app),
		"tests": func(n *yaml.Node, path string) {
			d.list(n, path, func(n *yaml.Node, path string) { f.Tests = append(f.Tests, d.test(n, path)) })
		},
	})
	switch {
	case root.Kind == yaml.MappingNode && (version != "skerry/v1" || kind != "Test"):
		d.problems = nil // they are of something else
		d.fail(root, "", "it says apiVersion %.40q and kind %.40q: start it with apiVersion: skerry/v1 and kind: Test", version, kind)
	case len(f.Tests) == 0 && len(d.problems) == 0:
		d.fail(root, "", "it has no tests: give it tests: [{name: …, events: […], expect: […]}]")
	}
	if f.App = app; !filepath.IsAbs(app) {
		f.App = filepath.Join(filepath.Dir(path), app)
	}
	d.unique(f.Tests)
	return f, d.err()
}

// Is tells whether text is what the file was read from.
func (f *File) Is(text []byte) bool { return bytes.Equal(f.text, text) }

// unique refuses names that two tests have.
func (d *decoder) unique(tests []*Test) {
	lines := map[string]int{}
	for i, t := range tests {
		path := fmt.Sprintf("tests[%d].name", i)
		switch line, twice := lines[t.Name]; {
		case t.Name == "":
			d.fail(t.node, path, "every test has a name, one sentence that says what holds")
		case twice:
			d.fail(t.node, path, "the test on line %d has the same name: give one of them another", line)
		}
		lines[t.Name] = t.Line
	}
}

func (d *decoder) test(n *yaml.Node, path string) *Test {
	t := &Test{Start: usualStart, Line: n.Line, node: n}
	before := len(d.problems)
	d.object(n, path, keys{
		"name": d.text(&t.Name), "env": d.texts(&t.Env), "secrets": d.texts(&t.Secrets),
		"start": func(n *yaml.Node, path string) {
			at, err := time.Parse(time.RFC3339, n.Value)
			if err != nil || at.Year() < 2026 || at.Year() > 2200 {
				d.fail(n, path, "expected a time from 2026 on, such as 2026-06-01T08:00:00Z, not %s", kindOf(n))
				return
			}
			t.Start = at
		},
		"state": func(n *yaml.Node, path string) {
			t.State = map[string]map[string][]byte{}
			d.states(n, path, func(function, key string, n *yaml.Node, path string) {
				if want := d.kept(n, path); want != nil {
					if t.State[function] == nil {
						t.State[function] = map[string][]byte{}
					}
					t.State[function][key] = want.raw
				} else {
					d.fail(n, path, "it is empty: give it a value, or remove the key")
				}
			})
		},
		"events": func(n *yaml.Node, path string) {
			d.list(n, path, func(n *yaml.Node, path string) { t.Events = append(t.Events, d.event(n, path, t.Events)) })
		},
		"until": d.length(&t.Until),
		"expect": func(n *yaml.Node, path string) {
			d.list(n, path, func(n *yaml.Node, path string) { t.Expect = append(t.Expect, d.want(n, path)) })
		},
		"after": func(n *yaml.Node, path string) {
			d.states(n, path, func(function, key string, n *yaml.Node, path string) {
				t.After = append(t.After, Kept{n.Line, function, key, d.kept(n, path)})
			})
		},
	})
	numbered := len(t.Events) > 0 || len(d.problems) == before // else what they are called is wrong
	for i := range t.Expect {
		if w := &t.Expect[i]; numbered && w.Event > len(t.Events) {
			d.fail(w.node, fmt.Sprintf("%s.expect[%d].event", path, i), "there is no event %d: the test has %d", w.Event, len(t.Events))
		}
	}
	return t
}

// states reads values by function and key.
func (d *decoder) states(n *yaml.Node, path string, each func(function, key string, n *yaml.Node, path string)) {
	d.pairs(n, path, func(function, value *yaml.Node, path string) {
		d.pairs(value, path, func(key, value *yaml.Node, path string) {
			if key.Value == "" {
				d.fail(key, path, "a key of the state is not empty")
			}
			each(function.Value, key.Value, value, path)
		})
	})
}

// kept reads a value of the state: a text, {json: …} or {base64: …}; nil is none.
func (d *decoder) kept(n *yaml.Node, path string) *Data {
	v := &Data{Form: asText}
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return nil
	case n.Kind == yaml.ScalarNode:
		v.raw = []byte(n.Value)
	case n.Kind == yaml.MappingNode && len(n.Content) == 2:
		d.object(n, path, keys{
			"json":   func(n *yaml.Node, path string) { v.Form, v.raw = asJSON, d.appendJSON(nil, n, path, 0) },
			"base64": func(n *yaml.Node, path string) { v.Form = asBytes; d.base64(&v.raw)(n, path) },
		})
	default:
		d.fail(n, path, `a value of the state is a text in quotes, {json: …} or {base64: "…"}`)
	}
	return v
}
