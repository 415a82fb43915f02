package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// shelf is what is put aside of one key, without the events themselves. All times
// are ns; event times are since 1970, the others by the clock of the rule.
//
// The watermark is the event time up to which all is there: now, ahead by lead,
// less the lateness. What ends by it closes.
type shelf struct {
	seen  int64   // when it was last looked at; MinInt64: never
	lead  int64   // the most that an event's time was ahead of its arrival; MinInt64: no event yet
	mark  int64   // the watermark up to which all is closed
	next  uint64  // names the next row
	panes []pane  // by start, those that are a rest last
	cut   []int64 // numbers of windows that closed early, ascending
	known bool    // it is in the store among the open ones
	lost  bool    // what is there cannot be read
}

// pane is a stretch of time in which events lie: a session, a batch, the share of
// a window that it shares with no other window that begins later.
type pane struct {
	start, last int64 // of its events; of windows: the stretch begins at start, and last is not used
	rest        bool  // its window closed early: these came later
	bytes       int64 // of data
	rows        []row
}

// row is a row of events, named by id and number from 0.
type row struct{ id, n uint64 }

func (p *pane) count() (n uint64) {
	for _, row := range p.rows {
		n += row.n
	}
	return n
}

// What a pane and an event count in limits.inbox beside the event's data.
const (
	paneCost  = 256
	asideCost = 192
)

// cost is what the shelf counts in limits.inbox.
func (s *shelf) cost() (n int64) {
	for i := range s.panes {
		n += paneCost + s.panes[i].bytes + asideCost*int64(s.panes[i].count())
	}
	return n
}

// clone is a copy that can be changed.
func (s *shelf) clone() *shelf {
	c := *s
	c.panes, c.cut = slices.Clone(s.panes), slices.Clone(s.cut)
	return &c
}

// rowCount counts those of all panes.
func (s *shelf) rowCount() (n int) {
	for i := range s.panes {
		n += len(s.panes[i].rows)
	}
	return n
}

// watermark of the rule for what came at that time.
func (s *shelf) watermark(r *gathering, at int64) int64 {
	switch {
	case r.Time == "":
		return at
	case s.lead == math.MinInt64:
		return math.MinInt64
	}
	return at + s.lead - int64(r.Lateness)
}

// Scope of a rule: openKey and idleKey, before the key, are shelves; the names of
// events begin with neither.
const (
	openKey = "k/"
	idleKey = "i/"
)

// idleShelf is how long a key is remembered of which nothing is put aside, so that
// what comes late is known for it.
const idleShelf = 24 * time.Hour

// shelf reads what is put aside of a key. What could not be read in many attempts
// is given up, or nothing of that key would ever run again.
func (w *worker) shelf(reads *readSet, r *gathering, key string, attempts int) (*shelf, error) {
	s, err := readShelf(reads, r, key)
	switch {
	case err == nil:
	case attempts < lenientAfter:
		return nil, fmt.Errorf("%w: %.120q: %w", errAside, key, err)
	default:
		w.fn.agent.opts.Log.Error("what a trigger has put aside of a key cannot be read back; the key begins anew",
			"trigger", r.trigger, "key", key, "err", err)
	}
	return s, nil
}

// readShelf gives on error the shelf with which a key begins anew.
func readShelf(view View, r *gathering, key string) (*shelf, error) {
	value, err := view.Get(r.scope, openKey+key)
	known := value != nil
	if err == nil && value == nil && r.windows() {
		value, err = view.Get(r.scope, idleKey+key)
	}
	s := newShelf()
	if err == nil && value != nil {
		s, err = decodeShelf(value, r.unit())
	}
	if err != nil {
		s = newShelf()
		s.lost = true
		return s, err
	}
	s.known = known
	return s, nil
}

func newShelf() *shelf {
	return &shelf{seen: math.MinInt64, lead: math.MinInt64, mark: math.MinInt64}
}

// writes are those that keep the shelf.
func (r *gathering) writes(s *shelf, key string, reads *readSet) (list []Write) {
	if !r.kept.Load() {
		list = append(list, r.entry())
	}
	if len(s.panes) > 0 {
		return append(list, Write{Scope: r.scope, Key: openKey + key, Value: s.encode(r.unit())})
	}
	list = append(list, Write{Scope: r.scope, Key: openKey + key})
	if r.windows() {
		list = append(list, Write{Scope: r.scope, Key: idleKey + key, Value: s.encode(r.unit()), Expires: reads.expiry(idleShelf)})
	}
	return list
}

// encode writes a shelf, all as varints: format (1), seen, lead, mark, next, the
// number of cut windows and each less the one before, the number of panes; of
// each the start less the one before, in units, last less start, 1 if it is a
// rest, bytes, the number of rows, and of each its id and count.
func (s *shelf) encode(unit int64) []byte {
	b := make([]byte, 0, 48+12*len(s.panes))
	b = append(b, 1)
	for _, n := range []int64{s.seen, s.lead, s.mark} {
		b = binary.AppendVarint(b, n)
	}
	b = binary.AppendUvarint(b, s.next)
	b = binary.AppendUvarint(b, uint64(len(s.cut)))
	before := int64(0)
	for _, n := range s.cut {
		b = binary.AppendVarint(b, n-before)
		before = n
	}
	b = binary.AppendUvarint(b, uint64(len(s.panes)))
	before = 0
	for i := range s.panes {
		p := &s.panes[i]
		b = binary.AppendVarint(b, p.start/unit-before)
		before = p.start / unit
		b = binary.AppendVarint(b, p.last-p.start)
		rest := uint64(0)
		if p.rest {
			rest = 1
		}
		b = binary.AppendUvarint(b, rest)
		b = binary.AppendUvarint(b, uint64(p.bytes))
		b = binary.AppendUvarint(b, uint64(len(p.rows)))
		for _, row := range p.rows {
			b = binary.AppendUvarint(binary.AppendUvarint(b, row.id), row.n)
		}
	}
	return b
}

var errShelf = errors.New("not written by this release")

func decodeShelf(b []byte, unit int64) (*shelf, error) {
	if len(b) == 0 || b[0] != 1 {
		return nil, errShelf
	}
	v := &varints{b: b[1:]}
	s := &shelf{seen: v.int(), lead: v.int(), mark: v.int(), next: v.uint()}
	before := int64(0)
	for range v.len() {
		before += v.int()
		s.cut = append(s.cut, before)
	}
	before = 0
	s.panes = make([]pane, v.len())
	for i := range s.panes {
		p := &s.panes[i]
		before += v.int()
		p.start = before * unit
		p.last = p.start + v.int()
		p.rest = v.uint() == 1
		p.bytes = int64(v.uint())
		p.rows = make([]row, v.len())
		for k := range p.rows {
			p.rows[k] = row{v.uint(), v.uint()}
		}
	}
	if v.failed || len(v.b) > 0 || slices.ContainsFunc(s.panes, func(p pane) bool { return len(p.rows) == 0 }) {
		return nil, errShelf
	}
	return s, nil
}
