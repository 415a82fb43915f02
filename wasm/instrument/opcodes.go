package instrument

// Value types, by their byte in the format.
const (
	typeI32, typeI64, typeF32, typeF64 = 0x7f, 0x7e, 0x7d, 0x7c
	typeV128, typeFuncref              = 0x7b, 0x70
	typeExternref                      = 0x6f
)

// Opcodes that the rewriting looks at or writes.
const (
	opUnreachable, opBlock, opLoop, opIf, opElse, opEnd = 0x00, 0x02, 0x03, 0x04, 0x05, 0x0b
	opBr, opBrIf, opBrTable, opReturn                   = 0x0c, 0x0d, 0x0e, 0x0f
	opCall, opCallIndirect, opSelect                    = 0x10, 0x11, 0x1b
	opLocalGet, opLocalSet, opLocalTee                  = 0x20, 0x21, 0x22
	opGlobalGet, opGlobalSet, opTableSet                = 0x23, 0x24, 0x26
	opMemorySize, opMemoryGrow                          = 0x3f, 0x40
	opI32Const, opI64Const, opF32Const, opF64Const      = 0x41, 0x42, 0x43, 0x44
	opI32Eqz, opI32Eq, opI32LtS, opI32LtU, opI32GtU     = 0x45, 0x46, 0x48, 0x49, 0x4b
	opI64Eq, opI64LtS, opI64LeU                         = 0x51, 0x53, 0x58
	opI32Add, opI32Sub, opI32Mul, opI32DivS             = 0x6a, 0x6b, 0x6c, 0x6d
	opI32And, opI32ShrU                                 = 0x71, 0x76
	opI32RemS, opI32RemU, opI64RemS, opI64RemU          = 0x6f, 0x70, 0x81, 0x82
	opI64Add, opI64Sub, opI64DivS                       = 0x7c, 0x7d, 0x7f
	opI64Shl, opI64ExtendI32U                           = 0x86, 0xad
	opRefNull, opRefFunc                                = 0xd0, 0xd2
	opMisc, opVector                                    = 0xfc, 0xfd
	blockEmpty                                          = 0x40
)

// Second bytes after opMisc and, for constants, after opVector.
const (
	miscMemoryInit, miscDataDrop, miscMemoryCopy, miscMemoryFill = 8, 9, 10, 11
	miscTableInit, miscElemDrop, miscTableCopy                   = 12, 13, 14
	miscTableGrow, miscTableSize, miscTableFill                  = 15, 16, 17
	vectorConst                                                  = 12
)

// immediate says what follows an opcode.
type immediate byte

const (
	immIllegal  immediate = iota // the zero value: unlisted opcodes are refused
	immNone                      //
	immBlock                     // block type
	immLabel                     // label
	immLabels                    // vector of labels, label
	immFunc                      // function
	immIndirect                  // type, table
	immSelect                    // vector of one value type
	immLocal                     // local
	immGlobal                    // global
	immTable                     // table
	immMemory                    // memory, one byte 0
	immMemArg                    // alignment, offset
	immI32                       // signed number
	immI64                       // signed number
	immRaw4                      // 4 bytes
	immRaw8                      // 8 bytes
	immRaw16                     // 16 bytes
	immRefType                   // reference type
	immLane                      // one byte
	immMemLane                   // alignment, offset, one byte
	immData                      // data segment
	immDataMem                   // data segment, memory
	immMemMem                    // memory, memory
	immElem                      // element segment
	immElemTab                   // element segment, table
	immTabTab                    // table, table
)

// opcode says how to read an instruction, what it does to the height of the
// operand stack, and what it costs.
type opcode struct {
	imm       immediate
	pop, push uint8 // control and calls: see scan.go
	weight    uint8 // units of fuel
}

// Weights, relative to an instruction of the simplest kind.
const (
	weightSlow   = 8  // divisions and roots
	weightCall   = 4  // the call and the prologue of what it calls
	weightToHost = 32 // leaves the guest: host functions, what wazero does in Go
)

// simple fills a range of opcodes with the same facts.
func simple(t *[256]opcode, first, last int, pop, push uint8) {
	for i := first; i <= last; i++ {
		t[i] = opcode{immNone, pop, push, 1}
	}
}

var opcodes = func() (t [256]opcode) {
	t[opUnreachable] = opcode{immNone, 0, 0, 0}
	t[0x01] = opcode{immNone, 0, 0, 0} // nop
	t[opBlock] = opcode{immBlock, 0, 0, 0}
	t[opLoop] = opcode{immBlock, 0, 0, 0}
	t[opIf] = opcode{immBlock, 1, 0, 1}
	t[opElse] = opcode{immNone, 0, 0, 0}
	t[opEnd] = opcode{immNone, 0, 0, 0}
	t[opBr] = opcode{immLabel, 0, 0, 1}
	t[opBrIf] = opcode{immLabel, 1, 0, 1}
	t[opBrTable] = opcode{immLabels, 1, 0, 3}
	t[opReturn] = opcode{immNone, 0, 0, 1}
	t[opCall] = opcode{immFunc, 0, 0, weightCall}
	t[opCallIndirect] = opcode{immIndirect, 1, 0, 2 * weightCall}
	t[0x1a] = opcode{immNone, 1, 0, 1} // drop
	t[opSelect] = opcode{immNone, 3, 1, 1}
	t[0x1c] = opcode{immSelect, 3, 1, 1} // select with a type
	t[opLocalGet] = opcode{immLocal, 0, 1, 1}
	t[opLocalSet] = opcode{immLocal, 1, 0, 1}
	t[opLocalTee] = opcode{immLocal, 1, 1, 1}
	t[opGlobalGet] = opcode{immGlobal, 0, 1, 1}
	t[opGlobalSet] = opcode{immGlobal, 1, 0, 1}
	t[0x25] = opcode{immTable, 1, 1, 2} // table.get
	t[opTableSet] = opcode{immTable, 2, 0, 2}
	for i := 0x28; i <= 0x35; i++ {
		t[i] = opcode{immMemArg, 1, 1, 1} // loads
	}
	for i := 0x36; i <= 0x3e; i++ {
		t[i] = opcode{immMemArg, 2, 0, 1} // stores
	}
	t[opMemorySize] = opcode{immMemory, 0, 1, 1}
	t[opMemoryGrow] = opcode{immMemory, 1, 1, weightToHost}
	t[opI32Const] = opcode{immI32, 0, 1, 1}
	t[opI64Const] = opcode{immI64, 0, 1, 1}
	t[opF32Const] = opcode{immRaw4, 0, 1, 1}
	t[opF64Const] = opcode{immRaw8, 0, 1, 1}
	simple(&t, 0x45, 0xc4, 2, 1)
	for _, r := range [][2]int{{0x45, 0x45}, {0x50, 0x50}, {0x67, 0x69}, {0x79, 0x7b}, {0x8b, 0x91}, {0x99, 0x9f}, {0xa7, 0xc4}} {
		simple(&t, r[0], r[1], 1, 1)
	}
	for _, i := range []int{0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3} {
		t[i].weight = weightSlow
	}
	for _, i := range []int{opI32RemS, opI32RemU, opI64RemS, opI64RemU} {
		t[i].weight = weightSlow + 2 // in both forms, so that fuel does not depend on Options
	}
	t[opRefNull] = opcode{immRefType, 0, 1, 1}
	t[0xd1] = opcode{immNone, 1, 1, 1}      // ref.is_null
	t[opRefFunc] = opcode{immFunc, 0, 1, 1} // becomes global.get
	return t
}()

var miscOpcodes = func() (t [256]opcode) {
	simple(&t, 0, 7, 1, 1) // saturating truncation
	t[miscMemoryInit] = opcode{immDataMem, 3, 0, weightToHost}
	t[miscDataDrop] = opcode{immData, 0, 0, 2}
	t[miscMemoryCopy] = opcode{immMemMem, 3, 0, weightCall}
	t[miscMemoryFill] = opcode{immMemory, 3, 0, weightCall}
	t[miscTableInit] = opcode{immElemTab, 3, 0, weightToHost}
	t[miscElemDrop] = opcode{immElem, 0, 0, 2}
	t[miscTableCopy] = opcode{immTabTab, 3, 0, weightToHost}
	t[miscTableGrow] = opcode{immTable, 2, 1, weightToHost}
	t[miscTableSize] = opcode{immTable, 0, 1, 1}
	t[miscTableFill] = opcode{immTable, 3, 0, weightToHost}
	return t
}()

var vectorOpcodes = func() (t [256]opcode) {
	simple(&t, 0x0e, 0xff, 2, 1)
	for _, r := range [][2]int{ // instructions of one operand
		{0x0f, 0x14},
		{0x4d, 0x4d},
		{0x53, 0x53},
		{0x5e, 0x64},
		{0x67, 0x6a},
		{0x74, 0x75},
		{0x7a, 0x7a},
		{0x7c, 0x81},
		{0x83, 0x84},
		{0x87, 0x8a},
		{0x94, 0x94},
		{0xa0, 0xa4},
		{0xa7, 0xaa},
		{0xc0, 0xc4},
		{0xc7, 0xca},
		{0xe0, 0xe3},
		{0xec, 0xef},
		{0xf8, 0xff},
	} {
		simple(&t, r[0], r[1], 1, 1)
	}
	t[0x52].pop = 3 // v128.bitselect
	for i := 0x00; i <= 0x0a; i++ {
		t[i] = opcode{immMemArg, 1, 1, 1}
	}
	t[0x0b] = opcode{immMemArg, 2, 0, 1}
	t[vectorConst] = opcode{immRaw16, 0, 1, 1}
	t[0x0d] = opcode{immRaw16, 2, 1, 2} // i8x16.shuffle
	for i := 0x15; i <= 0x22; i++ {
		t[i] = opcode{immLane, 1, 1, 1}
	}
	for _, i := range []int{0x17, 0x1a, 0x1c, 0x1e, 0x20, 0x22} {
		t[i].pop = 2 // replace_lane
	}
	for i := 0x54; i <= 0x57; i++ {
		t[i] = opcode{immMemLane, 2, 1, 1}
		t[i+4] = opcode{immMemLane, 2, 0, 1}
	}
	t[0x5c] = opcode{immMemArg, 1, 1, 1}
	t[0x5d] = opcode{immMemArg, 1, 1, 1}
	for _, i := range []int{0xe3, 0xe7, 0xef, 0xf3} {
		t[i].weight = weightSlow
	}
	for _, i := range []int{ // not assigned in WebAssembly 2.0
		0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf,
		0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee,
	} {
		t[i] = opcode{}
	}
	return t
}()
