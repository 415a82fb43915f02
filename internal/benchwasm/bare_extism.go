package main

import (
	"context"
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
)

const plugBytes = 16 << 10

// plugMemory is the least that an Extism plug-in needs of its host: blocks, one
// behind the other, forgotten after each event.
type plugMemory struct {
	buf   [plugBytes]byte
	sizes [plugBytes / 16]uint32 // of blocks, by offset/16
	top   uint64
	input uint64
	limit string
	event string
}

func (p *plugMemory) begin(g *guest) {
	p.top, p.event, p.limit = 16, g.event, g.env["LIMIT"]
	p.input = p.put(p.event)
}

func (p *plugMemory) put(s string) uint64 {
	at := p.alloc(uint64(len(s)))
	copy(p.buf[at:], s)
	return at
}

func (p *plugMemory) alloc(n uint64) uint64 {
	at := p.top
	p.sizes[at/16] = uint32(n)
	p.top += (n + 15) &^ 15
	return at
}

func (p *plugMemory) function(name string, decided *bool) api.GoModuleFunc {
	word := binary.LittleEndian
	return func(_ context.Context, _ api.Module, stack []uint64) {
		switch name {
		case "input_length":
			stack[0] = uint64(len(p.event))
		case "input_load_u8":
			stack[0] = uint64(p.event[stack[0]])
		case "input_load_u64":
			stack[0] = word.Uint64(p.buf[p.input+stack[0]:])
		case "input_offset":
			stack[0] = p.input
		case "alloc":
			stack[0] = p.alloc(stack[0])
		case "length", "length_unsafe":
			stack[0] = uint64(p.sizes[stack[0]/16])
		case "load_u8":
			stack[0] = uint64(p.buf[stack[0]])
		case "load_u64":
			stack[0] = word.Uint64(p.buf[stack[0]:])
		case "store_u8":
			p.buf[stack[0]] = byte(stack[1])
		case "store_u64":
			word.PutUint64(p.buf[stack[0]:], stack[1])
		case "config_get":
			stack[0] = p.put(p.limit)
		case "output_set":
			*decided = true
		}
	}
}
