package when

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxLength = 1024   // bytes of an expression
	maxNodes  = 256    // of its tree
	maxMemory = 50_000 // elements of lists and maps made in one run
)

// allowed are the built-in functions whose time and memory grow no faster than
// what they are given. There is no replace, join or split: they multiply.
var allowed = []string{
	"all", "any", "none", "one", "count", "filter", "find", "map", "sum",
	"abs", "ceil", "floor", "round", "int", "float", "string", "max", "min", "mean",
	"len", "first", "last", "keys", "values", "indexOf", "lastIndexOf",
	"lower", "upper", "trim", "trimPrefix", "trimSuffix", "hasPrefix", "hasSuffix",
}

// Language implements agent.Language.
type Language struct{}

// predicate is a compiled condition, or a part of one.
type predicate struct {
	text string
	test test
}

// Condition implements agent.Language. Errors are one sentence that says what is
// wrong and, where known, at which column.
func (Language) Condition(text string, captures []string) (stateless, stateful agent.Predicate, err error) {
	if err := checkLength("condition", text); err != nil {
		return nil, nil, err
	}
	less, full, err := condition(text, captures)
	if err != nil {
		return nil, nil, fmt.Errorf("condition %.100q: %w", text, sentence(err))
	}
	if less != nil {
		stateless = &predicate{text, less}
	}
	if full != nil {
		stateful = &predicate{text, full}
	}
	return stateless, stateful, nil
}

func checkLength(what, text string) error {
	if len(text) > maxLength {
		return fmt.Errorf("%s has %d bytes, at most %d are allowed: move the rest into the function", what, len(text), maxLength)
	}
	if strings.TrimSpace(text) == "" {
		return fmt.Errorf("%s is empty: leave it out, or write one such as data.temperature > 80", what)
	}
	return nil
}

// condition splits the tree where its top is an "and".
func condition(text string, captures []string) (stateless, stateful test, err error) {
	l, root, err := parse(text, inCondition, captures)
	if err != nil {
		return nil, nil, err
	}
	if k := root.Type().Kind(); k != reflect.Bool && k != reflect.Interface {
		return nil, nil, fmt.Errorf("it must yield true or false, not %s: compare it with something", k)
	}
	ast.Walk(&root, l)
	for _, part := range conjuncts(root, nil) {
		if needsState(part) {
			stateful = and(stateful, l.test(part))
		} else {
			stateless = and(stateless, l.test(part))
		}
	}
	return stateless, stateful, l.err
}

// conjuncts appends to found what all has to hold for n to hold.
func conjuncts(n ast.Node, found []ast.Node) []ast.Node {
	if b, ok := n.(*ast.BinaryNode); ok && (b.Operator == "and" || b.Operator == "&&") {
		return conjuncts(b.Right, conjuncts(b.Left, found))
	}
	return append(found, n)
}

func and(first, second test) test {
	if first == nil {
		return second
	}
	return &both{first, second}
}

func needsState(n ast.Node) (needed bool) {
	ast.Walk(&n, finder(func(inner ast.Node) {
		if call, ok := inner.(*ast.CallNode); ok && calls(call, stateFunc) {
			needed = true
		}
	}))
	return needed
}

// Match implements agent.Predicate.
func (p *predicate) Match(t agent.Terms) (bool, error) {
	ok, err := p.test.holds(t)
	if err != nil {
		return false, fmt.Errorf("condition %.100q: %w", p.text, sentence(bound(err, p.text)))
	}
	return ok, nil
}

// parse checks an expression and returns its tree, with what makes operands of it.
func parse(text string, to use, captures []string) (*lowering, ast.Node, error) {
	rw := &rewriter{use: to, captures: captures}
	config := configFor(rw)
	tree, err := checker.ParseCheck(text, config)
	if refused := cmp.Or(rw.err, rw.unknown, rw.looseName()); refused != nil { // the cause of whatever came after
		err = refused
	}
	if err == nil {
		err = checkCalls(tree, config)
	}
	if err == nil {
		err = optimizer.Optimize(&tree.Node, config)
	}
	if err != nil {
		return nil, nil, err
	}
	return &lowering{config: config, source: tree.Source, parts: loopParts(tree.Node)}, tree.Node, nil
}

// checkCalls looks into the calls that the rewriter put in: the checker passes over
// what it has given a type before, and forgets what was wrong with it.
func checkCalls(tree *parser.Tree, config *conf.Config) error {
	ast.Walk(&tree.Node, finder(func(n ast.Node) {
		if call, ok := n.(*ast.CallNode); ok {
			call.SetNature(nature.Nature{})
		}
	}))
	_, err := checker.Check(tree, config)
	return err
}

// configFor takes what all expressions share, and adds what belongs to one.
func configFor(rw *rewriter) *conf.Config {
	config := *shared()
	config.NtCache = nature.Cache{}
	if config.WithEnv(env); rw.use == inTemplate {
		config.WithEnv(envWithResult)
	}
	config.Visitors = []ast.Visitor{rw}
	return &config
}

var shared = sync.OnceValue(func() *conf.Config {
	config := conf.CreateNew()
	for _, set := range options() {
		set(config)
	}
	for name := range config.Disabled {
		delete(config.Builtins, name)
	}
	return config
})

func options() []expr.Option {
	opts := []expr.Option{
		expr.Env(env), expr.MaxNodes(maxNodes), expr.DisableAllBuiltins(),
		expr.Function("level", levelCall, new(func(string, int) string)),
		expr.Function(fieldFunc, fieldCall, new(func(any, any) any)),
		expr.Function(truthFunc, truthCall, new(func(any) bool)),
		expr.Function(captureFunc, valueCall, new(func(string) string)),
		expr.Function(stateFunc, stateCall, new(func(string) any)),
		expr.Function(inFunc, inCall, new(func(any, any) bool)),
		expr.Function(valueFunc, valueCall, new(func(any, any) any)),
		expr.Function(listFunc, listCall, new(func(any, int) any)),
	}
	for name, op := range orderings {
		opts = append(opts, expr.Function(name, ordered(op), new(func(any, any) bool)))
	}
	for _, name := range allowed {
		opts = append(opts, expr.EnableBuiltin(name))
	}
	return opts
}

// bound finds the line and column of an error that was located when it happened.
func bound(err error, text string) error {
	if at, ok := err.(*file.Error); ok && at.Line == 0 {
		return at.Bind(file.NewSource(text))
	}
	return err
}

// sentence makes one line of the picture that expr draws of an error.
func sentence(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	what := strings.Join(strings.Fields(at.Message), " ")
	if at.Line > 1 {
		return fmt.Errorf("%s, at line %d column %d", what, at.Line, at.Column+1)
	}
	if strings.HasSuffix(what, "?") {
		return fmt.Errorf("%s (at column %d)", what, at.Column+1)
	}
	return fmt.Errorf("%s, at column %d", what, at.Column+1)
}
