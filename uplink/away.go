package uplink

import (
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// maxAway is how many keys may be left on the disk because their oldest record
// fails again and again.
const maxAway = 4096

// absences are keys and functions of which nothing is in the window until they
// are due, since others need the room: a key whose oldest record has failed, a
// function whose budget is used up.
type absences struct {
	keys      map[string]absence
	functions map[string]absence
	tries     map[uint64]int // of records that are to be read again
}

// absence is from which record on to read again, and when.
type absence struct {
	seq   uint64
	tries int // of that record
	size  int // of that record, for the link; of a function
	due   time.Time
}

func newAbsences() absences {
	return absences{keys: map[string]absence{}, functions: map[string]absence{}, tries: map[uint64]int{}}
}

// passOver tells whether a record that was read stays on the disk.
func (a *absences) passOver(rec *agent.Record) bool {
	f, gone := a.functions[rec.Function]
	if gone && rec.Seq < f.seq {
		f.seq, f.size = rec.Seq, weightOf(rec)
		a.functions[rec.Function] = f
	}
	_, ok := a.keys[rec.Key]
	return gone || ok && rec.Key != ""
}

// back is how often a record that is read again has failed before.
func (a *absences) back(seq uint64) int {
	n := a.tries[seq]
	delete(a.tries, seq)
	return n
}

// remember keeps in mind how often items that leave memory have failed.
func (a *absences) remember(items []*item) {
	for _, it := range items {
		if it.tries > 0 {
			a.tries[it.rec.Seq] = it.tries
		}
	}
}

// recall ends every absence that is due, and returns the sequence to read from
// again, 0 for none.
func (a *absences) recall(now time.Time) (rewind uint64) {
	for _, list := range [...]map[string]absence{a.keys, a.functions} {
		for name, abs := range list {
			if abs.due.After(now) {
				continue
			}
			delete(list, name)
			if abs.tries > 0 {
				a.tries[abs.seq] = abs.tries
			}
			if rewind == 0 || abs.seq < rewind {
				rewind = abs.seq
			}
		}
	}
	return rewind
}

// forgive makes everything due.
func (a *absences) forgive(now time.Time) {
	a.tries = map[uint64]int{}
	for _, list := range [...]map[string]absence{a.keys, a.functions} {
		for name, abs := range list {
			list[name] = absence{seq: abs.seq, size: abs.size, due: now}
		}
	}
}

// passed forgets records that were not there any more when they were read again.
func (a *absences) passed(after uint64) {
	for seq := range a.tries {
		if seq <= after {
			delete(a.tries, seq)
		}
	}
}

func (a *absences) nextDue() (due time.Time) {
	for _, list := range [...]map[string]absence{a.keys, a.functions} {
		for _, abs := range list {
			due = sooner(due, abs.due)
		}
	}
	return due
}

// makeRoom is for a full window in which everything that could go has failed
// before, or is over a budget: what need not be in memory goes back to the
// disk, so that others get their turn.
func (w *window) makeRoom(now time.Time) (rewind uint64) {
	if !w.full() || w.fresh(now) {
		return 0
	}
	if back := w.waitingOf(func(it *item) bool { return it.recalled }); len(back) > 0 {
		for _, it := range back { // they were read to be tried, which may be now
			it.recalled = false
		}
		return 0
	}
	if !w.holds.all(now) { // or the others would not get any either
		rewind = w.sendFunctionsAway(now)
	}
	w.leaveBehind()
	if w.full() {
		w.sendKeysAway(now)
	}
	return rewind
}

// fresh tells whether something is under way, or could go that never failed.
func (w *window) fresh(now time.Time) bool {
	return slices.ContainsFunc(w.items, func(it *item) bool {
		return !it.waiting || it.tries == 0 && it.eligible(0) && !w.holds.block(&it.rec, now)
	})
}

// leaveBehind leaves the records on the disk that wait behind a failed one of
// their key.
func (w *window) leaveBehind() {
	for _, l := range w.lanes {
		if len(l.waiting) < 2 || l.flying > 0 || l.waiting[0].tries == 0 {
			continue
		}
		w.skip(l.key, l.waiting[1].rec.Seq)
		behind := l.waiting[1:]
		l.waiting = l.waiting[:1:1]
		w.drop(behind)
	}
}

// sendKeysAway leaves the keys with the longest pauses on the disk altogether,
// up to half of the window.
func (w *window) sendKeysAway(now time.Time) {
	heads := w.waitingOf(func(it *item) bool {
		return it.lane != nil && it.lane.held == 1 && it.eligible(0) && it.tries > 0
	})
	slices.SortFunc(heads, func(a, b *item) int { return b.notBefore.Compare(a.notBefore) })
	heads = heads[:min(len(heads), w.limit/2+1, max(maxAway-len(w.away.keys), 0))]
	for _, it := range heads {
		w.away.keys[it.rec.Key] = absence{seq: it.rec.Seq, tries: it.tries, due: later(it.notBefore, now)}
	}
	w.withdraw(heads) // what it would have read again comes with them
}

// sendFunctionsAway leaves functions on the disk until they may send again.
func (w *window) sendFunctionsAway(now time.Time) (rewind uint64) {
	held := w.waitingOf(func(it *item) bool { return w.holds.block(&it.rec, now) })
	for _, it := range held {
		if _, ok := w.away.functions[it.rec.Function]; !ok {
			w.away.functions[it.rec.Function] = absence{seq: it.rec.Seq, size: weightOf(&it.rec), due: w.holds[it.rec.Function].until}
		}
	}
	w.away.remember(held)
	return w.withdraw(held)
}
