package instrument_test

// generator makes valid modules from the bytes of a fuzzer. Programs end: a
// global counts down at each loop and function start, and leaves there at 0.
// Another global counts statements, so that a test can compare the work that
// was done with the fuel that was spent.
type generator struct {
	src    []byte
	labels []label
	funcs  []int     // types of all functions
	typ    signature // of the current function
	depth  int
	left   int // statements that may still be made
}

// label is an open block.
type label struct {
	carries []byte // types that a branch to it takes
}

// Globals of a generated module; work and budget are i64 and i32.
const (
	globalWork, globalBudget, globalX, globalY = 0, 1, 2, 3
)

var genTypes = []signature{
	{nil, []byte{i32}},
	{[]byte{i32}, []byte{i32}},
	{[]byte{i32, i64}, []byte{i64, i32}},
	none,
}

const (
	workWeight = 4 // of the statement that counts work
	budget     = 150
)

// byte gives the next byte of the source, 0 at its end.
func (g *generator) byte() byte {
	if len(g.src) == 0 {
		return 0
	}
	c := g.src[0]
	g.src = g.src[1:]
	return c
}

func (g *generator) pick(n int) int { return int(g.byte()) % n }

func (g *generator) module() build {
	m := build{types: genTypes, pages: 9, globals: []byte{i64, i32, i32, i64}, data: []byte("0123456789abcdef")}
	g.funcs = []int{0}
	for range g.pick(6) {
		g.funcs = append(g.funcs, g.pick(len(genTypes)))
	}
	for _, typ := range g.funcs {
		m.funcs = append(m.funcs, g.function(typ, len(g.funcs)))
	}
	return m
}

func (g *generator) function(typ, funcs int) fn {
	g.typ, g.depth, g.left = genTypes[typ], 0, 40
	g.labels = []label{{g.typ.results}}
	code := cat(g.guard(), g.statements(funcs))
	for _, t := range g.typ.results {
		code = append(code, g.value(t, funcs)...)
	}
	return fn{typ: typ, locals: []byte{i32, i32, i64, i64, i32}, code: code}
}

// local gives a local variable of type t.
func (g *generator) local(t byte) int {
	first := len(g.typ.params)
	if t == i64 {
		first += 2
	}
	if len(g.typ.params) > 0 && g.pick(3) == 0 {
		if t == i32 {
			return 0
		} else if len(g.typ.params) > 1 {
			return 1
		}
	}
	return first + g.pick(2)
}

func (g *generator) work() []byte {
	return cat(op(globalGet, globalWork), int64Const(1), op(0x7c), op(globalSet, globalWork))
}

// guard counts down and returns when nothing is left.
func (g *generator) guard() []byte {
	b := cat(
		op(globalGet, globalBudget), int32Const(1), op(0x6b), op(globalSet, globalBudget),
		op(globalGet, globalBudget), int32Const(-budget), op(0x48), op(iff, empty),
	)
	for _, t := range g.typ.results {
		b = append(b, zero(t)...)
	}
	return cat(b, op(ret), op(end))
}

func zero(t byte) []byte {
	if t == i64 {
		return int64Const(0)
	}
	return int32Const(0)
}

func (g *generator) statements(funcs int) (code []byte) {
	for range 1 + g.pick(5) {
		if g.left--; g.left < 0 {
			break
		}
		code = cat(code, g.work(), g.statement(funcs))
	}
	return code
}

// nested puts statements into a block that a branch may leave.
func (g *generator) nested(opcode byte, funcs int, before ...byte) []byte {
	g.labels = append(g.labels, label{})
	g.depth++
	code := cat([]byte{opcode, empty}, before, g.statements(funcs))
	if opcode == iff && g.pick(2) == 0 {
		code = cat(code, op(els), g.statements(funcs))
	}
	g.depth--
	g.labels = g.labels[:len(g.labels)-1]
	return append(code, end)
}

func (g *generator) statement(funcs int) []byte {
	choice := g.pick(20)
	if g.depth > 6 && (choice == 16 || choice == 17) {
		choice -= 8
	}
	if g.depth > 6 && choice < 4 {
		choice += 4
	}
	switch choice {
	case 0, 1:
		return g.nested(block, funcs)
	case 2:
		return g.nested(loop, funcs, g.guard()...)
	case 3:
		return cat(g.value(i32, funcs), g.nested(iff, funcs))
	case 4, 5:
		return g.branch(funcs)
	case 6:
		return cat(g.value(i32, funcs), op(localSet, g.local(i32)))
	case 7:
		return cat(g.value(i64, funcs), op(localSet, g.local(i64)))
	case 8:
		return cat(g.value(i32, funcs), op(globalSet, globalX))
	case 9:
		return cat(g.value(i64, funcs), op(globalSet, globalY))
	case 10:
		return cat(g.address(funcs), g.value(i64, funcs), op(0x37, 0, g.pick(200)))
	case 11, 12:
		return g.bulk(funcs)
	case 13:
		return g.tableOp(funcs)
	case 14:
		return cat(g.value(i32, funcs), op(drop))
	case 16, 17:
		return g.machine(funcs)
	case 18, 19:
		return g.tight()
	default:
		return g.callAny(funcs)
	}
}

// branch leaves a block or starts a loop again.
func (g *generator) branch(funcs int) []byte {
	to := g.pick(len(g.labels))
	var carried []byte
	if to == len(g.labels)-1 {
		for _, t := range g.typ.results {
			carried = append(carried, g.value(t, funcs)...)
		}
	}
	switch g.pick(4) {
	case 0:
		return cat(carried, op(br, to))
	case 1:
		if to == len(g.labels)-1 {
			return cat(carried, op(ret))
		}
		other := g.pick(len(g.labels) - 1)
		return cat(g.value(i32, funcs), op(brTable, 2, to, other, other))
	default:
		b := cat(carried, g.value(i32, funcs), op(brIf, to))
		if len(carried) > 0 {
			b = append(b, repeat(len(g.typ.results), op(drop))...)
		}
		return b
	}
}

// address is mostly inside of memory.
func (g *generator) address(funcs int) []byte {
	switch g.pick(64) {
	case 63:
		return g.value(i32, funcs)
	case 62:
		return int32Const(int32(9<<16 - g.pick(64)))
	}
	return cat(g.value(i32, funcs), int32Const(0xffff), op(0x71))
}

// length is short, or longer than a chunk.
func (g *generator) length(funcs int) []byte {
	switch g.pick(16) {
	case 15:
		return g.value(i32, funcs)
	case 1:
		return int32Const(int32(256<<10 - 2 + g.pick(4)))
	case 2:
		return int32Const(int32(300_000 + 900*g.pick(256)))
	}
	return cat(g.value(i32, funcs), int32Const(0x3ff), op(0x71))
}

func (g *generator) bulk(funcs int) []byte {
	switch g.pick(5) {
	case 0, 1:
		return cat(g.address(funcs), g.value(i32, funcs), g.length(funcs), []byte{0xfc, 11, 0})
	case 2:
		return cat(g.address(funcs), int32Const(int32(g.pick(8))), int32Const(int32(g.pick(20))), []byte{0xfc, 8, 0, 0})
	case 3:
		if g.pick(8) == 0 {
			return []byte{0xfc, 9, 0} // data.drop
		}
		return cat(int32Const(int32(g.pick(3))), []byte{0x40, 0}, op(localSet, g.local(i32)))
	}
	return cat(g.address(funcs), g.address(funcs), g.length(funcs), []byte{0xfc, 10, 0, 0})
}

func (g *generator) tableOp(funcs int) []byte {
	i := func() []byte { return int32Const(int32(g.pick(8*funcs+1) / 8)) }
	switch g.pick(4) {
	case 0:
		return cat(i(), []byte{0xd2}, u(g.pick(funcs)), op(0x26, 0)) // table.set
	case 1:
		return cat(i(), i(), i(), []byte{0xfc, 14, 0, 0}) // table.copy
	case 2:
		return cat(i(), []byte{0xd2}, u(g.pick(funcs)), i(), []byte{0xfc, 17, 0}) // table.fill
	}
	return cat([]byte{0xd0, 0x70}, i(), []byte{0xfc, 15, 0}, op(localSet, g.local(i32))) // table.grow
}

// callAny calls a function, sometimes through the table, and drops the results.
func (g *generator) callAny(funcs int) []byte {
	f := g.pick(funcs)
	typ := g.funcs[f]
	var b []byte
	for _, t := range genTypes[typ].params {
		b = append(b, g.value(t, funcs)...)
	}
	switch g.pick(8) {
	case 0: // may trap
		b = cat(b, g.value(i32, funcs), op(callIndirect, typ, 0))
	case 1, 2:
		b = cat(b, int32Const(int32(f)), op(callIndirect, typ, 0))
	default:
		b = cat(b, op(call, f))
	}
	return append(b, repeat(len(genTypes[typ].results), op(drop))...)
}

// Operators on two values; those of i64 stand 18 behind those of i32.
var operators = []byte{0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x6f, 0x70, 0x71, 0x73, 0x74, 0x76, 0x77}

var numbers = []int64{0, 1, -1, 2, 7, -1 << 31, 1<<31 - 1, -1 << 63, 1<<63 - 1}

// value pushes a value of type t.
func (g *generator) value(t byte, funcs int) []byte {
	if g.depth++; g.depth > 10 || g.left < 0 {
		g.depth--
		return op(localGet, g.local(t))
	}
	defer func() { g.depth-- }()
	switch g.pick(10) {
	case 0:
		n := numbers[g.pick(len(numbers))]
		if t == i32 {
			return int32Const(int32(n))
		}
		return int64Const(n)
	case 1, 2, 3:
		o := operators[g.pick(len(operators))]
		if t == i64 {
			o += 0x7c - 0x6a
		}
		b := cat(g.value(t, funcs), g.value(t, funcs))
		if slow := o - 0x6d; (slow < 4 || slow-18 < 4) && g.pick(256) != 255 {
			one := []byte{i32Const, 1, 0x72}
			if t == i64 {
				one = []byte{i64Const, 1, 0x84}
			}
			b = append(b, one...) // divide by an odd number
		}
		return append(b, o)
	case 4:
		if t == i64 {
			return cat(g.address(funcs), op(0x29, 0, g.pick(100)))
		}
		return cat(g.address(funcs), op(0x28, 0, g.pick(100)))
	case 5:
		if t == i64 {
			return cat(g.value(i32, funcs), op(0xac))
		}
		return cat(g.value(i64, funcs), op(0xa7))
	case 6:
		return cat(g.value(t, funcs), g.value(t, funcs), g.value(i32, funcs), op(0x1b))
	case 7:
		return op(globalGet, globalX+map[byte]int{i32: 0, i64: 1}[t])
	case 8: // a block that gives a value
		g.labels = append(g.labels, label{})
		inner := cat(g.value(t, funcs), g.value(i32, funcs), op(brIf, 0))
		g.labels = g.labels[:len(g.labels)-1]
		return cat([]byte{block, t}, inner, []byte{end})
	}
	return op(localGet, g.local(t))
}
