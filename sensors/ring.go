package sensors

import (
	"errors"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	firstRetry = 250 * time.Millisecond // before an event the agent could not keep is offered again
	lastRetry  = 5 * time.Second        // the delay doubles up to this
)

// ring holds the unacknowledged events of one connection in order of arrival.
// Their acknowledgements leave in that order, however the outcomes come in.
type ring struct {
	offer agent.Offer
	limit int
	moved func() // the head may be ready, or something failed

	mu        sync.Mutex
	entries   []*entry // oldest first
	failed    int      // entries that wait to be offered again
	topics    map[string]int
	releasing bool          // somebody calls acknowledgements
	wake      chan struct{} // capacity 1: for run
	room      chan struct{} // capacity 1: an entry left
}

// entry is one event whose outcome the source waits for.
type entry struct {
	ring  *ring
	ev    *agent.Event
	ack   func()
	state entryState
}

type entryState uint8

const (
	offered entryState = iota
	kept               // the outcome is durable
	failed             // to be offered again
)

func newRing(offer agent.Offer, limit int) *ring {
	r := &ring{
		offer: offer, limit: limit, topics: map[string]int{},
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	r.moved = func() { signal(r.wake) }
	return r
}

// add takes an event in and offers it; ack is called, in order, once its
// outcome is durable. It returns false, having done nothing, when the ring is
// full. An event waits behind a failed one of its own topic, so that the order
// within a topic holds.
func (r *ring) add(ev *agent.Event, ack func()) bool {
	e := &entry{ring: r, ev: ev, ack: ack}
	r.mu.Lock()
	if len(r.entries) >= r.limit {
		r.mu.Unlock()
		return false
	}
	r.entries = append(r.entries, e)
	held := r.topics[ev.Subject] > 0
	if held {
		r.markFailed(e)
	}
	r.mu.Unlock()
	if !held {
		r.offer(ev, e.done)
	}
	return true
}

// addKept takes in what needs an acknowledgement in its turn, but no outcome.
func (r *ring) addKept(ack func()) bool {
	r.mu.Lock()
	full := len(r.entries) >= r.limit
	if !full {
		r.entries = append(r.entries, &entry{ring: r, ack: ack, state: kept})
	}
	r.mu.Unlock()
	r.moved()
	return !full
}

// done is what the agent calls with the outcome of the event.
func (e *entry) done(err error) {
	r := e.ring
	r.mu.Lock()
	switch {
	case err == nil:
		e.state = kept
	case !errors.Is(err, agent.ErrDeliveredAgain): // else this connection is gone
		r.markFailed(e)
	}
	r.mu.Unlock()
	r.moved()
}

func (r *ring) markFailed(e *entry) {
	e.state = failed
	r.failed++
	r.topics[e.ev.Subject]++
}

// waiting is the number of events in the ring.
func (r *ring) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.entries)
}

// run releases acknowledgements and offers failed events again until stop is closed.
func (r *ring) run(stop <-chan struct{}) {
	delay := firstRetry
	var again <-chan time.Time // nil while nothing failed
	for {
		select {
		case <-stop:
			return
		case <-r.wake:
		case <-again:
			again = nil
			delay = min(2*delay, lastRetry)
			r.retry()
		}
		if r.release() > 0 && again == nil {
			delay = firstRetry
		}
		if again == nil && r.anyFailed() {
			again = time.After(delay)
		}
	}
}

// release acknowledges from the head as far as outcomes are durable. If
// somebody else is doing so, that one goes on.
func (r *ring) release() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.releasing {
		return 0
	}
	r.releasing = true
	for len(r.entries) > 0 && r.entries[0].state == kept {
		e := r.entries[0]
		r.entries[0] = nil
		r.entries = r.entries[1:]
		r.mu.Unlock()
		e.ack()
		signal(r.room)
		r.mu.Lock()
		n++
	}
	r.releasing = false
	return n
}

func (r *ring) anyFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed > 0
}

// oldest is since when the head waits; ok is false if there is none.
func (r *ring) oldest() (since time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) == 0 || r.entries[0].ev == nil {
		return time.Time{}, false
	}
	return r.entries[0].ev.Time, true
}

// retry offers what failed again, in order of arrival.
func (r *ring) retry() {
	r.mu.Lock()
	var again []*entry
	for _, e := range r.entries {
		if e.state == failed {
			e.state = offered
			again = append(again, e)
		}
	}
	r.failed = 0
	clear(r.topics)
	r.mu.Unlock()
	for _, e := range again {
		r.offer(e.ev, e.done)
	}
}

// waitRoom waits until an entry has left, for at most d; it tells whether one has.
func (r *ring) waitRoom(stop <-chan struct{}, d time.Duration) bool {
	select {
	case <-r.room:
		return true
	case <-stop:
		return false
	case <-time.After(d):
		return false
	}
}

// signal wakes whoever waits on c, or will look at it next.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
