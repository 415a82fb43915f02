package instrument

import "strings"

// Layout is what a module declares outside of function bodies.
type Layout struct {
	Imports   []Import
	Exports   []Export
	MemoryMin uint32 // pages of 64 KiB
	MemoryMax uint32 // pages; 65536 if the module states none
	Functions int    // that it defines
	Largest   int    // bytes of the largest of them
}

// Import is something a module needs.
type Import struct {
	Module, Name string
	Kind         string // func, memory, global
	Type         string // of a func: "(i32,i32)->i32"
}

// Export is something a module offers.
type Export struct {
	Name     string
	Kind     string // func, table, memory, global
	Type     string // of a func: "()->i32"
	Imported bool   // a func that is not the module's own
}

// Read looks neither into functions nor into segments, and takes a hundredth of
// the time of Rewrite. What it refuses Rewrite refuses too, with the same
// sentence.
func Read(bin []byte) (Layout, error) {
	m := &module{outline: true}
	if err := m.parse(bin); err != nil {
		return Layout{}, err
	}
	l := Layout{MemoryMax: maxPages, Functions: len(m.funcs), Largest: m.largest}
	for _, mem := range m.memories { // one, or none
		l.MemoryMin = mem.min
		if mem.bounded {
			l.MemoryMax = mem.max
		}
	}
	for _, e := range m.imports {
		im := Import{Module: e.module, Name: e.name, Kind: kindNames[e.kind]}
		if e.kind == kindFunc {
			im.Type = m.types[e.typ].String()
		}
		l.Imports = append(l.Imports, im)
	}
	for _, e := range m.exports {
		ex := Export{Name: e.name, Kind: kindNames[e.kind]}
		if e.kind == kindFunc {
			ex.Type, ex.Imported = m.typeOf(e.index).String(), m.defined(e.index) == nil
		}
		l.Exports = append(l.Exports, ex)
	}
	return l, nil
}

const maxPages = 65536 // of memory, in 32 bits

var kindNames = [...]string{kindFunc: "func", kindTable: "table", kindMemory: "memory", kindGlobal: "global"}

// String is the type as "(i32,i32)->i32".
func (t *funcType) String() string { return "(" + typeNames(t.params) + ")->" + typeNames(t.results) }

var valueNames = map[byte]string{
	typeI32: "i32", typeI64: "i64", typeF32: "f32", typeF64: "f64",
	typeV128: "v128", typeFuncref: "funcref", typeExternref: "externref",
}

func typeNames(types []byte) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = valueNames[t]
	}
	return strings.Join(names, ",")
}
