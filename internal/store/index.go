package store

import (
	"slices"
	"time"
)

// Pages are small, because long-waiting records may lie far apart.
const (
	pageBits = 4
	pageSize = 1 << pageBits
)

// slot is where one waiting record lies; 24 bytes, because there may be
// hundreds of thousands.
type slot struct {
	seg      uint32 // number of the segment; 0 while the frame is not written yet
	off, n   uint32 // of the stored record in the segment, or in the payload
	queue    uint32
	attempts uint32
	live     bool
}

type page struct {
	slots [pageSize]slot
	live  int
}

// index knows every waiting record. The store's lock guards it.
type index struct {
	store     *Store
	pages     map[uint64]*page
	notBefore map[uint64]time.Time
	segs      map[uint32]*segment
	queues    []*Queue
	byName    map[string]*Queue
	records   int
	liveBytes int64
	loading   bool // queues are sorted at the end
}

func newIndex(s *Store) *index {
	return &index{
		store:     s,
		pages:     map[uint64]*page{},
		notBefore: map[uint64]time.Time{},
		segs:      map[uint32]*segment{},
		byName:    map[string]*Queue{},
	}
}

// get returns the slot of a waiting record, nil if there is none.
func (x *index) get(seq uint64) *slot {
	p := x.pages[seq>>pageBits]
	if p == nil {
		return nil
	}
	if sl := &p.slots[seq&(pageSize-1)]; sl.live {
		return sl
	}
	return nil
}

// add makes a record wait at pl within seg (nil: not written yet). If it
// waits already it is moved there.
func (x *index) add(pl *place, seg *segment, off uint32) {
	if x.get(pl.seq) != nil {
		x.relocate(pl, seg, off)
		return
	}
	p := x.pages[pl.seq>>pageBits]
	if p == nil {
		p = new(page)
		x.pages[pl.seq>>pageBits] = p
	}
	q := x.queue(pl.queue)
	sl := &p.slots[pl.seq&(pageSize-1)]
	*sl = slot{off: off, n: pl.n, queue: q.id, attempts: uint32(pl.attempts), live: true}
	p.live++
	x.records++
	x.liveBytes += int64(pl.n)
	x.place(pl.seq, sl, seg)
	if !pl.notBefore.IsZero() {
		x.notBefore[pl.seq] = pl.notBefore
	}
	q.insert(pl.seq, x.loading)
}

// place counts a slot in the segment it lies in from now on.
func (x *index) place(seq uint64, sl *slot, seg *segment) {
	if old := x.segs[sl.seg]; old != nil {
		old.live--
		old.liveBytes -= int64(sl.n)
	}
	sl.seg = 0
	if seg != nil {
		sl.seg = uint32(seg.number)
		seg.live++
		seg.liveBytes += int64(sl.n)
		seg.holds(seq)
	}
}

// relocate notes that a waiting record lies somewhere else now.
func (x *index) relocate(pl *place, seg *segment, off uint32) {
	if sl := x.get(pl.seq); sl != nil {
		x.place(pl.seq, sl, seg)
		sl.off = off
	}
}

// done removes a waiting record; of one that is gone it knows nothing.
func (x *index) done(seq uint64) {
	sl := x.get(seq)
	if sl == nil {
		return
	}
	x.place(seq, sl, nil)
	x.records--
	x.liveBytes -= int64(sl.n)
	sl.live = false
	delete(x.notBefore, seq)
	key := seq >> pageBits
	if p := x.pages[key]; p.live > 1 {
		p.live--
	} else {
		delete(x.pages, key)
	}
	x.queues[sl.queue].removed(x)
}

func (x *index) touch(seq uint64, attempts int, notBefore time.Time) {
	sl := x.get(seq)
	if sl == nil {
		return
	}
	sl.attempts = uint32(max(attempts, 0))
	if notBefore.IsZero() {
		delete(x.notBefore, seq)
	} else {
		x.notBefore[seq] = notBefore
	}
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

// loaded puts the queues in order after replay.
func (x *index) loaded() {
	x.loading = false
	for _, q := range x.queues {
		slices.Sort(q.seqs)
		q.compact(x)
	}
}

// in lists the records that lie in seg, oldest first.
func (x *index) in(seg *segment) []uint64 {
	seqs := make([]uint64, 0, seg.live)
	for key := seg.minRec >> pageBits; key <= seg.maxRec>>pageBits && len(seqs) < seg.live; key++ {
		p := x.pages[key]
		if p == nil {
			continue
		}
		for i := range p.slots {
			if p.slots[i].live && uint64(p.slots[i].seg) == seg.number {
				seqs = append(seqs, key<<pageBits|uint64(i))
			}
		}
	}
	return seqs
}
