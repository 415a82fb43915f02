package cases

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/agent"
)

// tree is an expectation as it stands in a file, on one line.
func (w *Want) tree() *yaml.Node {
	n := mapping(yaml.FlowStyle)
	if w.Event > 0 {
		put(n, "event", plainNode("!!int", strconv.Itoa(w.Event)))
	}
	if w.At != nil {
		put(n, "at", textNode(agent.DurationText(*w.At)))
	}
	if w.Function != "" {
		put(n, "function", textNode(w.Function))
	}
	if w.Trigger != "" {
		put(n, "trigger", textNode(w.Trigger))
	}
	inner := mapping(yaml.FlowStyle)
	for _, f := range w.Fields {
		put(inner, f.Name, fieldNode(w.Kind, f))
	}
	if d := w.Data; d != nil {
		put(inner, string(d.Form), d.node())
	}
	put(n, w.Kind, inner)
	return n
}

// mapping makes an object of keys with nodes.
func mapping(style yaml.Style, pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: style}
	for i := 0; i+1 < len(pairs); i += 2 {
		put(n, pairs[i].(string), pairs[i+1].(*yaml.Node))
	}
	return n
}

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, textNode(key), value)
}

func plainNode(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// textNode is a text, in quotes where it needs them.
func textNode(text string) *yaml.Node {
	n := plainNode("!!str", text)
	if text == "" || strings.ContainsAny(text, "\n\r\t") {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func fieldNode(kind string, f Field) *yaml.Node {
	for _, form := range shapes[kind].fields {
		switch {
		case form.name != f.Name:
		case form.form == number:
			return plainNode("!!int", f.Value)
		case form.form == flag:
			return plainNode("!!bool", f.Value)
		}
	}
	return textNode(f.Value)
}

// node is data as it stands in a file.
func (v *Data) node() *yaml.Node {
	switch v.Form {
	case asBytes:
		return textNode(base64.StdEncoding.EncodeToString(v.raw))
	case asJSON, asPart:
		if n, err := jsonNode(v.raw); err == nil {
			return n
		}
	}
	return textNode(string(v.raw))
}

// keptTree is a value of the state as it stands in a file, in the form it had there if
// that still fits.
func keptTree(was *Data, got []byte) *yaml.Node {
	switch {
	case got == nil:
		return plainNode("!!null", "null")
	case was != nil && was.Form == asJSON, bytes.ContainsAny(got[:min(len(got), 1)], `{["`):
		if n, err := jsonNode(got); err == nil && valueOf(got).Form == asJSON {
			return mapping(yaml.FlowStyle, "json", n)
		}
	}
	if utf8.Valid(got) {
		n := textNode(string(got))
		n.Style = yaml.DoubleQuotedStyle
		return n
	}
	return mapping(yaml.FlowStyle, "base64", textNode(base64.StdEncoding.EncodeToString(got)))
}

// jsonNode is a value of JSON with its keys in their order.
func jsonNode(data []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return nextNode(dec)
}

func nextNode(dec *json.Decoder) (*yaml.Node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		n := mapping(yaml.FlowStyle)
		if v == '[' {
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		}
		for dec.More() {
			item, err := nextNode(dec)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		_, err = dec.Token() // its end
		return n, err
	case string:
		return textNode(v), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return plainNode(tag, v.String()), nil
	case bool:
		return plainNode("!!bool", strconv.FormatBool(v)), nil
	}
	return plainNode("!!null", "null"), nil
}
