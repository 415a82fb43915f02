package agent

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A trigger with a Gather puts events aside, on disk, as a part of the
// transaction that acknowledges them. Closing what was put aside is a
// transaction of its own: it takes the events away and adds the one that stands
// for them to the inbox of the function. So an event is in memory only while its
// own outcome is under way, and what a crash interrupts is done again.
//
//	event ──put──▶ gather/<trigger>/<rule> ──close──▶ inbox, Ready ──▶ function
//
// Before an event is put aside all is closed that has ended when it came, so that
// what is closed when does not depend on how busy the worker is.

// TypeGathered is the type of an event that stands for those that were put aside.
const TypeGathered = "io.skerry.gathered"

// asideLane begins the key of tasks that only put aside or close. So they do not
// wait while the function fails for what was gathered of their key.
const asideLane = "gather/"

// Bounds of what is put aside of a key. Who reaches one closes early.
const (
	maxGathered      = 10_000  // events of a window
	maxGatheredBytes = 1 << 20 // bytes of their data
	maxPanes         = 1000    // rows of events of a key
	maxBatchWait     = 24 * time.Hour
)

// errPutOff says that an event cannot be put aside, or run, now; it counts as no attempt.
var errPutOff = errors.New("not now")

// errStale says that what was read was never committed.
var errStale = fmt.Errorf("%w: what it builds on was not committed", errPutOff)

// gather puts an event aside; the function does not run now.
func (w *worker) gather(t *task, ev *Event) (run bool, err error) {
	r := t.trigger.aside
	in := incoming{size: int64(len(ev.Data))}
	if in.time, err = w.eventTime(t.trigger); err != nil {
		return false, fmt.Errorf("%w: %w", ErrReject, err)
	}
	key := w.group(t)
	if err := w.closeOlder(t, r, key); err != nil {
		return false, err
	}
	for {
		s, err := w.shelf(w.reads, r, key, t.attempts)
		if err != nil {
			return false, fmt.Errorf("%w: %w", errPutOff, err)
		}
		in.at = w.arrival(t, r, s)
		at := max(in.at, s.seen)
		if r.Time == "" {
			in.time = at
		}
		must := due(r, at)
		if _, ok := must(s); !ok {
			s.mark = max(s.mark, s.watermark(r, at)) // all that ended by then is closed
			must = func(s *shelf) (closing, bool) { return r.early(s, at, in) }
		}
		if _, ok := must(s); !ok {
			return false, w.put(t, ev, s, key, in)
		}
		if err := w.close(w.inlineTick(t, r, key, at), must); err != nil {
			return false, err
		}
	}
}

// incoming is an event that is to be put aside.
type incoming struct {
	time int64 // by which it is gathered, ns
	at   int64 // when it came, by the clock of the rule, ns
	size int64 // bytes of data
}

// put stages what puts the event aside, or what becomes of it if it is late.
func (w *worker) put(t *task, ev *Event, s *shelf, key string, in incoming) error {
	r := t.trigger.aside
	at := max(in.at, s.seen)
	if start, end, late := r.late(s, in); late {
		return w.late(t, ev, key, in, start, end)
	}
	before := s.cost()
	place := r.place(s, at, in)
	if place == nil { // between two windows
		w.staged.count = &w.fn.stats.gated
		return nil
	}
	row := &place.rows[len(place.rows)-1]
	if r.Kind == GatherDebounce { // in the place of the one before
		w.staged.writes = append(w.staged.writes, dropPieces(r.scope, eventName(key, row.id, 0), place.bytes)...)
		row.n, place.bytes = 0, 0
	}
	writes := eventWrites(r.scope, eventName(key, row.id, row.n), ev, in.time)
	row.n++
	place.bytes += in.size
	s.seen = at
	if r.Time != "" {
		s.lead = max(s.lead, in.time-at)
	}
	cost := s.cost() - before
	if t.seq == 0 && !w.fn.inbox.hasRoom(cost) {
		return w.noRoom(t, r, key)
	}
	w.staged.writes = append(append(w.staged.writes, writes...), r.writes(s, key, w.reads)...)
	w.staged.aside = &asideChange{rule: r, key: key, due: r.due(s), open: true, cost: cost}
	return nil
}

// late drops an event that comes after all its windows have closed, or has it run
// alone.
func (w *worker) late(t *task, ev *Event, key string, in incoming, start, end int64) error {
	w.staged.count = &w.fn.stats.late
	r := t.trigger.aside
	if !r.LateRuns {
		return nil
	}
	g := gathered{rule: r, key: key, start: start, end: end, late: true, events: []asideEvent{{ev, in.time}}, suffix: "late"}
	rec := w.ready(t.trigger, &g)
	if t.seq == 0 && !w.fn.inbox.hasRoom(recordSize(&rec.Event)) {
		return w.noRoom(t, r, key)
	}
	w.staged.adds = append(w.staged.adds, rec)
	return nil
}

// noRoom makes what room it can for an event that finds none: it closes what has
// ended meanwhile, which the event's own key may hold back, and a batch.
func (w *worker) noRoom(t *task, r *gathering, key string) error {
	now := w.fn.agent.asides.clock.at(r)
	s, err := w.shelf(w.reads, r, key, t.attempts)
	if err == nil {
		must := due(r, max(now, s.seen))
		if r.Kind == GatherBatch {
			must = func(s *shelf) (closing, bool) {
				c, ok := r.next(s)
				c.partial = true
				return c, ok
			}
		}
		if _, ok := must(s); ok {
			err = w.close(w.inlineTick(t, r, key, max(now, s.seen)), must)
		}
	}
	if err != nil && !errors.Is(err, errPutOff) {
		return err
	}
	return fmt.Errorf("%w: the inbox of its function is full; see limits.inbox", errPutOff)
}

// putOff has a task that could not be gathered, or run, wait for a while.
func (w *worker) putOff(t *task, err error) {
	w.withdrawProbe()
	if errors.Is(err, errStale) {
		w.again([]*task{t})
		return
	}
	w.mu.Lock()
	volatile := t.volatile()
	if errors.Is(err, errAside) {
		t.attempts++ // see lenientAfter
	}
	w.mu.Unlock()
	if volatile {
		w.drop()
		w.freed(t)
		return
	}
	w.postpone([]*task{t}, fullPause)
}

// due chooses what has ended by at. What a rule of an earlier deployment holds
// ends at once.
func due(r *gathering, at int64) func(*shelf) (closing, bool) {
	return func(s *shelf) (closing, bool) {
		c, ok := r.next(s)
		if !ok || c.ends <= s.watermark(r, at) {
			return c, ok
		}
		c.partial = true
		return c, r.retired.Load()
	}
}

// arrival is when the event of a task came. One that has waited on disk over a
// restart counts as come right after what was put aside before it: so the time
// in which nothing ran makes it neither late nor a part of a later window.
func (w *worker) arrival(t *task, r *gathering, s *shelf) int64 {
	clock := w.fn.agent.asides.clock
	now := clock.at(r)
	switch {
	case !t.arrived.IsZero():
		return now - int64(clock.time().Sub(t.arrived))
	case s.seen != math.MinInt64:
		return s.seen
	}
	return now
}

// gatherKey is the key of the task as its trigger says.
func (t *task) gatherKey() string {
	if t.gather == nil && t.trigger.aside == nil {
		return t.key
	}
	return strings.TrimPrefix(t.key, asideLane)
}
