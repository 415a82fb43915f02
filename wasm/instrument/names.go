package instrument

import "unicode/utf8"

// Parts of the name section that are kept: they make traps readable.
const (
	namesModule, namesFuncs = 0, 1
)

// custom keeps the names of a "name" section and drops all else: offsets into
// the code would be wrong. What is wrong inside of a custom section is no error.
func (m *module) custom(r *reader) {
	name := r.name()
	s := reader{b: r.b}
	r.b = nil
	if name != "name" || m.names != nil {
		return
	}
	for len(s.b) > 0 {
		id := s.byte()
		part := reader{b: s.bytes(s.u32())}
		switch id {
		case namesModule:
			m.name = cut(part.name())
		case namesFuncs:
			m.names = readNames(&part)
		}
	}
}

// readNames reads the names as long as their indices ascend.
func readNames(r *reader) (names []funcName) {
	r.each(func() {
		n := funcName{index: r.u32(), name: cut(r.name())}
		if r.err == nil && len(names) < maxFuncs && (len(names) == 0 || names[len(names)-1].index < n.index) {
			names = append(names, n)
		}
	})
	return names
}

// cut shortens a name to maxName bytes.
func cut(s string) string {
	if len(s) <= maxName {
		return s
	}
	n := maxName
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

func (w *rewriter) nameSection() []byte {
	var funcs []byte
	count := 0
	for _, n := range w.names {
		if int64(n.index) < int64(w.numFuncs()) {
			funcs = putName(putU(funcs, w.newIndex(n.index)), n.name)
			count++
		}
	}
	if count == 0 && w.name == "" {
		return nil
	}
	b := putName(nil, "name")
	if w.name != "" {
		b = putBytes(append(b, namesModule), putName(nil, w.name))
	}
	if count > 0 {
		b = putBytes(append(b, namesFuncs), putVec(nil, count, funcs))
	}
	return b
}
