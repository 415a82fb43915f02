package when

import (
	"fmt"
	"reflect"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// rewriter goes once through the tree of an expression, leaves first. It
// refuses what could run long and what is not known, and replaces operators that
// would fail on a missing field by functions that do not.
type rewriter struct {
	use      use
	captures []string

	err     error
	unknown error                 // the first unknown name; err may know better what it is
	loose   []*ast.IdentifierNode // "capture" so far without a name, functions not called
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
		r.refuse(n, "let is not available in expressions")
	case *ast.SequenceNode:
		r.refuse(n, "it must be one expression, without ;")
	}
}

// refuse keeps the first thing that is not allowed.
func (r *rewriter) refuse(n ast.Node, why string) {
	if r.err == nil {
		r.err = refusal(n, why)
	}
}

func (r *rewriter) name(n *ast.IdentifierNode) {
	switch {
	case n.Value == "$env":
		r.refuse(n, "$env is not available in expressions")
	case n.Value == "capture" || n.Value == "state" || n.Value == "level":
		r.loose = append(r.loose, n)
	case !r.known(n.Value) && r.unknown == nil: // expr finds only some of them
		r.unknown = unknownName(n, "data")
	}
}

// member lets fields of unknown things be missing, and looks captures up.
func (r *rewriter) member(node *ast.Node, n *ast.MemberNode) {
	if i := r.looseAt(n.Node); i >= 0 && r.loose[i].Value == "capture" {
		if name, ok := n.Property.(*ast.StringNode); ok {
			r.loose = slices.Delete(r.loose, i, i+1)
			if !slices.Contains(r.captures, name.Value) && r.err == nil {
				r.err = unknownCapture(n.Node, name.Value, r.captures)
			}
			ast.Patch(node, callTo(captureFunc, name))
		}
		return
	}
	if unknown(n.Node) {
		ast.Patch(node, callTo(fieldFunc, n.Node, n.Property))
	}
}

// call gives level the topic, and refuses methods.
func (r *rewriter) call(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if i := r.looseAt(n.Callee); i >= 0 {
		r.loose = slices.Delete(r.loose, i, i+1)
	}
	switch {
	case !ok:
		r.refuse(n, "only functions can be called, data has none")
	case callee.Value == "level":
		n.Arguments = slices.Insert(n.Arguments, 0, ast.Node(at(n, &ast.IdentifierNode{Value: "topic"})))
	case callee.Value == "state":
		if r.use != inCondition {
			r.refuse(n, "state is available in when only")
		}
		callee.Value = stateFunc
	case !strings.Contains(callee.Value, " ") && r.err == nil:
		r.err = unknownFunction(callee)
	}
}

// at gives made the place of n.
func at[N ast.Node](n ast.Node, made N) N {
	made.SetLocation(n.Location())
	return made
}

// asking are the loops whose body is a condition itself.
var asking = []string{"all", "any", "none", "one", "count", "filter", "find"}

func (r *rewriter) loop(n *ast.BuiltinNode) {
	if !slices.Contains(allowed, n.Name) { // disabling leaves expr's own loops in
		r.refuse(n, n.Name+" is not available in expressions")
	}
	if !slices.Contains(asking, n.Name) || len(n.Arguments) < 2 {
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
			r.refuse(in, "loops do not nest in expressions: move this into the function")
		case *ast.IdentifierNode:
			switch {
			case in.Value == "data":
				r.refuse(in, "data is not available inside a loop: use the element (#)")
			case in.Value == stateFunc:
				r.refuse(in, "state is not available inside a loop")
			case in.Value != "capture" && !r.known(in.Value) && r.err == nil:
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
	case "in":
		if list, ok := written(n.Right); ok && unknown(n.Left) {
			ast.Patch(node, callTo(inFunc, n.Left, &ast.ConstantNode{Value: list}))
		}
	case "..":
		r.refuse(n, "ranges are not available in expressions: write x >= 1 and x <= 9")
	case "matches":
		r.pattern(n)
	}
}

// maxPattern bounds the states of a pattern: matching takes their number times
// the length of the text.
const maxPattern = 250

// pattern refuses patterns that are not written out, and those that would take
// long: repeats of repeats multiply.
func (r *rewriter) pattern(n *ast.BinaryNode) {
	text, fixed := n.Right.(*ast.StringNode)
	if !fixed {
		r.refuse(n, "matches needs a pattern in quotes")
		return
	}
	tree, err := syntax.Parse(text.Value, syntax.Perl)
	if err != nil {
		return // expr tells it
	}
	if prog, err := syntax.Compile(tree.Simplify()); err == nil && len(prog.Inst) > maxPattern {
		r.refuse(n, fmt.Sprintf("the pattern has %d steps, at most %d are allowed: repeat less, or move this into the function", len(prog.Inst), maxPattern))
	}
}

// written is a list of constants.
func written(n ast.Node) (*constants, bool) {
	list, ok := n.(*ast.ArrayNode)
	if !ok {
		return nil, false
	}
	c := &constants{values: make([]scalar, len(list.Nodes))}
	for i, element := range list.Nodes {
		v, ok := literalOf(element)
		if c.values[i] = scalarOf(v); !ok || c.values[i].kind == other {
			return nil, false
		}
	}
	return c, true
}

// literalOf is the value of what is written out.
func literalOf(n ast.Node) (v any, ok bool) {
	switch n := n.(type) {
	case *ast.NilNode:
		return nil, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.UnaryNode:
		v, _ := literalOf(n.Node)
		switch v := v.(type) {
		case int:
			return -v, n.Operator == "-"
		case float64:
			return -v, n.Operator == "-"
		}
	}
	return nil, false
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
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return !ok || callee.Value == fieldFunc || callee.Value == stateFunc // the others have types
	case *ast.NilNode:
		return true
	case *ast.BinaryNode:
		if slices.Contains([]string{"and", "&&", "or", "||", "==", "!="}, n.Operator) {
			return false
		}
	}
	return n.Type().Kind() == reflect.Interface
}

// looseAt finds n among the loose names; -1 if it is none.
func (r *rewriter) looseAt(n ast.Node) int {
	name, ok := n.(*ast.IdentifierNode)
	if !ok {
		return -1
	}
	return slices.Index(r.loose, name)
}

// looseName refuses a name that means nothing by itself.
func (r *rewriter) looseName() error {
	if len(r.loose) == 0 {
		return nil
	}
	n := r.loose[0]
	how := map[string]string{
		"capture": "capture.name, with the name of a level of the topic",
		"state":   `state("key"), with a key of the function's state`,
		"level":   "level(1), with the number of a level of the topic",
	}
	return refusal(n, n.Value+" is not a value: write "+how[n.Value])
}
