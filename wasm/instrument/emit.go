package instrument

import (
	"errors"
	"slices"
)

// rewriter holds where the things that Rewrite adds stand in the new module.
type rewriter struct {
	*module
	opts                 Options
	typeI64, typeI32     int // types (i64) -> i64 and (i32) -> i32
	typeRange            int // type (i32, i32, i32) -> ()
	tick, deep, grow     int // imported functions
	fill, copy           int // functions at the end
	fuel, stack          int // globals at the end
	refs                 int // global at the end, the first that holds a reference
	more                 int // function at the end, which buys credit
	usesFill, usesCopies bool
	usesCredit           bool
	long                 []uint32       // data segments that are longer than a chunk
	init                 map[uint32]int // functions at the end, which copy from them
	jumps                dispatches     // these four are reused from function to function
	body                 body
	head, spare          []byte
	err                  error // the first function that became too large
}

func newRewriter(m *module, opts Options) *rewriter {
	n := len(m.importedFuncs)
	w := &rewriter{
		module: m, opts: opts,
		typeI64: len(m.types), typeI32: len(m.types) + 1, typeRange: len(m.types) + 2,
		tick: n, deep: n + 1, grow: n + 2,
		fuel: m.numGlobals(), stack: m.numGlobals() + 1, refs: m.numGlobals() + 2,
	}
	usesInits := false
	for i := range m.funcs {
		usesInits = usesInits || m.funcs[i].inits
		w.usesFill = w.usesFill || m.funcs[i].fills
		w.usesCopies = w.usesCopies || m.funcs[i].copies
		w.usesCredit = w.usesCredit || slices.Contains(m.funcs[i].loops, loopTight)
	}
	w.fill = m.numFuncs() + AddedFuncs
	w.copy = w.fill
	if w.usesFill {
		w.copy++
	}
	w.more = w.copy
	if w.usesCopies {
		w.more++
	}
	if usesInits {
		w.findLong()
	}
	return w
}

// findLong gives each long data segment a function to copy from it. Shorter
// ones need none: to copy from them is done, or traps, in one chunk.
func (w *rewriter) findLong() {
	next := w.more
	if w.usesCredit {
		next++
	}
	w.init = map[uint32]int{}
	for i := range w.data {
		if len(w.data[i].bytes) > chunk {
			w.init[uint32(i)] = next + len(w.long)
			w.long = append(w.long, uint32(i))
		}
	}
}

// AddedFuncs is by how much the indices of functions that the module defines grow:
// tick, deep and grow are imported before them.
const AddedFuncs = 3

// newIndex is the index in the new module of function i of the input.
func (w *rewriter) newIndex(i uint32) uint32 {
	if int(i) < len(w.importedFuncs) {
		return i
	}
	return i + AddedFuncs
}

// body is a function body being written.
type body struct {
	code   []byte
	sites  sites
	locals int    // of the input, with parameters
	extra  []byte // types of local variables added
	slots  [numSlots]uint32
	checks int // places that may call tick or deep; each is two blocks for a compiler
	loops  int // so far
	inside int // open blocks from a tight loop on; 0: none is open
}

// Local variables that instrumentation uses; each is added when first needed.
const (
	slotLength = iota // i32
	slotA32           // i32: operands of remainders
	slotB32
	slotCredit // fuel that was charged and is not used yet
	slotA64    // i64
	slotB64
	numSlots
)

var slotTypes = [numSlots]byte{typeI32, typeI32, typeI32, typeI32, typeI64, typeI64}

func (b *body) slot(i int) uint32 {
	if b.slots[i] == 0 {
		b.extra = append(b.extra, slotTypes[i])
		b.slots[i] = uint32(b.locals + len(b.extra)) // one more than the index: 0 means none yet
	}
	return b.slots[i] - 1
}

func (b *body) op(op byte) { b.code = append(b.code, op) }

// with appends an instruction with one index.
func (b *body) with(op byte, i int) { b.code = putU(append(b.code, op), i) }

func (b *body) local(op byte, slot int) { b.code = putU(append(b.code, op), b.slot(slot)) }

func (b *body) i32(v int64) { b.code = putS(append(b.code, opI32Const), v) }

func (b *body) i64(v int64) { b.code = putS(append(b.code, opI64Const), v) }

// put appends function f of the input, rewritten, with its size.
func (w *rewriter) put(out []byte, index int) []byte {
	f := &w.funcs[index]
	b := &w.body
	b.code, b.extra, b.slots, b.checks = b.code[:0], b.extra[:0], [numSlots]uint32{}, 0
	b.loops, b.inside = 0, 0
	b.locals = len(w.types[f.typ].params)
	for _, g := range f.locals {
		b.locals += int(g.count)
	}
	b.sites.begin()
	w.jumps.reset()
	var in instr
	for r := (reader{b: f.body}); len(r.b) > 0; {
		r.instr(&in) // scanning found no error in it
		w.jumps.follow(&in)
		w.instr(f, &in)
	}
	if f.leaf {
		b.sites.list = b.sites.list[:0]
	}
	out = w.assemble(out, f)
	if w.err == nil && (b.checks+f.blocks > maxBlocks || len(w.spare) > maxOutput) {
		w.err = functionError(uint32(len(w.importedFuncs)+index), errGrown)
	}
	return out
}

var errGrown = errors.New("it grows too much by what is added to charge for its calls and loops; split it")

// instr writes one instruction of the input.
func (w *rewriter) instr(f *function, in *instr) {
	b := &w.body
	b.sites.pay(len(b.code), w.weight(in))
	if !in.leadsOn() {
		b.sites.straight = false
	}
	switch in.op {
	case opCall:
		w.call(f, in)
		return
	case opCallIndirect:
		cost := f.counted[uint32(len(w.funcs))+w.types[in.x].shape]
		w.deepen(cost)
		b.code = in.put(b.code)
		w.rise(cost)
		return
	case opRefFunc:
		// wazero's compiler keeps a new object for each ref.func that runs, as
		// long as the instance lives: it runs once, as the constant of a global.
		b.with(opGlobalGet, w.refs+int(w.takenAt[in.x]))
		return
	case opMemoryGrow:
		b.with(opCall, w.grow)
		return
	case opI32RemS, opI32RemU, opI64RemS, opI64RemU:
		if w.opts.Remainders {
			w.remainder(in.op)
			return
		}
	case opMisc:
		if w.misc(in) {
			return
		}
	}
	from, kind := len(b.code), loopOnce
	if in.op == opLoop {
		kind = f.loops[b.loops]
		b.loops++
		if kind == loopOnce {
			in.op = opBlock
		}
	}
	if b.inside > 0 {
		b.surround(in)
	}
	b.code = in.put(b.code)
	switch in.op {
	case opLoop:
		if b.sites.loop(from, len(b.code), in.v, kind == loopTight); kind == loopTight {
			b.inside = 1
		}
	case opBlock, opIf:
		b.sites.open()
	case opElse:
		b.sites.otherwise()
	case opEnd:
		b.sites.close()
	}
}

// weight is the fuel that an instruction costs, but for what depends on a
// length: that is charged where it stands.
func (w *rewriter) weight(in *instr) uint32 {
	weight := uint32(in.facts.weight)
	switch in.op {
	case opCall:
		if f := w.defined(in.x); f == nil {
			weight = weightToHost
		} else if f.leaf {
			weight += f.weight
		}
	case opCallIndirect:
		weight += leafWeight
	}
	return weight
}

func (w *rewriter) call(f *function, in *instr) {
	var cost uint32
	if i := int(in.x) - len(w.importedFuncs); i >= 0 {
		cost = f.counted[uint32(i)]
	}
	in.x = w.newIndex(in.x)
	w.deepen(cost)
	w.body.code = in.put(w.body.code)
	w.rise(cost)
}

// misc writes the instructions on ranges that are replaced or charged by
// length, and tells whether it did.
func (w *rewriter) misc(in *instr) bool {
	b := &w.body
	switch in.sub {
	case miscMemoryFill:
		b.with(opCall, w.fill)
		return true
	case miscMemoryCopy:
		b.with(opCall, w.copy)
		return true
	case miscMemoryInit:
		if f, ok := w.init[in.x]; ok {
			b.with(opCall, f)
			return true
		}
		w.chargeLength(chunk, bytesShift)
	case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
		w.chargeLength(maxEntries, entriesShift)
	}
	return false
}

// assemble appends the body with its sites in place.
func (w *rewriter) assemble(out []byte, f *function) []byte {
	b := &w.body
	code, from := w.spare[:0], 0
	for _, s := range b.sites.list {
		if s.weight == 0 && s.kind != payFirst {
			continue
		}
		code = append(code, b.code[from:s.at]...)
		from = s.at
		switch s.kind {
		case payFirst:
			pass := b.sites.list[s.loop].weight
			code = w.refill(w.prepay(code, s.weight, pass), s.typ, pass)
			b.checks++
		case payCredit:
			code = w.spend(code, s.weight)
		default:
			code = w.charge(code, s.weight)
		}
		b.checks++
	}
	code = append(code, b.code[from:]...)
	w.spare = code
	head := putU(w.head[:0], len(f.locals)+len(b.extra))
	for _, g := range f.locals {
		head = append(putU(head, g.count), g.typ)
	}
	for _, t := range b.extra {
		head = append(head, 1, t)
	}
	w.head = head
	return append(append(putU(out, len(head)+len(code)), head...), code...)
}
