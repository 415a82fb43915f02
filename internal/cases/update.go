package cases

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Updated is the file with what happened in the place of what tests expect that
// failed. All else in it stays as it stands there: entries that came as expected, and
// comments. A test that could not be run, or whose functions failed, is left alone.
func (f *File) Updated(outcomes map[*Test]*Outcome) ([]byte, error) {
	end := "\n"
	if bytes.Contains(f.text, []byte("\r\n")) { // it was written on Windows
		end = "\r\n"
	}
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(f.text), end, "\n"), "\n"), "\n")
	for i := len(f.Tests) - 1; i >= 0; i-- { // from the end, so that lines keep their numbers
		t := f.Tests[i]
		o := outcomes[t]
		if o == nil || !t.mendable(o) || len(t.Compare(o)) == 0 {
			continue
		}
		e, err := f.editor(i, lines)
		if err != nil {
			return nil, err
		}
		if err := e.mend(t, o); err != nil {
			return nil, err
		}
		lines = e.lines
	}
	text := []byte(strings.Join(lines, end) + end)
	return text, f.verify(text, outcomes)
}

// mendable tells whether other expectations would make the test pass.
func (t *Test) mendable(o *Outcome) bool {
	return o.Err == nil && !slices.ContainsFunc(o.Notes, func(n Note) bool { return n.Fails })
}

// verify makes sure that a text says what happened, before it takes the place of a file.
func (f *File) verify(text []byte, outcomes map[*Test]*Outcome) error {
	again, err := Parse(f.Path, text)
	if err == nil && len(again.Tests) == len(f.Tests) {
		for i, t := range f.Tests {
			if o := outcomes[t]; o != nil && t.mendable(o) && len(again.Tests[i].Compare(o)) > 0 {
				err = fmt.Errorf("%s:%d: this test cannot be updated as it is written: write each expectation on a line of its own, or by hand", f.Path, t.Line)
			}
		}
	}
	return err
}

// editor changes one test in the lines of a file.
type editor struct {
	lines []string
	test  *yaml.Node
	end   int // line behind the test, from 0
}

func (f *File) editor(i int, lines []string) (*editor, error) {
	n := f.Tests[i].node
	if n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0 {
		return nil, fmt.Errorf("%s:%d: --update writes into tests whose keys stand on lines of their own: write name:, events: and expect: below each other", f.Path, n.Line)
	}
	end := len(lines)
	if i+1 < len(f.Tests) {
		end = f.Tests[i+1].node.Line - 1
	} else if root, err := tree(f.Path, f.text); err == nil {
		for _, key := range root.Content {
			if key.Line > n.Line && key.Line-1 < end && key.Kind == yaml.ScalarNode {
				end = key.Line - 1
			}
		}
	}
	return &editor{lines: lines, test: n, end: end}, nil
}

// mend changes both sections, the one that stands below first.
func (e *editor) mend(t *Test, o *Outcome) error {
	sections := []func(*Test, *Outcome) error{e.expect, e.after}
	_, _, expect, _ := e.section("expect")
	if _, _, after, _ := e.section("after"); after > expect {
		slices.Reverse(sections)
	}
	return errors.Join(sections[0](t, o), sections[1](t, o))
}

// section gives the lines of a key of the test: where it begins, and what is behind it.
// If there is none, both are the end of the test.
func (e *editor) section(name string) (key, value *yaml.Node, from, to int) {
	content := e.test.Content
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value != name {
			continue
		}
		to = e.end
		if i+2 < len(content) {
			to = content[i+2].Line - 1
		}
		from = content[i].Line - 1
		return content[i], content[i+1], from, e.trim(from+1, to)
	}
	to = e.trim(content[0].Line, e.end)
	return nil, nil, to, to
}

// trim leaves out the lines before to that belong to what comes then: comments,
// empty ones, a dash alone.
func (e *editor) trim(from, to int) int {
	for to > from && idle(e.lines[to-1]) {
		to--
	}
	return to
}

func idle(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line == "-" || line[0] == '#'
}

func (e *editor) indent() int { return e.test.Content[0].Column - 1 }

// before is what stands before a key: a dash, if it is the first. Nil is a new one.
func (e *editor) before(key *yaml.Node) string {
	if key == nil {
		return strings.Repeat(" ", e.indent())
	}
	return e.lines[key.Line-1][:key.Column-1]
}

// expect writes what came in the place of what was expected.
func (e *editor) expect(t *Test, o *Outcome) error {
	key, value, from, to := e.section("expect")
	dash := e.indent() + 2
	list := value != nil && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0
	if list {
		dash = value.Content[0].Column - 3
	}
	head := e.before(key) + "expect:"
	if list {
		head = e.lines[key.Line-1]
	}
	out := []string{head}
	pairs := slices.DeleteFunc(t.pairs(o), func(p pair) bool { return p.got < 0 })
	for _, p := range pairs {
		var item *yaml.Node
		switch {
		case p.want >= 0 && len(p.rows) == 0 && list:
			out = append(out, e.item(value, p.want, from+1, to)...)
			continue
		case p.want >= 0 && len(p.rows) == 0:
			item = t.Expect[p.want].node
		case p.want >= 0:
			if list {
				out = append(out, e.above(value, p.want, from+1)...)
			}
			item = t.Expect[p.want].updated(&o.Effects[p.got]).tree()
		default:
			item = t.unexpected(&o.Effects[p.got]).tree()
		}
		text, err := encode(item)
		if err != nil {
			return err
		}
		out = append(out, strings.Repeat(" ", dash)+"- "+text[0])
	}
	if len(pairs) == 0 {
		out = []string{e.before(key) + "expect: []"}
	}
	e.lines = slices.Replace(slices.Clone(e.lines), from, to, out...)
	return nil
}

// item is an entry of a list as it stands there, with the comments above it.
func (e *editor) item(list *yaml.Node, i, first, end int) []string {
	if i+1 < len(list.Content) {
		end = e.trim(first, list.Content[i+1].Line-1)
	}
	return append(e.above(list, i, first), e.lines[list.Content[i].Line-1:end]...)
}

// above are the comments above an entry.
func (e *editor) above(list *yaml.Node, i, first int) []string {
	line := list.Content[i].Line - 1
	return slices.Clone(e.lines[e.trim(first, line):line])
}

// unexpected is an expectation of an effect, with the time if the event does not say it.
func (t *Test) unexpected(e *Effect) *Want {
	w := e.describe()
	if t.when(e) == "" {
		w.At = nil
	}
	return &w
}

// updated is an expectation that says as much of an effect as w does.
func (w *Want) updated(e *Effect) *Want {
	is := e.describe()
	out := Want{Kind: w.Kind}
	if w.Event > 0 {
		out.Event = e.Event
	}
	if w.At != nil {
		out.At = &e.At
	}
	if w.Function != "" {
		out.Function = e.Function
	}
	if w.Trigger != "" {
		out.Trigger = e.Trigger
	}
	for _, f := range shapes[w.Kind].fields {
		if slices.ContainsFunc(w.Fields, func(g Field) bool { return g.Name == f.name }) {
			if value := e.field(f); value != "" {
				out.Fields = append(out.Fields, Field{f.name, value})
			}
		}
	}
	if w.Data != nil {
		if out.Data = is.Data; len(w.Data.differ(e.Data)) == 0 {
			out.Data = w.Data
		} else if w.Data.Form == asPart && is.Data.Form == asJSON {
			out.Data = w.Data.partOf(is.Data)
		}
	}
	return &out
}

// partOf is of data what v says something of, if that is a part of an object.
func (v *Data) partOf(is *Data) *Data {
	want, errWant := parseJSON(v.raw)
	got, errGot := parseJSON(is.raw)
	w, ok := want.(map[string]any)
	g, both := got.(map[string]any)
	if errWant != nil || errGot != nil || !ok || !both {
		return is
	}
	part := map[string]any{}
	for key := range w {
		if value, ok := g[key]; ok {
			part[key] = value
		}
	}
	return &Data{Form: asPart, raw: []byte(textOf(part))}
}

// after writes the state as it is in the place of the one that was expected.
func (e *editor) after(t *Test, o *Outcome) error {
	key, value, from, to := e.section("after")
	if len(t.kept(o)) == 0 {
		return nil
	}
	for i, n := 0, 0; i+1 < len(value.Content); i += 2 {
		entries := value.Content[i+1]
		for j := 0; j+1 < len(entries.Content); j += 2 {
			k := t.After[n]
			n++
			got, err := o.State(k.Function, k.Key)
			if err != nil {
				return err
			}
			if k.Want == nil && got == nil || k.Want != nil && got != nil && len(k.Want.differ(got)) == 0 {
				continue
			}
			entries.Content[j+1] = keptTree(k.Want, got)
		}
	}
	text, err := encode(mapping(value.Style&^yaml.FlowStyle, "after", value))
	if err != nil {
		return err
	}
	text[0] = e.before(key) + text[0]
	for i := range text[1:] {
		text[i+1] = strings.Repeat(" ", e.indent()) + text[i+1]
	}
	e.lines = slices.Replace(slices.Clone(e.lines), from, to, text...)
	return nil
}

// encode writes a node as lines.
func encode(n *yaml.Node) ([]string, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("write an expectation: %w", err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), nil
}
