package wasm_test

import (
	"encoding/binary"
	"slices"
	"strings"
)

// The pieces of hand-made modules. Numbers are LEB128 without a sign.

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func named(s string) []byte { return slices.Concat(leb(len(s)), []byte(s)) }

func section(id byte, count int, content ...[]byte) []byte {
	all := slices.Concat(append([][]byte{leb(count)}, content...)...)
	return slices.Concat([]byte{id}, leb(len(all)), all)
}

// body is a function's code: its local variables, then instructions.
func body(locals string, instructions ...[]byte) []byte {
	all := slices.Concat(append([][]byte{[]byte(locals)}, instructions...)...)
	return slices.Concat(leb(len(all)), all)
}

// hostileModule is a function whose skerry_handle is the first of bodies, all of
// type ()->i32, with further sections before its code. A section of id 0 is none.
func hostileModule(sections []byte, bodies ...[]byte) []byte {
	functions := make([]byte, len(bodies)) // all of type 0
	return slices.Concat([]byte(header), []byte(types),
		section(3, len(bodies), functions), []byte(memory), sections,
		section(7, 2, named("memory"), []byte{2, 0}, named("skerry_handle"), []byte{0, 0}),
		section(10, len(bodies), bodies...))
}

const (
	valueI32 = 0x7f
	valueI64 = 0x7e
)

// caller is a function that calls the host's function module.name with what it
// finds in the event's data, 8 bytes for each parameter, and commits.
func caller(module, name string, params, results []byte) []byte {
	signature := slices.Concat([]byte{0x60}, leb(len(params)), params, leb(len(results)), results)
	code := [][]byte{[]byte("\x41\x00\x41\x00\x41\x80\x08\x10\x00\x1a")} // event_get(0, 0, 1024)
	for i, p := range params {
		load := byte(0x28) // i32.load
		if p == valueI64 {
			load = 0x29
		}
		code = append(code, []byte{0x41, 0, load, 0}, leb(8*i))
	}
	code = append(code, []byte("\x10\x01"), []byte(strings.Repeat("\x1a", len(results))), []byte("\x41\x00\x0b"))
	return slices.Concat([]byte(header),
		section(1, 3, []byte("\x60\x00\x01\x7f"), []byte("\x60\x03\x7f\x7f\x7f\x01\x7f"), signature),
		section(2, 2, named("skerry_v1"), named("event_get"), []byte{0, 1}, named(module), named(name), []byte{0, 2}),
		section(3, 1, []byte{0}), []byte(memory),
		section(7, 2, named("memory"), []byte{2, 0}, named("skerry_handle"), []byte{0, 2}),
		section(10, 1, body("\x00", code...)))
}
