package wasm

import "github.com/tetratelabs/wazero/api"

// Flags of publish.
const (
	flagQoS    = 0b011
	flagRetain = 0b100
	flagKnown  = flagQoS | flagRetain
)

// publish (topic, len, ptr, len, flags) -> error.
func publish(r *run, mem api.Memory, args []uint64) int64 {
	topic, ok1 := takeName(r, mem, args)
	data, ok2 := take(mem, args[2:])
	flags := uint32(args[4])
	if !ok1 || !ok2 || flags&^flagKnown != 0 {
		return errnoInvalid
	}
	return r.errno(r.inv.Publish(topic, data, uint8(flags&flagQoS), flags&flagRetain != 0))
}

// emit (function, len, ptr, len) -> error.
func emit(r *run, mem api.Memory, args []uint64) int64 {
	function, ok1 := takeName(r, mem, args)
	data, ok2 := take(mem, args[2:])
	if !ok1 || !ok2 {
		return errnoInvalid
	}
	return r.errno(r.inv.Emit(function, data))
}

// followup (target, len, content type, len, ptr, len) -> error.
func followup(r *run, mem api.Memory, args []uint64) int64 {
	target, ok1 := takeName(r, mem, args)
	contentType, ok2 := takeName(r, mem, args[2:])
	data, ok3 := take(mem, args[4:])
	if !ok1 || !ok2 || !ok3 {
		return errnoInvalid
	}
	return r.errno(r.inv.Followup(target, contentType, data))
}
