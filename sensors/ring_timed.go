package sensors

import (
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// timedRing is a ring that nobody runs: outcomes release what may leave, and a
// timer offers again what failed.
type timedRing struct {
	*ring

	mu      sync.Mutex
	delay   time.Duration // before what failed is offered again
	again   *time.Timer   // nil unless something failed
	stopped bool
}

func newTimedRing(offer agent.Offer, limit int) *timedRing {
	t := &timedRing{ring: newRing(offer, limit), delay: firstRetry}
	t.ring.moved = t.outcome
	return t
}

// outcome releases what may go, and has what failed offered again.
func (t *timedRing) outcome() {
	released := t.release()
	if released == 0 && !t.anyFailed() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if released > 0 && t.again == nil {
		t.delay = firstRetry
	}
	if t.again == nil && !t.stopped && t.anyFailed() {
		t.again = time.AfterFunc(t.delay, t.offerAgain)
	}
}

func (t *timedRing) offerAgain() {
	t.mu.Lock()
	t.again, t.delay = nil, min(2*t.delay, lastRetry)
	stopped := t.stopped
	t.mu.Unlock()
	if !stopped {
		t.retry()
		t.outcome()
	}
}

// stop has nothing offered again any more.
func (t *timedRing) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.again != nil {
		t.again.Stop()
	}
}
