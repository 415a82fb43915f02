package instrument

import "fmt"

// write puts the new module together. Every section is written anew.
func (w *rewriter) write() (Result, error) {
	out := append(make([]byte, 0, len(header)), header...)
	out = putSection(out, secType, w.typeSection())
	out = putSection(out, secImport, w.importSection())
	out = putSection(out, secFunction, w.functionSection())
	out = putSection(out, secTable, w.tableSection())
	out = putSection(out, secMemory, w.memorySection())
	out = putSection(out, secGlobal, w.globalSection())
	exports, globals := w.exportSection()
	out = putSection(out, secExport, exports)
	if w.start != nil {
		out = putSection(out, secStart, putU(nil, w.newIndex(*w.start)))
	}
	out = putSection(out, secElement, w.elementSection())
	if w.counted != nil {
		out = putSection(out, secDataCount, putU(nil, *w.counted))
	}
	out = putSection(out, secCode, w.codeSection())
	out = putSection(out, secData, w.dataSection())
	out = putSection(out, secCustom, w.nameSection())
	return Result{Module: out, Globals: globals, Impure: w.impure()}, w.err
}

func (w *rewriter) typeSection() []byte {
	var b []byte
	for _, t := range w.types {
		b = putBytes(putBytes(append(b, 0x60), t.params), t.results)
	}
	b = append(b, 0x60, 1, typeI64, 1, typeI64)
	b = append(b, 0x60, 1, typeI32, 1, typeI32)
	b = append(b, 0x60, 3, typeI32, typeI32, typeI32, 0)
	return putVec(nil, len(w.types)+3, b)
}

func (w *rewriter) importSection() []byte {
	var b []byte
	for _, e := range w.imports {
		b = append(putName(putName(b, e.module), e.name), e.kind)
		switch e.kind {
		case kindFunc:
			b = putU(b, e.typ)
		case kindMemory:
			b = putLimits(b, e.limits)
		case kindGlobal:
			b = append(b, e.valueType, 0)
		}
	}
	for _, f := range []struct {
		name string
		typ  int
	}{{"tick", w.typeI64}, {"deep", w.typeI32}, {"grow", w.typeI32}} {
		b = putU(append(putName(putName(b, Module), f.name), kindFunc), f.typ)
	}
	return putVec(nil, len(w.imports)+AddedFuncs, b)
}

func (w *rewriter) functionSection() []byte {
	var b []byte
	for i := range w.funcs {
		b = putU(b, w.funcs[i].typ)
	}
	helpers := w.helpers()
	for _, h := range helpers {
		b = putU(b, h.typ)
	}
	return putVec(nil, len(w.funcs)+len(helpers), b)
}

// helper is a function that is added at the end: its type, and its body with
// the size in front.
type helper struct {
	typ  int
	body []byte
}

// helpers gives those that replace memory.fill and memory.copy, the one that
// buys credit, and those that replace memory.init, if they are used.
func (w *rewriter) helpers() (list []helper) {
	if w.usesFill {
		list = append(list, helper{w.typeRange, w.rangeFunc(rangeOp{sub: miscMemoryFill})})
	}
	if w.usesCopies {
		list = append(list, helper{w.typeRange, w.rangeFunc(rangeOp{sub: miscMemoryCopy})})
	}
	if w.usesCredit {
		list = append(list, helper{w.typeI32, w.moreFunc()})
	}
	for _, i := range w.long {
		list = append(list, helper{w.typeRange, w.rangeFunc(rangeOp{miscMemoryInit, i, len(w.data[i].bytes)})})
	}
	return list
}

func (w *rewriter) codeSection() []byte {
	var b []byte
	for i := range w.funcs {
		b = w.put(b, i)
	}
	helpers := w.helpers()
	for _, h := range helpers {
		b = append(b, h.body...)
	}
	return putVec(nil, len(w.funcs)+len(helpers), b)
}

func putLimits(b []byte, l limits) []byte {
	if !l.bounded {
		return putU(append(b, 0), l.min)
	}
	return putU(putU(append(b, 1), l.min), l.max)
}

func (w *rewriter) tableSection() []byte {
	var b []byte
	for _, t := range w.tables {
		b = putLimits(append(b, t.typ), t.limits)
	}
	return putVec(nil, len(w.tables), b)
}

func (w *rewriter) memorySection() []byte {
	if len(w.memories) == 0 || w.importedMemory {
		return nil
	}
	return putVec(nil, 1, putLimits(nil, w.memories[0]))
}

func (w *rewriter) globalSection() []byte {
	var b []byte
	for i := range w.globals {
		g := &w.globals[i]
		b = append(b, g.typ, 0)
		if g.mutable {
			b[len(b)-1] = 1
		}
		b = w.putConstant(b, &g.init)
	}
	b = append(b, typeI64, 1, opI64Const, 0, opEnd)
	b = append(b, typeI32, 1, opI32Const, 0, opEnd)
	for _, f := range w.taken {
		b = putU(append(b, typeFuncref, 0, opRefFunc), w.newIndex(f))
		b = append(b, opEnd)
	}
	return putVec(nil, len(w.globals)+2+len(w.taken), b)
}

func (w *rewriter) putConstant(b []byte, in *instr) []byte {
	shifted := *in
	if in.op == opRefFunc {
		shifted.x = w.newIndex(in.x)
	}
	return append(shifted.put(b), opEnd)
}

func putExport(b []byte, name string, kind byte, index int) []byte {
	return putU(append(putName(b, name), kind), index)
}

func (w *rewriter) exportSection() (section []byte, globals []string) {
	var b []byte
	for _, e := range w.exports {
		if e.kind == kindFunc {
			e.index = w.newIndex(e.index)
		}
		b = putExport(b, e.name, e.kind, int(e.index))
	}
	for i := range w.globals {
		if w.globals[i].saved() {
			globals = append(globals, fmt.Sprintf("%sg%d", Prefix, len(globals)))
			b = putExport(b, globals[len(globals)-1], kindGlobal, len(w.importedGlobals)+i)
		}
	}
	b = putExport(b, FuelGlobal, kindGlobal, w.fuel)
	b = putExport(b, StackGlobal, kindGlobal, w.stack)
	return putVec(nil, len(w.exports)+len(globals)+2, b), globals
}

// saved tells whether a host can read the global and write it back, as part of
// the state of an instance. A reference means nothing in another instance.
func (g *global) saved() bool { return g.mutable && !g.isReference() }

func (g *global) isReference() bool { return g.typ == typeFuncref || g.typ == typeExternref }

func (m *module) impure() bool {
	for i := range m.funcs {
		if m.funcs[i].impure {
			return true
		}
	}
	for i := range m.globals {
		if m.globals[i].mutable && m.globals[i].isReference() {
			return true
		}
	}
	return false
}

func (w *rewriter) elementSection() []byte {
	var b []byte
	for i := range w.elements {
		e := &w.elements[i]
		b = putU(b, e.flags)
		if e.flags&elementPassive == 0 {
			if e.flags&elementExplicit != 0 {
				b = putU(b, e.table)
			}
			b = w.putConstant(b, &e.offset)
		}
		exprs := e.flags&elementExprs != 0
		if e.flags&(elementPassive|elementExplicit) != 0 {
			if exprs {
				b = append(b, e.typ)
			} else {
				b = append(b, 0)
			}
		}
		if exprs {
			b = putU(b, len(e.exprs))
			for k := range e.exprs {
				b = w.putConstant(b, &e.exprs[k])
			}
			continue
		}
		b = putU(b, len(e.funcs))
		for _, f := range e.funcs {
			b = putU(b, w.newIndex(f))
		}
	}
	return putVec(nil, len(w.elements), b)
}

func (w *rewriter) dataSection() []byte {
	var b []byte
	for i := range w.data {
		s := &w.data[i]
		b = putU(b, s.flags)
		if s.flags == 0 {
			b = w.putConstant(b, &s.offset)
		}
		b = putBytes(b, s.bytes)
	}
	return putVec(nil, len(w.data), b)
}
