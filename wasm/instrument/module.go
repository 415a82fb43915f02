package instrument

// Sections, by their number in the format.
const (
	secCustom, secType, secImport, secFunction, secTable, secMemory = 0, 1, 2, 3, 4, 5
	secGlobal, secExport, secStart, secElement, secCode, secData    = 6, 7, 8, 9, 10, 11
	secDataCount                                                    = 12
)

// Kinds of imports and exports.
const (
	kindFunc, kindTable, kindMemory, kindGlobal = 0, 1, 2, 3
)

// module is a core module taken apart. Byte slices point into the input.
type module struct {
	types    []funcType
	imports  []importEntry
	funcs    []function // defined by the module: index minus imported
	tables   []table
	memories []limits // imported or defined
	globals  []global // defined by the module
	exports  []export
	start    *uint32
	elements []element
	counted  *uint32 // the data count section
	data     []segment
	name     string // of the module, from the name section
	names    []funcName

	importedFuncs   []uint32 // type of each
	importedGlobals []byte   // type of each
	outline         bool     // segments and names are not read
	importedMemory  bool
	largest         int               // body, bytes
	declared        []bool            // functions that code may take a reference to
	taken           []uint32          // functions that code takes a reference to
	takenAt         map[uint32]uint32 // place of each in taken
	mutable         int               // globals
	filled          int               // entries of element segments
	entries         uint64            // of all tables at the start
}

type funcType struct {
	params, results []byte // value types
	shape           uint32 // the same number for types that are equal
	vectors         bool   // has some among them
}

type limits struct {
	min, max uint32
	bounded  bool // max was stated
}

type importEntry struct {
	module, name string
	kind         byte
	typ          uint32 // of a function
	limits       limits // of a memory
	valueType    byte   // of a global, which is immutable
}

type function struct {
	typ    uint32
	locals []localGroup
	body   []byte // instructions
	scan          // what scanning the body found
}

type localGroup struct {
	count uint32
	typ   byte
}

type table struct {
	typ    byte
	limits limits
}

type global struct {
	typ     byte
	mutable bool
	init    instr
}

type export struct {
	name  string
	kind  byte
	index uint32
}

type element struct {
	flags  uint32 // as in the format
	table  uint32
	offset instr
	typ    byte     // reference type, if expressions
	funcs  []uint32 // if no expressions
	exprs  []instr
}

type segment struct {
	flags  uint32
	offset instr
	bytes  []byte
}

type funcName struct {
	index uint32
	name  string
}

// numFuncs counts the functions of the input, imported ones first.
func (m *module) numFuncs() int { return len(m.importedFuncs) + len(m.funcs) }

func (m *module) numGlobals() int { return len(m.importedGlobals) + len(m.globals) }

// typeOfGlobal is the type of global i of the input.
func (m *module) typeOfGlobal(i uint32) byte {
	if n := len(m.importedGlobals); int(i) >= n {
		return m.globals[int(i)-n].typ
	}
	return m.importedGlobals[i]
}

// declare allows code to take a reference to function i, as naming it outside
// of code does.
func (m *module) declare(i uint32) {
	if m.declared == nil {
		m.declared = make([]bool, m.numFuncs())
	}
	if int64(i) < int64(len(m.declared)) {
		m.declared[i] = true
	}
}

// defined gives function i of the input, or nil if it is imported.
func (m *module) defined(i uint32) *function {
	if n := len(m.importedFuncs); int(i) >= n {
		return &m.funcs[int(i)-n]
	}
	return nil
}

// typeOf is the type of function i of the input.
func (m *module) typeOf(i uint32) *funcType {
	if f := m.defined(i); f != nil {
		return &m.types[f.typ]
	}
	return &m.types[m.importedFuncs[i]]
}
