package when

import (
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/skerry-edge/skerry/agent"
)

// lowering makes tests and operands of a checked tree. What is no test and no
// operand of its own becomes a program of expr.
type lowering struct {
	config *conf.Config
	source file.Source
	parts  int // of all loop bodies
	err    error
}

// Visit implements ast.Visitor: names and what is below them become operands,
// which programs reach through valueFunc.
func (l *lowering) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if op := names[n.Value]; op != nil {
			ast.Patch(node, operandNode(op))
		}
	case *ast.CallNode:
		if op := l.calledOperand(n); op != nil {
			ast.Patch(node, operandNode(op))
		} else if calls(n, stateFunc) && len(n.Arguments) == 1 {
			ast.Patch(node, callTo(stateFunc, &ast.IdentifierNode{Value: "$env"}, n.Arguments[0]))
		}
	case *ast.BuiltinNode:
		l.bounded(n)
	case *ast.ChainNode:
		if op := operandOf(n.Node); op != nil {
			*node = n.Node
		}
	}
}

// calledOperand makes an operand of a call if its parameters are written out.
func (l *lowering) calledOperand(n *ast.CallNode) operand {
	switch {
	case calls(n, captureFunc):
		return captured(n.Arguments[0].(*ast.StringNode).Value)
	case calls(n, "level"):
		if level, ok := n.Arguments[1].(*ast.IntegerNode); ok && level.Value >= 0 {
			return levelOf(level.Value)
		}
	case calls(n, fieldFunc):
		in, ok := operandOf(n.Arguments[0]).(*field)
		if !ok {
			return nil
		}
		step := agent.Step{}
		switch to, _ := literalOf(n.Arguments[1]); to := to.(type) {
		case string:
			step.Name = to
		case int:
			step.Index, step.Element = to, true
		default:
			return nil
		}
		path := make([]agent.Step, len(in.path), len(in.path)+1)
		copy(path, in.path)
		return &field{result: in.result, path: append(path, step)}
	}
	return nil
}

func calls(n *ast.CallNode, name string) bool {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	return ok && callee.Value == name
}

// operandNode is what stands in a tree for an operand.
func operandNode(op operand) ast.Node {
	return callTo(valueFunc, &ast.IdentifierNode{Value: "$env"}, &ast.ConstantNode{Value: &held{op}})
}

// held lets a constant be any operand.
type held struct{ operand }

// operandOf is the operand that n stands for, nil if it stands for none.
func operandOf(n ast.Node) operand {
	call, ok := n.(*ast.CallNode)
	if !ok || !calls(call, valueFunc) {
		return nil
	}
	return call.Arguments[1].(*ast.ConstantNode).Value.(*held).operand
}

// test makes a test of a tree that yields true or false.
func (l *lowering) test(n ast.Node) test {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			return &not{l.test(n.Node)}
		}
	case *ast.BinaryNode:
		switch op := operators[n.Operator]; {
		case op != nil:
			return l.comparison(op, n.Left, n.Right, n.Location())
		case n.Operator == "and" || n.Operator == "&&":
			return &both{l.test(n.Left), l.test(n.Right)}
		case n.Operator == "or" || n.Operator == "||":
			return &either{l.test(n.Left), l.test(n.Right)}
		}
	case *ast.CallNode:
		callee, _ := n.Callee.(*ast.IdentifierNode)
		switch op := orderings[callee.Value]; {
		case op != nil:
			return l.comparison(op, n.Arguments[0], n.Arguments[1], n.Location())
		case callee.Value == truthFunc:
			return &truthful{l.operand(n.Arguments[0]), n.Location()}
		case callee.Value == inFunc:
			return &oneOf{l.operand(n.Arguments[0]), n.Arguments[1].(*ast.ConstantNode).Value.(*constants)}
		}
	}
	return &truthful{l.operand(n), n.Location()}
}

func (l *lowering) comparison(op *operator, left, right ast.Node, at file.Location) test {
	c := comparison{op, l.operand(left), l.operand(right), at}
	in, isField := c.left.(*field)
	to, isConstant := c.right.(*constant)
	if isField && isConstant && len(in.path) > 0 && (to.is.kind == numeric || to.is.kind == textual) {
		return &fieldTest{c, in.path, to.is}
	}
	return &c
}

// operand makes an operand of any tree.
func (l *lowering) operand(n ast.Node) operand {
	if op := operandOf(n); op != nil {
		return op
	}
	if v, ok := literalOf(n); ok {
		return newConstant(v)
	}
	tree := &ast.PredicateNode{Node: n}
	program, err := compiler.Compile(&parser.Tree{Node: tree, Source: l.source}, l.config)
	tree.Node = nil // nobody needs it any more, and the program would keep it
	if err != nil && l.err == nil {
		why, _, _ := strings.Cut(err.Error(), "\n") // a stack follows
		l.err = refusal(n, "it cannot be compiled: "+why)
	}
	return &computed{program}
}
