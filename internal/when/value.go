package when

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/skerry-edge/skerry/agent"
)

// value is a compiled expression that yields a value of JSON.
type value struct {
	text    string
	operand operand
}

// Value implements agent.Language.
func (Language) Value(text string, captures []string) (agent.Value, error) {
	if err := checkLength("expression", text); err != nil {
		return nil, err
	}
	op, err := expression(text, inValue, captures)
	if err != nil {
		return nil, fmt.Errorf("expression %.100q: %w", text, sentence(err))
	}
	return &value{text, op}, nil
}

func expression(text string, to use, captures []string) (operand, error) {
	l, root, err := parse(text, to, captures)
	if err != nil {
		return nil, err
	}
	ast.Walk(&root, l)
	return l.operand(root), l.err
}

// Value implements agent.Value.
func (v *value) Value(t agent.Terms) (any, error) {
	out, err := v.operand.value(t)
	if err == nil {
		out, err = ofJSON(out)
	}
	if err != nil {
		return nil, fmt.Errorf("expression %.100q: %w", v.text, sentence(err))
	}
	return out, nil
}

var errNoNumber = errors.New("it yields no number: something was divided by 0 or grew too large")

// ofJSON makes what encoding/json would decode of what expr yields. Most is that
// already.
func ofJSON(v any) (any, error) {
	if isJSON(v) {
		return v, nil
	}
	text, err := json.Marshal(v)
	if bad := (*json.UnsupportedValueError)(nil); errors.As(err, &bad) {
		return nil, errNoNumber
	}
	if err != nil {
		return nil, err
	}
	var plain any
	err = json.Unmarshal(text, &plain)
	return plain, err
}

func isJSON(v any) bool {
	switch v := v.(type) {
	case nil, bool, int, string:
		return true
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		return !slices.ContainsFunc(v, func(element any) bool { return !isJSON(element) })
	case map[string]any:
		for _, element := range v {
			if !isJSON(element) {
				return false
			}
		}
		return true
	}
	return false
}
