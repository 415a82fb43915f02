package when

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// operand yields a value: what a name stands for, a constant, or what a program
// computes.
type operand interface {
	// value yields what encoding/json would decode into any, or an int.
	value(t agent.Terms) (any, error)
	// scalar yields the value without allocating where it can; of the kind other
	// where it cannot. It does no work then that value would do again.
	scalar(t agent.Terms) scalar
}

// scalar is a value that is cheap to compare.
type scalar struct {
	kind
	num  float64 // of a number; 1 for true
	text string  // of a text; or
	raw  []byte  // its bytes, if they are not nil
}

type kind uint8

const (
	other kind = iota // a list, an object, or not known yet
	null
	truthValue
	numeric
	textual
)

// constant is what is written in the expression.
type constant struct {
	v  any
	is scalar
}

func newConstant(v any) *constant { return &constant{v, scalarOf(v)} }

func (c *constant) value(agent.Terms) (any, error) { return c.v, nil }
func (c *constant) scalar(agent.Terms) scalar      { return c.is }

// exact is how far integers are exact as float64.
const exact = 1 << 53

func scalarOf(v any) scalar {
	switch v := v.(type) {
	case nil:
		return scalar{kind: null}
	case bool:
		return truthScalar(v)
	case float64:
		if !math.IsNaN(v) { // which has no order
			return scalar{kind: numeric, num: v}
		}
	case int:
		if n := int64(v); -exact <= n && n <= exact {
			return scalar{kind: numeric, num: float64(v)}
		}
	case string:
		return scalar{kind: textual, text: v}
	}
	return scalar{}
}

func truthScalar(v bool) scalar {
	if v {
		return scalar{kind: truthValue, num: 1}
	}
	return scalar{kind: truthValue}
}

// text, number and truthOf are attributes of an event.
type (
	text    func(agent.Terms) string
	number  func(agent.Terms) int
	truthOf func(agent.Terms) bool
)

func (f text) value(t agent.Terms) (any, error)    { return f(t), nil }
func (f number) value(t agent.Terms) (any, error)  { return f(t), nil }
func (f truthOf) value(t agent.Terms) (any, error) { return f(t), nil }

func (f text) scalar(t agent.Terms) scalar    { return scalar{kind: textual, text: f(t)} }
func (f number) scalar(t agent.Terms) scalar  { return scalar{kind: numeric, num: float64(f(t))} }
func (f truthOf) scalar(t agent.Terms) scalar { return truthScalar(f(t)) }

// levelOf is the n-th level of the topic, "" beyond the last.
func levelOf(n int) text {
	return func(t agent.Terms) string { return topicLevel(t.Event.Subject, n) }
}

func topicLevel(topic string, n int) string {
	for ; n > 0; n-- {
		_, after, more := strings.Cut(topic, "/")
		if !more {
			return ""
		}
		topic = after
	}
	this, _, _ := strings.Cut(topic, "/")
	return this
}

// captured is what the topic has where the trigger captures name.
func captured(name string) text {
	return func(t agent.Terms) string {
		if t.Trigger == nil {
			return ""
		}
		value, _ := agent.Captured(t.Trigger, t.Event.Subject, name)
		return value
	}
}

// field is a place in the data of the event, or in the result of the function.
type field struct {
	result bool
	path   []agent.Step
}

func (f *field) raw(t agent.Terms) []byte {
	if f.result {
		return agent.FieldOf(t.Result, f.path)
	}
	return t.Event.Field(f.path)
}

func (f *field) value(t agent.Terms) (any, error) {
	switch {
	case f.result && len(f.path) == 0:
		return decoded(t.Result), nil
	case len(f.path) == 0:
		data, err := t.Event.JSON()
		if err != nil {
			return nil, nil // data that is no JSON has no fields; that is no error
		}
		return data, nil
	}
	raw := f.raw(t)
	if s := rawScalar(raw); s.kind != other {
		return s.plain(), nil
	}
	var v any
	err := json.Unmarshal(raw, &v)
	return v, err
}

func (f *field) scalar(t agent.Terms) scalar {
	if f.result && len(f.path) == 0 {
		return scalar{} // it may be no JSON
	}
	return rawScalar(f.raw(t))
}

// decoded is what text says as JSON, or itself; nil if it is nil.
func decoded(text []byte) any {
	if text == nil {
		return nil
	}
	var v any
	if json.Unmarshal(text, &v) != nil {
		return string(text)
	}
	return v
}

// rawScalar reads JSON text that is valid; nil is null.
func rawScalar(raw []byte) scalar {
	if len(raw) == 0 {
		return scalar{kind: null}
	}
	switch raw[0] {
	case '{', '[':
		return scalar{}
	case 'n':
		return scalar{kind: null}
	case 't', 'f':
		return truthScalar(raw[0] == 't')
	case '"':
		if inside := raw[1 : len(raw)-1]; literal(inside) {
			return scalar{kind: textual, raw: inside}
		}
		var s string
		_ = json.Unmarshal(raw, &s) // it is a part of valid JSON
		return scalar{kind: textual, text: s}
	}
	return scalar{kind: numeric, num: rawNumber(raw)}
}

// literal tells that the bytes between quotes stand for themselves.
func literal(inside []byte) bool {
	return bytes.IndexByte(inside, '\\') < 0 && utf8.Valid(inside)
}

// powers of ten that are exact.
var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// rawNumber reads a JSON number. Up to 15 digits it is the quotient of two exact
// numbers, and so what strconv makes of it.
func rawNumber(raw []byte) float64 {
	whole, behind, point, i := int64(0), 0, false, 0
	if raw[0] == '-' {
		i = 1
	}
	if len(raw)-i > len(powers) {
		return slowNumber(raw)
	}
	for _, c := range raw[i:] {
		switch {
		case c == '.':
			point = true
		case c < '0' || c > '9':
			return slowNumber(raw)
		default:
			whole = whole*10 + int64(c-'0')
			if point {
				behind++
			}
		}
	}
	v := float64(whole) / powers[behind]
	if i == 1 {
		return -v
	}
	return v
}

func slowNumber(raw []byte) float64 {
	v, _ := strconv.ParseFloat(string(raw), 64) // valid, and in range: see agent.Event.Field
	return v
}

// plain is the value of a scalar that is not other.
func (s *scalar) plain() any {
	switch s.kind {
	case numeric:
		return s.num
	case textual:
		return s.string()
	case truthValue:
		return s.num == 1
	}
	return nil
}

func (s *scalar) string() string {
	if s.raw != nil {
		return string(s.raw)
	}
	return s.text
}
