package agent

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Two clocks measure what is gathered, see docs/decisions/020-gathering.md. What
// is gathered by arrival goes by the latest time that is known to have come: it
// never goes back, goes on over restarts, and counts the time that the device was
// off as soon as that is known. What is gathered by the events' own times goes
// by how long the agent has run: it never jumps.

// newClock is the clock of an agent that was given none: the wall clock.
func newClock() *Clock {
	now := time.Now()
	return &Clock{
		wall: func() (time.Time, bool) { return time.Now(), true },
		born: now, floor: now.Round(0), ran: time.Duration(now.UnixNano()), asked: -askClock,
	}
}

// at is the time by which a rule measures, ns.
func (c *Clock) at(r *gathering) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Time != "" {
		return int64(c.ran + c.passed())
	}
	return c.now().UnixNano()
}

// reached says that the clock of a rule was there before this start: what was
// noted of it last may be older.
func (c *Clock) reached(r *gathering, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Time != "" {
		c.ran = max(c.ran, time.Duration(at)-c.passed())
	} else if was := time.Unix(0, at).Add(-c.passed()); was.After(c.floor) {
		c.floor = was
	}
}

// eventTime is what the trigger's expression says, ns since 1970; 0 if there is
// none.
func (w *worker) eventTime(tr *compiled) (int64, error) {
	if tr.time == nil {
		return 0, nil
	}
	v, err := tr.time.Value(w.terms)
	if err != nil {
		return 0, fmt.Errorf("window.time: %w", err)
	}
	return parseTime(v)
}

var errNoTime = errors.New("window.time yields no time from 1970 to 2200: a text as in RFC 3339, or seconds or milliseconds since 1970")

// latest is after all times that events may have.
var latest = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// parseTime reads a text as in RFC 3339, or a number of seconds since 1970, or,
// if it is above 1e11, of milliseconds.
func parseTime(v any) (int64, error) {
	if text, ok := v.(string); ok {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || t.Before(time.Unix(0, 0)) || !t.Before(latest) {
			return 0, errNoTime
		}
		return t.UnixNano(), nil
	}
	x, ok := number(v)
	if !ok || x < 0 {
		return 0, errNoTime
	}
	if x > 1e11 {
		x /= 1000
	}
	if x >= float64(latest.Unix()) {
		return 0, errNoTime
	}
	whole, part := math.Modf(x)
	// What a float64 holds of a time today is exact to a microsecond.
	return int64(whole)*1e9 + int64(math.Round(part*1e6))*1e3, nil
}
