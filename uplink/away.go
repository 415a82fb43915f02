package uplink

import "time"

// maxAway is how many keys may be left on the disk because their oldest record
// fails again and again.
const maxAway = 4096

// awayKeys are keys of which nothing is in the window until they are due: their
// oldest record has failed, and other keys need the room.
type awayKeys struct {
	keys  map[string]absence
	tries map[uint64]int // of records that are to be read again
}

// absence is the record a key waits for.
type absence struct {
	seq   uint64
	tries int
	due   time.Time
}

func newAwayKeys() awayKeys {
	return awayKeys{keys: map[string]absence{}, tries: map[uint64]int{}}
}

func (a *awayKeys) room() int { return maxAway - len(a.keys) }

func (a *awayKeys) add(it *item) {
	a.keys[it.rec.Key] = absence{seq: it.rec.Seq, tries: it.tries, due: it.notBefore}
}

func (a *awayKeys) has(key string) bool {
	_, ok := a.keys[key]
	return ok && key != ""
}

// back is how often a record that is read again has failed before.
func (a *awayKeys) back(seq uint64) int {
	n := a.tries[seq]
	delete(a.tries, seq)
	return n
}

// recall ends the absence of every key that is due, and returns the sequence to
// read from again, 0 for none.
func (a *awayKeys) recall(now time.Time) (rewind uint64) {
	for key, abs := range a.keys {
		if abs.due.After(now) {
			continue
		}
		delete(a.keys, key)
		a.tries[abs.seq] = abs.tries
		if rewind == 0 || abs.seq < rewind {
			rewind = abs.seq
		}
	}
	return rewind
}

// passed forgets records that were not there any more when they were read again.
func (a *awayKeys) passed(after uint64) {
	for seq := range a.tries {
		if seq <= after {
			delete(a.tries, seq)
		}
	}
}

func (a *awayKeys) nextDue() (due time.Time) {
	for _, abs := range a.keys {
		due = sooner(due, abs.due)
	}
	return due
}
