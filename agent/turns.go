package agent

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turns lets no more functions run at the same time than there are processors,
// so that when all are busy the one that matters most runs next. As long as a
// turn is free it costs a few nanoseconds to take it.
//
// A waiter of a higher priority goes before one of a lower one, unless that came
// ageing turns earlier for each step between them: so nobody waits for ever. A
// run that keeps others waiting for longTurn loses its turn, and one that
// waits for the network at once: from then on it shares the processors with the
// others like anything else, and holds nobody up.
type turns struct {
	slots   []atomic.Pointer[claim] // who has each of them; nil: nobody
	waiters atomic.Int64            // in line, or about to be

	mu    sync.Mutex
	line  []*claim    // who waits
	last  int64       // number of the last that came
	since []time.Time // each slot has changed hands, or somebody waits
}

const (
	topPriority = 9
	ageing      = 16
	longTurn    = 10 * time.Millisecond
)

// claim is a worker's part in it.
type claim struct {
	priority uint8
	slot     int   // that it has
	place    int64 // in line: the lowest goes first
	granted  chan struct{}
	timer    *time.Timer
}

func newTurns(n int) *turns {
	return &turns{slots: make([]atomic.Pointer[claim], n), since: make([]time.Time, n)}
}

func newClaim(f *Function) *claim {
	return &claim{priority: min(f.Priority, topPriority), granted: make(chan struct{}, 1)}
}

// take waits for a turn for t, which has none.
func (ts *turns) take(t *claim) {
	if ts.waiters.Load() == 0 && ts.occupy(t) {
		return
	}
	ts.wait(t)
}

// occupy takes a free slot, if there is one.
func (ts *turns) occupy(t *claim) bool {
	for i := range ts.slots {
		t.slot = i
		if ts.slots[i].Load() == nil && ts.slots[i].CompareAndSwap(nil, t) {
			return true
		}
	}
	return false
}

// give ends the turn of t, if it still has it.
func (ts *turns) give(t *claim) {
	slot := &ts.slots[t.slot]
	if slot.Load() != t {
		return // it lasted too long
	}
	if ts.waiters.Load() > 0 {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		ts.pass(t, t.slot)
		return
	}
	if slot.CompareAndSwap(t, nil) && ts.waiters.Load() > 0 { // somebody came meanwhile, and may have found no slot
		ts.mu.Lock()
		defer ts.mu.Unlock()
		ts.pass(nil, t.slot)
	}
}

// pass hands the slot that has is in to the first in line. The lock is held.
func (ts *turns) pass(has *claim, slot int) {
	best := -1
	for i, t := range ts.line {
		if best < 0 || t.place < ts.line[best].place {
			best = i
		}
	}
	if best < 0 {
		ts.slots[slot].CompareAndSwap(has, nil)
		return
	}
	next := ts.line[best]
	next.slot = slot
	if !ts.slots[slot].CompareAndSwap(has, next) {
		return // it was taken by somebody else, who will pass it on
	}
	ts.since[slot] = time.Now()
	ts.line = slices.Delete(ts.line, best, best+1)
	ts.waiters.Add(-1)
	next.granted <- struct{}{}
}

// wait stands in line for a turn.
func (ts *turns) wait(t *claim) {
	ts.mu.Lock()
	ts.waiters.Add(1)
	ts.last++
	t.place = ts.last + ageing*int64(topPriority-t.priority)
	if ts.line = append(ts.line, t); len(ts.line) == 1 {
		for i := range ts.since {
			ts.since[i] = time.Now()
		}
	}
	for i := range ts.slots { // one may have come free before we were in line
		if ts.slots[i].Load() == nil {
			ts.pass(nil, i)
		}
	}
	ts.mu.Unlock()
	if t.timer == nil {
		t.timer = time.NewTimer(longTurn)
	} else {
		t.timer.Reset(longTurn)
	}
	defer t.timer.Stop()
	for {
		select {
		case <-t.granted:
			return
		case <-t.timer.C:
			ts.relieve()
			t.timer.Reset(longTurn)
		}
	}
}

// relieve takes the turns that have lasted too long and gives them to the first
// in line.
func (ts *turns) relieve() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for i := range ts.slots {
		if has := ts.slots[i].Load(); len(ts.line) > 0 && time.Since(ts.since[i]) >= longTurn {
			ts.pass(has, i)
		}
	}
}

// away gives the turn of a run to others when it waits for the network. It does
// not wait for another afterwards: its time is short enough.
type away struct {
	Fetcher
	turns *turns
	claim *claim
}

func (f away) Fetch(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	f.turns.give(f.claim)
	return f.Fetcher.Fetch(ctx, r)
}
