package instrument

import "fmt"

// Flags of element segments.
const (
	elementPassive, elementExplicit, elementExprs = 1, 2, 4
)

func (m *module) element(r *reader) {
	e := element{flags: r.u32(), typ: typeFuncref}
	if e.flags > 7 {
		r.failf("an element segment has the flags %d; %s", e.flags, howToBuild)
		return
	}
	if e.flags&elementPassive == 0 {
		if e.flags&elementExplicit != 0 {
			e.table = r.u32()
		}
		if int64(e.table) >= int64(len(m.tables)) && r.err == nil {
			r.failf("an element segment is for table %d, which is not there; build it again", e.table)
		}
		e.offset = m.constant(r)
	}
	if e.flags&(elementPassive|elementExplicit) != 0 {
		if e.flags&elementExprs != 0 {
			e.typ = r.refType()
		} else if c := r.byte(); c != 0 {
			r.failf("an element segment holds the kind %d; only functions are supported", c)
		}
	}
	if e.flags&elementExprs != 0 {
		r.atMost(maxElements-m.filled, "more entries in element segments", func() { e.exprs = append(e.exprs, m.constant(r)) })
	} else {
		r.atMost(maxElements-m.filled, "more entries in element segments", func() {
			f := m.funcIndex(r)
			m.declare(f)
			e.funcs = append(e.funcs, f)
		})
	}
	m.filled += len(e.exprs) + len(e.funcs)
	m.elements = append(m.elements, e)
}

func (m *module) segment(r *reader) {
	s := segment{flags: r.u32()}
	switch s.flags {
	case 2:
		if r.u32() != 0 {
			r.failf("a data segment is for another memory; several memories are not supported")
		}
		s.flags = 0
		fallthrough
	case 0:
		if len(m.memories) == 0 {
			r.failf("the module has data but no memory; build it again")
		}
		s.offset = m.constant(r)
	case 1:
	default:
		r.failf("a data segment has the flags %d; %s", s.flags, howToBuild)
	}
	s.bytes = r.bytes(r.u32())
	m.data = append(m.data, s)
}

// checkSegments refuses segments that lie outside of what they initialise at
// the start: such a module cannot start, and wazero 1.12.0 gets their end wrong
// where an int has 32 bits.
func (m *module) checkSegments() error {
	for i := range m.elements {
		e := &m.elements[i]
		n := uint64(len(e.funcs) + len(e.exprs))
		if e.flags&elementPassive == 0 && n > 0 && e.offset.outside(n, uint64(m.tables[e.table].limits.min)) {
			return fmt.Errorf("element segment %d of the module lies outside of its table; build it again", i)
		}
	}
	for i := range m.data {
		s := &m.data[i]
		if s.flags == 0 && !m.importedMemory && s.offset.outside(uint64(len(s.bytes)), uint64(m.memories[0].min)<<16) {
			return fmt.Errorf("data segment %d of the module lies outside of memory; give it more memory at the start", i)
		}
	}
	return nil
}

// outside tells whether n places from the offset in do not fit into size. An
// imported offset is not known.
func (in *instr) outside(n, size uint64) bool {
	return in.op == opI32Const && uint64(uint32(in.v))+n > size
}
