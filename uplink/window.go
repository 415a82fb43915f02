package uplink

import (
	"cmp"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// item is a record in memory, from when it was read until its end is committed.
type item struct {
	rec       agent.Record
	lane      *lane // nil for a record without a key
	tries     int   // failed ones, of this run
	notBefore time.Time
	waiting   bool // not under way and not settled
	outcome   Class
	reason    string // of a Permanent outcome
}

// lane holds what waits of one key, in order.
type lane struct {
	key     string
	waiting []*item
	flying  int // of its items are under way
	job     int // that they are in
	held    int // items of this key in the window
}

// window is the bounded part of the queue that is in memory.
type window struct {
	limit, maxBytes int

	items   []*item // by Seq
	held    map[uint64]*item
	lanes   map[string]*lane
	bytes   int
	largest int               // largest record seen lately, bytes
	skips   map[string]uint64 // key -> oldest record of it that was left on disk
	away    awayKeys
}

func newWindow(limit, maxBytes int) *window {
	return &window{
		limit: limit, maxBytes: maxBytes,
		held: map[uint64]*item{}, lanes: map[string]*lane{}, skips: map[string]uint64{}, away: newAwayKeys(),
	}
}

// room is how many more records may be read now.
func (w *window) room() int {
	n := min(w.limit-len(w.items), w.limit/2+1)
	if w.bytes >= w.maxBytes {
		return 0
	}
	if w.largest > 0 {
		n = min(n, (w.maxBytes-w.bytes)/w.largest+1)
	}
	return n
}

// add takes a record in, unless it is there or its key is being left on disk.
func (w *window) add(rec agent.Record) {
	if w.held[rec.Seq] != nil || w.away.has(rec.Key) {
		return
	}
	if _, skipped := w.skips[rec.Key]; skipped && rec.Key != "" {
		w.skip(rec.Key, rec.Seq)
		return
	}
	it := &item{rec: rec, waiting: true, notBefore: rec.NotBefore, tries: w.away.back(rec.Seq)}
	if rec.Key != "" {
		it.lane = w.laneOf(rec.Key)
		it.lane.held++
		it.lane.insert(it)
	}
	at, _ := slices.BinarySearchFunc(w.items, rec.Seq, func(i *item, seq uint64) int { return cmp.Compare(i.rec.Seq, seq) })
	w.items = slices.Insert(w.items, at, it)
	w.held[rec.Seq] = it
	w.bytes += it.size()
	w.largest = max(it.size(), w.largest-w.largest/64)
}

func (w *window) laneOf(key string) *lane {
	l := w.lanes[key]
	if l == nil {
		l = &lane{key: key}
		w.lanes[key] = l
	}
	return l
}

func (w *window) skip(key string, seq uint64) {
	if old, ok := w.skips[key]; !ok || seq < old {
		w.skips[key] = seq
	}
}

// pick takes the item that should go next in the given job, nil if there is
// none: the highest priority first, then the oldest. A probe of a failing
// target takes the item with the fewest failed tries whatever its own pause,
// so that one record that always fails does not stand for the whole target.
func (w *window) pick(now time.Time, job int, probe bool) *item {
	var best *item
	for _, it := range w.items {
		if !it.eligible(job) || !probe && it.notBefore.After(now) || it.rec.NotBefore.After(now) {
			continue
		}
		if best == nil || it.before(best, probe) {
			best = it
		}
	}
	if best != nil {
		best.take(job)
	}
	return best
}

// nextDue is when the first held-back item may go, zero if none is held back.
func (w *window) nextDue(now time.Time) (due time.Time) {
	for _, it := range w.items {
		if it.eligible(0) && it.notBefore.After(now) && (due.IsZero() || it.notBefore.Before(due)) {
			due = it.notBefore
		}
	}
	return due
}

// putBack makes an item wait again, at its old place in its lane.
func (w *window) putBack(it *item) {
	it.waiting = true
	if it.lane != nil {
		it.lane.insert(it)
	}
}

// drop forgets items whose end is committed. It returns the sequence to read
// from again, 0 for none, when that frees a key whose records were left on disk.
func (w *window) drop(items []*item) (rewind uint64) {
	for _, it := range items {
		delete(w.held, it.rec.Seq)
		w.bytes -= it.size()
		if seq := w.leave(it); seq > 0 && (rewind == 0 || seq < rewind) {
			rewind = seq
		}
	}
	w.items = slices.DeleteFunc(w.items, func(it *item) bool { return w.held[it.rec.Seq] != it })
	return rewind
}

// leave takes an item out of its lane's count, and the lane away with its last one.
func (w *window) leave(it *item) (rewind uint64) {
	l := it.lane
	if l == nil {
		return 0
	}
	if l.held--; l.held > 0 {
		return 0
	}
	delete(w.lanes, l.key)
	rewind = w.skips[l.key]
	delete(w.skips, l.key)
	return rewind
}

// makeRoom is for a full window in which everything that could go has failed
// before: the records that wait behind a failed one of their key go back to
// the disk, so that other keys get their turn.
func (w *window) makeRoom() {
	if w.room() > 0 || w.fresh() {
		return
	}
	for _, l := range w.lanes {
		if len(l.waiting) < 2 || l.flying > 0 || l.waiting[0].tries == 0 {
			continue
		}
		w.skip(l.key, l.waiting[1].rec.Seq)
		behind := l.waiting[1:]
		l.waiting = l.waiting[:1:1]
		w.drop(behind)
	}
	if w.room() == 0 {
		w.sendAway()
	}
}

// sendAway leaves the keys with the longest pauses on the disk altogether, up
// to half of the window.
func (w *window) sendAway() {
	var heads []*item
	for _, it := range w.items {
		if it.lane != nil && it.lane.held == 1 && it.eligible(0) && it.tries > 0 {
			heads = append(heads, it)
		}
	}
	slices.SortFunc(heads, func(a, b *item) int { return b.notBefore.Compare(a.notBefore) })
	heads = heads[:min(len(heads), w.limit/2, w.away.room())]
	for _, it := range heads {
		w.away.add(it)
	}
	w.drop(heads) // what it would have read again comes with them
}

// fresh tells whether something is under way, or could go that never failed.
func (w *window) fresh() bool {
	return slices.ContainsFunc(w.items, func(it *item) bool {
		return it.eligible(0) && it.tries == 0 || !it.waiting
	})
}

// eligible tells whether the item may go in the given job: it waits, it is the
// oldest of its key, and nothing of its key is under way in another job.
func (it *item) eligible(job int) bool {
	if !it.waiting {
		return false
	}
	l := it.lane
	return l == nil || l.waiting[0] == it && (l.flying == 0 || l.job == job)
}

func (it *item) take(job int) {
	it.waiting = false
	if l := it.lane; l != nil {
		l.waiting = l.waiting[1:]
		l.flying++
		l.job = job
	}
}

func (it *item) landed() {
	if it.lane != nil {
		it.lane.flying--
	}
}

func (it *item) before(other *item, probe bool) bool {
	if probe && it.tries != other.tries {
		return it.tries < other.tries
	}
	return it.rec.Priority > other.rec.Priority
}

// size is about what the item costs in memory, bytes.
func (it *item) size() int {
	ev := &it.rec.Event
	return 512 + len(ev.Data) + len(ev.ID) + len(ev.Subject) + len(it.rec.Key)
}

func (l *lane) insert(it *item) {
	at, _ := slices.BinarySearchFunc(l.waiting, it.rec.Seq, func(i *item, seq uint64) int { return cmp.Compare(i.rec.Seq, seq) })
	l.waiting = slices.Insert(l.waiting, at, it)
}
