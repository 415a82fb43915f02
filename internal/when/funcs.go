package when

import (
	"fmt"

	"github.com/expr-lang/expr/vm/runtime"

	"github.com/skerry-edge/skerry/agent"
)

// The functions that the rewriter puts in place of operators and names. Theirs
// have a space, so that no expression can call them itself.
const (
	fieldFunc   = "field of"
	truthFunc   = "true or false"
	captureFunc = "capture of"
	stateFunc   = "state of"
	inFunc      = "is in"
	valueFunc   = "value of" // of an operand, for a program
	listFunc    = "list of"  // a loop
)

// ordered makes a function of an ordering operator, false when a side is nil.
// It panics, as expr's own operators do, when sides cannot be compared; the
// virtual machine makes an error of it.
func ordered(op *operator) func(...any) (any, error) {
	return func(sides ...any) (any, error) { return op.compare(sides[0], sides[1]), nil }
}

// fieldCall returns a field of an object or an element of a list, nil if there
// is none. A negative index counts from the end.
func fieldCall(params ...any) (any, error) {
	switch in := params[0].(type) {
	case map[string]any:
		key, ok := params[1].(string)
		if !ok {
			return nil, nil
		}
		return in[key], nil
	case []any:
		if _, named := params[1].(string); named || params[1] == nil {
			return nil, nil
		}
		i := runtime.ToInt(params[1])
		if i < 0 {
			i += len(in)
		}
		if i >= 0 && i < len(in) {
			return in[i], nil
		}
	}
	return nil, nil
}

// levelCall returns the n-th level of a topic, "" beyond the last.
func levelCall(params ...any) (any, error) {
	n := runtime.ToInt(params[1])
	if n < 0 {
		return nil, fmt.Errorf("level(%d): levels count from 0", n)
	}
	return topicLevel(params[0].(string), n), nil
}

func inCall(params ...any) (any, error) {
	s := scalarOf(params[0])
	return params[1].(*constants).have(&s), nil
}

// valueCall takes a run and an operand.
func valueCall(params ...any) (any, error) {
	return params[1].(operand).value(params[0].(*run).terms)
}

// stateCall takes a run and a key of the function's state.
func stateCall(params ...any) (any, error) {
	return stateOf(params[0].(*run).terms, params[1].(string))
}

func stateOf(t agent.Terms, key string) (any, error) {
	if t.State == nil {
		return nil, nil
	}
	value, err := t.State(key)
	if err != nil {
		return nil, fmt.Errorf("read state %q: %w", key, err)
	}
	return decoded(value), nil
}

func truthCall(params ...any) (any, error) { return truth(params[0]) }

// truth is v where true or false is needed: nil is false.
func truth(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case nil:
		return false, nil
	}
	return false, fmt.Errorf("true or false is needed, not %s", described(v))
}

func described(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	return "a number"
}
