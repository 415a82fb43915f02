package agent

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Clock decides when state and records expire. A gateway may start in 1970 or in 2038, and
// be set right, or wrong, while it runs; no value must go for that. So a time
// to live is measured in one of two ways:
//
//   - where the wall clock is known to be right when the value is written, by
//     true time: it expires when that is known to be over;
//   - else by how long the agent has run since. Such deadlines are written as
//     times in 1970 and after, long before any true one.
//
// Both go on from where they were after a restart, and never back. The zero
// Clock does not work; see NewClock.
type Clock struct {
	wall  func() (now time.Time, right bool)
	born  time.Time     // with the monotonic reading
	moved *atomic.Int64 // how far a clock that is moved by hand is from born; nil: it runs by itself

	mu     sync.Mutex
	ran    time.Duration // by the agent, before born
	floor  time.Time     // true time at born was not before
	right  bool          // the wall clock, when it was last asked
	sure   atomic.Bool   // it was right once since the start
	asked  time.Duration // since born
	marked time.Duration // since born, when it was last kept
}

var (
	// notBefore is a time that is over wherever this runs.
	notBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	// firstRun stands for the moment when the agent first ran.
	firstRun = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)
)

const (
	askClock  = time.Second     // wall says something new at most so often
	keepClock = 5 * time.Minute // between notes of the clock in the store
	clockKey  = "clock"
)

// NewClock makes a clock. Wall gives the time and whether something keeps it
// right (NTP); nil says that nothing does.
func NewClock(wall func() (now time.Time, right bool)) *Clock {
	if wall == nil {
		wall = func() (time.Time, bool) { return time.Time{}, false }
	}
	return &Clock{wall: wall, born: time.Now(), floor: notBefore, asked: -askClock}
}

// NewManualClock makes a clock that shows start, rightly, until it is moved: see
// Agent.Advance.
func NewManualClock(start time.Time) *Clock {
	c := &Clock{born: start.Round(0), moved: &atomic.Int64{}, floor: start.Round(0), asked: -askClock}
	c.wall = func() (time.Time, bool) { now := c.time(); return now, now.After(notBefore) }
	return c
}

// time is what pauses and deadlines in memory are measured by: it runs evenly,
// whatever becomes of the wall clock.
func (c *Clock) time() time.Time {
	if c == nil || c.moved == nil {
		return time.Now()
	}
	return c.born.Add(time.Duration(c.moved.Load()))
}

// passed is the time since the clock was made.
func (c *Clock) passed() time.Duration { return c.time().Sub(c.born) }

// In is when what is written now expires after ttl.
func (c *Clock) In(ttl time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.right {
		return now.Add(ttl)
	}
	return firstRun.Add(c.ran + c.passed() + ttl)
}

// Past tells whether at, from In, is over.
func (c *Clock) Past(at time.Time) bool { return c.Left(at) <= 0 }

// Left is how long it is, as far as is known, until at, from In, is over.
func (c *Clock) Left(at time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Before(notBefore) {
		return at.Sub(firstRun.Add(c.ran + c.passed()))
	}
	return at.Sub(c.now())
}

// Reached is the latest time that is known to have come: true time is not before it.
func (c *Clock) Reached() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Round(0)
}

// Sure tells whether the wall clock was right once since the start: what keeps it
// may well be away for a while.
func (c *Clock) Sure() bool {
	if c.sure.Load() {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	return c.sure.Load()
}

// now is the latest time that is known to have come.
func (c *Clock) now() time.Time {
	passed := c.passed()
	if passed-c.asked >= askClock {
		c.asked = passed
		var now time.Time
		if now, c.right = c.wall(); c.right {
			c.sure.Store(true)
			if was := now.Add(-passed).Round(0); was.After(c.floor) {
				c.floor = was
			}
		}
	}
	return c.floor.Add(passed)
}

// resume goes on from where an earlier start had come to.
func (c *Clock) resume(view View) error {
	value, err := view.Get(agentScope, clockKey)
	if err != nil {
		return fmt.Errorf("read how long the agent has run: %w", err)
	}
	if len(value) != 16 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ran = time.Duration(binary.LittleEndian.Uint64(value))
	if floor := time.Unix(0, int64(binary.LittleEndian.Uint64(value[8:]))); floor.After(c.floor) {
		c.floor = floor
	}
	return nil
}

// keep notes in the store where the clock is, now and then.
func (c *Clock) keep(ctx context.Context, store Store, last bool) error {
	c.mu.Lock()
	passed := c.passed()
	if !last && passed-c.marked < keepClock {
		c.mu.Unlock()
		return nil
	}
	c.marked = passed
	value := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), uint64(c.ran+passed))
	value = binary.LittleEndian.AppendUint64(value, uint64(c.now().UnixNano()))
	c.mu.Unlock()
	f := &Frame{Writes: []Write{{Scope: agentScope, Key: clockKey, Value: value}}, Lazy: true}
	return store.Commit(context.WithoutCancel(ctx), f)
}
