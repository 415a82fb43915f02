package instrument

// chainLimit bounds the call stack, in bytes, of a chain of calls that are not
// counted: where a chain would be deeper, a call in it is counted. A host adds
// it, and maxFrame, to what StackGlobal allows.
const chainLimit = 64 << 10

// The call graph has one node per function that the module defines and, after
// those, one per shape of type that is called indirectly: a caller leads to the
// shape, and the shape to every function of that shape whose reference is taken.
type graph struct {
	m       *module
	taken   [][]uint32 // functions by shape
	group   []uint32   // strongly connected component of each node
	need    []uint32   // bytes of stack below each node, up to calls that are counted
	reserve []uint32   // bytes that are there for certain when a node is entered
	order   []uint32   // nodes, callees first
}

// countCalls decides which calls are counted, so that no cycle of calls and no
// chain of frames over chainLimit goes uncounted, and what they cost: see
// scan.counted.
func (m *module) countCalls() {
	g := &graph{m: m, taken: m.takenFuncs()}
	g.components()
	g.depths()
	g.reserves()
	for i := range m.funcs {
		f := &m.funcs[i]
		for w := range f.counted {
			// What the caller still has in reserve need not be paid again.
			left := g.reserve[i] - min(f.frame, g.reserve[i])
			f.counted[w] = g.reserve[w] - min(left, g.reserve[w])
		}
	}
}

// takenFuncs gives the functions that an indirect call may reach, by shape.
func (m *module) takenFuncs() [][]uint32 {
	taken, done := make([][]uint32, len(m.types)), make([]bool, len(m.funcs))
	take := func(i uint32) {
		if k := int(i) - len(m.importedFuncs); k >= 0 && !done[k] {
			done[k] = true
			shape := m.types[m.funcs[k].typ].shape
			taken[shape] = append(taken[shape], uint32(k))
		}
	}
	constant := func(in *instr) {
		if in.op == opRefFunc {
			take(in.x)
		}
	}
	for i := range m.globals {
		constant(&m.globals[i].init)
	}
	for _, e := range m.elements {
		for _, i := range e.funcs {
			take(i)
		}
		for i := range e.exprs {
			constant(&e.exprs[i])
		}
	}
	for i := range m.funcs {
		for _, k := range m.funcs[i].references {
			take(k)
		}
	}
	return taken
}

func (g *graph) nodes() int { return len(g.m.funcs) + len(g.taken) }

// edge gives the k-th node that node v leads to.
func (g *graph) edge(v uint32, k int) (w uint32, ok bool) {
	n := uint32(len(g.m.funcs))
	if v >= n {
		if t := g.taken[v-n]; k < len(t) {
			return t[k], true
		}
		return 0, false
	}
	f := &g.m.funcs[v]
	if k < len(f.calls) {
		return f.calls[k], true
	}
	if k -= len(f.calls); k < len(f.shapes) {
		return n + f.shapes[k], true
	}
	return 0, false
}

// visit is a node whose edges are being followed.
type visit struct {
	node uint32
	next int // edge to follow next
}

// components finds the strongly connected components (Tarjan), without
// recursion: the depth of the graph is the guest's to choose.
func (g *graph) components() {
	n := g.nodes()
	g.group = make([]uint32, n)
	index, low := make([]uint32, n), make([]uint32, n) // 0: not visited
	var path []visit
	var open []uint32
	var count, groups uint32
	isOpen := make([]bool, n)
	enter := func(v uint32) {
		count++
		index[v], low[v], isOpen[v] = count, count, true
		open, path = append(open, v), append(path, visit{node: v})
	}
	for root := range uint32(n) {
		if index[root] == 0 {
			enter(root)
		}
		for len(path) > 0 {
			at := &path[len(path)-1]
			v := at.node
			if w, ok := g.edge(v, at.next); ok {
				at.next++
				if index[w] == 0 {
					enter(w)
				} else if isOpen[w] {
					low[v] = min(low[v], index[w])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1].node
				low[up] = min(low[up], low[v])
			}
			if low[v] == index[v] {
				for w := ^v; w != v; {
					w, open = open[len(open)-1], open[:len(open)-1]
					g.group[w], isOpen[w] = groups, false
				}
				groups++
			}
		}
	}
}

// depths finds how much stack each node needs, and counts calls: those that
// lead back to a function being visited, indirect ones that may come round to
// their caller, and those on chains that grow too deep.
func (g *graph) depths() {
	const fresh, busy, done = 0, 1, 2
	state := make([]byte, g.nodes())
	g.need = make([]uint32, g.nodes())
	var path []visit
	for _, root := range g.roots() {
		if state[root] == fresh {
			state[root], path = busy, append(path, visit{node: root})
		}
		for len(path) > 0 {
			at := &path[len(path)-1]
			w, ok := g.edge(at.node, at.next)
			switch {
			case !ok:
				g.settle(at.node)
				state[at.node] = done
				path = path[:len(path)-1]
				continue
			case state[w] == busy || g.comesRound(at.node, w):
				g.count(at.node, w)
			case state[w] == fresh:
				state[w], path = busy, append(path, visit{node: w})
				continue
			}
			at.next++
		}
	}
}

// roots gives the nodes in the order in which they are visited: what a host
// calls first.
func (g *graph) roots() []uint32 {
	var roots []uint32
	root := func(i uint32) {
		if k := int(i) - len(g.m.importedFuncs); k >= 0 {
			roots = append(roots, uint32(k))
		}
	}
	if g.m.start != nil {
		root(*g.m.start)
	}
	for _, e := range g.m.exports {
		if e.kind == kindFunc {
			root(e.index)
		}
	}
	for v := range uint32(g.nodes()) {
		roots = append(roots, v)
	}
	return roots
}

// comesRound tells whether w is a shape of indirect calls that can lead back
// to v. Such calls are all counted: which function they reach is not known.
func (g *graph) comesRound(v, w uint32) bool {
	return int(w) >= len(g.m.funcs) && g.group[v] == g.group[w]
}

func (g *graph) count(v, w uint32) {
	f := &g.m.funcs[v]
	if f.counted == nil {
		f.counted = map[uint32]uint32{}
	}
	f.counted[w] = 0
}

func (g *graph) frame(v uint32) uint32 {
	if int(v) < len(g.m.funcs) {
		return g.m.funcs[v].frame
	}
	return 0
}

// free calls f for each node that v calls without counting.
func (g *graph) free(v uint32, f func(w uint32)) {
	var counted map[uint32]uint32
	if int(v) < len(g.m.funcs) {
		counted = g.m.funcs[v].counted
	}
	for k := 0; ; k++ {
		w, ok := g.edge(v, k)
		if !ok {
			return
		}
		if _, is := counted[w]; !is {
			f(w)
		}
	}
}

// settle finds the need of v from that of the nodes it calls.
func (g *graph) settle(v uint32) {
	frame, deepest := g.frame(v), uint32(0)
	g.free(v, func(w uint32) {
		if frame > 0 && frame+g.need[w] > chainLimit {
			g.count(v, w)
			return
		}
		deepest = max(deepest, g.need[w])
	})
	g.need[v] = frame + deepest
	g.order = append(g.order, v)
}

// reserves finds, callers first, what each node has left for certain when it
// is entered: the least that a caller leaves, or its need if only counted calls
// and the host enter it. It is never below the need.
func (g *graph) reserves() {
	const unknown = ^uint32(0)
	g.reserve = make([]uint32, g.nodes())
	for i := range g.reserve {
		g.reserve[i] = unknown
	}
	for i := len(g.order) - 1; i >= 0; i-- {
		v := g.order[i]
		if g.reserve[v] == unknown {
			g.reserve[v] = g.need[v]
		}
		left := g.reserve[v] - g.frame(v)
		g.free(v, func(w uint32) { g.reserve[w] = min(g.reserve[w], left) })
	}
}
