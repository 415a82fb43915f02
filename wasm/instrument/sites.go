package instrument

const (
	siteWeight = 512 // fuel that a site charges at most before another one is placed
	siteSpan   = 64  // instructions of a site at the least, on average
	leafWeight = 32  // weight up to which a leaf is paid for by who calls it

	// A loop that works in registers alone keeps a credit in another one, a local
	// variable: to touch the global in each pass would be most of its cost. A site
	// before the loop pays for its first passes; when the credit is used up, more
	// is bought. Loops that touch memory hide the cost behind that, and are better
	// off without: another variable in each pass costs them more.
	tightWeight = 128  // weight of a pass up to which a loop has a credit
	firstPasses = 4    // that are paid for before the loop
	morePasses  = 32   // that are bought at once, but not
	mostCredit  = 1024 // for more than that, unless a single pass costs more
)

// site is a place where fuel is charged: an offset into the new body, and the
// weight of what it pays for.
//
// Every instruction is paid for by a site that stands before it, in the same
// block or in one around it, with no loop header in between. Control cannot
// reach the instruction without passing the site, because a branch only leads
// to the end of a block, which is before the site or after the instruction,
// or to a loop header, which has a site of its own.
type site struct {
	at     int
	weight uint32
	kind   siteKind
	loop   int   // of payFirst: the site of the loop
	typ    int64 // of payFirst: the type of the loop
}

type siteKind byte

const (
	payGlobal siteKind = iota
	payFirst           // before a tight loop: and for its first passes
	payCredit          // in a tight loop: from the credit
)

// sites places the sites of one body.
type sites struct {
	list  []site
	now   int   // site that pays for the current block
	outer []int // and for the blocks around it, outermost first

	// A function that goes straight into a loop, as all those of Go do, is
	// spared the site of its entry: the loop's pays for what stands before it,
	// and for a little that stands behind it. Both run once at the most, and
	// the loop's header at least once.
	straight bool   // nothing has happened yet but what leads to the next instruction
	heir     int    // site of that loop; 0: none
	carried  uint32 // what it pays for beside the loop
}

const carriedWeight = 32 // what heirs pay for at most

// begin places the site of the function entry.
func (s *sites) begin() {
	s.list, s.outer = s.list[:0], s.outer[:0]
	s.straight, s.heir, s.carried = true, 0, 0
	s.place(0)
}

func (s *sites) place(at int) {
	s.now = len(s.list)
	s.list = append(s.list, site{at: at})
}

// pay charges for what is about to be written at offset at.
func (s *sites) pay(at int, weight uint32) {
	if weight == 0 {
		return
	}
	if s.now == 0 && s.heir > 0 {
		if s.carried+weight <= carriedWeight {
			s.carried += weight
			s.list[s.heir].weight += weight
			return
		}
		s.place(at)
	}
	if s.list[s.now].weight >= siteWeight {
		s.place(at)
	}
	s.list[s.now].weight += weight
}

// open begins a block that is no loop.
func (s *sites) open() { s.outer = append(s.outer, s.now) }

// loop begins a loop: its first instruction is at offset from, and ends at to.
func (s *sites) loop(from, to int, typ int64, tight bool) {
	s.outer = append(s.outer, s.now)
	if tight {
		s.place(from)
		s.inherit()
		first := s.now
		s.place(to)
		s.list[first].kind, s.list[first].loop, s.list[first].typ = payFirst, s.now, typ
		s.list[s.now].kind = payCredit
		return
	}
	s.place(to)
	s.inherit()
}

// inherit makes the site that was just placed pay for the entry.
func (s *sites) inherit() {
	if entry := &s.list[0]; s.straight && entry.weight <= carriedWeight {
		s.heir, s.carried = s.now, entry.weight
		s.list[s.heir].weight, entry.weight = entry.weight, 0
	}
	s.straight = false
}

// otherwise begins the second arm of an if.
func (s *sites) otherwise() { s.now = s.outer[len(s.outer)-1] }

// close ends a block, or the function.
func (s *sites) close() {
	if n := len(s.outer) - 1; n >= 0 {
		s.now, s.outer = s.outer[n], s.outer[:n]
	}
}
