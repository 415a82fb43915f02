package when

import (
	"reflect"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// rewriter goes once through the tree of an expression, leaves first. It
// refuses what could run long, notes which names are used, and replaces
// operators that would fail on a missing field by functions that do not.
type rewriter struct {
	used    map[string]bool
	err     error
	unknown error // the first unknown name; err may know better what it is
}

// Visit implements ast.Visitor.
func (r *rewriter) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.name(n)
	case *ast.MemberNode:
		r.member(node, n)
	case *ast.CallNode:
		r.call(n)
	case *ast.BuiltinNode:
		r.loop(n)
	case *ast.PredicateNode:
		r.body(n)
	case *ast.BinaryNode:
		r.operator(node, n)
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			needTruth(&n.Node)
		}
	case *ast.ConditionalNode:
		needTruth(&n.Cond)
	case *ast.VariableDeclaratorNode:
		r.refuse(n, "let is not available in conditions")
	case *ast.SequenceNode:
		r.refuse(n, "a condition is one expression, without ;")
	}
}

// refuse keeps the first thing that is not allowed.
func (r *rewriter) refuse(n ast.Node, why string) {
	if r.err == nil {
		r.err = refusal(n, why)
	}
}

func (r *rewriter) name(n *ast.IdentifierNode) {
	if n.Value == "$env" {
		r.refuse(n, "$env is not available in conditions")
	}
	if !known(n.Value) && r.unknown == nil { // expr finds only some of them
		r.unknown = unknownName(n, "data")
	}
	if r.used == nil {
		r.used = map[string]bool{}
	}
	r.used[n.Value] = true
}

// member lets fields of unknown things be missing.
func (r *rewriter) member(node *ast.Node, n *ast.MemberNode) {
	if unknown(n.Node) {
		ast.Patch(node, callTo(fieldFunc, n.Node, n.Property))
	}
}

// call gives level the topic, and refuses methods.
func (r *rewriter) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	switch {
	case !ok:
		r.refuse(n, "only functions can be called, data has none")
	case !known(callee.Value) && r.err == nil:
		r.err = unknownFunction(callee)
	case callee.Value == "level":
		topic := &ast.IdentifierNode{Value: "topic"}
		topic.SetLocation(n.Location())
		r.name(topic)
		n.Arguments = append([]ast.Node{topic}, n.Arguments...)
	}
}

// testing are the loops whose body is a condition itself.
var testing = []string{"all", "any", "none", "one", "count", "filter", "find"}

func (r *rewriter) loop(n *ast.BuiltinNode) {
	if !slices.Contains(allowed, n.Name) { // disabling leaves expr's own loops in
		r.refuse(n, n.Name+" is not available in conditions")
	}
	if !slices.Contains(testing, n.Name) || len(n.Arguments) < 2 {
		return
	}
	if body, ok := n.Arguments[1].(*ast.PredicateNode); ok {
		needTruth(&body.Node)
	}
}

// body refuses loops that would take longer than the event is long.
func (r *rewriter) body(n *ast.PredicateNode) {
	ast.Walk(&n.Node, finder(func(inner ast.Node) {
		switch in := inner.(type) {
		case *ast.PredicateNode:
			r.refuse(in, "loops do not nest in conditions: move this into the function")
		case *ast.IdentifierNode:
			switch {
			case in.Value == "data":
				r.refuse(in, "data is not available inside a loop: use the element (#)")
			case !known(in.Value) && r.err == nil:
				r.err = unknownName(in, "#")
			}
		}
	}))
}

type finder func(ast.Node)

func (f finder) Visit(node *ast.Node) { f(*node) }

func (r *rewriter) operator(node *ast.Node, n *ast.BinaryNode) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		needTruth(&n.Left)
		needTruth(&n.Right)
	case "<", "<=", ">", ">=":
		if unknown(n.Left) || unknown(n.Right) {
			ast.Patch(node, callTo("is "+n.Operator, n.Left, n.Right))
		}
	case "..":
		r.refuse(n, "ranges are not available in conditions: write x >= 1 and x <= 9")
	case "matches":
		if _, fixed := n.Right.(*ast.StringNode); !fixed {
			r.refuse(n, "matches needs a pattern in quotes")
		}
	}
}

func callTo(name string, args ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

// needTruth lets a value of unknown type stand where true or false is needed.
func needTruth(node *ast.Node) {
	if unknown(*node) {
		ast.Patch(node, callTo(truthFunc, *node))
	}
}

// unknown tells that the type of n shows only when it runs.
func unknown(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && callee.Value != fieldFunc {
			return false // level, comparisons and truth have types
		}
		return true
	case *ast.NilNode:
		return true
	case *ast.BinaryNode:
		if slices.Contains([]string{"and", "&&", "or", "||", "==", "!="}, n.Operator) {
			return false
		}
	}
	return n.Type().Kind() == reflect.Interface
}
