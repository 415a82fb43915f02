package agent

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// task is one event for one trigger, until its outcome is durable.
type task struct {
	ev       *Event // nil: only on disk, read by seq when its turn comes
	trigger  *compiled
	key      string // tasks of one key run in order
	known    string // what the event says of itself, see Dedupe; "": nothing
	order    int64  // of arrival
	attempts int    // failed runs so far
	due      time.Time
	offered  time.Time
	arrived  time.Time                      // by the Agent's now, if the trigger gathers; zero: not in this run of the agent
	gather   *gathering                     // of a task that closes what was put aside; nil: it has an event
	at       int64                          // when it fell due, by the clock of gather
	answer   func(result []byte, err error) // see Event.Answer; nil: nobody asks
	pend     *pending                       // who waits for the outcome; nil once it is durable
	ready    bool                           // it is past the stages before the function, see Record.Ready

	// guarded by the worker's mu
	seq      uint64        // inbox record; 0: none
	size     int64         // of that record, bytes
	spilling chan struct{} // closed when the inbox write under way is over
	leaving  bool          // its outcome is about to be committed: too late to spill
}

// byArrival orders tasks for slices.SortFunc.
func byArrival(a, b *task) int { return cmp.Compare(a.order, b.order) }

// durability says how the outcome is kept.
func (t *task) durability() Durability {
	switch d := t.trigger.Durability; {
	case d != DurabilityDefault:
		return d
	case t.volatile():
		return DurabilityNone
	}
	return DurabilitySync
}

// lazySync is how late the outcome of DurabilityNone may reach the disk.
const lazySync = 100 * time.Millisecond

// within is how late the outcome of the task may reach the disk at that level.
func (t *task) within(level Durability) time.Duration {
	switch level {
	case DurabilityInterval:
		return t.trigger.Within
	case DurabilityNone:
		return lazySync
	}
	return 0
}

// volatile tells that nobody would miss the task: it may be dropped when there
// is no room. The worker's lock is held.
func (t *task) volatile() bool { return t.pend == nil && t.seq == 0 && t.gather == nil }

// pending is an event whose source waits until every trigger it started has a
// durable outcome.
type pending struct {
	ev        *Event
	remaining int // tasks without one
	waiters   []func(error)
}

// ledger holds the pending events, so that one delivered again while it is
// still being worked on is recognised.
type ledger struct {
	came chan struct{} // something is pending again

	mu     sync.Mutex
	bySlot map[string]*pending // by Origin.Slot
	open   int                 // pending events, those without a Slot as well
}

func newLedger() *ledger {
	return &ledger{came: make(chan struct{}, 1), bySlot: map[string]*pending{}}
}

// add enters p before its tasks are dispatched.
func (l *ledger) add(p *pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.ev.Origin.Slot != "" {
		l.bySlot[p.ev.Origin.Slot] = p
	}
	if l.open++; l.open == 1 {
		select {
		case l.came <- struct{}{}:
		default:
		}
	}
}

// isEmpty tells that no source waits for anything.
func (l *ledger) isEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open == 0
}

// maxWaiters is how many deliveries of one event may wait for its outcome. The
// older ones belong to connections that are gone.
const maxWaiters = 4

// attach lets done wait for the same event if it is under way already.
func (l *ledger) attach(ev *Event, done func(error)) bool {
	l.mu.Lock()
	p := l.bySlot[ev.Origin.Slot]
	if p == nil || p.ev.Origin.Hash != ev.Origin.Hash {
		l.mu.Unlock()
		return false
	}
	p.waiters = append(p.waiters, done)
	var oldest func(error)
	if len(p.waiters) > maxWaiters {
		oldest = p.waiters[0]
		p.waiters = slices.Delete(p.waiters, 0, 1)
	}
	l.mu.Unlock()
	if oldest != nil {
		oldest(ErrDeliveredAgain)
	}
	return true
}

// finish notes that one more task of p is durable, and tells the waiters when
// it was the last.
func (l *ledger) finish(p *pending) {
	if p == nil {
		return
	}
	l.mu.Lock()
	p.remaining--
	var waiters []func(error)
	if p.remaining == 0 {
		l.open--
		waiters, p.waiters = p.waiters, nil
		if l.bySlot[p.ev.Origin.Slot] == p {
			delete(l.bySlot, p.ev.Origin.Slot)
		}
	}
	l.mu.Unlock()
	for _, done := range waiters {
		done(nil)
	}
}
