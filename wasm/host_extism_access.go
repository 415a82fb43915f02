package wasm

import (
	"encoding/binary"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero/api"
)

// stray ends a run that left its memory.
func (r *run) stray(name string, addr uint64) {
	r.end(agent.FaultTrap, "%s at offset %d is outside of what the plug-in allocated", name, int64(addr))
}

// reserve allocates n bytes of the plug-in's memory, within the limit that it
// shares with the module's own. 0 refuses.
func (r *run) reserve(mod api.Module, n uint64) uint64 {
	handle := r.plug.alloc(n, int64(r.pages)*pageBytes, int64(mod.Memory().Size()))
	if handle == 0 {
		r.refused = r.refused || n > 0
		return 0
	}
	r.granted += int64(n >> 6) // what clearing and copying the block costs
	if now := r.plug.taken(); now != r.beside {
		r.beside = now
		r.check()
	}
	return handle
}

// hand gives data to the plug-in in a new block. Nothing is 0, as for Extism.
func hand[T string | []byte](r *run, mod api.Module, data T) uint64 {
	if len(data) == 0 {
		return 0
	}
	handle := r.reserve(mod, uint64(len(data)))
	if handle == 0 {
		r.end(agent.FaultMemory, "%d bytes for the plug-in are beyond its limit of %s; raise limits.memory of the function", len(data), pageSize(r.pages))
	}
	b, _ := r.plug.block(handle)
	copy(b, data)
	return handle
}

// block reads the block that the call name was given.
func (r *run) block(name string, handle uint64) []byte {
	b, ok := r.plug.block(handle)
	if !ok {
		r.end(agent.FaultTrap, "%s was given %d, which is no block that the plug-in allocated", name, int64(handle))
	}
	return b
}

func plugInputLength(r *run, _ api.Module, stack []uint64) {
	stack[0] = uint64(len(r.inv.Event.Data))
}

func plugInputByte(r *run, _ api.Module, stack []uint64) {
	data, at := r.inv.Event.Data, stack[0]
	if at >= uint64(len(data)) {
		r.stray("input_load_u8", at)
	}
	stack[0] = uint64(data[at])
}

func plugInputWord(r *run, _ api.Module, stack []uint64) {
	data, at := r.inv.Event.Data, stack[0]
	if n := uint64(len(data)); at > n || n-at < 8 {
		r.stray("input_load_u64", at)
	}
	stack[0] = binary.LittleEndian.Uint64(data[at:])
}

func plugInputOffset(r *run, mod api.Module, stack []uint64) {
	if r.plug.input == 0 {
		r.plug.input = hand(r, mod, r.inv.Event.Data)
	}
	stack[0] = r.plug.input
}

func plugAlloc(r *run, mod api.Module, stack []uint64) { stack[0] = r.reserve(mod, stack[0]) }

func plugFree(r *run, _ api.Module, stack []uint64) { r.plug.release(stack[0]) }

func plugLength(r *run, _ api.Module, stack []uint64) {
	b, _ := r.plug.block(stack[0])
	stack[0] = uint64(len(b))
}

func plugLoadByte(r *run, _ api.Module, stack []uint64) {
	v, ok := r.plug.loadByte(stack[0])
	if !ok {
		r.stray("load_u8", stack[0])
	}
	stack[0] = v
}

func plugLoadWord(r *run, _ api.Module, stack []uint64) {
	v, ok := r.plug.loadWord(stack[0])
	if !ok {
		r.stray("load_u64", stack[0])
	}
	stack[0] = v
}

func plugStoreByte(r *run, _ api.Module, stack []uint64) {
	if !r.plug.storeByte(stack[0], stack[1]) {
		r.stray("store_u8", stack[0])
	}
}

func plugStoreWord(r *run, _ api.Module, stack []uint64) {
	if !r.plug.storeWord(stack[0], stack[1]) {
		r.stray("store_u64", stack[0])
	}
}

func plugReset(r *run, _ api.Module, _ []uint64) {
	r.check()
	r.plug.reset()
	r.beside = r.plug.taken()
}
