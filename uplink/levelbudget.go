package uplink

import (
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	// shedAfter is how long a record that is to be dropped rather than to wait for
	// budget waits all the same: a link that is busy for a moment is no reason.
	shedAfter = 10 * time.Second
	// minHold is the shortest pause that a link may ask for.
	minHold = 10 * time.Millisecond
)

// hold is a pause that the link asked for.
type hold struct {
	until time.Time
	why   string // for people
	alone bool   // of the record that was asked for only
}

// holds are those of one level, by function; "" holds them all.
type holds map[string]hold

// on is the hold that a record is under, the zero hold for none.
func (h holds) on(rec *agent.Record, now time.Time) hold {
	if len(h) == 0 {
		return hold{}
	}
	for _, name := range [...]string{"", rec.Function} {
		if one := h[name]; one.until.After(now) {
			return one
		}
	}
	return hold{}
}

// block tells that a record has to wait. One that is to be dropped instead does not.
func (h holds) block(rec *agent.Record, now time.Time) bool {
	if len(h) == 0 {
		return false
	}
	one := h.on(rec, now)
	return one.until.After(now) && !one.sheds(rec, now)
}

// all tells that no record of the level may go.
func (h holds) all(now time.Time) bool { return h[""].until.After(now) }

// nextDue is when the first one ends, zero for never. It forgets those that have.
func (h holds) nextDue(now time.Time) (due time.Time) {
	for name, one := range h {
		if !one.until.After(now) {
			delete(h, name)
			continue
		}
		due = sooner(due, one.until)
	}
	return due
}

// sheds tells whether a record is dropped because of this hold.
func (h hold) sheds(rec *agent.Record, now time.Time) bool {
	return rec.Shed && h.until.Sub(now) > shedAfter
}

// admit asks the link for a record that was picked. One that may not go now
// waits again, or is settled as dropped.
func (p *pump) admit(it *item, now time.Time) bool {
	if p.o.opts.Link == nil {
		return true
	}
	on := it.level.holds.on(&it.rec, now)
	if on.until.IsZero() {
		if on = p.reserve(it, now); on.until.IsZero() {
			return true
		}
		if on.until.Sub(now) > shedAfter {
			p.o.note.budget = on
		}
	}
	it.landed()
	if on.sheds(&it.rec, now) {
		p.ledger.settled(it, overBudget, "")
		return false
	}
	if on.alone {
		it.tries++
		it.reason, it.notBefore, it.refused = on.why, on.until, on.until
	}
	it.level.putBack(it)
	return false
}

// reserve has the link set bytes aside for an item; if it does not, what the
// hold is about is found out: the link, what the function may use of it, or the
// item alone.
func (p *pump) reserve(it *item, now time.Time) hold {
	link, l, function, n := p.o.opts.Link, it.level, it.rec.Function, weightOf(&it.rec)
	no := link.Admit(l.priority, function, n)
	if no == nil {
		it.admitted = n
		return hold{}
	}
	if function != "" && !no.Alone {
		if all := link.Admit(l.priority, "", n); all == nil {
			link.Spent("", n, 0)
		} else {
			function, no = "", all
		}
	}
	h := hold{later(no.At, now.Add(minHold)), no.Why, no.Alone}
	if !h.alone {
		l.holds[function] = h
	}
	return h
}

// askFor asks the link for functions that are away and due. Those that still may
// not send stay away: only to learn that, all they have would be read again.
func (l *level) askFor(now time.Time, link Link) {
	for name, abs := range l.away.functions {
		if abs.due.After(now) {
			continue
		}
		switch no := link.Admit(l.priority, name, abs.size); {
		case no == nil:
			link.Spent(name, abs.size, 0)
		case !no.Alone:
			abs.due = later(no.At, now.Add(minHold))
			l.away.functions[name] = abs
			l.holds[name] = hold{until: abs.due, why: no.Why}
		}
	}
}

// spent tells the link what became of what it set aside.
func (p *pump) spent(it *item, err error) {
	if it.admitted == 0 {
		return
	}
	n := weightOf(&it.rec)
	if err != nil && asError(err).Away {
		n = 0
	}
	p.o.opts.Link.Spent(it.rec.Function, it.admitted, n)
	it.admitted = 0
}

// weightOf is about what of a record goes over the wire, without headers.
func weightOf(rec *agent.Record) int {
	ev := &rec.Event
	return max(1, len(ev.Data)+len(ev.ID)+len(ev.Source)+len(ev.Type)+len(ev.Subject))
}
