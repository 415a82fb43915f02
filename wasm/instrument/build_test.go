package instrument_test

import "encoding/binary"

// Value types and opcodes that the tests write.
const (
	i32, i64, f32, f64, v128 = 0x7f, 0x7e, 0x7d, 0x7c, 0x7b

	block, loop, iff, els, end   = 0x02, 0x03, 0x04, 0x05, 0x0b
	br, brIf, brTable, ret       = 0x0c, 0x0d, 0x0e, 0x0f
	call, callIndirect, drop     = 0x10, 0x11, 0x1a
	localGet, localSet, localTee = 0x20, 0x21, 0x22
	globalGet, globalSet         = 0x23, 0x24
	i32Const, i64Const           = 0x41, 0x42
	empty                        = 0x40
)

func u(v int) []byte { return binary.AppendUvarint(nil, uint64(v)) }

func s(v int64) (b []byte) {
	for {
		c := byte(v & 0x7f)
		if v >>= 7; v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// op is an opcode with unsigned immediates.
func op(code byte, immediates ...int) []byte {
	b := []byte{code}
	for _, i := range immediates {
		b = append(b, u(i)...)
	}
	return b
}

func int32Const(v int32) []byte { return append([]byte{i32Const}, s(int64(v))...) }
func int64Const(v int64) []byte { return append([]byte{i64Const}, s(v)...) }

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func repeat(n int, part []byte) (b []byte) {
	for range n {
		b = append(b, part...)
	}
	return b
}

func vector(items ...[]byte) []byte { return append(u(len(items)), cat(items...)...) }

func sized(b []byte) []byte { return append(u(len(b)), b...) }

// signature is a function type.
type signature struct{ params, results []byte }

// build is a module that a test makes: all its functions are in its table, and
// the first is exported as "run".
type build struct {
	types   []signature
	funcs   []fn
	pages   int      // of memory, exported as "memory"; at most twice as many
	globals []byte   // types of mutable ones that start at 0, exported as "a", "b"…
	data    []byte   // passive
	start   bool     // the second function
	exports []string // names of the functions from the second on
	tables  []limits // more tables, empty
	fixed   [][]byte // more globals, in the format
}

type limits struct{ min, max int }

type fn struct {
	typ    int
	locals []byte
	code   []byte // without the last end
}

func (m build) bytes() []byte {
	var types, funcs, globals, exports, refs, code [][]byte
	for _, t := range m.types {
		types = append(types, cat([]byte{0x60}, sized(t.params), sized(t.results)))
	}
	for i, f := range m.funcs {
		var locals [][]byte
		for _, t := range f.locals {
			locals = append(locals, []byte{1, t})
		}
		funcs = append(funcs, u(f.typ))
		refs = append(refs, u(i))
		code = append(code, sized(cat(vector(locals...), f.code, []byte{end})))
	}
	exports = append(exports, cat(sized([]byte("run")), []byte{0, 0}), cat(sized([]byte("memory")), []byte{2, 0}))
	for i, t := range m.globals {
		init := []byte{t, 1, i32Const, 0, end}
		if t == i64 {
			init[2] = i64Const
		}
		globals = append(globals, init)
		exports = append(exports, cat(sized([]byte{'a' + byte(i)}), []byte{3, byte(i)}))
	}
	globals = append(globals, m.fixed...)
	for i, name := range m.exports {
		exports = append(exports, cat(sized([]byte(name)), []byte{0}, u(i+1)))
	}
	tables := [][]byte{cat([]byte{0x70, 0}, u(len(refs)))}
	for _, l := range m.tables {
		tables = append(tables, cat([]byte{0x70, 1}, u(l.min), u(l.max)))
	}
	section := func(id byte, body []byte) []byte { return cat([]byte{id}, sized(body)) }
	b := cat(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, vector(types...)),
		section(3, vector(funcs...)),
		section(4, vector(tables...)),
		section(5, vector(cat([]byte{1}, u(m.pages), u(2*m.pages)))),
		section(6, vector(globals...)),
		section(7, vector(exports...)),
	)
	if m.start {
		b = append(b, section(8, []byte{1})...)
	}
	return cat(
		b,
		section(9, vector(cat([]byte{0, i32Const, 0, end}, vector(refs...)))),
		section(12, []byte{1}),
		section(10, vector(code...)),
		section(11, vector(cat([]byte{1}, sized(m.data)))),
	)
}
