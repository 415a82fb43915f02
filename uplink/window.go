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
	level     *level
	lane      *lane // nil for a record without a key
	tries     int   // failed ones, of this run
	recalled  bool  // failed, was left on the disk, and has not been tried since
	notBefore time.Time
	refused   time.Time // until then its link does not take it
	waiting   bool      // not under way and not settled
	settled   bool      // its end is to be committed
	gone      bool      // not in the window any more
	admitted  int       // bytes the link has set aside for it
	outcome   Class
	reason    string // of a Permanent outcome, or else of the last failure
}

// lane holds what waits of one key, in order.
type lane struct {
	key     string
	waiting []*item
	flying  int // of its items are under way
	job     int // that they are in
	held    int // items of this key in the window
}

// window is the bounded part of a queue that is in memory.
type window struct {
	limit, maxBytes int

	items []*item // by Seq
	lanes map[string]*lane
	bytes int               // of items
	busy  share             // of items: under way or settled, cannot be given back to the disk
	skips map[string]uint64 // key -> oldest record of it that was left on disk
	away  absences
	holds holds
}

// share is a part of the memory for records.
type share struct{ items, bytes int }

func newWindow() window {
	return window{lanes: map[string]*lane{}, skips: map[string]uint64{}, away: newAbsences(), holds: holds{}}
}

// room is how many more records, and bytes of them, may be read now: none until
// a quarter of the window is free, so that they are read by the page.
func (w *window) room() (n, bytes int) {
	n, bytes = w.limit-len(w.items), w.maxBytes-w.bytes
	if n*4 < max(w.limit, 1) || bytes*4 < w.maxBytes {
		return 0, 0
	}
	return min(n, w.limit/2+1, bytes/itemBytes+1), bytes
}

func (w *window) full() bool {
	n, _ := w.room()
	return n == 0
}

// find is where in items a record is, or would be.
func (w *window) find(seq uint64) (at int, there bool) {
	if n := len(w.items); n == 0 || w.items[n-1].rec.Seq < seq {
		return n, false // nearly always
	}
	return slices.BinarySearchFunc(w.items, seq, bySeq)
}

func bySeq(it *item, seq uint64) int { return cmp.Compare(it.rec.Seq, seq) }

// add takes an item in, unless it is there or is being left on disk.
func (w *window) add(it *item) {
	at, there := w.find(it.rec.Seq)
	if there || w.away.passOver(&it.rec) {
		return
	}
	if _, skipped := w.skips[it.rec.Key]; skipped && it.rec.Key != "" {
		w.skip(it.rec.Key, it.rec.Seq)
		return
	}
	it.waiting, it.notBefore, it.tries = true, it.rec.NotBefore, w.away.back(it.rec.Seq)
	it.recalled = it.tries > 0
	if it.rec.Key != "" {
		it.lane = w.laneOf(it.rec.Key)
		it.lane.held++
		it.lane.insert(it)
	}
	w.items = slices.Insert(w.items, at, it)
	w.bytes += it.size()
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

// next is the item that should go next in the given job, nil if there is none:
// the oldest. A probe of a failing target is the one with the fewest failed
// tries whatever its own pause, so that one record that always fails does not
// stand for the whole target.
func (w *window) next(now time.Time, job int, probe bool) *item {
	var best *item
	for _, it := range w.items {
		if !it.eligible(job) || !probe && it.notBefore.After(now) || it.rec.NotBefore.After(now) || it.refused.After(now) || w.holds.block(&it.rec, now) {
			continue
		}
		if !probe || it.tries == 0 {
			return it
		}
		if best == nil || it.tries < best.tries {
			best = it
		}
	}
	return best
}

// nextDue is when the first held-back item may go, zero if none is held back.
func (w *window) nextDue(now time.Time) (due time.Time) {
	for _, it := range w.items {
		if it.notBefore.After(now) && (due.IsZero() || it.notBefore.Before(due)) && it.eligible(0) {
			due = it.notBefore
		}
	}
	return due
}

// putBack makes an item wait again, at its old place in its lane.
func (w *window) putBack(it *item) {
	it.waiting = true
	w.busy.items--
	w.busy.bytes -= it.size()
	if it.lane != nil {
		it.lane.insert(it)
	}
}

// drop forgets items; those that wait must have left their lanes. It returns the
// sequence to read from again, 0 for none, when that frees a key whose records
// were left on disk.
func (w *window) drop(items []*item) (rewind uint64) {
	for _, it := range items {
		it.gone = true
		w.bytes -= it.size()
		if !it.waiting {
			w.busy.items--
			w.busy.bytes -= it.size()
		}
		if seq := w.leave(it); seq > 0 && (rewind == 0 || seq < rewind) {
			rewind = seq
		}
	}
	if len(items) > 0 {
		w.items = slices.DeleteFunc(w.items, func(it *item) bool { return it.gone })
	}
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

// withdraw drops items that wait, wherever they stand in their lanes.
func (w *window) withdraw(items []*item) (rewind uint64) {
	for _, it := range items {
		if it.lane != nil {
			it.lane.remove(it)
		}
	}
	return w.drop(items)
}

// waitingOf lists the items that wait and are chosen.
func (w *window) waitingOf(chosen func(*item) bool) (list []*item) {
	for _, it := range w.items {
		if it.waiting && chosen(it) {
			list = append(list, it)
		}
	}
	return list
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

// take puts an eligible item under way.
func (it *item) take(job int) {
	it.waiting, it.recalled = false, false
	it.level.busy.items++
	it.level.busy.bytes += it.size()
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

// itemBytes is what an item costs in memory besides what is in its record.
const itemBytes = 512

// size is about what the item costs in memory, bytes.
func (it *item) size() int {
	ev := &it.rec.Event
	return itemBytes + len(ev.Data) + len(ev.ID) + len(ev.Subject) + len(it.rec.Key)
}

func (l *lane) insert(it *item) {
	at, _ := slices.BinarySearchFunc(l.waiting, it.rec.Seq, bySeq)
	l.waiting = slices.Insert(l.waiting, at, it)
}

func (l *lane) remove(it *item) {
	if at, ok := slices.BinarySearchFunc(l.waiting, it.rec.Seq, bySeq); ok {
		l.waiting = slices.Delete(l.waiting, at, at+1)
	}
}
