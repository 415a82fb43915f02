package instrument

import (
	"errors"
	"fmt"
)

// scan is what the first pass over a function body finds.
type scan struct {
	leaf       bool              // neither loops nor goes away, and weighs little
	away       bool              // calls, or works on ranges of memory or tables
	weight     uint32            // of the body, each instruction once
	loops      []loopKind        // in order
	blocks     int               // of the body
	frame      uint32            // bytes of call stack, estimated
	calls      []uint32          // functions called directly, each once, by index into module.funcs
	shapes     []uint32          // shapes of types called indirectly, each once
	references []uint32          // functions whose reference is taken
	counted    map[uint32]uint32 // nodes of the call graph of which calls are counted, and their bytes of stack
	impure     bool              // changes tables or segments
	fills      bool              // memory.fill
	copies     bool              // memory.copy
	inits      bool              // memory.init
}

// loopKind says how a loop is charged for.
type loopKind byte

const (
	loopWide  loopKind = iota
	loopTight          // goes nowhere, takes no parameters, and weighs little
	loopOnce           // nothing branches to it: it is a block
)

// scanner walks one function body: it checks every index and keeps track of
// the height of the operand stack.
type scanner struct {
	m       *module
	index   uint32 // of the function, imported ones counted
	f       *function
	r       reader
	jumps   dispatches
	in      instr
	locals  int // with parameters
	levels  []level
	frame   frameMeter
	values  int // moved so far
	targets int // of br_table so far
	blocks  int // so far
	since   int // fuel since a site was placed, at the most
	live    int // local variables and operands, over all blocks so far
	gets    int // of local variables so far
	loops   int // open ones
	looped  bool
	seen    *seen
}

// seen tells whether a function or a shape was met in the current body, in
// constant time and without clearing between bodies.
type seen struct {
	marks []uint32
	body  uint32
}

func (s *seen) first(i int) bool {
	if s.marks[i] == s.body {
		return false
	}
	s.marks[i] = s.body
	return true
}

// scanAll scans every function.
func (m *module) scanAll() error {
	seen := &seen{marks: make([]uint32, len(m.funcs)+len(m.types))}
	s := &scanner{m: m, seen: seen}
	effort := 0
	for i := range m.funcs {
		seen.body++
		s.reset(i)
		if err := s.run(); err != nil {
			return err
		}
		if effort += s.blocks * s.blocks; effort > maxEffort {
			return errEffort
		}
	}
	return nil
}

func (s *scanner) reset(i int) {
	f := &s.m.funcs[i]
	t := &s.m.types[f.typ]
	s.index, s.f, s.r = uint32(len(s.m.importedFuncs)+i), f, reader{b: f.body}
	s.locals = len(t.params)
	for _, g := range f.locals {
		s.locals += int(g.count)
	}
	s.levels = append(s.levels[:0], level{op: opBlock, results: len(t.results), entered: true})
	s.values, s.targets, s.blocks, s.since, s.live, s.gets, s.loops, s.looped = 0, 0, 0, 0, 0, 0, 0, false
	s.jumps.reset()
	s.frame.reset()
	s.frame.slots = len(t.params)
	s.frame.vectors = s.usesVectors()
}

func (s *scanner) run() error {
	f := s.f
	for len(s.r.b) > 0 && s.r.err == nil && len(s.levels) > 0 {
		s.r.instr(&s.in)
		if s.r.err == nil {
			s.jumps.follow(&s.in)
			s.step()
		}
	}
	if s.r.err == nil && (len(s.levels) > 0 || len(s.r.b) > 0) {
		s.r.failf("its blocks do not match their ends; build it again")
	}
	if s.r.err != nil {
		return functionError(s.index, s.r.err)
	}
	f.leaf = !f.away && !s.looped && f.weight <= leafWeight
	if s.frame.bytes() > maxFrame {
		return functionError(s.index, errFrame)
	}
	f.frame, f.blocks = uint32(s.frame.bytes()), s.blocks
	return nil
}

var errEffort = errors.New("the module has too many functions of many blocks; split the largest functions")

var errFrame = fmt.Errorf("it may need more than %d bytes of stack; split it or use fewer local variables", 2*maxFrame)

// usesVectors tells whether parameters, results or local variables are vectors.
func (s *scanner) usesVectors() bool {
	for _, g := range s.f.locals {
		if g.typ == typeV128 {
			return true
		}
	}
	return s.m.types[s.f.typ].vectors
}

// step accounts for one instruction.
func (s *scanner) step() {
	in, f := &s.in, s.f
	s.frame.now++
	if s.since += max(siteWeight/siteSpan, int(in.facts.weight)); s.since >= siteWeight {
		s.since = 0
		s.crowd() // a site is a block too
	}
	f.weight += uint32(in.facts.weight)
	if s.values += int(in.facts.pop) + int(in.facts.push); s.values > maxValues {
		s.r.failf("it moves more than %d values; split it", maxValues)
		return
	}
	s.pop(int(in.facts.pop))
	switch in.op {
	case opVector:
		s.frame.vectors = true
	case opLocalGet:
		s.gets++
	case opLocalSet, opLocalTee:
		s.gets++
		s.levels[len(s.levels)-1].sets++
	case opBlock, opLoop, opIf:
		s.open()
		return
	case opElse:
		s.otherwise()
		return
	case opEnd:
		s.close()
		return
	case opBr, opBrIf, opBrTable:
		s.branch()
		return
	case opReturn, opUnreachable:
		s.unreachable()
		return
	case opCall:
		s.call()
		return
	case opCallIndirect:
		s.callIndirect()
		return
	case opMisc:
		s.misc()
	case opMemoryGrow:
		f.away = true
		s.goes(2)
	case opTableSet:
		f.impure = true
	case opRefFunc:
		s.reference()
	}
	switch in.facts.imm {
	case immMemArg, immMemLane, immGlobal, immFunc:
		s.levels[len(s.levels)-1].moves++
	}
	s.indices()
	s.push(int(in.facts.push))
}

func (s *scanner) pop(n int) {
	s.frame.cut(max(len(s.frame.operands)-n, s.levels[len(s.levels)-1].base))
}

func (s *scanner) push(n int) { s.frame.push(n) }

// unreachable ends a block early: what follows may pop values that are not there.
func (s *scanner) unreachable() {
	l := &s.levels[len(s.levels)-1]
	s.frame.cut(l.base)
	l.dead = true
}

// goes notes a call, of the module's or of what Rewrite adds.
func (s *scanner) goes(arity int) {
	s.levels[len(s.levels)-1].calls++
	s.frame.call(arity)
}

func (s *scanner) call() {
	if int64(s.in.x) >= int64(s.m.numFuncs()) {
		s.r.failf("it calls function %d, which is not there; build it again", s.in.x)
		return
	}
	s.f.away = true
	if i := int(s.in.x) - len(s.m.importedFuncs); i >= 0 && s.seen.first(i) {
		s.f.calls = append(s.f.calls, uint32(i))
	}
	s.signature(s.m.typeOf(s.in.x))
}

func (s *scanner) callIndirect() {
	if int64(s.in.x) >= int64(len(s.m.types)) || int64(s.in.y) >= int64(len(s.m.tables)) {
		s.r.failf("it calls indirectly by type %d through table %d, which are not both there; build it again", s.in.x, s.in.y)
		return
	}
	s.f.away = true
	t := &s.m.types[s.in.x]
	if s.seen.first(len(s.m.funcs) + int(t.shape)) {
		s.f.shapes = append(s.f.shapes, t.shape)
	}
	s.signature(t)
}

func (s *scanner) signature(t *funcType) {
	s.frame.vectors = s.frame.vectors || t.vectors
	s.values += len(t.params) + len(t.results)
	s.pop(len(t.params))
	s.goes(len(t.params) + len(t.results))
	s.push(len(t.results))
}

// reference notes a reference to a function that the code takes.
func (s *scanner) reference() {
	m, i := s.m, s.in.x
	if int64(i) >= int64(len(m.declared)) || !m.declared[i] {
		s.r.failf("it takes a reference to function %d, which is not there or not declared; build it again", i)
		return
	}
	s.f.references = append(s.f.references, i)
	if _, ok := m.takenAt[i]; ok {
		return
	}
	if len(m.taken) == maxTaken {
		s.r.failf("the module takes references to more than %d functions in its code; put them into a table", maxTaken)
		return
	}
	if m.takenAt == nil {
		m.takenAt = map[uint32]uint32{}
	}
	m.takenAt[i] = uint32(len(m.taken))
	m.taken = append(m.taken, i)
}

// misc notes what the instructions on whole ranges do.
func (s *scanner) misc() {
	f := s.f
	switch s.in.sub {
	case miscMemoryInit, miscMemoryFill, miscMemoryCopy:
		f.fills = f.fills || s.in.sub == miscMemoryFill
		f.copies = f.copies || s.in.sub == miscMemoryCopy
		f.inits = f.inits || s.in.sub == miscMemoryInit
	case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
		f.impure = true
	case miscDataDrop, miscElemDrop:
		f.impure = true
		return
	default:
		return
	}
	f.away, s.frame.helper = true, true
	s.goes(3)
}

// indices checks what an instruction refers to.
func (s *scanner) indices() {
	m, x, y := s.m, int64(s.in.x), int64(s.in.y)
	ok, what := true, ""
	switch s.in.facts.imm {
	case immFunc:
		ok, what = x < int64(m.numFuncs()), "function"
	case immLocal:
		ok, what = x < int64(s.locals), "local variable"
	case immGlobal:
		ok, what = x < int64(m.numGlobals()), "global"
	case immTable:
		ok, what = x < int64(len(m.tables)), "table"
	case immTabTab:
		ok, what = x < int64(len(m.tables)) && y < int64(len(m.tables)), "table"
	case immElem:
		ok, what = x < int64(len(m.elements)), "element segment"
	case immElemTab:
		ok, what = x < int64(len(m.elements)) && y < int64(len(m.tables)), "element segment or table"
	case immData, immDataMem:
		ok, what = m.counted != nil && x < int64(*m.counted), "data segment"
	}
	if ok && s.in.op == opGlobalGet {
		s.frame.vectors = s.frame.vectors || m.typeOfGlobal(s.in.x) == typeV128
	}
	if ok && s.in.needsMemory() {
		ok, what, x = len(m.memories) > 0, "memory", 0
	}
	if !ok {
		s.r.failf("it refers to %s %d, which is not there; build it again", what, x)
	}
}

func (in *instr) needsMemory() bool {
	switch in.facts.imm {
	case immMemArg, immMemLane, immDataMem, immMemMem, immMemory:
		return true
	}
	return false
}
