package fleetsync

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxDataDepth is how deep lists and objects nest in a value of any shape. It
// leaves room for the document around it, which must read back from JSON.
const maxDataDepth = 16

// anything reads a value of any shape as encoding/json would: nil, bool, int64,
// float64, string, []any, map[string]any. Nil is allowed inside of it, since
// templates make JSON. What is written of it as JSON reads back the same.
func (d *decoder) anything(n *yaml.Node, path string, depth int) any {
	d.lines[path] = n.Line
	switch {
	case d.aliased(n, path):
		return nil
	case depth > maxDataDepth:
		d.failAt(n.Line, path, fmt.Sprintf("more than %d lists and objects in each other: make it flatter", maxDataDepth))
		return nil
	case n.Kind == yaml.MappingNode:
		out := map[string]any{}
		d.pairs(n, path, func(key, value *yaml.Node, path string) {
			out[key.Value] = d.anything(value, path, depth+1)
		})
		return out
	case n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq":
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = d.anything(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		return out
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" && n.Value == "":
		d.failAt(n.Line, path, "it is empty: give it a value, or write null")
		return nil
	}
	value, ok := plain(n)
	if !ok {
		d.failAt(n.Line, path, fmt.Sprintf("%.80q is no value of JSON: write it as 12, 0.5, 1e6, true, false or null, or put it in quotes", n.Value))
	}
	return value
}

var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// plain is a scalar as JSON knows it. YAML has more: dates, hexadecimal numbers.
func plain(n *yaml.Node) (value any, ok bool) {
	switch n.ShortTag() {
	case "!!str":
		return n.Value, true
	case "!!null":
		return nil, n.Value == "null" || n.Value == "~"
	case "!!bool":
		return n.Value == "true", n.Value == "true" || n.Value == "false"
	case "!!int", "!!float":
		if whole, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return whole, numberForm.MatchString(n.Value)
		}
		number, err := strconv.ParseFloat(n.Value, 64)
		return number + 0, err == nil && numberForm.MatchString(n.Value) // + 0: there is no -0 in the document
	}
	return nil, false
}
