package instrument_test

// tight is a loop that works in local variables alone, which may be a machine.
// A local variable of its own counts down, and gives work what was done when
// the loop has ended.
func (g *generator) tight() []byte {
	passes, outside := 1+g.pick(200), len(g.labels)
	g.labels = append(g.labels, label{}) // of a block around it
	code := cat(int32Const(int32(passes)), op(localSet, g.countdown()), op(block, empty))
	switch g.pick(4) {
	case 0: // with a result
		g.labels = append(g.labels, label{})
		code = cat(code, op(loop, i32), g.pass(), op(localGet, g.local(i32)), []byte{end}, op(localSet, g.local(i32)))
	case 1:
		places, p := 1+g.pick(3), g.local(i32)
		table := []int{g.pick(4)}
		for range table[0] + 1 {
			table = append(table, g.pick(places))
		}
		code = cat(code, []byte{loop, empty}, repeat(places, []byte{block, empty}), op(localGet, p), op(brTable, table...))
		g.labels = append(g.labels, make([]label, places+1)...)
		for range places {
			g.labels = g.labels[:len(g.labels)-1]
			code = cat(code, []byte{end}, g.down(len(g.labels)-outside-1), g.register(), g.jump(p, len(g.labels)-outside-2))
		}
		code = append(code, end)
	default:
		g.labels = append(g.labels, label{})
		code = cat(code, op(loop, empty), g.pass(), op(localGet, g.local(i32)), op(brIf, 0), []byte{end})
	}
	g.labels = g.labels[:outside]
	return cat(
		code, op(end), op(globalGet, globalWork), int64Const(int64(passes)), op(0x7c),
		op(localGet, g.countdown()), op(0xac), op(0x7d), op(globalSet, globalWork),
	)
}

// countdown is the local variable of tight loops.
func (g *generator) countdown() int { return len(g.typ.params) + 4 }

func (g *generator) pass() (code []byte) {
	code = g.down(1)
	for range g.pick(3) {
		code = append(code, g.register()...)
	}
	return code
}

// down takes one pass from the countdown, and leaves for the label out after the
// last.
func (g *generator) down(out int) []byte {
	return cat(op(localGet, g.countdown()), int32Const(1), op(0x6b), op(localTee, g.countdown()), op(0x45), op(brIf, out))
}

// register is a statement that touches local variables and leaves blocks.
func (g *generator) register() []byte {
	set := func() []byte {
		return cat(op(localGet, g.local(i32)), int32Const(int32(g.pick(256)-128)), []byte{operators[g.pick(3)]}, op(localSet, g.local(i32)))
	}
	switch g.pick(8) {
	case 0:
		return g.leave(op(localGet, g.local(i32)), brIf)
	case 1:
		g.labels = append(g.labels, label{})
		code := cat(op(localGet, g.local(i32)), op(iff, empty), set(), g.leave(nil, br), op(els), set(), op(end))
		g.labels = g.labels[:len(g.labels)-1]
		return code
	case 2:
		g.labels = append(g.labels, label{})
		code := cat(op(block, empty), g.leave(op(localGet, g.local(i32)), brIf), set(), op(end))
		g.labels = g.labels[:len(g.labels)-1]
		return code
	case 3:
		n := len(g.labels) - 1
		return cat(op(block, empty), op(localGet, g.local(i32)), op(brTable, 2, 1+g.pick(n), 0, 1+g.pick(n)), op(end))
	case 4:
		return cat(op(localGet, g.local(i64)), op(localGet, g.local(i64)), int64Const(1), op(0x84), []byte{0x81}, op(localSet, g.local(i64))) // remainder
	}
	return set()
}

// leave branches to any label but that of the function.
func (g *generator) leave(before []byte, how byte) []byte {
	return cat(before, op(how, g.pick(len(g.labels)-1)))
}
