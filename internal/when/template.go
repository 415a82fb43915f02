package when

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// maxRendered is how long what a template makes may be, in bytes.
const maxRendered = 1 << 20

// template is JSON text, or plain text, with places where values go.
type template struct {
	text  bool // it is plain text
	parts []part
}

// part is what stands before a value, and the value.
type part struct {
	before string
	value  operand // nil: nothing, at the end
	expr   string  // what value was made of
	inside bool    // a piece of a text, rather than a JSON value of its own
}

// Render implements agent.Template.
func (m *template) Render(t agent.Terms) ([]byte, error) {
	var out bytes.Buffer
	for i := range m.parts {
		p := &m.parts[i]
		out.WriteString(p.before)
		if p.value != nil {
			if err := p.write(&out, t, m.text); err != nil {
				return nil, fmt.Errorf("template, at ${%.100s}: %w", p.expr, sentence(err))
			}
		}
		if out.Len() > maxRendered {
			return nil, fmt.Errorf("template makes more than %d bytes: send less of the event", maxRendered)
		}
	}
	return out.Bytes(), nil
}

// write appends the value as JSON, as a piece of a JSON text, or as plain text.
func (p *part) write(out *bytes.Buffer, t agent.Terms, plain bool) error {
	v, err := p.get(t)
	if err != nil {
		return err
	}
	text, isText := v.(string)
	switch {
	case isText && plain:
		out.WriteString(text)
		return nil
	case !p.inside || plain:
		return appendJSON(out, v)
	case !isText:
		var piece bytes.Buffer
		if err := appendJSON(&piece, v); err != nil {
			return err
		}
		text = piece.String()
	}
	return appendInside(out, text)
}

// get is the value; of what is JSON already its text, so that numbers stay as
// they were written.
func (p *part) get(t agent.Terms) (any, error) {
	if f, ok := p.value.(*field); ok {
		if raw := f.raw(t); len(raw) > 0 && raw[0] != '"' && utf8.Valid(raw) {
			return json.RawMessage(raw), nil
		}
	}
	v, err := p.value.value(t)
	if err != nil {
		return nil, err
	}
	return ofJSON(v)
}

// appendJSON writes v without escapes for HTML.
func appendJSON(out *bytes.Buffer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	if err == nil {
		out.Truncate(out.Len() - 1) // the line feed
	}
	return err
}

// appendInside writes what stands for text between the quotes of a JSON text.
func appendInside(out *bytes.Buffer, text string) error {
	start := out.Len()
	if err := appendJSON(out, text); err != nil {
		return err
	}
	quoted := out.Bytes()[start:]
	copy(quoted, quoted[1:len(quoted)-1])
	out.Truncate(out.Len() - 2)
	return nil
}
