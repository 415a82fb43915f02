package when

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// known tells whether name may stand in a condition. The names that the
// rewriter puts in have a space.
func known(name string) bool {
	_, ok := env[name]
	return ok || name == "level" || strings.Contains(name, " ")
}

// unknownName refuses a name that is not known; what is it most likely a field
// of: the data, or inside a loop the element.
func unknownName(n *ast.IdentifierNode, of string) error {
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
	for _, name := range append([]string{"level"}, allowed...) {
		if near(n.Value, name) {
			return refusal(n, fmt.Sprintf("unknown name %q: did you mean %s?", n.Value, name))
		}
	}
	return refusal(n, fmt.Sprintf("unknown name %q: the functions are level, %s", n.Value, strings.Join(allowed, ", ")))
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
