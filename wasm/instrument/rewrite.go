package instrument

import "fmt"

const (
	Module      = "skerry_rt"    // import module of the host functions that Rewrite adds
	Prefix      = "skerry:"      // reserved for names of exports that Rewrite adds
	FuelGlobal  = "skerry:fuel"  // exported mutable i64: fuel left of the slice; starts at 0
	StackGlobal = "skerry:stack" // exported mutable i32: bytes of call stack left; starts at 0
	Version     = 4              // of the rewriting: part of every cache key, raised when output changes
)

// Options may be left zero.
type Options struct {
	Remainders bool // lower integer remainders to divide, multiply, subtract (wazero 1.12.0 computes them wrongly on arm64)
}

// Result is a rewritten module.
type Result struct {
	Module  []byte
	Globals []string // export names of all mutable numbers the module defines as globals, in order: with memory, the state of an instance
	Impure  bool     // tables, segments or references may change at run time: memory and Globals are not the whole state
}

// Rewrite bounds what a module can do; README.md has the contract between the
// result and its host. The error is one sentence for the module's author: the
// module is broken, too large for a gateway, or beyond WebAssembly 2.0.
func Rewrite(bin []byte, opts Options) (Result, error) {
	m := &module{}
	if err := m.parse(bin); err != nil {
		return Result{}, err
	}
	if err := m.scanAll(); err != nil {
		return Result{}, err
	}
	m.countCalls()
	res, err := newRewriter(m, opts).write()
	if err != nil {
		return Result{}, err
	}
	return res, nil
}

func functionError(index uint32, err error) error {
	return fmt.Errorf("function %d of the module cannot be run: %w", index, err)
}
