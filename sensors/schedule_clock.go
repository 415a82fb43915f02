package sensors

import "time"

// Clock says what the wall clock is worth. The zero value trusts it.
type Clock struct {
	// Wall gives the time, and whether something keeps the clock right; nil is
	// the machine's clock, which is right.
	Wall func() (now time.Time, right bool)
	// Passed is a time that is known to be over, so that a clock that shows an
	// earlier one is wrong; nil: none is.
	Passed func() time.Time
	// Wait is how long after the start a clock that nothing keeps right, but that
	// may be right, is not gone by.
	Wait time.Duration
}

// askTrust is how often a clock that is not trusted is asked again.
const askTrust = 5 * time.Second

// wallClock is a Clock from the start of a source on. Once the clock was right
// it stays trusted: the kernel says that nothing keeps it right again when the
// network was away for some hours, and that is no reason to stop.
type wallClock struct {
	Clock
	begun   time.Time
	trusted bool
}

// moment is a time as both clocks show it.
type moment struct {
	ran     time.Time // with the monotonic reading, which nobody can set
	wall    time.Time // without
	trusted bool
	usable  bool // the wall clock is trusted, or was waited for
}

func (c *wallClock) now() moment {
	m := moment{ran: time.Now()}
	right := true
	if m.wall = m.ran.Round(0); c.Wall != nil {
		m.wall, right = c.Wall()
		m.wall = m.wall.Round(0)
	}
	c.trusted = c.trusted || right
	m.trusted = c.trusted
	m.usable = m.trusted || m.ran.Sub(c.begun) >= c.Wait && (c.Passed == nil || !m.wall.Before(c.Passed()))
	return m
}

// until is how long it takes until the wall clock shows at.
func (m moment) until(at time.Time) time.Duration { return at.Sub(m.wall) }

// atWall is what the wall clock would show at a time of the other kind.
func (m moment) atWall(ran time.Time) time.Time { return m.wall.Add(ran.Sub(m.ran)) }

// stamp is how events say whether their times can be relied on.
func (m moment) stamp() string {
	if m.trusted {
		return "trusted"
	}
	return "untrusted"
}
