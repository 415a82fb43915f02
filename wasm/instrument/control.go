package instrument

// level is an open block.
type level struct {
	op              byte
	base            int // height of the operand stack below the block's parameters
	params, results int
	gets            int    // of local variables before it
	sets            int    // assignments to local variables inside
	calls           int    // inside, and charges of fuel
	moves           int    // to and from memory and globals, inside
	loop            int    // number of the loop
	before          uint32 // weight of the body before it
	paths           int    // that lead to the label
	repeats         bool   // a branch leads to the label, reached or not
	dead            bool   // what comes next is not reached
	entered         bool   // by a path that is reached
}

// open begins a block, loop or if.
func (s *scanner) open() {
	params, results, vectors, ok := s.m.blockArity(s.in.v)
	if !ok {
		s.r.failf("it has a block of type %d, which is not there; build it again", s.in.v)
		return
	}
	if s.tooComplex() {
		return
	}
	s.frame.vectors = s.frame.vectors || vectors
	s.values += params + results
	s.pop(params)
	dead := s.levels[len(s.levels)-1].dead
	s.levels = append(s.levels, level{
		op: s.in.op, base: len(s.frame.operands), params: params, results: results,
		gets: s.gets, dead: dead, entered: !dead,
	})
	if s.in.op == opLoop {
		l := &s.levels[len(s.levels)-1]
		l.loop, l.before = len(s.f.loops), s.f.weight
		s.f.loops = append(s.f.loops, loopOnce)
		s.goes(0) // charges fuel
		s.frame.slots += params
	}
	s.push(params)
}

// tooComplex counts a block, and fails if compiling could take too long.
func (s *scanner) tooComplex() bool {
	s.blocks++
	s.crowd()
	if s.in.op == opLoop {
		s.loops++
	}
	switch {
	case s.blocks > maxBlocks:
		s.r.failf("it has more than %d blocks; split it", maxBlocks)
	case len(s.levels) > maxNesting:
		s.r.failf("it nests more than %d blocks; split it", maxNesting)
	case s.loops > maxLoops:
		s.r.failf("it nests more than %d loops; split it", maxLoops)
	}
	return s.r.err != nil
}

// crowd counts what is alive where a block starts and where it ends.
func (s *scanner) crowd() {
	if s.live += 2 * (s.locals + len(s.frame.operands)); s.live > maxLive {
		s.r.failf("it is too long for its %d local variables; split it", s.locals)
	}
}

func (m *module) blockArity(v int64) (params, results int, vectors, ok bool) {
	switch {
	case v == blockEmpty-0x80:
		return 0, 0, false, true
	case v < 0:
		return 0, 1, v == typeV128-0x80, true
	case v < int64(len(m.types)):
		return len(m.types[v].params), len(m.types[v].results), m.types[v].vectors, true
	}
	return 0, 0, false, false
}

func (s *scanner) otherwise() {
	l := &s.levels[len(s.levels)-1]
	if l.op != opIf {
		s.r.failf("it has an else without an if; build it again")
		return
	}
	if !l.dead {
		l.paths++
	}
	l.op, l.dead = opElse, !l.entered
	s.frame.cut(l.base)
	s.frame.stop = s.frame.now
	s.push(l.params)
}

func (s *scanner) close() {
	l := s.levels[len(s.levels)-1]
	s.frame.cut(l.base)
	s.levels = s.levels[:len(s.levels)-1]
	s.push(l.results)
	s.frame.stop = s.frame.now // fuel may be charged next
	if l.op == opLoop {
		s.loops--
		if l.repeats {
			s.looped = true
			s.f.loops[l.loop] = loopWide
			if l.calls == 1 && l.moves == 0 && l.params == 0 && s.f.weight-l.before <= tightWeight {
				s.f.loops[l.loop] = loopTight
				s.frame.slots += min(s.locals, l.sets) + 3 // of the loop around it, and what a call takes
			}
		}
		s.values += min(s.locals, s.gets-l.gets) // each is looked for at the start
	}
	if l.op == opIf && l.entered {
		l.paths++ // the one that does not enter
	}
	if l.op != opLoop && !l.dead {
		l.paths++
	}
	s.meet(&l)
	if n := len(s.levels) - 1; n >= 0 {
		up := &s.levels[n]
		up.sets += l.sets
		up.calls += l.calls
		up.moves += l.moves
		up.dead = l.dead && (l.op == opLoop || l.paths == 0)
	} else {
		s.frame.slots += l.sets
	}
}

// meet accounts for the values that are made where paths meet: at the label of
// a block. At a loop they meet where it starts, if anything leads back.
func (s *scanner) meet(l *level) {
	if l.paths > 1 || l.op == opLoop && l.paths > 0 {
		made := min(s.locals, l.sets) + 2*min(1, l.calls) + l.results
		s.frame.slots += made
		s.values += made
	}
}

func (s *scanner) branch() {
	s.label(s.in.x)
	if s.in.op == opBrTable {
		if s.targets += len(s.in.targets); s.targets > maxTargets {
			s.r.failf("its br_table instructions have more than %d targets; split it", maxTargets)
			return
		}
		for _, t := range s.in.targets {
			s.label(t)
		}
	}
	if s.in.op != opBrIf {
		s.unreachable()
	}
}

func (s *scanner) label(depth uint32) {
	if int64(depth) >= int64(len(s.levels)) {
		s.r.failf("it branches to label %d, which is not there; build it again", depth)
		return
	}
	l := &s.levels[len(s.levels)-1-int(depth)]
	if !s.levels[len(s.levels)-1].dead {
		l.paths++
	}
	l.repeats = true
	if l.op == opLoop {
		s.values += l.params
	} else {
		s.values += l.results
	}
}
