package instrument

// instr is one instruction with its immediates.
type instr struct {
	op      byte
	sub     byte     // second byte after opMisc and opVector
	facts   opcode   //
	x, y    uint32   // indices, label, lane; alignment and offset
	v       int64    // constant, block type, value type
	raw     []byte   // constants that are no numbers
	targets []uint32 // of a br_table, without the last; reused by the next one
}

// instr reads one instruction. It checks what an instruction says in itself;
// indices are the caller's to check.
func (r *reader) instr(in *instr) {
	in.op, in.sub = r.byte(), 0
	switch in.op {
	case opMisc, opVector:
		sub := r.u32()
		if sub > 0xff {
			r.failf("opcode 0x%02x 0x%x is not part of WebAssembly 2.0; %s", in.op, sub, howToBuild)
			return
		}
		in.sub = byte(sub)
		if in.op == opMisc {
			in.facts = miscOpcodes[sub]
		} else {
			in.facts = vectorOpcodes[sub]
		}
	default:
		in.facts = opcodes[in.op]
	}
	r.immediates(in)
}

// leadsOn tells that the instruction behind this one is executed next, in this
// function and without another one in between, or that the run has trapped.
func (in *instr) leadsOn() bool {
	switch in.op {
	case opBlock, opLoop:
		return true
	case opMisc, opVector, opMemoryGrow:
		return false
	}
	switch in.facts.imm {
	case immNone:
		return in.facts.pop > 0 || in.facts.push > 0 // no end, else, return, nop or unreachable
	case immLocal, immGlobal, immMemArg, immI32, immI64, immRaw4, immRaw8, immSelect:
		return true
	}
	return false
}

const howToBuild = "build without threads, exceptions, tail calls and garbage collection"

func (r *reader) immediates(in *instr) {
	switch in.facts.imm {
	case immNone:
	case immBlock:
		in.v = r.blockType()
	case immLabel, immFunc, immLocal, immGlobal, immTable, immData, immElem:
		in.x = r.u32()
	case immLabels:
		in.targets = in.targets[:0]
		r.each(func() { in.targets = append(in.targets, r.u32()) })
		in.x = r.u32()
	case immIndirect, immElemTab, immTabTab:
		in.x, in.y = r.u32(), r.u32()
	case immSelect:
		if n := r.u32(); n != 1 {
			r.failf("a select instruction gives %d types instead of 1; build the module again", n)
		}
		in.v = int64(r.valueType())
	case immMemory:
		r.zero()
	case immMemMem:
		r.zero()
		r.zero()
	case immDataMem:
		in.x = r.u32()
		r.zero()
	case immMemArg, immMemLane:
		if in.x, in.y = r.u32(), r.u32(); in.x > 4 {
			r.failf("a memory instruction has the alignment 2^%d; several memories are not supported", in.x)
		}
		if in.facts.imm == immMemLane {
			in.v = int64(r.byte())
		}
	case immI32:
		in.v = r.signed(32)
	case immI64:
		in.v = r.signed(64)
	case immRaw4:
		in.raw = r.bytes(4)
	case immRaw8:
		in.raw = r.bytes(8)
	case immRaw16:
		in.raw = r.bytes(16)
	case immRefType:
		in.v = int64(r.refType())
	case immLane:
		in.v = int64(r.byte())
	default:
		if in.op == opMisc || in.op == opVector {
			r.failf("opcode 0x%02x 0x%02x is not part of WebAssembly 2.0; %s", in.op, in.sub, howToBuild)
			return
		}
		r.failf("opcode 0x%02x is not part of WebAssembly 2.0; %s", in.op, howToBuild)
	}
}

func (r *reader) zero() {
	if c := r.byte(); c != 0 && r.err == nil {
		r.failf("the module uses memory %d; several memories are not supported", c)
	}
}

// blockType reads a type index, or a value type or blockEmpty as the negative
// number that its byte is.
func (r *reader) blockType() int64 {
	v := r.signed(33)
	if v >= 0 || r.err != nil {
		return v
	}
	switch byte(v & 0x7f) {
	case typeI32, typeI64, typeF32, typeF64, typeV128, typeFuncref, typeExternref, blockEmpty:
		if v >= -64 {
			return v
		}
	}
	r.failf("block type %d is not part of WebAssembly 2.0; %s", v, howToBuild)
	return 0
}

// put appends the instruction in its shortest form.
func (in *instr) put(b []byte) []byte {
	b = append(b, in.op)
	if in.op == opMisc || in.op == opVector {
		b = putU(b, uint32(in.sub))
	}
	switch in.facts.imm {
	case immBlock, immI32, immI64:
		b = putS(b, in.v)
	case immLabel, immFunc, immLocal, immGlobal, immTable, immData, immElem:
		b = putU(b, in.x)
	case immLabels:
		b = putU(b, len(in.targets))
		for _, t := range in.targets {
			b = putU(b, t)
		}
		b = putU(b, in.x)
	case immIndirect, immElemTab, immTabTab:
		b = putU(putU(b, in.x), in.y)
	case immSelect:
		b = append(b, 1, byte(in.v))
	case immMemory:
		b = append(b, 0)
	case immMemMem:
		b = append(b, 0, 0)
	case immDataMem:
		b = append(putU(b, in.x), 0)
	case immMemArg:
		b = putU(putU(b, in.x), in.y)
	case immMemLane:
		b = append(putU(putU(b, in.x), in.y), byte(in.v))
	case immRaw4, immRaw8, immRaw16:
		b = append(b, in.raw...)
	case immRefType, immLane:
		b = append(b, byte(in.v))
	}
	return b
}
