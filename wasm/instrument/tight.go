package instrument

// A tight loop becomes two, one around the other. The inner one is the loop of
// the input and takes each pass from the credit; when that does not do, it goes
// back to the outer one, which buys more:
//
//	credit = first passes, paid for
//	loop  if credit < 0 { credit += more + what was taken in vain }
//	  loop  credit -= pass; if credit < 0 { go to the outer loop } ...
//
// So the inner loop holds no call. wazero's compiler takes values out of their
// registers where a call may come, however seldom it does.

// prepay appends what charges weight units and those of the first passes of a
// tight loop, which become its credit.
func (w *rewriter) prepay(code []byte, weight, pass uint32) []byte {
	credit := firstPasses * pass
	code = putS(append(code, opI32Const), int64(credit))
	code = putU(append(code, opLocalSet), w.body.slot(slotCredit))
	return w.charge(code, weight+credit)
}

// refill appends the start of a loop of type typ around a tight one, which
// comes back to it when the credit does not do for a pass. It stands outside so
// that the tight loop holds no call, for which wazero's compiler would take
// values out of their registers.
func (w *rewriter) refill(code []byte, typ int64, pass uint32) []byte {
	credit := w.body.slot(slotCredit)
	code = putS(append(code, opLoop), typ)
	code = putU(append(code, opLocalGet), credit)
	code = append(code, opI32Const, 0, opI32LtS, opIf, blockEmpty)
	code = putS(append(code, opI32Const), int64(max(pass, min(morePasses*pass, mostCredit))))
	code = putU(append(code, opCall), w.more)
	code = putU(append(code, opLocalGet), credit)
	code = putS(append(code, opI32Add, opI32Const), int64(pass)) // which the loop took in vain
	code = putU(append(code, opI32Add, opLocalSet), credit)
	return append(code, opEnd)
}

// spend appends what takes the units of one pass from the credit, or goes to
// have it refilled.
func (w *rewriter) spend(code []byte, pass uint32) []byte {
	credit := w.body.slot(slotCredit)
	code = putU(append(code, opLocalGet), credit)
	code = putS(append(code, opI32Const), int64(pass))
	code = putU(append(code, opI32Sub, opLocalTee), credit)
	return append(code, opI32Const, 0, opI32LtS, opIf, blockEmpty, opBr, 2, opEnd)
}

// moreFunc gives the body, with its size, of a function (units) -> units that
// charges them.
func (w *rewriter) moreFunc() []byte {
	b := &body{}
	b.with(opGlobalGet, w.fuel)
	b.with(opLocalGet, 0)
	b.op(opI64ExtendI32U)
	b.op(opI64Sub)
	b.code = w.settle(b.code)
	b.with(opLocalGet, 0)
	b.op(opEnd)
	return append(putU(nil, 1+len(b.code)), append([]byte{0}, b.code...)...)
}

// surround accounts for the outer loop in an instruction of the inner one.
func (b *body) surround(in *instr) {
	switch in.op {
	case opBlock, opIf:
		b.inside++
	case opEnd:
		if b.inside--; b.inside == 0 {
			b.op(opEnd)
		}
	case opBr, opBrIf:
		in.x = b.around(in.x)
	case opBrTable:
		in.x = b.around(in.x)
		for i, t := range in.targets {
			in.targets[i] = b.around(t)
		}
	}
}

// around is the label that leads as far as label did before the outer loop was
// added.
func (b *body) around(label uint32) uint32 {
	if int64(label) >= int64(b.inside) {
		return label + 1
	}
	return label
}
