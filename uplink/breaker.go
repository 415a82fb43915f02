package uplink

import (
	"math/rand/v2"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// minBackoff is the ceiling of the first pause; it doubles with each failure.
const minBackoff = time.Second

// backoff is the pause after the nth failure in a row: full jitter under a
// doubling ceiling, so that a fleet that lost one cloud does not return as one
// wave. It is never under a tenth of a second, so that it is never a busy loop.
func backoff(n int, ceiling time.Duration) time.Duration {
	limit := ceiling
	if n < 20 { // 2^20 s is beyond any ceiling
		limit = min(ceiling, minBackoff<<max(n-1, 0))
	}
	return max(rand.N(limit), minBackoff/10)
}

// holdPause is the pause of a target that refused the gateway: the longest one,
// with jitter in its upper half.
func holdPause(ceiling time.Duration) time.Duration {
	return ceiling/2 + rand.N(ceiling/2+1)
}

// breaker decides when a target may be tried. A failure pauses it; after the
// pause one job goes as a probe; a success opens it again.
type breaker struct {
	ceiling time.Duration
	fails   int       // failures in a row
	until   time.Time // paused by failures
	asked   time.Time // paused because the far side asked; a success does not shorten it
	epoch   int       // grows with each counted failure
	since   time.Time // when it began to fail
	cause   string    // of the last pause
}

// pause holds the target for as long as the far side asked.
func (b *breaker) pause(now time.Time, asked time.Duration, cause string) {
	if asked > 0 {
		b.asked, b.cause = later(b.asked, now.Add(asked)), cause
	}
}

// failed records a failure of a job that was sent in epoch; of the jobs that
// were under way together only the first one counts. It tells whether the
// target worked until now.
func (b *breaker) failed(now time.Time, epoch int, hold bool, cause string) (first bool) {
	if epoch != b.epoch {
		return false
	}
	if b.fails == 0 {
		b.since = now
	}
	b.epoch++
	b.fails++
	b.cause = cause
	pause := backoff(b.fails, b.ceiling)
	if hold {
		pause = holdPause(b.ceiling)
	}
	b.until = now.Add(pause)
	return b.fails == 1
}

// forget closes it, whatever was.
func (b *breaker) forget() { *b = breaker{ceiling: b.ceiling, epoch: b.epoch + 1} }

// status is nil while nothing keeps jobs from going.
func (b *breaker) status(now time.Time) *agent.BreakerStatus {
	s := &agent.BreakerStatus{State: "half-open", Failures: b.fails, RetryAt: b.ready(), Cause: b.cause}
	if b.ready().After(now) {
		s.State = "open"
	} else if !b.probing() {
		return nil
	}
	return s
}

// succeeded tells whether the target was failing before.
func (b *breaker) succeeded() (recovered bool) {
	recovered = b.fails > 0
	b.fails, b.until = 0, time.Time{}
	return recovered
}

// ready is when the next job may go.
func (b *breaker) ready() time.Time { return later(b.until, b.asked) }

// probing says that only one job may be under way.
func (b *breaker) probing() bool { return b.fails > 0 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
