package wasm

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// plugMemory is the memory that an Extism plug-in shares with its host: an
// address space of its own, in which blocks are allocated. Blocks last for one
// run, the space until unmap. As in Extism, bytes between and shortly behind
// blocks may be accessed too: some plug-in kits write there.
type plugMemory struct {
	space  []byte // all that may be allocated, outside of Go's heap, so that growing copies nothing; nil: not mapped
	buf    []byte // of space, or on the heap where address space is scarce
	open   int    // bytes of buf that may be accessed
	top    int    // bytes of buf that blocks take
	blocks []plugBlock
	input  uint64 // handle of the event's data; 0 until it is asked for
	err    uint64 // handle of the error's text; 0: none
	answer plugAnswer
}

// plugBlock is one allocation. Blocks are kept in the order of their offsets.
type plugBlock struct {
	at, size int
	free     bool
}

const (
	plugBase  = 1 << 30  // the first handle: no small number and hardly any pointer is a handle, and all fit in an i32
	plugPage  = 4 << 10  // bytes: what is opened at a time
	plugSlack = 1 << 10  // bytes behind the last block that are open at least
	plugKept  = 64 << 10 // bytes that are kept from one run to the next
	plugAlign = 16       // bytes; a block takes at least so many
	plugEntry = 24       // bytes that a plugBlock takes
	plugMost  = 1 << 20  // blocks at most: the list of them is copied to grow
)

// taken is what the memory takes of the gateway's, in bytes.
func (p *plugMemory) taken() int64 { return int64(len(p.buf)) + int64(cap(p.blocks))*plugEntry }

// reset forgets all blocks. What a plug-in finds in new ones afterwards is 0.
func (p *plugMemory) reset() {
	if p.buf == nil { // as in all guests that are no plug-ins
		return
	}
	if len(p.buf) > plugKept {
		p.unmap()
		return
	}
	clear(p.buf[:p.open])
	*p = plugMemory{space: p.space, buf: p.buf, blocks: p.blocks[:0]}
}

// unmap gives all memory back. No slice of it may be used afterwards.
func (p *plugMemory) unmap() {
	if p.space != nil {
		unmapMemory(p.space)
	}
	*p = plugMemory{}
}

// alloc returns the handle of n new bytes, or 0 if n is 0 or the memory would
// take more than limit bytes, which never changes, together with others.
func (p *plugMemory) alloc(n uint64, limit, others int64) uint64 {
	limit = min(limit, plugBase)
	most := limit - others
	if n == 0 || most < 0 || n > uint64(most) || len(p.blocks) == plugMost {
		return 0
	}
	size := (int(n) + plugAlign - 1) &^ (plugAlign - 1)
	most -= int64(len(p.blocks)+1) * plugEntry
	if int64(p.top)+int64(size) > most {
		return 0
	}
	if p.space == nil && p.buf == nil {
		p.space = mapMemory(uint64(limit))
	}
	if !p.reach(p.top+size, int(most)) {
		return 0
	}
	at := p.top
	p.blocks = append(p.blocks, plugBlock{at: at, size: int(n)})
	p.top += size
	return plugBase + uint64(at)
}

// reach opens buf up to end at least.
func (p *plugMemory) reach(end, most int) bool {
	open := (end + plugSlack + plugPage - 1) &^ (plugPage - 1)
	if open > len(p.buf) {
		size := min(open, most)
		if p.space == nil {
			size = min(max(open, 2*len(p.buf)), most)
		}
		if size < end {
			return false
		}
		p.grow(max(size, len(p.buf)))
	}
	p.open = max(p.open, min(open, len(p.buf)))
	return true
}

// grow makes buf size bytes long, all behind what was open 0.
func (p *plugMemory) grow(size int) {
	if p.space != nil {
		p.buf = p.space[:size:size]
		return
	}
	buf := make([]byte, size)
	copy(buf, p.buf[:p.open])
	p.buf = buf
}

// index finds the block that a handle names, -1 if there is none.
func (p *plugMemory) index(handle uint64) int {
	at := handle - plugBase
	if at > uint64(p.top) {
		return -1
	}
	if last := len(p.blocks) - 1; last >= 0 && p.blocks[last].at == int(at) {
		return last
	}
	i, ok := slices.BinarySearchFunc(p.blocks, int(at), func(b plugBlock, at int) int { return cmp.Compare(b.at, at) })
	if !ok || p.blocks[i].free {
		return -1
	}
	return i
}

// release frees the block that a handle names, if there is one. Its bytes are
// used again when all blocks behind it are free too.
func (p *plugMemory) release(handle uint64) {
	i := p.index(handle)
	if i < 0 {
		return
	}
	p.blocks[i].free = true
	for last := len(p.blocks) - 1; last >= 0 && p.blocks[last].free; last-- {
		p.top = p.blocks[last].at
		p.blocks = p.blocks[:last]
	}
}

// block returns the bytes that a handle names.
func (p *plugMemory) block(handle uint64) ([]byte, bool) {
	i := p.index(handle)
	if i < 0 {
		return nil, false
	}
	b := &p.blocks[i]
	return p.buf[b.at : b.at+b.size], true
}

// view returns n bytes at an address, which need not be in a block.
func (p *plugMemory) view(addr, n uint64) ([]byte, bool) {
	at, open := addr-plugBase, uint64(p.open)
	if at > open || n > open-at {
		return nil, false
	}
	return p.buf[at : at+n], true
}

func (p *plugMemory) loadByte(addr uint64) (uint64, bool) {
	at := addr - plugBase
	if at >= uint64(p.open) {
		return 0, false
	}
	return uint64(p.buf[at]), true
}

func (p *plugMemory) loadWord(addr uint64) (uint64, bool) {
	b, ok := p.view(addr, 8)
	if !ok {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

func (p *plugMemory) storeByte(addr, value uint64) bool {
	at := addr - plugBase
	if at >= uint64(p.open) {
		return false
	}
	p.buf[at] = byte(value)
	return true
}

func (p *plugMemory) storeWord(addr, value uint64) bool {
	b, ok := p.view(addr, 8)
	if ok {
		binary.LittleEndian.PutUint64(b, value)
	}
	return ok
}
