package when

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"

	"github.com/skerry-edge/skerry/agent"
)

// use is what an expression is for.
type use uint8

const (
	inCondition use = iota
	inValue
	inTemplate
)

// env is what every expression may name, with its types.
var env = types.Map{
	"data":     types.Any,
	"topic":    types.String,
	"subject":  types.String,
	"source":   types.String,
	"type":     types.String,
	"qos":      types.Int,
	"retained": types.Bool,
	"size":     types.Int,
	"time":     types.String,
	"clock":    types.String,
	"text":     types.String,
	"id":       types.String,
}

// envWithResult is that of templates.
var envWithResult = func() types.Map {
	with := maps.Clone(env)
	with["result"] = types.Any
	return with
}()

var sortedNames = append(slices.Sorted(maps.Keys(env)), "capture")

// names yields what stands behind each name.
var names = map[string]operand{
	"data":     &field{},
	"result":   &field{result: true},
	"topic":    text(func(t agent.Terms) string { return t.Event.Subject }),
	"subject":  text(func(t agent.Terms) string { return t.Event.Subject }),
	"source":   text(func(t agent.Terms) string { return t.Event.Source }),
	"type":     text(func(t agent.Terms) string { return t.Event.Type }),
	"id":       text(func(t agent.Terms) string { return t.Event.ID }),
	"time":     text(func(t agent.Terms) string { return t.Event.Time.UTC().Format(eventTime) }),
	"clock":    text(clock),
	"text":     text(func(t agent.Terms) string { return strings.ToValidUTF8(string(t.Event.Data), "\uFFFD") }),
	"qos":      number(func(t agent.Terms) int { return int(t.Event.QoS) }),
	"size":     number(func(t agent.Terms) int { return len(t.Event.Data) }),
	"retained": truthOf(func(t agent.Terms) bool { return t.Event.Retained }),
}

// clock is what the time of the event is worth.
func clock(t agent.Terms) string {
	if t.Event.Unsure {
		return "untrusted"
	}
	return "trusted"
}

// eventTime is RFC 3339 with as many digits for every event, so that texts can
// be compared.
const eventTime = "2006-01-02T15:04:05.000Z07:00"

// known tells whether name may stand in an expression. The names that the
// rewriter puts in have a space.
func (r *rewriter) known(name string) bool {
	if name == "result" && r.use != inTemplate {
		return false
	}
	_, ok := names[name]
	return ok || name == "level" || name == "state" || strings.Contains(name, " ")
}

// unknownName refuses a name that is not known; what is it most likely a field
// of: the data, or inside a loop the element.
func unknownName(n *ast.IdentifierNode, of string) error {
	if n.Value == "result" {
		return refusal(n, "result is what the function made of the event: only templates have it")
	}
	meant := of + "." + n.Value
	if n.Value == "payload" && of == "data" {
		meant = "data"
	}
	for _, name := range sortedNames {
		if near(n.Value, name) {
			meant = name
			break
		}
	}
	return refusal(n, fmt.Sprintf("unknown name %q: did you mean %s?", n.Value, meant))
}

// unknownFunction refuses a call of what is no function.
func unknownFunction(n *ast.IdentifierNode) error {
	for _, name := range append([]string{"level", "state"}, allowed...) {
		if near(n.Value, name) {
			return refusal(n, fmt.Sprintf("unknown name %q: did you mean %s?", n.Value, name))
		}
	}
	if _, value := names[n.Value]; value {
		return refusal(n, n.Value+" is no function: leave the parentheses out")
	}
	return refusal(n, fmt.Sprintf("unknown name %q: the functions are level, %s", n.Value, strings.Join(allowed, ", ")))
}

// unknownCapture refuses the name of a capture that the topic does not have.
func unknownCapture(n ast.Node, name string, captures []string) error {
	if len(captures) == 0 {
		return refusal(n, fmt.Sprintf("unknown capture %q: the topic of the trigger captures nothing, write a level of it as {%s}", name, name))
	}
	return refusal(n, fmt.Sprintf("unknown capture %q: the topic of the trigger captures %s", name, strings.Join(captures, ", ")))
}

func refusal(n ast.Node, why string) error {
	return &file.Error{Location: n.Location(), Line: 1, Column: n.Location().From, Message: why}
}

// near tells whether a and b differ, but for case, by one letter or by two
// that changed places.
func near(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return swapped || len(a) <= 1 && len(b) <= 1
}
