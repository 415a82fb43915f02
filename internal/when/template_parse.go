package when

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxTemplate = 16 << 10 // bytes of a template
	maxValues   = 100      // ${…} in one
)

// Template implements agent.Language.
func (Language) Template(text string, captures []string) (agent.Template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("template has %d bytes, at most %d are allowed: let a function make what is so long", len(text), maxTemplate)
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("template %.100q is not JSON", text)
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, []byte(text)) // it is valid
	p := templateParser{captures: captures}
	if err := p.document(compact.Bytes()); err != nil {
		return nil, err
	}
	return &p.made, nil
}

// templateParser collects parts, with what stands before the next one.
type templateParser struct {
	captures []string
	made     template
	before   bytes.Buffer
}

func (p *templateParser) document(compact []byte) error {
	var only string
	if json.Unmarshal(compact, &only) == nil && compact[0] == '"' {
		p.made.text = true
		if err := p.string(only, p.before.WriteString); err != nil {
			return err
		}
	} else if err := p.tree(compact); err != nil {
		return err
	}
	p.add(part{})
	if n := len(p.made.parts) - 1; n > maxValues {
		return fmt.Errorf("template has %d values, at most %d are allowed: let a function make what is so long", n, maxValues)
	}
	return nil
}

func (p *templateParser) add(next part) {
	next.before = p.before.String()
	p.before.Reset()
	p.made.parts = append(p.made.parts, next)
}

// tree copies JSON, but for what its texts say.
func (p *templateParser) tree(compact []byte) error {
	for len(compact) > 0 {
		if compact[0] != '"' {
			p.before.WriteByte(compact[0])
			compact = compact[1:]
			continue
		}
		decoder := json.NewDecoder(bytes.NewReader(compact))
		var text string
		if err := decoder.Decode(&text); err != nil {
			return err
		}
		compact = compact[decoder.InputOffset():]
		isKey := len(compact) > 0 && compact[0] == ':'
		if err := p.quoted(text, isKey); err != nil {
			return err
		}
	}
	return nil
}

// quoted takes a text of the tree: a value if there is nothing else in it.
func (p *templateParser) quoted(text string, isKey bool) error {
	if inside, ok := strings.CutPrefix(text, "${"); ok && !isKey {
		if end := closing(inside); end >= 0 && end == len(inside)-1 {
			return p.value(text, inside[:end], 2, false)
		}
	}
	p.before.WriteByte('"')
	err := p.string(text, func(s string) (int, error) { return 0, appendInside(&p.before, s) })
	p.before.WriteByte('"')
	return err
}

// string takes a text apart: write gets what is no value.
func (p *templateParser) string(text string, write func(string) (int, error)) error {
	for at := 0; ; {
		dollar := strings.IndexByte(text[at:], '$')
		if dollar < 0 {
			_, err := write(text[at:])
			return err
		}
		if _, err := write(text[at : at+dollar]); err != nil {
			return err
		}
		switch at += dollar; {
		case strings.HasPrefix(text[at:], "$${"):
			_, _ = write("${")
			at += len("$${")
		case strings.HasPrefix(text[at:], "${"):
			at += len("${")
			end := closing(text[at:])
			if end < 0 {
				return in(text, shifted(errors.New("${ without its }: close it, or write $${ for the two characters"), text[:at-2]))
			}
			if err := p.value(text, text[at:at+end], at, true); err != nil {
				return err
			}
			at += end + 1
		default:
			_, _ = write("$")
			at++
		}
	}
}

// value adds the expression that begins at a position of text.
func (p *templateParser) value(text, expr string, at int, inside bool) error {
	err := checkLength("expression", expr)
	var op operand
	if err == nil {
		op, err = expression(expr, inTemplate, p.captures)
	}
	if err != nil {
		return in(text, shifted(err, text[:at]))
	}
	p.add(part{value: op, expr: expr, inside: inside})
	return nil
}

func in(text string, err error) error { return fmt.Errorf("template %.100q: %w", text, sentence(err)) }

// shifted gives an error the place that it has when its text stands behind another.
func shifted(err error, before string) error {
	lines := strings.Count(before, "\n")
	columns := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	var at *file.Error
	if !errors.As(err, &at) {
		return &file.Error{Line: 1 + lines, Column: columns, Message: err.Error()}
	}
	moved := *at
	if moved.Line <= 1 {
		moved.Column += columns
	}
	moved.Line = max(moved.Line, 1) + lines
	return &moved
}

// closing finds the brace that ends an expression, outside of texts and of pairs
// of braces; -1 if there is none.
func closing(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
