package instrument

// chunk is how many bytes of memory are moved at once, so that the host comes
// to its turn in between.
const chunk = 256 << 10

// rangeOp is an instruction on a range of memory.
type rangeOp struct {
	sub     byte   // miscMemoryFill, miscMemoryCopy or miscMemoryInit
	segment uint32 // of miscMemoryInit
	size    int    // of the segment, in bytes
}

// Parameters and local variables of the functions that replace these.
const (
	to, from, length = 0, 1, 2 // parameters; from is the byte for fill
	step, back       = 3, 4    // size of this chunk; whether to copy from the end
)

// rangeFunc gives the body, with its size, of a function (to, from, length)
// that does what the instruction does:
//
//	if length <= chunk, or the range does not fit: charge, do it (or trap), return
//	loop: step = min(length, chunk); charge; do step bytes; advance
//
// Whether the range fits is found first, so that a trap leaves nothing written;
// a copy to a higher address starts at the end, so that it may overlap. A
// segment that was dropped traps in its first chunk.
func (w *rewriter) rangeFunc(op rangeOp) []byte {
	b := &body{}
	b.with(opLocalGet, length)
	b.i32(chunk)
	b.op(opI32GtU)
	fits(b, to, pushMemory)
	switch op.sub {
	case miscMemoryCopy:
		fits(b, from, pushMemory)
		b.op(opI32And)
	case miscMemoryInit:
		fits(b, from, func(b *body) { b.i64(int64(op.size)) })
		b.op(opI32And)
	}
	b.op(opI32And)
	b.op(opI32Eqz)
	b.code = append(b.code, opIf, blockEmpty)
	w.chargeStep(b, length)
	op.whole(b)
	b.op(opReturn)
	b.op(opEnd)
	if op.sub == miscMemoryCopy {
		b.with(opLocalGet, to)
		b.with(opLocalGet, from)
		b.op(opI32GtU)
		b.with(opLocalSet, back)
	}
	w.loop(b, op)
	b.op(opEnd)
	head := []byte{1, 2, typeI32}
	return append(append(putU(nil, len(head)+len(b.code)), head...), b.code...)
}

// fits pushes whether length bytes from at lie within the size that is pushed.
func fits(b *body, at int, size func(*body)) {
	for _, v := range []int{at, length} {
		b.with(opLocalGet, v)
		b.op(opI64ExtendI32U)
	}
	b.op(opI64Add)
	size(b)
	b.op(opI64LeU)
}

// pushMemory pushes the size of memory in bytes.
func pushMemory(b *body) {
	b.code = append(b.code, opMemorySize, 0, opI64ExtendI32U)
	b.i64(16) // pages of 64 KiB
	b.op(opI64Shl)
}

// chargeStep charges for n bytes, n being a local variable.
func (w *rewriter) chargeStep(b *body, n int) {
	b.with(opGlobalGet, w.fuel)
	b.with(opLocalGet, n)
	b.i32(bytesShift)
	b.op(opI32ShrU)
	b.op(opI64ExtendI32U)
	b.op(opI64Sub)
	b.code = w.settle(b.code)
}

// whole does all of the range in one.
func (op rangeOp) whole(b *body) {
	b.with(opLocalGet, to)
	b.with(opLocalGet, from)
	b.with(opLocalGet, length)
	op.move(b)
}

func (op rangeOp) move(b *body) {
	b.code = append(b.code, opMisc, op.sub)
	switch op.sub {
	case miscMemoryCopy:
		b.code = append(b.code, 0)
	case miscMemoryInit:
		b.code = putU(b.code, op.segment)
	}
	b.code = append(b.code, 0) // the memory
}

// loop does the range in chunks; at least one is left when it starts.
func (w *rewriter) loop(b *body, op rangeOp) {
	b.code = append(b.code, opLoop, blockEmpty)
	b.with(opLocalGet, length)
	b.i32(chunk)
	b.with(opLocalGet, length)
	b.i32(chunk)
	b.op(opI32LtU)
	b.op(opSelect)
	b.with(opLocalSet, step)
	w.chargeStep(b, step)
	advance(b, length, opI32Sub)
	if op.sub == miscMemoryCopy {
		chunkStart(b, to)
		chunkStart(b, from)
	} else {
		b.with(opLocalGet, to)
		b.with(opLocalGet, from)
	}
	b.with(opLocalGet, step)
	op.move(b)
	switch op.sub {
	case miscMemoryFill:
		advance(b, to, opI32Add)
	case miscMemoryInit:
		advance(b, from, opI32Add)
		advance(b, to, opI32Add)
	case miscMemoryCopy:
		b.with(opLocalGet, back)
		b.op(opI32Eqz)
		b.code = append(b.code, opIf, blockEmpty)
		advance(b, from, opI32Add)
		advance(b, to, opI32Add)
		b.op(opEnd)
	}
	b.with(opLocalGet, length)
	b.code = append(b.code, opBrIf, 0, opEnd)
}

// chunkStart pushes where the chunk starts in the range at v: at v itself, or
// after what is left of the length when copying from the end.
func chunkStart(b *body, v int) {
	b.with(opLocalGet, v)
	b.with(opLocalGet, length)
	b.i32(0)
	b.with(opLocalGet, back)
	b.op(opSelect)
	b.op(opI32Add)
}

func advance(b *body, v int, op byte) {
	b.with(opLocalGet, v)
	b.with(opLocalGet, step)
	b.op(op)
	b.with(opLocalSet, v)
}
