package instrument

const (
	siteWeight = 256 // fuel that a site charges at most before another one is placed
	siteSpan   = 64  // instructions of a site at the least, on average
	leafWeight = 32  // weight up to which a leaf is paid for by who calls it
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
}

// sites places the sites of one body.
type sites struct {
	list  []site
	now   int   // site that pays for the current block
	outer []int // and for the blocks around it, outermost first
}

// begin places the site of the function entry.
func (s *sites) begin() {
	s.list, s.outer = s.list[:0], s.outer[:0]
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
	if s.list[s.now].weight >= siteWeight {
		s.place(at)
	}
	s.list[s.now].weight += weight
}

// open begins a block; at is the offset after its first instruction.
func (s *sites) open(at int, loop bool) {
	s.outer = append(s.outer, s.now)
	if loop {
		s.place(at)
	}
}

// otherwise begins the second arm of an if.
func (s *sites) otherwise() { s.now = s.outer[len(s.outer)-1] }

// close ends a block, or the function.
func (s *sites) close() {
	if n := len(s.outer) - 1; n >= 0 {
		s.now, s.outer = s.outer[n], s.outer[:n]
	}
}
