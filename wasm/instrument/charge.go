package instrument

// Lengths are charged one unit per 64 bytes or 8 table entries.
const (
	bytesShift, entriesShift = 6, 3
)

// charge appends what takes weight units of fuel, and asks for more when none
// is left. It leaves the operand stack as it was.
func (w *rewriter) charge(code []byte, weight uint32) []byte {
	code = putU(append(code, opGlobalGet), w.fuel)
	code = putS(append(code, opI64Const), int64(weight))
	return w.settle(append(code, opI64Sub))
}

// settle appends what makes the number on the operand stack the fuel, and calls
// tick if it is below 0. To read the global again costs wazero's compiler no
// more than to keep a copy.
func (w *rewriter) settle(code []byte) []byte {
	code = putU(append(code, opGlobalSet), w.fuel)
	code = putU(append(code, opGlobalGet), w.fuel)
	code = append(code, opI64Const, 0, opI64LtS, opIf, blockEmpty)
	code = putU(append(code, opGlobalGet), w.fuel)
	code = putU(append(code, opCall), w.tick)
	code = putU(append(code, opGlobalSet), w.fuel)
	return append(code, opEnd)
}

// chargeLength charges for the length on top of the operand stack, an i32 that
// stays there. A length over most fails or traps, and costs no more than most.
func (w *rewriter) chargeLength(most int64, shift int64) {
	b := &w.body
	b.checks++
	b.local(opLocalSet, slotLength)
	b.with(opGlobalGet, w.fuel)
	b.local(opLocalGet, slotLength)
	b.i32(most)
	b.local(opLocalGet, slotLength)
	b.i32(most)
	b.op(opI32LtU)
	b.op(opSelect)
	b.i32(shift)
	b.op(opI32ShrU)
	b.op(opI64ExtendI32U)
	b.op(opI64Sub)
	b.code = w.settle(b.code)
	b.local(opLocalGet, slotLength)
}

// deepen takes cost bytes of the call stack before a call that is counted, and
// rise gives them back after it.
func (w *rewriter) deepen(cost uint32) {
	if cost == 0 {
		return
	}
	b := &w.body
	b.checks++
	b.with(opGlobalGet, w.stack)
	b.i32(int64(cost))
	b.op(opI32Sub)
	b.with(opGlobalSet, w.stack)
	b.with(opGlobalGet, w.stack)
	b.code = append(b.code, opI32Const, 0, opI32LtS, opIf, blockEmpty)
	b.with(opGlobalGet, w.stack)
	b.with(opCall, w.deep)
	b.with(opGlobalSet, w.stack)
	b.op(opEnd)
}

func (w *rewriter) rise(cost uint32) {
	if cost == 0 {
		return
	}
	b := &w.body
	b.with(opGlobalGet, w.stack)
	b.i32(int64(cost))
	b.op(opI32Add)
	b.with(opGlobalSet, w.stack)
}

// remainder computes a % b as a - a/b*b. The signed one divides by 1 where b
// is -1: the remainder is 0 either way, and dividing the least integer by -1
// would trap. Dividing by 0 traps as before.
func (w *rewriter) remainder(op byte) {
	b, x, y, k := &w.body, slotA32, slotB32, byte(0)
	if op == opI64RemS || op == opI64RemU {
		x, y, k = slotA64, slotB64, opI64DivS-opI32DivS
	}
	signed := op == opI32RemS || op == opI64RemS
	b.local(opLocalSet, y)
	b.local(opLocalSet, x)
	if signed {
		w.one(k)
		b.local(opLocalGet, y)
		b.local(opLocalGet, y)
		if k == 0 {
			b.i32(-1)
			b.op(opI32Eq)
		} else {
			b.i64(-1)
			b.op(opI64Eq)
		}
		b.op(opSelect)
		b.local(opLocalSet, y)
	}
	b.local(opLocalGet, x)
	b.local(opLocalGet, x)
	b.local(opLocalGet, y)
	if signed {
		b.op(opI32DivS + k)
	} else {
		b.op(opI32DivS + 1 + k)
	}
	b.local(opLocalGet, y)
	b.op(opI32Mul + k)
	b.op(opI32Sub + k)
}

func (w *rewriter) one(k byte) {
	if k == 0 {
		w.body.i32(1)
	} else {
		w.body.i64(1)
	}
}
