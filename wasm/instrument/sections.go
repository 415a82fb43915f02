package instrument

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	header   = []byte("\x00asm\x01\x00\x00\x00")
	errOrder = errors.New("the sections of the module are out of order; build it again")
)

// parse takes a module apart and checks every index outside of function bodies.
func (m *module) parse(bin []byte) error {
	if len(bin) > maxModule {
		return fmt.Errorf("the module has %d bytes, %d are allowed; strip it or build it for size", len(bin), maxModule)
	}
	if !bytes.HasPrefix(bin, header) {
		return errors.New("this is not a core WebAssembly module; components and other formats do not run")
	}
	r, last := reader{b: bin[len(header):]}, byte(0)
	for len(r.b) > 0 {
		id := r.byte()
		s := reader{b: r.bytes(r.u32())}
		if r.err != nil {
			return r.err
		}
		if id != secCustom {
			if rank(id) <= rank(last) {
				return errOrder
			}
			last = id
		}
		if m.section(id, &s); s.err == nil && len(s.b) > 0 {
			s.failf("section %d of the module is longer than its content; build it again", id)
		}
		if s.err != nil {
			return s.err
		}
	}
	if r.err != nil {
		return r.err
	}
	return m.check()
}

// rank is the place of a section: the data count comes before the code.
func rank(id byte) int {
	if id == secDataCount {
		return 2*secElement + 1
	}
	return 2 * int(id)
}

func (m *module) section(id byte, r *reader) {
	if m.outline && (id == secCustom || id == secElement || id == secData || id == secDataCount) {
		r.b = nil
		return
	}
	switch id {
	case secCustom:
		m.custom(r)
	case secType:
		shapes := map[string]uint32{}
		r.atMost(maxTypes, "types", func() { m.types = append(m.types, m.funcType(r, shapes)) })
	case secImport:
		r.atMost(maxImports, "imports", func() { m.importEntry(r) })
	case secFunction:
		r.atMost(maxFuncs, "functions", func() { m.funcs = append(m.funcs, function{typ: m.typeIndex(r)}) })
	case secTable:
		r.atMost(maxTables, "tables", func() { m.table(r) })
	case secMemory:
		r.each(func() { m.memory(r) })
	case secGlobal:
		r.atMost(maxGlobals, "globals", func() { m.global(r) })
	case secExport:
		r.atMost(maxExports, "exports", func() { m.export(r) })
	case secStart:
		i := m.funcIndex(r)
		m.start = &i
	case secElement:
		r.atMost(maxSegments, "element segments", func() { m.element(r) })
	case secDataCount:
		n := r.u32()
		m.counted = &n
	case secCode:
		m.code(r)
	case secData:
		r.atMost(maxSegments, "data segments", func() { m.segment(r) })
	default:
		r.failf("section %d is not part of WebAssembly 2.0; build without exceptions", id)
	}
}

// check compares what several sections say.
func (m *module) check() error {
	for i := range m.funcs {
		if m.funcs[i].body == nil {
			return errors.New("the module declares functions that have no code; build it again")
		}
	}
	if m.counted != nil && int(*m.counted) != len(m.data) {
		return errors.New("the module counts its data segments wrongly; build it again")
	}
	m.boundTables()
	return m.checkSegments()
}

func (m *module) funcType(r *reader, shapes map[string]uint32) (t funcType) {
	if c := r.byte(); c != 0x60 && r.err == nil {
		r.failf("type 0x%02x is not a function; build without garbage collection", c)
	}
	all := r.b
	t.params = valueTypes(r)
	t.results = valueTypes(r)
	t.vectors = bytes.IndexByte(t.params, typeV128) >= 0 || bytes.IndexByte(t.results, typeV128) >= 0
	key := string(all[:len(all)-len(r.b)])
	if _, ok := shapes[key]; !ok {
		shapes[key] = uint32(len(shapes))
	}
	t.shape = shapes[key]
	return t
}

func valueTypes(r *reader) []byte {
	n := r.u32()
	if n > maxArity {
		r.failf("a function of the module has %d parameters or results, %d are allowed; pass a structure instead", n, maxArity)
		return nil
	}
	all := r.b
	for range n {
		r.valueType()
	}
	return all[:len(all)-len(r.b)]
}

func (m *module) typeIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(len(m.types)) {
		r.failf("a function of the module has the type %d, which is not there; build it again", i)
		return 0
	}
	return i
}

func (m *module) funcIndex(r *reader) uint32 {
	i := r.u32()
	if int64(i) >= int64(m.numFuncs()) {
		r.failf("the module refers to function %d, which is not there; build it again", i)
		return 0
	}
	return i
}

func (m *module) importEntry(r *reader) {
	e := importEntry{module: r.name(), name: r.name(), kind: r.byte()}
	if r.err != nil {
		return
	}
	if e.module == Module {
		r.failf("the module imports from %q, which is reserved; was it rewritten already? Install the original", Module)
		return
	}
	switch e.kind {
	case kindFunc:
		e.typ = m.typeIndex(r)
		m.importedFuncs = append(m.importedFuncs, e.typ)
	case kindMemory:
		e.limits = m.memory(r)
		m.importedMemory = true
	case kindGlobal:
		e.valueType = r.valueType()
		if r.byte() != 0 {
			r.failf("the module imports a mutable global; define %.100q.%.100q in the module", e.module, e.name)
		}
		m.importedGlobals = append(m.importedGlobals, e.valueType)
	default:
		r.failf("the module imports a table or an exception tag; define %.100q.%.100q in the module", e.module, e.name)
	}
	m.imports = append(m.imports, e)
}

func readLimits(r *reader) (l limits) {
	flags := r.byte()
	if flags > 1 {
		r.failf("a memory or table has the flags %d, as shared and 64-bit memory have; build without threads and for wasm32", flags)
	}
	l.min, l.bounded = r.u32(), flags == 1
	if l.bounded {
		l.max = r.u32()
	}
	return l
}

func (m *module) memory(r *reader) limits {
	if len(m.memories) > 0 {
		r.failf("the module has several memories, one is supported; build without multi-memory")
	}
	m.memories = append(m.memories, readLimits(r))
	return m.memories[0]
}

func (m *module) table(r *reader) {
	t := table{typ: r.refType(), limits: readLimits(r)}
	m.entries += uint64(t.limits.min)
	if m.entries > maxEntries {
		r.failf("the tables of the module have more than %d entries; build it smaller", maxEntries)
	}
	if t.limits.bounded && t.limits.max < t.limits.min {
		r.failf("a table of the module has a maximum below its minimum; build it again")
	}
	m.tables = append(m.tables, t)
}

// boundTables gives all tables a maximum, so that together they grow by maxGrown
// at most, and stay below maxEntries: what they may get is shared, and what a
// table does not want is left to the others.
func (m *module) boundTables() {
	var all []*limits
	for i := range m.tables {
		l := &m.tables[i].limits
		if !l.bounded {
			l.bounded, l.max = true, ^uint32(0)
		}
		all = append(all, l)
	}
	slices.SortStableFunc(all, func(a, b *limits) int { return cmp.Compare(a.max-a.min, b.max-b.min) })
	left := uint32(min(maxEntries-m.entries, maxGrown))
	for i, l := range all {
		l.max = l.min + min(l.max-l.min, left/uint32(len(all)-i))
		left -= l.max - l.min
	}
}

func (m *module) global(r *reader) {
	g := global{typ: r.valueType()}
	switch c := r.byte(); c {
	case 0, 1:
		g.mutable = c == 1
	default:
		r.failf("a global of the module has the flags %d; build without threads", c)
	}
	if g.mutable {
		m.mutable++
	}
	if m.mutable > maxMutable {
		r.failf("the module has more than %d mutable globals; keep them in memory", maxMutable)
	}
	if g.mutable && g.typ == typeV128 {
		r.failf("global %d is a mutable v128, which cannot be saved; keep it in memory", m.numGlobals())
	}
	g.init = m.constant(r)
	m.globals = append(m.globals, g)
}

// constant reads a constant expression, which is one instruction here.
func (m *module) constant(r *reader) (in instr) {
	r.instr(&in)
	switch {
	case r.err != nil:
	case in.op == opI32Const, in.op == opI64Const, in.op == opF32Const, in.op == opF64Const, in.op == opRefNull,
		in.op == opVector && in.sub == vectorConst:
	case in.op == opGlobalGet:
		if int64(in.x) >= int64(len(m.importedGlobals)) {
			r.failf("a constant of the module is global %d, which is not imported; build without extended constants", in.x)
		}
	case in.op == opRefFunc:
		if int64(in.x) >= int64(m.numFuncs()) {
			r.failf("the module refers to function %d, which is not there; build it again", in.x)
			return in
		}
		m.declare(in.x)
	default:
		r.failf("a constant of the module is computed by opcode 0x%02x; build without extended constants", in.op)
	}
	if c := r.byte(); c != opEnd && r.err == nil {
		r.failf("a constant of the module has several instructions; build without extended constants")
	}
	return in
}

func (m *module) export(r *reader) {
	e := export{name: r.name(), kind: r.byte(), index: r.u32()}
	if r.err != nil {
		return
	}
	if strings.HasPrefix(e.name, Prefix) {
		r.failf("the module exports %.100q, but names that start with %q are reserved; rename it", e.name, Prefix)
		return
	}
	var n int
	switch e.kind {
	case kindFunc:
		n = m.numFuncs()
		m.declare(e.index)
	case kindTable:
		n = len(m.tables)
	case kindMemory:
		n = len(m.memories)
	case kindGlobal:
		n = m.numGlobals()
	default:
		r.failf("the module exports %.100q of kind %d; build without exceptions", e.name, e.kind)
		return
	}
	if int64(e.index) >= int64(n) {
		r.failf("the module exports %.100q, which is not there; build it again", e.name)
	}
	m.exports = append(m.exports, e)
}

func (m *module) code(r *reader) {
	if n := r.u32(); int64(n) != int64(len(m.funcs)) && r.err == nil {
		r.failf("the module has code for %d functions but declares %d; build it again", n, len(m.funcs))
		return
	}
	for i := range m.funcs {
		size := r.u32()
		if size > maxBody {
			r.failf("the module has a function of %d bytes (function %d), %d are allowed; split it, or build with less inlining", size, len(m.importedFuncs)+i, maxBody)
		}
		m.largest = max(m.largest, int(size))
		body := reader{b: r.bytes(size)}
		m.locals(&body, i)
		if r.err == nil && body.err != nil {
			r.fail(body.err)
		}
		if r.err != nil {
			return
		}
		m.funcs[i].body = body.b
	}
}

func (m *module) locals(r *reader, i int) {
	f, total := &m.funcs[i], uint64(len(m.types[m.funcs[i].typ].params))
	r.each(func() {
		g := localGroup{count: r.u32(), typ: r.valueType()}
		if total += uint64(g.count); total > maxLocals {
			r.failf("function %d has more than %d local variables; split it", len(m.importedFuncs)+i, maxLocals)
		}
		f.locals = append(f.locals, g)
	})
	if r.err == nil && len(r.b) == 0 {
		r.fail(errCut)
	}
}
