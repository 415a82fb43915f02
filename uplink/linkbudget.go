package uplink

import (
	"fmt"
	"math"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	reservedFrom = 8               // the lowest priority that may use the reserve
	askAgain     = 5 * time.Minute // the longest pause between two questions for the same record
	minWait      = 200 * time.Millisecond
)

// line is for what waits for the budget: nothing of its priority or less goes
// past it, though it may be small enough for what is left.
type line struct {
	priority uint8
	until    time.Time // then it asks again
	why      string
}

// lineGrace is how long what is less important lets it ask first.
const lineGrace = time.Second

// ends is until when a record of that priority waits behind it.
func (l *line) ends(priority uint8) time.Time {
	switch {
	case priority > l.priority:
		return time.Time{}
	case priority == l.priority:
		return l.until
	}
	return l.until.Add(lineGrace)
}

// Admit implements Link. The bytes that n are on the wire, by experience, count
// as used until Spent tells that they were sent, so that any number of records
// that are under way together keep within the budget.
func (m *Meter) Admit(priority uint8, function string, n int) *Refusal {
	m.look(false)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	if no := m.refuses(priority, function, int64(n)); no != nil {
		return no
	}
	m.flying.requests++
	m.flying.bytes += int64(n)
	if function != "" {
		by := m.flyingBy[function]
		m.flyingBy[function] = flight{by.requests + 1, by.bytes + int64(n)}
	}
	return nil
}

// refuses is nil if the record may go now.
func (m *Meter) refuses(priority uint8, function string, n int64) *Refusal {
	if m.metered {
		if no := m.functionRefuses(function, n); no != nil {
			return no
		}
		if no := m.budgetRefuses(priority, n); no != nil {
			return no
		}
	}
	return m.rateRefuses(priority)
}

func (m *Meter) functionRefuses(function string, n int64) *Refusal {
	if function == "" {
		return nil
	}
	limit := m.opts.Limit(function)
	taken := m.totals.Functions[function].Bytes + m.guess.of(m.flyingBy[function])
	need := m.need(n, limit)
	switch {
	case limit == 0 || taken+need <= limit:
		return nil
	case need > limit:
		return m.tooLarge(fmt.Sprintf("what is to go takes about %s and %s may send %s a day over link %s: raise limits.uplink of the function, or it never goes",
			agent.BytesText(need), function, agent.BytesText(limit), m.opts.Name), m.untilDay())
	}
	return m.refuse(fmt.Sprintf("%s of the %s that %s may send a day over link %s (limits.uplink) are used",
		agent.BytesText(taken), agent.BytesText(limit), function, m.opts.Name), m.untilDay())
}

func (m *Meter) budgetRefuses(priority uint8, n int64) *Refusal {
	if end := m.line.ends(priority); end.After(time.Now()) {
		return &Refusal{At: end, Why: m.line.why}
	}
	for _, b := range []struct {
		name  string
		limit int64
		used  int64
		until func() time.Duration
	}{
		{"day", m.opts.Day, m.totals.Day.Used.Bytes, m.untilDay},
		{"month", m.opts.Month, m.totals.Month.Used.Bytes, m.untilMonth},
	} {
		may, kept := b.limit, ""
		if m.opts.Reserve > 0 && priority < reservedFrom {
			may -= m.opts.Reserve
			kept = fmt.Sprintf(", %s are kept for priority 8 and 9", agent.BytesText(m.opts.Reserve))
		}
		need := m.need(n, may)
		taken := b.used + m.guess.of(m.flying) + m.owed()
		if b.limit == 0 || taken+need <= may {
			continue
		}
		if need > may {
			return m.tooLarge(fmt.Sprintf("what is to go takes about %s and link %s may carry %s a %s%s: raise %s of the link, or it never goes",
				agent.BytesText(need), m.opts.Name, agent.BytesText(b.limit), b.name, kept, b.name), b.until())
		}
		wait := b.until()
		if b.used+m.owed()+need <= may { // what is under way may turn out to take less
			wait = minWait
		}
		no := m.refuse(fmt.Sprintf("%s of the %s's %s of link %s are used%s%s",
			agent.BytesText(taken), b.name, agent.BytesText(b.limit), m.opts.Name, kept, m.unsureText()), wait)
		m.line = line{priority, no.At, no.Why}
		return no
	}
	return nil
}

// need is what a record of n bytes takes, of a limit. What requests took lately
// may have been more than it, as when the network is bad; that is no reason not
// to try again while half of it is there.
func (m *Meter) need(n, limit int64) int64 {
	return min(m.guess.of(flight{1, n}), max(n+minGuess, limit/2))
}

// owed is what the open connections will take though nothing is sent any more:
// an acknowledgement, and closing.
func (m *Meter) owed() int64 {
	const header = ip4Header + tcpHeader + timestamps
	return int64(len(m.conns)-m.lingering) * 4 * header
}

// refuse asks to be asked again when the period ends, or the metered window, or
// after askAgain: limits, clocks and queues change.
func (m *Meter) refuse(why string, ends time.Duration) *Refusal {
	wait := min(ends, askAgain)
	if !m.to.IsZero() {
		wait = min(wait, m.to.Sub(m.opts.Now()))
	}
	return &Refusal{At: time.Now().Add(max(wait, minWait)), Why: why}
}

// tooLarge refuses a record for which no period will ever do.
func (m *Meter) tooLarge(why string, ends time.Duration) *Refusal {
	no := m.refuse(why, ends)
	no.Alone = true
	return no
}

func (m *Meter) unsureText() string {
	if m.totals.Unsure.IsZero() {
		return ""
	}
	return "; the clock is not known to be right, a new period begins when it is"
}

// untilDay is the time until the next day. Without a clock that is known to be
// right nobody can tell.
func (m *Meter) untilDay() time.Duration {
	now := m.opts.Now().In(m.opts.Zone)
	y, mon, d := now.Date()
	return m.until(now, time.Date(y, mon, d+1, 0, 0, 0, 0, m.opts.Zone))
}

func (m *Meter) untilMonth() time.Duration {
	now := m.opts.Now().In(m.opts.Zone)
	y, mon, _ := now.Date()
	return m.until(now, time.Date(y, mon+1, 1, 0, 0, 0, 0, m.opts.Zone))
}

func (m *Meter) until(now, next time.Time) time.Duration {
	if !m.totals.Unsure.IsZero() {
		return askAgain
	}
	return next.Sub(now)
}

// Spent implements Link. What the link carried was counted on the wire; n tells
// what the function took of it, with the overhead of a request.
func (m *Meter) Spent(function string, admitted, n int) {
	m.look(false)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	m.flying = m.flying.less(admitted)
	m.guess.learn(int64(n), m.flying.requests)
	if function == "" {
		return
	}
	if by := m.flyingBy[function].less(admitted); by.requests > 0 {
		m.flyingBy[function] = by
	} else {
		delete(m.flyingBy, function)
	}
	if m.metered && n > 0 {
		m.totals.charge(function, m.guess.of(flight{1, int64(n)}))
	}
}

func (f flight) less(n int) flight {
	return flight{max(f.requests-1, 0), max(f.bytes-int64(n), 0)}
}

// guess is what a request takes on the wire beside the bytes of its record:
// headers, the answer, acknowledgements, its share of connections. It is the
// mean of the last ones, about a hundred.
type guess struct {
	wire, told, requests float64 // on the wire, of records, and how many; older ones count less
	lately               struct{ wire, told, requests float64 }
}

const (
	guessDecay = 0.99
	firstGuess = 1024 // bytes, before anything was sent
	minGuess   = 200
	maxGuess   = 64 << 10
	maxLately  = 64 // requests
)

func newGuess() guess { return guess{wire: firstGuess, requests: 1} }

// learn takes in a request of n bytes that has ended, and those that ended
// before it, when none is under way any more or there are enough to tell what
// each took. Those that came to nothing, with next to nothing on the wire, say
// nothing about those that will not.
func (g *guess) learn(n int64, flying int) {
	l := &g.lately
	if n > 0 {
		l.told += float64(n)
		l.requests++
	}
	if flying > 0 && l.requests < maxLately {
		return
	}
	if l.requests > 0 && l.wire*2 >= l.told {
		keep := math.Pow(guessDecay, l.requests)
		g.wire, g.told, g.requests = g.wire*keep+l.wire, g.told*keep+l.told, g.requests*keep+l.requests
	}
	l.wire, l.told, l.requests = 0, 0, 0
}

// of is what requests take on the wire.
func (g *guess) of(f flight) int64 {
	each := min(max((g.wire-g.told)/g.requests, minGuess), maxGuess)
	return f.bytes + int64(each*float64(f.requests))
}
