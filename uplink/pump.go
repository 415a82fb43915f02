package uplink

import (
	"context"
	"sync"
	"time"
)

// pump is one Run of an Outbox. Its fields are guarded by the outbox's lock.
// The loop decides what is read, committed and begun to be sent; a sender that
// has an answer settles it and takes the next job itself, without the loop.
type pump struct {
	o       *Outbox
	memory  share    // what records may take
	levels  []*level // in the order in which they go
	breaker breaker
	ledger  ledger
	beside  sync.WaitGroup // reads, senders and commits
	kicked  chan struct{}  // the loop has something to do
	sweepAt time.Time      // not before: see sweep

	read      *read     // under way, nil if none
	readAt    time.Time // not before, after a failed read
	readFails int       // in a row

	flying int // jobs
	jobs   int // ids given
}

func newPump(o *Outbox) *pump {
	p := &pump{
		o:       o,
		memory:  share{min(max(4*o.opts.InFlight*o.opts.Batch, 64), 1024), o.opts.MaxHeld},
		breaker: breaker{ceiling: o.opts.MaxBackoff},
		kicked:  make(chan struct{}, 1),
	}
	p.ledger.done.enough = p.memory.items / 8
	for at, name := range o.queues.Names() {
		p.levels = append(p.levels, &level{window: newWindow(), at: at, priority: priorityOf(name)})
	}
	return p
}

// loop ends with ctx.
func (p *pump) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if pause := p.step(ctx); pause > 0 {
			timer.Reset(pause)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.kicked:
		}
	}
}

// kick has the loop look again.
func (p *pump) kick() {
	select {
	case p.kicked <- struct{}{}:
	default: // it will
	}
}

// step does what is to be done, and tells when there is more though nothing
// happens: 0 for never.
func (p *pump) step(ctx context.Context) (pause time.Duration) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	now := time.Now()
	p.tend(now)
	for j := p.nextJob(now); j != nil; j = p.nextJob(now) {
		p.beside.Go(func() { p.sender(ctx, j) })
	}
	p.startRead(ctx, now)
	p.startCommit(ctx, now)
	if wake := p.wake(now); !wake.IsZero() {
		return max(wake.Sub(now), 1)
	}
	return 0
}

// sender sends one job after the other, until there is none.
func (p *pump) sender(ctx context.Context, j *job) {
	for j != nil {
		if p.o.opts.Sent != nil {
			j.start = time.Now()
		}
		j.errs = p.o.send(ctx, j.records())
		j = p.swap(ctx, j)
	}
}

// swap takes in how a job went and gives the next one, nil for none.
func (p *pump) swap(ctx context.Context, j *job) (next *job) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	now := time.Now()
	went := p.settle(ctx, j, now)
	if ctx.Err() == nil {
		next = p.nextJob(now)
	}
	if next == nil || !went || p.ledger.presses() {
		p.kick()
	}
	return next
}

// tend decides what is in memory.
func (p *pump) tend(now time.Time) {
	allot(p.levels, p.memory)
	for _, l := range p.levels {
		l.rewind(l.makeRoom(now))
		if p.breaker.ready().After(now) {
			continue // nothing could be sent
		}
		l.recall(now, p.read != nil && p.read.covers(l) && now.Sub(p.read.since) >= quiet, p.o.opts.Link)
	}
	if !p.sweepAt.After(now) {
		p.sweep(now)
	}
}

// sweepPause is how long a record may go on holding back its key though it has
// left the queue.
const sweepPause = 5 * time.Second

// sweep forgets items that failed and are not in their queue any more.
func (p *pump) sweep(now time.Time) {
	p.sweepAt = now.Add(sweepPause)
	for _, l := range p.levels {
		gone := l.waitingOf(func(it *item) bool { return it.tries > 0 && !p.o.queues.Has(it.rec.Seq) })
		l.rewind(l.withdraw(gone))
	}
}

// wake is when the loop has something to do though nothing happens, zero for never.
func (p *pump) wake(now time.Time) time.Time {
	var due time.Time
	for _, l := range p.levels {
		if len(l.items) > 0 {
			due = sooner(due, l.nextDue(now))
		}
		due = sooner(due, l.holds.nextDue(now))
		if away := l.away.nextDue(); !away.IsZero() && p.read != nil {
			due = sooner(due, future(later(away, p.read.since.Add(quiet)), now))
		}
	}
	if !due.IsZero() {
		due = sooner(due, future(p.sweepAt, now))
	}
	if ready := p.breaker.ready(); ready.After(now) {
		due = ready
	}
	due = sooner(due, future(p.readAt, now))
	return sooner(due, sooner(future(p.ledger.done.wait(), now), future(p.ledger.dead.wait(), now)))
}

func future(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}

// sooner ignores zero times.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
