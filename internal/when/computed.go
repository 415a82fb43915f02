package when

import (
	"sync"

	"github.com/expr-lang/expr/vm"

	"github.com/skerry-edge/skerry/agent"
)

// computed is an operand that a program of expr computes.
type computed struct{ program *vm.Program }

// run is what one evaluation needs and the next can use again, of whatever program.
type run struct {
	vm    vm.VM
	terms agent.Terms
}

var runs = sync.Pool{New: func() any { return &run{vm: vm.VM{MemoryBudget: maxMemory}} }}

func (c *computed) value(t agent.Terms) (any, error) {
	r := runs.Get().(*run)
	r.terms = t
	out, err := r.vm.Run(c.program, r)
	r.terms = agent.Terms{} // the pool keeps no event alive
	clear(r.vm.Stack[:cap(r.vm.Stack)])
	runs.Put(r)
	return out, err
}

func (c *computed) scalar(agent.Terms) scalar { return scalar{} }
