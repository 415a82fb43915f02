package wasm

import (
	"github.com/tetratelabs/wazero/experimental"
)

// reserve gives an instance its linear memory: address space for all it may
// ever have, of which the system provides what is touched. Growing copies
// nothing, and closing the instance gives the memory back at once.
type reserve struct {
	limit uint64 // bytes
	given experimental.LinearMemory
}

// Allocate implements experimental.MemoryAllocator.
func (r *reserve) Allocate(_, most uint64) experimental.LinearMemory {
	limit := min(r.limit, most)
	if space := mapMemory(limit); space != nil {
		r.given = &mapped{space: space}
	} else {
		r.given = &heap{limit: limit}
	}
	return r.given
}

// free gives back the memory of an instance that wazero did not finish: it
// forgets it without freeing it.
func (r *reserve) free() {
	if r.given != nil {
		r.given.Free()
	}
}

// mapped is memory outside of Go's heap.
type mapped struct{ space []byte }

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.space)) {
		return nil
	}
	return m.space[:size:size]
}

// Free may be called again.
func (m *mapped) Free() {
	if m.space != nil {
		unmapMemory(m.space)
	}
	m.space = nil
}

// heap is memory where address space is scarce: it is copied to grow.
type heap struct {
	limit uint64
	buf   []byte
}

func (h *heap) Reallocate(size uint64) []byte {
	if size > h.limit {
		return nil
	}
	if size > uint64(cap(h.buf)) {
		buf := make([]byte, size, min(h.limit, size+size/4)) // or growing by pages would copy all of it for each
		copy(buf, h.buf)
		h.buf = buf
	}
	h.buf = h.buf[:size]
	return h.buf[:size:size]
}

func (h *heap) Free() { h.buf = nil }
