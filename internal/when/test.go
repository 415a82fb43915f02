package when

import (
	"bytes"
	"cmp"
	"fmt"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm/runtime"

	"github.com/skerry-edge/skerry/agent"
)

// test is a part of a condition that holds or does not.
type test interface {
	holds(t agent.Terms) (bool, error)
}

// both holds when its two tests do, and asks the second only if it must.
type both struct{ first, second test }

func (b *both) holds(t agent.Terms) (bool, error) {
	if ok, err := b.first.holds(t); !ok || err != nil {
		return false, err
	}
	return b.second.holds(t)
}

// either holds when one of its two tests does, and asks the second only if it must.
type either struct{ first, second test }

func (e *either) holds(t agent.Terms) (bool, error) {
	if ok, err := e.first.holds(t); ok || err != nil {
		return ok, err
	}
	return e.second.holds(t)
}

type not struct{ test }

func (n *not) holds(t agent.Terms) (bool, error) {
	ok, err := n.test.holds(t)
	return !ok && err == nil, err
}

// truthful takes an operand for true or false.
type truthful struct {
	operand
	at file.Location
}

func (n *truthful) holds(t agent.Terms) (bool, error) {
	switch s := n.scalar(t); s.kind {
	case truthValue:
		return s.num == 1, nil
	case null:
		return false, nil
	}
	v, err := n.value(t)
	if err != nil {
		return false, err
	}
	ok, err := truth(v)
	return ok, located(err, n.at)
}

// comparison is one of the operators == != < <= > >= between two operands.
type comparison struct {
	op          *operator
	left, right operand
	at          file.Location
}

// operator says for which results of cmp.Compare it holds.
type operator struct {
	less, same, more bool
	equality         bool // == or !=
	slow             func(a, b any) bool
}

// operators are what expr has, made so that nil is not less and not greater
// than anything.
var operators = map[string]*operator{
	"==": {same: true, equality: true, slow: runtime.Equal},
	"!=": {less: true, more: true, equality: true, slow: func(a, b any) bool { return !runtime.Equal(a, b) }},
	"<":  {less: true, slow: runtime.Less},
	"<=": {less: true, same: true, slow: runtime.LessOrEqual},
	">":  {more: true, slow: runtime.More},
	">=": {more: true, same: true, slow: runtime.MoreOrEqual},
}

// orderings are the functions that the rewriter puts in place of operators.
var orderings = map[string]*operator{
	"is <": operators["<"], "is <=": operators["<="], "is >": operators[">"], "is >=": operators[">="],
}

func (op *operator) of(order int) bool {
	switch {
	case order < 0:
		return op.less
	case order > 0:
		return op.more
	}
	return op.same
}

func (c *comparison) holds(t agent.Terms) (bool, error) {
	l, r := c.left.scalar(t), c.right.scalar(t)
	switch {
	case l.kind == other || r.kind == other:
		return c.compute(t)
	case l.kind == null || r.kind == null:
		return c.op.equality && (l.kind == r.kind) == c.op.same, nil
	case l.kind == numeric && r.kind == numeric:
		return c.op.of(compareNumbers(l.num, r.num)), nil
	case l.kind == textual && r.kind == textual:
		return c.op.of(compareTexts(&l, &r)), nil
	case c.op.equality:
		return (l.kind == r.kind && l.num == r.num) == c.op.same, nil
	}
	return c.compute(t) // which says why they cannot be compared
}

// fieldTest is a comparison of a field with a constant: what most conditions are.
type fieldTest struct {
	comparison
	path []agent.Step
	to   scalar // of the kind numeric or textual
}

func (c *fieldTest) holds(t agent.Terms) (bool, error) {
	raw := t.Event.Field(c.path)
	switch {
	case len(raw) == 0:
		return c.op.equality && !c.op.same, nil
	case c.to.kind == numeric && raw[0] <= '9' && raw[0] != '"':
		return c.op.of(compareNumbers(rawNumber(raw), c.to.num)), nil
	case c.to.kind == textual && raw[0] == '"' && literal(raw[1:len(raw)-1]):
		return c.op.of(compareRaw(raw[1:len(raw)-1], c.to.text)), nil
	}
	return c.comparison.holds(t)
}

// compareNumbers is cmp.Compare for what is a number.
func compareNumbers(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareTexts allocates nothing.
func compareTexts(a, b *scalar) int {
	switch {
	case b.raw == nil && a.raw == nil:
		return cmp.Compare(a.text, b.text)
	case b.raw == nil:
		return compareRaw(a.raw, b.text)
	case a.raw == nil:
		return -compareRaw(b.raw, a.text)
	}
	return bytes.Compare(a.raw, b.raw)
}

func compareRaw(a []byte, b string) int {
	switch {
	case string(a) == b:
		return 0
	case string(a) < b:
		return -1
	}
	return 1
}

// compute compares any values as expr does.
func (c *comparison) compute(t agent.Terms) (holds bool, err error) {
	a, err := c.left.value(t)
	if err != nil {
		return false, err
	}
	b, err := c.right.value(t)
	if err != nil {
		return false, err
	}
	defer func() {
		if r := recover(); r != nil { // so expr says that they cannot be compared
			holds, err = false, located(fmt.Errorf("%v", r), c.at)
		}
	}()
	return c.op.compare(a, b), nil
}

func (op *operator) compare(a, b any) bool {
	return (op.equality || a != nil && b != nil) && op.slow(a, b)
}

// oneOf holds when its operand equals one of the constants.
type oneOf struct {
	operand
	constants *constants
}

// constants are a list that is written in the expression.
type constants struct{ values []scalar }

func (n *oneOf) holds(t agent.Terms) (bool, error) {
	s := n.scalar(t)
	if s.kind == other {
		v, err := n.value(t)
		if err != nil {
			return false, err
		}
		s = scalarOf(v)
	}
	return n.constants.have(&s), nil
}

func (c *constants) have(s *scalar) bool {
	for i := range c.values {
		if v := &c.values[i]; v.kind == s.kind && v.num == s.num && (v.kind != textual || compareTexts(s, v) == 0) {
			return true
		}
	}
	return false
}

// located adds the place in the expression to an error.
func located(err error, at file.Location) error {
	if err == nil {
		return nil
	}
	return &file.Error{Location: at, Message: err.Error(), Prev: err}
}
