package when

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxLength = 1024   // bytes of an expression
	maxNodes  = 256    // of its tree
	maxMemory = 50_000 // elements of lists and maps made in one run
)

// env is what an expression may name, with its types.
var env = types.Map{
	"data":     types.Any,
	"topic":    types.String,
	"subject":  types.String,
	"source":   types.String,
	"type":     types.String,
	"qos":      types.Int,
	"retained": types.Bool,
	"size":     types.Int,
}

var sortedNames = slices.Sorted(maps.Keys(env))

// allowed are the built-in functions whose time and memory grow no faster than
// what they are given. There is no replace, join or split: they multiply.
var allowed = []string{
	"all", "any", "none", "one", "count", "filter", "find", "map", "sum",
	"abs", "ceil", "floor", "round", "int", "float", "string", "max", "min", "mean",
	"len", "first", "last", "keys", "values", "indexOf", "lastIndexOf",
	"lower", "upper", "trim", "trimPrefix", "trimSuffix", "hasPrefix", "hasSuffix",
}

// predicate is a compiled condition; it may be used by many goroutines.
type predicate struct {
	text    string
	program *vm.Program
	fill    []func(map[string]any, *agent.Event) // sets the names that the expression uses
	runs    sync.Pool                            // of *run
}

// run is what one evaluation needs and the next can use again.
type run struct {
	vm  vm.VM
	env map[string]any
}

// Language implements agent.Language.
type Language struct{}

// Condition implements agent.Language.
func (Language) Condition(text string, _ []string) (stateless, stateful agent.Predicate, err error) {
	stateless, err = Compile(text)
	return stateless, nil, err
}

// Value implements agent.Language.
func (Language) Value(string, []string) (agent.Value, error) { return nil, errors.ErrUnsupported }

// Template implements agent.Language.
func (Language) Template(string, []string) (agent.Template, error) { return nil, errors.ErrUnsupported }

// Compile makes a condition of expr. Errors are one sentence that says what is
// wrong and, where known, at which column.
func Compile(text string) (agent.Predicate, error) {
	if len(text) > maxLength {
		return nil, fmt.Errorf("condition has %d bytes, at most %d are allowed: move the rest into the function", len(text), maxLength)
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("condition is empty: leave the key out to match every event")
	}
	rw := &rewriter{}
	program, err := expr.Compile(text, options(rw)...)
	if refused := cmp.Or(rw.err, rw.unknown); refused != nil { // the cause of whatever came after
		err = refused
	}
	if err == nil {
		err = yieldsTruth(program)
	}
	if err != nil {
		return nil, fmt.Errorf("condition %q: %w", text, sentence(err))
	}
	p := &predicate{text: text, program: program, fill: fillers(rw.used)}
	p.runs.New = func() any {
		return &run{vm: vm.VM{MemoryBudget: maxMemory}, env: make(map[string]any, len(p.fill))}
	}
	return p, nil
}

func options(rw *rewriter) []expr.Option {
	opts := []expr.Option{
		expr.Env(env), expr.MaxNodes(maxNodes),
		expr.DisableAllBuiltins(), expr.Patch(rw),
		expr.Function("level", level, new(func(string, int) string)),
		expr.Function(fieldFunc, field, new(func(any, any) any)),
		expr.Function(truthFunc, truthCall, new(func(any) bool)),
	}
	for name, op := range comparisons {
		opts = append(opts, expr.Function(name, op, new(func(any, any) bool)))
	}
	for _, name := range allowed {
		opts = append(opts, expr.EnableBuiltin(name))
	}
	return opts
}

// yieldsTruth refuses expressions that can never be true or false. Where the
// type shows only when it runs, Match looks.
func yieldsTruth(program *vm.Program) error {
	switch k := program.Node().Type().Kind(); k {
	case reflect.Bool, reflect.Interface:
		return nil
	default:
		return fmt.Errorf("it must yield true or false, not %s: compare it with something", k)
	}
}

// Match evaluates the condition for ev.
func (p *predicate) Match(t agent.Terms) (bool, error) {
	r := p.runs.Get().(*run)
	for _, set := range p.fill {
		set(r.env, t.Event)
	}
	out, err := r.vm.Run(p.program, r.env)
	clear(r.env) // the pool keeps no event alive
	p.runs.Put(r)
	var ok bool
	if err == nil {
		ok, err = truth(out)
	}
	if err != nil {
		return false, fmt.Errorf("condition %q: %w", p.text, sentence(err))
	}
	return ok, nil
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

// fillers returns what sets each of the used names. Data that no expression
// looks at is not decoded.
func fillers(used map[string]bool) []func(map[string]any, *agent.Event) {
	var fill []func(map[string]any, *agent.Event)
	for name, value := range attributes {
		if used[name] {
			fill = append(fill, func(to map[string]any, ev *agent.Event) { to[name] = value(ev) })
		}
	}
	return fill
}

var attributes = map[string]func(*agent.Event) any{
	"data": func(ev *agent.Event) any {
		data, err := ev.JSON()
		if err != nil {
			return nil // data that is no JSON has no fields; that is no error
		}
		return data
	},
	"topic":    func(ev *agent.Event) any { return ev.Subject },
	"subject":  func(ev *agent.Event) any { return ev.Subject },
	"source":   func(ev *agent.Event) any { return ev.Source },
	"type":     func(ev *agent.Event) any { return ev.Type },
	"qos":      func(ev *agent.Event) any { return int(ev.QoS) },
	"retained": func(ev *agent.Event) any { return ev.Retained },
	"size":     func(ev *agent.Event) any { return len(ev.Data) },
}
