package instrument_test

// machine is a loop that goes on at the place that a local variable names, as
// all functions of Go do.
func (g *generator) machine(funcs int) []byte {
	places, p := 2+g.pick(4), g.local(i32)
	table := []int{g.pick(8)}
	for range table[0] + 1 {
		table = append(table, g.pick(places))
	}
	code := cat([]byte{loop, empty}, repeat(places, []byte{block, empty}), op(localGet, p), op(brTable, table...))
	outside := len(g.labels)
	g.labels = append(g.labels, make([]label, places+1)...)
	g.depth++
	for range places {
		g.labels = g.labels[:len(g.labels)-1]
		code = cat(code, []byte{end}, g.guard(), g.statements(funcs), g.jump(p, len(g.labels)-outside-1))
	}
	g.depth--
	g.labels = g.labels[:outside]
	return append(code, end)
}

// jump goes to a place of a machine whose loop has the label around; p names it.
func (g *generator) jump(p, around int) []byte {
	to := func(p, around int) []byte {
		return cat(int32Const(int32(g.pick(12)-1)), op(localSet, p), op(br, around))
	}
	switch g.pick(6) {
	case 0:
		return nil
	case 1:
		return to(g.local(i32), around)
	case 2:
		return cat(to(p, around), op(localGet, p), op(drop), to(p, around)) // the second is never reached
	case 3:
		return cat(op(localGet, g.local(i32)), op(iff, empty), to(p, around+1), op(els), to(p, around+1), op(end))
	}
	return cat(op(localGet, g.local(i32)), op(iff, empty), to(p, around+1), op(end))
}
