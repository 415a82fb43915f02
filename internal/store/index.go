package store

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// index knows every waiting record. The store's lock guards it. For each it
// keeps a bit and the number of its queue; where the record lies is in the
// footer of its segment. Only what is rare costs more: records that were
// moved, or have attempts, or are not written yet.
type index struct {
	store   *Store
	segs    map[uint32]*segment
	homes   []*segment // those to which records were added, oldest first
	moved   []movedAt  // ascending; may name records that are gone
	limbo   []waiting  // records of Lazy frames that are not in a segment yet, ascending
	tries   map[uint64]tried
	queues  []*Queue
	byName  map[string]*Queue
	records int
}

// waiting is a record that lies in a payload.
type waiting struct {
	seq   uint64
	queue uint32
	at    spot
	live  bool
}

// tried is attempts and time of the next one, in 16 bytes.
type tried struct {
	sec      int64 // math.MinInt64: none
	nsec     uint32
	attempts uint32
}

func newTried(attempts int, notBefore time.Time) tried {
	t := tried{sec: math.MinInt64, attempts: uint32(max(attempts, 0))}
	if !notBefore.IsZero() {
		t.sec, t.nsec = notBefore.Unix(), uint32(notBefore.Nanosecond())
	}
	return t
}

func (t tried) notBefore() time.Time {
	if t.sec == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(t.sec, int64(t.nsec)).UTC()
}

func newIndex(s *Store) *index {
	return &index{store: s, segs: map[uint32]*segment{}, tries: map[uint64]tried{}, byName: map[string]*Queue{}}
}

// located is where a waiting record is: at a position of a table, or in limbo.
type located struct {
	seq   uint64
	queue uint32
	seg   *segment
	t     *table
	pos   int
	limbo *waiting
}

// find returns where a waiting record is.
func (x *index) find(seq uint64) (located, bool) {
	if i := x.homeOf(seq); i >= 0 {
		g := x.homes[i]
		if pos := seq - g.base; pos < uint64(g.home.len()) && g.home.waits(int(pos)) {
			return located{seq: seq, queue: g.home.queues[pos], seg: g, t: &g.home, pos: int(pos)}, true
		}
	}
	if i, ok := slices.BinarySearchFunc(x.moved, seq, byMovedSeq); ok {
		if at, ok := x.movedTo(x.moved[i]); ok {
			return at, true
		}
	}
	if i, ok := slices.BinarySearchFunc(x.limbo, seq, byWaitingSeq); ok && x.limbo[i].live {
		return located{seq: seq, queue: x.limbo[i].queue, limbo: &x.limbo[i]}, true
	}
	return located{}, false
}

func byWaitingSeq(w waiting, seq uint64) int { return cmp.Compare(w.seq, seq) }

// homeOf is the last of homes that begins at or before seq, -1 if there is none.
func (x *index) homeOf(seq uint64) int {
	i, found := slices.BinarySearchFunc(x.homes, seq, func(g *segment, seq uint64) int { return cmp.Compare(g.base, seq) })
	if found {
		return i
	}
	return i - 1
}

// add makes a record wait that lies at off in seg. One in limbo is written
// now: it waits only if it still did.
func (x *index) add(pl *place, seg *segment, off uint32, lazy bool) {
	waits := true
	if lazy {
		waits = x.land(pl.seq)
	} else {
		x.enter(pl)
	}
	t := &seg.home
	if t.len() == 0 {
		seg.base = pl.seq
		x.homes = append(x.homes, seg)
	}
	for seg.base+uint64(t.len()) < pl.seq { // sequences of frames that failed
		t.add(0, spot{})
	}
	q := x.queue(pl.queue).id
	pos := t.add(q, spot{off, pl.n})
	if waits {
		x.put(seg, t, pos, q, int64(pl.n))
	}
}

// enter counts a new waiting record.
func (x *index) enter(pl *place) *Queue {
	q := x.queue(pl.queue)
	q.live++
	q.newest = max(q.newest, pl.seq)
	x.records++
	if pl.attempts > 0 || !pl.notBefore.IsZero() {
		x.tries[pl.seq] = newTried(pl.attempts, pl.notBefore)
	}
	return q
}

// float makes a record wait that is not in a segment yet.
func (x *index) float(pl *place) {
	q := x.enter(pl)
	q.bytes += int64(pl.n)
	x.limbo = append(x.limbo, waiting{seq: pl.seq, queue: q.id, at: spot{pl.off, pl.n}, live: true})
}

// land takes a record out of limbo and tells whether it waits.
func (x *index) land(seq uint64) bool {
	i, ok := slices.BinarySearchFunc(x.limbo, seq, byWaitingSeq)
	if !ok {
		return false
	}
	live := x.limbo[i].live
	if live {
		x.queues[x.limbo[i].queue].bytes -= int64(x.limbo[i].at.n)
	}
	if i == 0 { // nearly always
		x.limbo = x.limbo[1:]
	} else {
		x.limbo = slices.Delete(x.limbo, i, i+1)
	}
	return live
}

// put counts a position as waiting in its segment.
func (x *index) put(seg *segment, t *table, pos int, queue uint32, bytes int64) {
	t.set(pos)
	x.share(seg, queue, 1, bytes)
}

// share changes how much of a segment waits in a queue.
func (x *index) share(seg *segment, queue uint32, live int, bytes int64) {
	sh := seg.byQueue[queue]
	sh.live += live
	sh.bytes += bytes
	seg.byQueue[queue] = sh
	if sh.live == 0 {
		delete(seg.byQueue, queue)
	}
	seg.live += live
	seg.liveBytes += bytes
	x.queues[queue].bytes += bytes
}

// take is the inverse of put.
func (x *index) take(at *located) {
	if at.limbo != nil {
		at.limbo.live = false
		x.queues[at.queue].bytes -= int64(at.limbo.at.n)
		return
	}
	at.t.clear(at.pos)
	sh := at.seg.byQueue[at.queue]
	bytes := sh.bytes / int64(sh.live) // exactly what is left for the last one
	if n := at.t.bytes(at.pos); n > 0 && sh.live > 1 {
		bytes = min(n, sh.bytes-int64(sh.live-1)) // something is left for the others
	}
	x.share(at.seg, at.queue, -1, -bytes)
}

// done removes a waiting record; of one that is gone it knows nothing.
func (x *index) done(seq uint64) {
	at, ok := x.find(seq)
	if !ok {
		return
	}
	x.take(&at)
	x.records--
	x.queues[at.queue].live--
	delete(x.tries, seq)
}

func (x *index) touch(seq uint64, attempts int, notBefore time.Time) {
	if _, ok := x.find(seq); !ok {
		return
	}
	if t := newTried(attempts, notBefore); t.attempts == 0 && notBefore.IsZero() {
		delete(x.tries, seq)
	} else {
		x.tries[seq] = t
	}
}

// tried gives the attempts of a waiting record.
func (x *index) tried(seq uint64) (attempts int, notBefore time.Time) {
	t, ok := x.tries[seq]
	if !ok {
		return 0, time.Time{}
	}
	return int(t.attempts), t.notBefore()
}

// queue returns the queue of that name, making it if need be.
func (x *index) queue(name string) *Queue {
	q := x.byName[name]
	if q == nil {
		q = &Queue{s: x.store, name: name, id: uint32(len(x.queues))}
		x.byName[name] = q
		x.queues = append(x.queues, q)
	}
	return q
}

// forget drops a segment in which nothing waits.
func (x *index) forget(seg *segment) {
	delete(x.segs, uint32(seg.number))
	x.homes = slices.DeleteFunc(x.homes, func(g *segment) bool { return g == seg })
	if seg.moved.len() > 0 {
		x.moved = slices.DeleteFunc(x.moved, func(m movedAt) bool { return uint64(m.seg) == seg.number })
	}
}

// in lists the records that wait in seg, oldest first.
func (x *index) in(seg *segment) []uint64 {
	seqs := make([]uint64, 0, seg.live)
	for pos := seg.home.next(0); pos < seg.home.len(); pos = seg.home.next(pos + 1) {
		seqs = append(seqs, seg.base+uint64(pos))
	}
	for _, m := range x.moved {
		if uint64(m.seg) == seg.number && seg.moved.waits(int(m.pos)) {
			seqs = append(seqs, m.seq)
		}
	}
	slices.Sort(seqs)
	return seqs
}

// each yields the waiting records of a queue from a sequence on, in order,
// until yield returns false.
func (x *index) each(queue uint32, from uint64, yield func(located) bool) {
	m, _ := slices.BinarySearchFunc(x.moved, from, byMovedSeq)
	movedBelow := func(seq uint64) bool {
		for ; m < len(x.moved) && x.moved[m].seq < seq; m++ {
			if at, ok := x.movedTo(x.moved[m]); ok && at.queue == queue && !yield(at) {
				return false
			}
		}
		return true
	}
	for i := max(x.homeOf(from), 0); i < len(x.homes); i++ {
		g := x.homes[i]
		if g.byQueue[queue].live == 0 {
			continue
		}
		start := int(min(max(from, g.base)-g.base, uint64(g.home.len())))
		for pos := g.home.next(start); pos < g.home.len(); pos = g.home.next(pos + 1) {
			if g.home.queues[pos] != queue {
				continue
			}
			seq := g.base + uint64(pos)
			if !movedBelow(seq) || !yield(located{seq: seq, queue: queue, seg: g, t: &g.home, pos: pos}) {
				return
			}
		}
	}
	if !movedBelow(math.MaxUint64) {
		return
	}
	for i := range x.limbo {
		if w := &x.limbo[i]; w.live && w.queue == queue && w.seq >= from && !yield(located{seq: w.seq, queue: queue, limbo: w}) {
			return
		}
	}
}
