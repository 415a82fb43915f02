package fleetsync

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills a struct from a tree and collects everything that is wrong.
// Unknown keys, keys given twice, wrong kinds of values, anchors and aliases
// are refused; keys are the json tags, in their exact case.
type decoder struct {
	file     string
	lines    map[string]int  // of each path that was read
	unread   map[string]bool // paths at which the value could not be read
	problems []*DocumentError
}

const maxProblems = 20

// fail adds what a check found at path, unless the value, or what it is in,
// could not be read at all: that was told, and what a check says of the zero in its place misleads.
func (d *decoder) fail(path, format string, args ...any) {
	for at := path; at != ""; at = parent(at) {
		if d.unread[at] {
			return
		}
	}
	d.add(d.line(path), path, fmt.Sprintf(format, args...))
}

// parent is the path of what contains path.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// failInstead is fail for a check that knows better than what was told of path.
func (d *decoder) failInstead(path, format string, args ...any) {
	d.problems = slices.DeleteFunc(d.problems, func(p *DocumentError) bool { return p.Path == path })
	d.add(d.line(path), path, fmt.Sprintf(format, args...))
}

// failAt is what decoding calls when it cannot read the value at path.
func (d *decoder) failAt(line int, path, reason string) {
	d.unread[path] = true
	d.add(line, path, reason)
}

func (d *decoder) add(line int, path, reason string) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, &DocumentError{File: d.file, Line: line, Path: path, Reason: reason})
	}
}

// line is where path stands, or else what contains it.
func (d *decoder) line(path string) int {
	for path != "" {
		if n, ok := d.lines[path]; ok {
			return n
		}
		path = parent(path)
	}
	return d.lines[""]
}

// err joins the problems in the order of their lines; nil if there are none.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b *DocumentError) int { return cmp.Compare(a.Line, b.Line) })
	errs := make([]error, len(d.problems))
	for i, p := range d.problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if d.lines[path] = n.Line; d.aliased(n, path) {
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.failAt(n.Line, path, "it is empty: give it a value or remove the key")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, text, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Interface:
		if value := d.anything(n, path, 0); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		d.scalar(n, v, path)
	}
}

func (d *decoder) aliased(n *yaml.Node, path string) bool {
	if n.Kind != yaml.AliasNode && n.Anchor == "" {
		return false
	}
	d.failAt(n.Line, path, "anchors and aliases are not read: write the value out")
	return true
}

// text accepts whole numbers too: a size may be written without quotes.
func (d *decoder) text(n *yaml.Node, v encoding.TextUnmarshaler, path string) {
	tag := n.ShortTag()
	if n.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!int" {
		d.failAt(n.Line, path, "expected a text such as 32Mi or 2s, not "+kindOf(n))
		return
	}
	if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		d.failAt(n.Line, path, err.Error())
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.failAt(n.Line, path, "expected keys with values, not "+kindOf(n)+"; "+knownKeys(fields))
		return
	}
	d.pairs(n, path, func(key, value *yaml.Node, path string) {
		if i, ok := fields[key.Value]; ok {
			d.decode(value, v.Field(i), path)
			return
		}
		d.failAt(key.Line, path, unknownKey(v.Type(), key.Value, fields))
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, path, func(key, value *yaml.Node, path string) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(value, item, path)
		v.SetMapIndex(reflect.ValueOf(key.Value), item)
	})
}

// pairs calls each for every key of a mapping, after checking the keys.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, path string)) {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.failAt(n.Line, path, "expected keys with values, not "+kindOf(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := join(path, key.Value)
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.ShortTag() != "!!str" {
			d.failAt(key.Line, sub, "a key must be a text: put it in quotes")
			continue
		}
		if line, twice := first[key.Value]; twice {
			d.failAt(key.Line, sub, fmt.Sprintf("it is given twice, first on line %d: remove one", line))
			continue
		}
		first[key.Value] = key.Line
		each(key, value, sub)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		reason := "expected a list, not " + kindOf(n)
		if n.Kind == yaml.ScalarNode {
			reason += fmt.Sprintf(": write [%.80s]", n.Value)
		}
		d.failAt(n.Line, path, reason)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.decode(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	want, ok := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false",
		reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Float64: "a number",
	}[v.Kind()]
	if ok && n.Kind == yaml.ScalarNode && setScalar(n, v) {
		return
	}
	hint := ""
	if v.Kind() == reflect.String && n.Kind == yaml.ScalarNode {
		hint = fmt.Sprintf(": put it in quotes, %q", n.Value)
	}
	d.failAt(n.Line, path, "expected "+want+", not "+kindOf(n)+hint)
}

// setScalar tells whether the scalar fits v, and sets it.
func setScalar(n *yaml.Node, v reflect.Value) bool {
	switch tag := n.ShortTag(); v.Kind() {
	case reflect.String:
		v.SetString(n.Value)
		return tag == "!!str"
	case reflect.Bool:
		v.SetBool(n.Value == "true")
		return tag == "!!bool" && (n.Value == "true" || n.Value == "false")
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		v.SetFloat(f)
		return (tag == "!!float" || tag == "!!int") && err == nil && f == f && f-f == 0
	default:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		v.SetInt(i)
		return tag == "!!int" && err == nil
	}
}

func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = i
	}
	return fields
}

func unknownKey(t reflect.Type, key string, fields map[string]int) string {
	if reason, ok := notSupported[t.Name()+"."+key]; ok {
		return reason
	}
	for name := range fields {
		if strings.EqualFold(name, key) {
			return fmt.Sprintf("unknown key; write it %s", name)
		}
	}
	return "unknown key; " + knownKeys(fields)
}

func knownKeys(fields map[string]int) string {
	return "known here: " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	}
	return "a value of kind " + n.ShortTag()
}

// join puts a key behind a path; keys with dots are quoted.
func join(path, key string) string {
	if strings.ContainsAny(key, ".[] \n") || key == "" {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
