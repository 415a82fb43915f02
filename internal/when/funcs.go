package when

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/vm/runtime"
)

// The functions that the rewriter puts in place of operators. Their names have
// a space, so that no expression can call them itself.
const (
	fieldFunc = "field of"
	truthFunc = "true or false"
)

// comparisons are the ordering operators, false when a side is nil.
var comparisons = map[string]func(...any) (any, error){
	"is <":  func(p ...any) (any, error) { return ordered(p, runtime.Less), nil },
	"is <=": func(p ...any) (any, error) { return ordered(p, runtime.LessOrEqual), nil },
	"is >":  func(p ...any) (any, error) { return ordered(p, runtime.More), nil },
	"is >=": func(p ...any) (any, error) { return ordered(p, runtime.MoreOrEqual), nil },
}

// ordered panics, as expr's own operators do, when sides cannot be compared;
// the virtual machine makes an error of it.
func ordered(sides []any, compare func(a, b any) bool) bool {
	return sides[0] != nil && sides[1] != nil && compare(sides[0], sides[1])
}

// field returns a field of an object or an element of a list, nil if there is
// none. A negative index counts from the end.
func field(params ...any) (any, error) {
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

// level returns the n-th level of a topic, "" beyond the last.
func level(params ...any) (any, error) {
	rest, n := params[0].(string), runtime.ToInt(params[1])
	if n < 0 {
		return nil, fmt.Errorf("level(%d): levels count from 0", n)
	}
	for ; n > 0; n-- {
		_, after, more := strings.Cut(rest, "/")
		if !more {
			return "", nil
		}
		rest = after
	}
	this, _, _ := strings.Cut(rest, "/")
	return this, nil
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
	return false, fmt.Errorf("true or false is needed, not %s", kind(v))
}

func kind(v any) string {
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
