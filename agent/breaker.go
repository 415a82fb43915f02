package agent

import (
	"sync"
	"sync/atomic"
	"time"
)

// breaker stops a function that fails whatever it is given: a bad release, or a
// service it cannot do without. While it is open nothing runs, so that events
// wait, on disk, instead of using up their attempts. Then one event tries.
//
//	closed ──BreakAfter failures in a row, of two events or more──▶ open
//	open ──pause over──▶ half-open: one event runs
//	half-open ──it fails──▶ open, twice as long ──it succeeds──▶ closed
type breaker struct {
	trouble atomic.Bool // a failure was seen since the last success

	mu       sync.Mutex
	failures int // in a row, while closed
	event    string
	several  bool // the failures are of more than one event
	pause    time.Duration
	until    time.Time // zero: closed
	probing  bool
	opened   int64
	cause    string
}

// maxPause is the longest pause between two tries of a function.
const maxPause = 5 * time.Minute

// enter asks whether a run may begin. If not, wait says when to ask again. A
// run that is a probe tells the outcome by succeeded, failed or withdraw.
func (b *breaker) enter(now time.Time) (ok, probe bool, wait time.Duration) {
	if !b.trouble.Load() {
		return true, false, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return true, false, 0
	case b.probing:
		return false, false, probeCheck
	case now.Before(b.until):
		return false, false, b.until.Sub(now)
	}
	b.probing = true
	return true, true, 0
}

// probeCheck is how often a worker looks whether the probe of another is over.
const probeCheck = 20 * time.Millisecond

// isOpen tells whether nothing may run now.
func (b *breaker) isOpen(clock *Clock) bool {
	if !b.trouble.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return clock.time().Before(b.until)
}

// opens is when a run may begin again; zero: now.
func (b *breaker) opens() time.Time {
	if !b.trouble.Load() {
		return time.Time{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

// withdraw ends a probe that did not run.
func (b *breaker) withdraw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// succeeded closes the breaker; it tells whether it was open.
func (b *breaker) succeeded() (wasOpen bool) {
	if !b.trouble.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen = !b.until.IsZero()
	b.trouble.Store(false)
	b.failures, b.event, b.several = 0, "", false
	b.until, b.pause, b.probing = time.Time{}, 0, false
	return wasOpen
}

// failed counts a failed run of an event. If that opens the breaker, pause says
// for how long.
func (b *breaker) failed(event string, cause error, probe bool, opts *Options, now time.Time) (pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble.Store(true)
	if b.failures++; b.failures > 1 && event != b.event {
		b.several = true
	}
	b.event = event
	if !probe && (!b.until.IsZero() || !b.several || b.failures < opts.BreakAfter) {
		return 0
	}
	b.pause = min(max(2*b.pause, opts.BreakPause), maxPause)
	b.until, b.probing, b.cause = now.Add(b.pause), false, cause.Error()
	if !probe {
		b.opened++
	}
	return b.pause
}

// trip opens the breaker at once, for the n-th time for the same cause.
func (b *breaker) trip(cause error, n int, opts *Options, now time.Time) (pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trouble.Store(true)
	if b.failures++; b.until.IsZero() {
		b.opened++
	}
	b.pause = max(b.pause, min(opts.BreakPause<<min(n-1, 10), maxPause))
	b.until, b.probing, b.cause = now.Add(b.pause), false, cause.Error()
	return b.pause
}

// BreakerStatus tells of a function that is stopped because it kept failing.
type BreakerStatus struct {
	State    string    `json:"state"`    // open: events wait; half-open: one event tries
	Failures int       `json:"failures"` // in a row
	RetryAt  time.Time `json:"retry_at"` // when one event may try
	Cause    string    `json:"cause"`    // of the last failure
}

// status is nil while the breaker is closed; opened counts how often it was not.
func (b *breaker) status(now time.Time) (s *BreakerStatus, opened int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return nil, b.opened
	}
	s = &BreakerStatus{State: "open", Failures: b.failures, RetryAt: b.until, Cause: b.cause}
	if !now.Before(b.until) {
		s.State = "half-open"
	}
	return s, b.opened
}
