package sensors

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	// window is how many events a replayable source may be ahead of the position
	// that is noted: so many slots there are, and so many events come again.
	window    = 64
	noteEvery = window / 2 // events; else after noteDelay
	noteDelay = time.Second
)

// position is how far a source has come that can read again what it has read
// before: a file, or the clock. An event behind the position has its outcome;
// one after it is offered again when the agent starts again, in the same slot
// and with the same hash, so that the agent's marks tell what it has an outcome
// for already.
//
// The note may be written lazily: it has to be durable before anything that is
// kept later, and no sooner. So it costs a few bytes for every 32 events, or a
// second.
//
// It has no goroutine of its own. offer is for one goroutine at a time.
type position struct {
	name  string // of slots and of the note
	notes Notes  // nil: nothing outlives the process
	ring  *timedRing
	begun uint64        // number of the last event behind the position when it was opened
	room  chan struct{} // capacity 1: an event may be offered again

	noting sync.Mutex // held while the note is written

	mu     sync.Mutex
	next   uint64      // number of the next event
	done   place       // the last event that has an outcome, as have all before
	noted  place       // the last that the note tells of
	full   bool        // offer found no room since
	note   *time.Timer // nil unless the note is to be written
	soon   bool        // that timer is not to wait
	fault  error       // why the note could not be read or written; nil: it was
	closed bool
}

// place is an event's number and the mark of the source after it: a text that
// says where to go on, such as an offset.
type place struct {
	N    uint64 `json:"n"`
	Mark string `json:"mark"`
}

// openPosition goes on from what was noted under name, which nothing else of the
// device may use and which may hold slashes.
func openPosition(name string, notes Notes, offer agent.Offer) (*position, error) {
	p := &position{name: name, notes: notes, room: make(chan struct{}, 1)}
	p.ring = newTimedRing(offer, window)
	if notes != nil {
		b, err := notes.Get(positionKey(name))
		if err != nil {
			return nil, fmt.Errorf("read the position of %s: %w", name, err)
		}
		if len(b) > 0 && json.Unmarshal(b, &p.done) != nil {
			p.done, p.fault = place{}, fmt.Errorf("the position of %s cannot be read, so that it begins anew: %.100q", name, b)
		}
	}
	p.noted, p.begun, p.next = p.done, p.done.N, p.done.N+1
	return p, nil
}

// mark is that of the last event which has an outcome, as have all before; ""
// when nothing was ever noted.
func (p *position) mark() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done.Mark
}

// start notes where a source begins that has no mark yet, before it offers
// anything: else a crash would have it begin elsewhere.
func (p *position) start(mark string) error {
	p.mu.Lock()
	p.done.Mark = mark
	p.mu.Unlock()
	return p.write()
}

// offer gives ev its Origin and offers it; mark is where to go on once it has an
// outcome. It returns false, having done nothing, when there is no room: room
// tells when there may be again. The source keeps the order of events itself.
func (p *position) offer(ev *agent.Event, mark string) bool {
	p.mu.Lock()
	if p.next > p.noted.N+window || p.closed {
		p.full = true
		p.toNote()
		p.mu.Unlock()
		return false
	}
	at := place{N: p.next, Mark: mark}
	p.next++
	p.mu.Unlock()
	number := strconv.FormatUint(at.N, 10)
	ev.Origin = agent.Origin{
		Slot: p.name + "/" + strconv.FormatUint(at.N%window, 10),
		Hash: hash(number+" "+ev.Subject, ev.Data), Redelivered: at.N <= p.begun+window,
	}
	p.ring.add(ev, func() { p.kept(at) }) // never full: it has a place for each slot
	return true
}

// wait offers ev as soon as there is room; it returns the error of ctx if that
// ends first.
func (p *position) wait(ctx context.Context, ev *agent.Event, mark string) error {
	for !p.offer(ev, mark) {
		select {
		case <-p.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// waiting is how many events have no outcome yet.
func (p *position) waiting() int { return p.ring.waiting() }

// err is why the position cannot be noted, nil if it can.
func (p *position) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault
}

// close waits a moment for outcomes under way, and notes the position. Nothing
// is offered or noted after it.
func (p *position) close() error {
	deadline := time.NewTimer(drainWait)
	defer deadline.Stop()
	for over := false; !over && p.ring.waiting() > 0; {
		select {
		case <-p.ring.room:
		case <-deadline.C:
			over = true
		}
	}
	p.stop()
	return p.write()
}

// stop has nothing offered again or noted by itself any more.
func (p *position) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.ring.stop()
	if p.note != nil {
		p.note.Stop()
	}
}

// forgetPosition removes the note under name: whoever opens it next begins anew.
func forgetPosition(name string, notes Notes) error { return notes.Put(positionKey(name), nil) }

func positionKey(name string) string { return "position/" + name }

// kept takes the outcome of an event, in order.
func (p *position) kept(at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.done = at
		p.toNote()
	}
}

// toNote has the note written, at once if it is time; p.mu is held. It is not
// written here: whoever tells an outcome must not wait for the disk.
func (p *position) toNote() {
	if p.done == p.noted {
		return
	}
	soon := p.full || p.done.N-p.noted.N >= noteEvery
	delay := noteDelay
	switch {
	case p.fault != nil:
		soon = false // it has just failed
	case soon:
		delay = 0
	}
	if p.note == nil {
		p.note, p.soon = time.AfterFunc(delay, p.noteNow), soon
	} else if soon && !p.soon {
		p.note.Reset(0)
		p.soon = true
	}
}

func (p *position) noteNow() {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	err := p.write()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.note = err, nil
	p.toNote() // there was more, or it failed
	if p.full && err == nil {
		p.full = false
		signal(p.room)
	}
}

// write notes the position.
func (p *position) write() error {
	p.noting.Lock()
	defer p.noting.Unlock()
	p.mu.Lock()
	at := p.done
	same := at == p.noted
	p.mu.Unlock()
	if same {
		return nil
	}
	if p.notes != nil {
		b, err := json.Marshal(at)
		if err != nil {
			return fmt.Errorf("encode the position of %s: %w", p.name, err)
		}
		if err := p.notes.Put(positionKey(p.name), b); err != nil {
			return fmt.Errorf("note the position of %s: %w", p.name, err)
		}
	}
	p.mu.Lock()
	p.noted = at
	p.mu.Unlock()
	return nil
}
