package cases

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile     = 1 << 20 // bytes
	maxDepth    = 32      // of lists and objects in data
	maxProblems = 20      // told of one file
)

// decoder collects what is wrong in a file.
type decoder struct {
	file     string
	problems []problem
}

type problem struct {
	line int
	text string
}

// fail notes what is wrong with the value at path, "tests[0].events".
func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		where := fmt.Sprintf("%s:%d: ", d.file, n.Line)
		if path != "" {
			where += path + ": "
		}
		d.problems = append(d.problems, problem{n.Line, where + fmt.Sprintf(format, args...)})
	}
}

// err joins what was wrong, in the order of the lines.
func (d *decoder) err() error {
	slices.SortStableFunc(d.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, p := range d.problems {
		errs = append(errs, errors.New(p.text))
	}
	return errors.Join(errs...)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// tree reads the one document of a file.
func tree(file string, data []byte) (*yaml.Node, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d: split it", file, len(data), maxFile)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: it is empty; start it with apiVersion: skerry/v1 and kind: Test", file)
		}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
			return nil, fmt.Errorf("%s:%s: not readable as YAML: %s", file, m[1], m[2])
		}
		return nil, fmt.Errorf("%s: not readable as YAML: %w", file, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a second document follows; keep one document in a file", file)
	}
	return doc.Content[0], nil
}

// keys says what may stand in an object: by key, who reads the value.
type keys map[string]func(n *yaml.Node, path string)

// object reads keys with values.
func (d *decoder) object(n *yaml.Node, path string, known keys) {
	d.pairs(n, path, func(key, value *yaml.Node, path string) {
		read, ok := known[key.Value]
		if !ok {
			d.fail(key, path, "unknown key; known here: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return
		}
		read(value, path)
	})
}

// pairs gives each key with its value to each.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, path string)) {
	if !d.plain(n, path) {
		return
	}
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.fail(n, path, "expected keys with values, not %s", kindOf(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		sub := strings.TrimPrefix(path+"."+key.Value, ".")
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.ShortTag() == "!!merge" {
			d.fail(key, path, "a key must be a text: put it in quotes")
			continue
		}
		if line, twice := first[key.Value]; twice {
			d.fail(key, sub, "it is given twice, first on line %d: remove one", line)
			continue
		}
		first[key.Value] = key.Line
		if d.plain(value, sub) {
			each(key, value, sub)
		}
	}
}

// list gives each item to each.
func (d *decoder) list(n *yaml.Node, path string, each func(n *yaml.Node, path string)) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.fail(n, path, "expected a list, not %s", kindOf(n))
		return
	}
	for i, item := range n.Content {
		if sub := fmt.Sprintf("%s[%d]", path, i); d.plain(item, sub) {
			each(item, sub)
		}
	}
}

// plain refuses anchors and aliases: a file is read as it stands there.
func (d *decoder) plain(n *yaml.Node, path string) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, path, "anchors and aliases are not read: write the value out")
		return false
	}
	return true
}

// text reads a text; what looks like a number or a date is one too.
func (d *decoder) text(to *string) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			d.fail(n, path, "expected a text, not %s", kindOf(n))
			return
		}
		*to = n.Value
	}
}

// texts reads names with texts.
func (d *decoder) texts(to *map[string]string) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		*to = map[string]string{}
		d.pairs(n, path, func(key, value *yaml.Node, path string) {
			var text string
			d.text(&text)(value, path)
			(*to)[key.Value] = text
		})
	}
}

// number reads a whole number from low to high.
func (d *decoder) number(to *int, low, high int) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil || v < low || v > high {
			d.fail(n, path, "expected a whole number from %d to %d, not %s", low, high, kindOf(n))
			return
		}
		*to = v
	}
}

func (d *decoder) flag(to *bool) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			d.fail(n, path, "expected true or false, not %s", kindOf(n))
			return
		}
		*to = n.Value == "true"
	}
}

// longest is how far a test may reach: some years.
const longest = 10 * 365 * 24 * time.Hour

// length reads a length of time, 0 or "1m30s".
func (d *decoder) length(to *time.Duration) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		v, err := time.ParseDuration(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil || v < 0 || v > longest {
			d.fail(n, path, "expected a length of time such as 500ms, 10s or 1h30m, not %s", kindOf(n))
			return
		}
		*to = v
	}
}

func (d *decoder) base64(to *[]byte) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) {
		data, err := base64.StdEncoding.DecodeString(n.Value)
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || err != nil {
			d.fail(n, path, "expected bytes in base64, not %s", kindOf(n))
			return
		}
		*to = data
	}
}

// json reads a value of any shape, as JSON with its keys in the order of the file.
func (d *decoder) json(to *[]byte) func(*yaml.Node, string) {
	return func(n *yaml.Node, path string) { *to = d.appendJSON(nil, n, path, 0) }
}

var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func (d *decoder) appendJSON(b []byte, n *yaml.Node, path string, depth int) []byte {
	if !d.plain(n, path) {
		return b
	}
	switch tag := n.ShortTag(); {
	case depth > maxDepth:
		d.fail(n, path, "more than %d lists and objects in each other: make it flatter", maxDepth)
	case n.Kind == yaml.MappingNode:
		b = append(b, '{')
		first := true
		d.pairs(n, path, func(key, value *yaml.Node, path string) {
			if !first {
				b = append(b, ',')
			}
			first = false
			b = d.appendJSON(append(quoted(b, key.Value), ':'), value, path, depth+1)
		})
		b = append(b, '}')
	case n.Kind == yaml.SequenceNode:
		b = append(b, '[')
		for i, item := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = d.appendJSON(b, item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		b = append(b, ']')
	case tag == "!!str":
		b = quoted(b, n.Value)
	case tag == "!!null":
		b = append(b, "null"...)
	case tag == "!!bool" && (n.Value == "true" || n.Value == "false"),
		(tag == "!!int" || tag == "!!float") && numberForm.MatchString(n.Value):
		b = append(b, n.Value...)
	default:
		d.fail(n, path, "%.80q is no value of JSON: write it as 12, 0.5, 1e6, true, false or null, or put it in quotes", n.Value)
	}
	return b
}

// quoted appends a text as JSON has it, without escapes for HTML.
func quoted(b []byte, text string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(text) != nil { // a text always encodes
		return b
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return fmt.Sprintf("%.40q", n.Value)
}
