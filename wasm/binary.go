package wasm

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// layout is what the sections of a core module declare. Function bodies are
// measured, not read: wazero validates them.
type layout struct {
	types   []string // "(i32,i32)->i32"
	imports []Import
	funcs   []uint32 // type of each function the module defines
	exports []Export
	memory  limits
	memdefs int
	tables  []limits
	body    int // largest function body, bytes
}

type limits struct {
	min, max uint32
	bounded  bool // max was stated
}

var (
	magic      = []byte("\x00asm")
	errCut     = errors.New("it ends too early")
	errInteger = errors.New("a number in it is too long")
)

// decoder reads the binary format; the first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err, d.b = err, nil
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail(errCut)
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(d.b)) {
		d.fail(errCut)
		return nil
	}
	s := d.b[:n]
	d.b = d.b[n:]
	return s
}

// u32 reads an unsigned LEB128 number of at most 32 bits.
func (d *decoder) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := d.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v>>32 != 0 {
				break
			}
			return uint32(v)
		}
	}
	d.fail(errInteger)
	return 0
}

func (d *decoder) name() string {
	s := d.bytes(d.u32())
	if !utf8.Valid(s) {
		d.fail(errors.New("a name in it is not UTF-8"))
	}
	return string(s)
}

// each calls f for every element of a vector, until the first error.
func (d *decoder) each(f func()) {
	for n := d.u32(); n > 0 && d.err == nil; n-- {
		f()
	}
}

func (d *decoder) limits() limits {
	flags := d.byte()
	if flags > 3 {
		d.fail(errors.New("it uses 64-bit memory, which is not supported"))
	}
	l := limits{min: d.u32(), bounded: flags&1 != 0}
	if l.bounded {
		l.max = d.u32()
	}
	return l
}

var valueTypes = map[byte]string{
	0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref", 0x69: "exnref",
}

func (d *decoder) valueType() string {
	c := d.byte()
	name, ok := valueTypes[c]
	if !ok {
		d.fail(fmt.Errorf("it uses a value type (0x%02x) that is not supported, such as those of garbage collection", c))
	}
	return name
}

func (d *decoder) valueTypes() string {
	var names []string
	d.each(func() { names = append(names, d.valueType()) })
	return strings.Join(names, ",")
}

func (d *decoder) funcType() string {
	if c := d.byte(); c != 0x60 && d.err == nil {
		d.fail(fmt.Errorf("it declares a type (0x%02x) that is no function, as garbage collection does; that is not supported", c))
	}
	return "(" + d.valueTypes() + ")->" + d.valueTypes()
}

// parse reads the sections of a core module.
func parse(bin []byte) (*layout, error) {
	d := decoder{b: bin[min(8, len(bin)):]}
	l := &layout{}
	for len(d.b) > 0 {
		id := d.byte()
		s := decoder{b: d.bytes(d.u32())}
		if d.err != nil {
			break
		}
		if l.section(id, &s); s.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, s.err)
		}
	}
	return l, d.err
}

const (
	sectionType, sectionImport, sectionFunction, sectionTable = 1, 2, 3, 4
	sectionMemory, sectionExport, sectionCode                 = 5, 7, 10
)

func (l *layout) section(id byte, d *decoder) {
	switch id {
	case sectionType:
		d.each(func() { l.types = append(l.types, d.funcType()) })
	case sectionImport:
		d.each(func() { l.imports = append(l.imports, l.importEntry(d)) })
	case sectionFunction:
		d.each(func() { l.funcs = append(l.funcs, l.typeIndex(d)) })
	case sectionTable:
		d.each(func() { l.tables = append(l.tables, table(d)) })
	case sectionMemory:
		d.each(func() { l.memory, l.memdefs = d.limits(), l.memdefs+1 })
	case sectionExport:
		d.each(func() { l.exports = append(l.exports, l.exportEntry(d)) })
	case sectionCode:
		d.each(func() { l.body = max(l.body, len(d.bytes(d.u32()))) })
	}
}

func table(d *decoder) limits {
	d.valueType()
	return d.limits()
}

// Kinds of what a module imports and exports, by their number in the format.
var kinds = []string{"func", "table", "memory", "global", "tag"}

func (d *decoder) kind() string {
	c := d.byte()
	if int(c) >= len(kinds) {
		d.fail(fmt.Errorf("it imports or exports a kind (%d) that is not known", c))
		return ""
	}
	return kinds[c]
}

// maxListedNames bounds imports, and exports: looking up types takes their product.
const maxListedNames = 5000

func (d *decoder) bound(n int) {
	if n >= maxListedNames {
		d.fail(fmt.Errorf("it imports or exports more than %d names", maxListedNames))
	}
}

func (l *layout) importEntry(d *decoder) Import {
	d.bound(len(l.imports))
	im := Import{Module: d.name(), Name: d.name(), Kind: d.kind()}
	switch im.Kind {
	case "func":
		im.Type = l.funcTypeName(d, d.u32())
	case "table":
		table(d)
	case "memory":
		d.limits()
	case "global":
		d.valueType()
		d.byte()
	case "tag":
		d.byte()
		d.u32()
	}
	return im
}

func (l *layout) exportEntry(d *decoder) Export {
	d.bound(len(l.exports))
	ex := Export{Name: d.name(), Kind: d.kind()}
	if i := d.u32(); ex.Kind == "func" {
		ex.Type = l.typeOfFunc(d, i)
		ex.imported = i < l.importedFuncs()
	}
	return ex
}

// typeIndex reads the type of a function: wazero 1.12.0 panics if there is none.
func (l *layout) typeIndex(d *decoder) uint32 {
	i := d.u32()
	l.funcTypeName(d, i)
	return i
}

func (l *layout) importedFuncs() (n uint32) {
	for i := range l.imports {
		if l.imports[i].Kind == "func" {
			n++
		}
	}
	return n
}

func (l *layout) funcTypeName(d *decoder, i uint32) string {
	if uint64(i) >= uint64(len(l.types)) {
		d.fail(errors.New("a function in it has no type"))
		return ""
	}
	return l.types[i]
}

// typeOfFunc is the type of function i, imported functions first.
func (l *layout) typeOfFunc(d *decoder, i uint32) string {
	for _, im := range l.imports {
		if im.Kind != "func" {
			continue
		}
		if i == 0 {
			return im.Type
		}
		i--
	}
	if uint64(i) >= uint64(len(l.funcs)) {
		d.fail(errors.New("it exports a function that is not there"))
		return ""
	}
	return l.funcTypeName(d, l.funcs[i])
}
