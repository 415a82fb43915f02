package fleetsync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxDocument = 1 << 20 // bytes
	maxDepth    = 32      // levels of nesting
)

// DocumentError is one thing that is wrong in a document.
type DocumentError struct {
	File   string
	Line   int    // 1 is the first; 0 when no line is to blame
	Path   string // "triggers[0].mqtt.topic"; "" for the whole document
	Reason string
}

// Error is "app.yaml:12: triggers[0].mqtt.topic: reason".
func (e *DocumentError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":" + strconv.Itoa(e.Line))
	}
	if e.Path != "" {
		b.WriteString(": " + e.Path)
	}
	return b.String() + ": " + e.Reason
}

// parseTree reads the one document in data: JSON if it starts with "{", else YAML.
func parseTree(file string, data []byte) (*yaml.Node, error) {
	if len(data) > maxDocument {
		return nil, &DocumentError{File: file, Reason: fmt.Sprintf("%d bytes, at most %d: split the app", len(data), maxDocument)}
	}
	if json.Valid(data) {
		return parseJSON(file, data)
	}
	return parseYAML(file, data)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func parseYAML(file string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &DocumentError{File: file, Reason: "it is empty; start it with apiVersion: " + apiVersion}
		}
		return nil, yamlError(file, err)
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &DocumentError{File: file, Line: more.Line, Reason: "a second document follows; keep one document in a file"}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &DocumentError{File: file, Reason: "it holds no document; start it with apiVersion: " + apiVersion}
	}
	return doc.Content[0], nil
}

func yamlError(file string, err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return &DocumentError{File: file, Reason: err.Error()}
	}
	line, _ := strconv.Atoi(m[1]) // no number is line 0: no line to blame
	return &DocumentError{File: file, Line: line, Reason: "not readable as YAML: " + m[2]}
}

// parseJSON builds the same tree from JSON, with line numbers; encoding/json
// itself would take keys in any case, and the last of two equal keys.
func parseJSON(file string, data []byte) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	b := jsonTree{dec: dec, data: data, line: 1}
	node, err := b.value(0)
	if err != nil {
		return nil, &DocumentError{File: file, Line: b.line, Reason: "not readable as JSON: " + err.Error()}
	}
	return node, nil
}

type jsonTree struct {
	dec  *json.Decoder
	data []byte
	at   int64 // bytes whose lines are counted
	line int
}

func (b *jsonTree) token() (json.Token, error) {
	tok, err := b.dec.Token()
	end := b.dec.InputOffset()
	b.line += bytes.Count(b.data[b.at:end], []byte("\n"))
	b.at = end
	return tok, err
}

func (b *jsonTree) value(depth int) (*yaml.Node, error) {
	tok, err := b.token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels of nesting", maxDepth)
	}
	switch v := tok.(type) {
	case json.Delim:
		return b.collection(v, depth)
	case string:
		return b.scalar("!!str", v), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return b.scalar(tag, v.String()), nil
	case bool:
		return b.scalar("!!bool", strconv.FormatBool(v)), nil
	}
	return b.scalar("!!null", "null"), nil
}

func (b *jsonTree) scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: b.line}
}

// collection reads an object or an array, whose opening was just read.
func (b *jsonTree) collection(open json.Delim, depth int) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: b.line}
	if open == '[' {
		node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
	}
	for b.dec.More() {
		child, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	_, err := b.token()
	return node, err
}
