//go:build wasip1

// The Go runtime as an Extism plug-in: a reactor whose _initialize is called
// before its function is. It publishes through skerry_v1 too.
package main

import (
	"strings"
	"unsafe"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputByte(at uint64) uint32

//go:wasmimport extism:host/env alloc
func alloc(n uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeByte(at uint64, v uint32)

//go:wasmimport extism:host/env output_set
func outputSet(at, n uint64)

//go:wasmimport extism:host/env error_set
func errorSet(h uint64)

//go:wasmimport skerry_v1 publish
func publish(topic unsafe.Pointer, n uint32, data unsafe.Pointer, m, flags uint32) int32

var initialised = strings.Repeat("+", 3)

func put(s string) uint64 {
	h := alloc(uint64(len(s)))
	for i := range len(s) {
		storeByte(h+uint64(i), uint32(s[i]))
	}
	return h
}

//go:wasmexport shout
func shout() int32 {
	in := make([]byte, inputLength())
	for i := range in {
		in[i] = byte(inputByte(uint64(i)))
	}
	if len(in) == 0 {
		panic("nothing to shout")
	}
	out := strings.ToUpper(string(in)) + initialised
	outputSet(put(out), uint64(len(out)))
	topic := []byte("alerts/shout")
	if n := publish(unsafe.Pointer(&topic[0]), uint32(len(topic)), unsafe.Pointer(&in[0]), uint32(len(in)), 1); n != 0 {
		errorSet(put("publish failed"))
		return 1
	}
	return 0
}

func main() {}
