package when

import (
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
)

// maxWork bounds what the loops of an expression may do: elements of a list times
// the parts of all loop bodies. So what strangers send stalls nobody for long.
const maxWork = 1_000_000

// eachBody calls f with what a loop does with an element. A filter may have a map
// in it, which expr walks past.
func eachBody(n ast.Node, f func(body *ast.Node)) {
	loop, ok := n.(*ast.BuiltinNode)
	if !ok {
		return
	}
	for _, arg := range loop.Arguments {
		if body, ok := arg.(*ast.PredicateNode); ok {
			f(&body.Node)
		}
	}
	if loop.Map != nil {
		f(&loop.Map)
	}
}

// loopParts counts the parts of all loop bodies.
func loopParts(root ast.Node) (parts int) {
	ast.Walk(&root, finder(func(n ast.Node) {
		eachBody(n, func(body *ast.Node) {
			ast.Walk(body, finder(func(inner ast.Node) {
				if _, call := inner.(*ast.CallNode); !call { // its name counts
					parts++
				}
			}))
		})
	}))
	return parts
}

// bounded has a loop ask whether its list is short enough.
func (l *lowering) bounded(loop *ast.BuiltinNode) {
	if loop.Map != nil {
		ast.Walk(&loop.Map, l)
	}
	looping := false
	eachBody(loop, func(*ast.Node) { looping = true })
	if looping {
		list := loop.Arguments[0]
		loop.Arguments[0] = at(list, callTo(listFunc, list, &ast.ConstantNode{Value: l.parts}))
	}
}

// listCall takes a list and the parts of all loop bodies of the expression.
func listCall(params ...any) (any, error) {
	list, parts := params[0], params[1].(int)
	n := 0
	switch v := reflect.ValueOf(list); v.Kind() {
	case reflect.Slice, reflect.Array, reflect.String:
		n = v.Len()
	}
	if n > maxWork/parts {
		return nil, fmt.Errorf("%d elements are too many to loop over with %d parts of what is asked of each: at most %d are allowed; move this into the function",
			n, parts, maxWork/parts)
	}
	return list, nil
}
