package agent

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// What one transaction closes at most; the rest follows in the next one.
const (
	maxClosed      = 64
	maxClosedBytes = 1 << 20 // of records
)

// tick closes what has ended of a key, when its time has come.
func (w *worker) tick(t *task) {
	w.withdrawProbe()
	r := t.gather
	err := w.closeOlder(t, r, t.gatherKey())
	if err == nil {
		err = w.close(t, func(s *shelf) (closing, bool) { return due(r, max(t.at, s.seen))(s) })
	}
	switch {
	case err == nil:
		w.freed(t)
	case !errors.Is(err, errStale):
		w.fn.agent.opts.Log.Warn("what was gathered cannot be closed yet", "trigger", r.trigger, "key", t.gatherKey(), "err", err)
		fallthrough
	default:
		w.putOff(t, err)
	}
}

// inlineTick is the task of closing what stands in the way of t.
func (w *worker) inlineTick(t *task, r *gathering, key string, at int64) *task {
	return &task{trigger: t.trigger, key: asideLane + key, order: t.order, gather: r, at: at, attempts: t.attempts}
}

// closeOlder closes what earlier rules of the trigger have put aside of the key:
// that comes before what is put aside, or closed, under this one.
func (w *worker) closeOlder(t *task, r *gathering, key string) error {
	older := r.older.Load()
	if older == nil {
		return nil
	}
	asides := w.fn.agent.asides
	for _, old := range *older {
		for asides.holds(old) {
			must := due(old, asides.clock.at(old))
			s, err := w.shelf(w.newReads(), old, key, t.attempts)
			if err != nil {
				return fmt.Errorf("%w: %w", errPutOff, err)
			}
			if _, ok := must(s); !ok {
				break
			}
			if err := w.close(w.inlineTick(t, old, key, s.seen), must); err != nil {
				return err
			}
		}
	}
	return nil
}

// newReads are reads beside those of the attempt under way.
func (w *worker) newReads() *readSet {
	return &readSet{committer: w.reads.committer, spaces: w.reads.spaces, epoch: w.reads.epoch}
}

// close closes what must chooses, as far as one transaction goes.
func (w *worker) close(t *task, must func(*shelf) (closing, bool)) error {
	reads := w.newReads()
	for range maxConflicts {
		reads.forget()
		o, err := w.closeOutcome(t, reads, must)
		if err != nil {
			return fmt.Errorf("%w: %w", errPutOff, err)
		}
		w.leave(t)
		if o.nothing() && !reads.uncommitted {
			w.fn.agent.settled(o)
			return nil
		}
		switch w.fn.agent.committer.join(o, reads) {
		case joined, ended:
			return nil
		case stale:
			return errStale
		}
		w.stay(t)
		w.fn.stats.conflicts.Add(1)
	}
	return fmt.Errorf("%w: what was put aside was changed by other workers each time", errPutOff)
}

// closeOutcome is the outcome of closing what must chooses.
func (w *worker) closeOutcome(t *task, reads *readSet, must func(*shelf) (closing, bool)) (*outcome, error) {
	r, key := t.gather, t.gatherKey()
	s, err := w.shelf(reads, r, key, t.attempts)
	if err != nil {
		return nil, err
	}
	o := &outcome{task: t, worker: w, event: &Event{Type: TypeGathered, Subject: key}, level: t.durability(), passed: true}
	o.aside = &asideChange{rule: r, key: key, open: s.known}
	x := &closer{worker: w, reads: reads, task: t, rule: r, key: key, read: map[uint64][]asideRead{}}
	before, at, size, changed := s.cost(), max(t.at, s.seen), int64(0), s.lost
	for n := 0; n < maxClosed && size < maxClosedBytes; n++ {
		c, ok := must(s)
		if !ok {
			break
		}
		rec, err := x.record(s, c)
		if err != nil {
			return nil, err
		}
		left := s.clone()
		gone := r.shut(left, c, s.watermark(r, at))
		if rec != nil {
			size += recordSize(&rec.Event)
			if grows := size + left.cost() - before; grows > 0 && !w.fn.inbox.hasRoom(grows) && w.fn.inbox.bytes.Load() > 0 {
				if n == 0 {
					return nil, errors.New("the inbox of the function is full")
				}
				break
			}
			o.adds = append(o.adds, *rec)
		}
		s = left
		s.seen, changed = at, true
		o.writes = append(o.writes, x.drop(gone)...)
		o.aside.open = len(s.panes) > 0
	}
	if changed {
		o.writes = append(o.writes, r.writes(s, key, reads)...)
	}
	o.aside.due, o.aside.cost = r.due(s), s.cost()-before
	return o, nil
}

// closer reads what is closed.
type closer struct {
	worker *worker
	reads  *readSet
	task   *task
	rule   *gathering
	key    string
	read   map[uint64][]asideRead // by row
}

// asideRead is an event that was read back; its Event is nil if it could not be.
type asideRead struct {
	asideEvent
	pieces int
}

// lenientAfter is how often the same has to fail before it goes without what
// cannot be read.
const lenientAfter = 5

// row reads the events of one row.
func (x *closer) row(p row) ([]asideRead, error) {
	if list, ok := x.read[p.id]; ok {
		return list, nil
	}
	list := make([]asideRead, 0, p.n)
	for n := range p.n {
		e, pieces, err := x.worker.readAside(x.reads, x.rule.scope, eventName(x.key, p.id, n))
		bad := err != nil || e.Event == nil
		switch {
		case bad && x.worker.fn.agent.committer.currentEpoch() != x.reads.epoch:
			return nil, errStale // it was never committed
		case err != nil && x.task.attempts < lenientAfter:
			return nil, fmt.Errorf("%w: %w", errAside, err)
		case bad:
			x.worker.fn.agent.counts.dropped.Add(1)
			x.worker.fn.agent.opts.Log.Error("an event that was put aside cannot be read back; it is left out",
				"trigger", x.rule.trigger, "key", x.key, "err", err)
			e.Event = nil
		}
		list = append(list, asideRead{e, pieces})
	}
	x.read[p.id] = list
	return list, nil
}

// record is the event that stands for what is closed; nil if that is nothing.
func (x *closer) record(s *shelf, c closing) (*Record, error) {
	r := x.rule
	g := gathered{rule: r, key: x.key, start: c.start, end: c.end, partial: c.partial, suffix: strconv.FormatInt(c.window, 36)}
	for _, i := range c.panes {
		for _, p := range s.panes[i].rows {
			list, err := x.row(p)
			if err != nil {
				return nil, err
			}
			for _, e := range list {
				if e.Event != nil && (!r.aligned() || c.rest || e.at >= c.start && e.at < c.end) {
					g.events = append(g.events, e.asideEvent)
				}
			}
		}
	}
	if len(g.events) == 0 {
		return nil, nil //nolint:nilnil // there is nothing to run for
	}
	slices.SortStableFunc(g.events, func(a, b asideEvent) int { return cmp.Compare(a.at, b.at) })
	rec := x.worker.ready(x.task.trigger, &g)
	return &rec, nil
}

// drop are the writes that take the events of panes away.
func (x *closer) drop(panes []pane) (list []Write) {
	for i := range panes {
		for _, p := range panes[i].rows {
			for n, e := range x.read[p.id] {
				name := eventName(x.key, p.id, uint64(n))
				for i := range e.pieces {
					list = append(list, Write{Scope: x.rule.scope, Key: pieceName(name, i)})
				}
			}
		}
	}
	return list
}
