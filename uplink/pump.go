package uplink

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// readPause is how long to wait after the queue could not be read.
const readPause = time.Second

// pump is one Run of an Outbox. Its fields belong to the goroutine of loop;
// reads, sends and commits run beside it and answer over channels that never
// block them.
type pump struct {
	o       *Outbox
	window  *window
	breaker breaker
	ledger  ledger
	beside  sync.WaitGroup

	after     uint64 // read up to here
	read      *read  // under way, nil if none
	reads     chan *read
	readAt    time.Time // not before, after a failed read
	readFails int       // in a row
	furthest  uint64    // newest record ever read
	news      int       // records newer than any before, since keys were last recalled

	flying  int
	jobs    int // ids given
	results chan *job
	commits chan *settlement
}

// read is one call of Queue.Next.
type read struct {
	after  uint64
	since  time.Time
	cancel context.CancelFunc
	recs   []agent.Record
	err    error
	gone   map[uint64]bool // committed while the call was under way
}

// job is one call of Send.
type job struct {
	items []*item
	epoch int // of the breaker, when it was sent
	errs  []error
}

func newPump(o *Outbox) *pump {
	return &pump{
		o:       o,
		window:  newWindow(min(max(4*o.opts.InFlight*o.opts.Batch, 64), 1024), o.opts.MaxHeld),
		breaker: breaker{ceiling: o.opts.MaxBackoff},
		reads:   make(chan *read, 1),
		results: make(chan *job, o.opts.InFlight),
		commits: make(chan *settlement, 1),
	}
}

// loop ends with ctx.
func (p *pump) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		p.window.makeRoom()
		p.recall(now)
		p.dispatch(ctx, now)
		p.startRead(ctx, now)
		p.startCommit(ctx, now)
		if wake := p.wake(now); wake.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(wake.Sub(now))
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case r := <-p.reads:
			p.took(r)
		case j := <-p.results:
			p.settle(ctx, j)
		case s := <-p.commits:
			p.committed(s)
		}
		p.gather(ctx)
	}
}

// gather takes the results that are there already, so that one frame holds
// what finished together.
func (p *pump) gather(ctx context.Context) {
	for {
		select {
		case j := <-p.results:
			p.settle(ctx, j)
		default:
			return
		}
	}
}

// wake is when the loop has something to do though nothing happens, zero for never.
func (p *pump) wake(now time.Time) time.Time {
	due := p.window.nextDue(now)
	if away := p.window.away.nextDue(); !away.IsZero() && p.read != nil {
		if end := p.read.since.Add(quiet); end.After(away) {
			away = end
		}
		due = sooner(due, future(away, now))
	}
	if ready := p.breaker.ready(); ready.After(now) {
		due = ready
	}
	return sooner(sooner(due, future(p.readAt, now)), sooner(future(p.ledger.done.retryAt, now), future(p.ledger.dead.retryAt, now)))
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

// dispatch sends what may go now.
func (p *pump) dispatch(ctx context.Context, now time.Time) {
	for !p.breaker.ready().After(now) {
		width := p.o.opts.InFlight
		if p.breaker.probing() {
			width = 1
		}
		if p.flying >= width {
			return
		}
		j := p.nextJob(now)
		if len(j.items) == 0 {
			return
		}
		p.flying++
		p.beside.Go(func() {
			j.errs = p.o.send(ctx, j.records())
			p.results <- j
		})
	}
}

// nextJob picks up to a batch of items; a probe is a single one.
func (p *pump) nextJob(now time.Time) *job {
	p.jobs++
	j := &job{epoch: p.breaker.epoch}
	size := p.o.opts.Batch
	if p.breaker.probing() {
		size = 1
	}
	for len(j.items) < size {
		it := p.window.pick(now, p.jobs, p.breaker.probing())
		if it == nil {
			break
		}
		if expires := it.rec.Expires; !expires.IsZero() && !expires.After(now) {
			it.landed()
			p.ledger.expired(it)
			continue
		}
		j.items = append(j.items, it)
	}
	return j
}

func (j *job) records() []agent.Record {
	recs := make([]agent.Record, len(j.items))
	for i, it := range j.items {
		recs[i] = it.rec
	}
	return recs
}

// startRead asks the queue for more, when there is room.
func (p *pump) startRead(ctx context.Context, now time.Time) {
	room := p.window.room()
	if p.read != nil || room == 0 || p.readAt.After(now) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &read{after: p.after, since: now, cancel: cancel, gone: map[uint64]bool{}}
	p.read = r
	p.beside.Go(func() {
		r.recs, r.err = p.o.queue.Next(ctx, r.after, room)
		cancel()
		p.reads <- r
	})
}

// took takes in what was read. A queue that answers with nothing is asked
// again after a pause.
func (p *pump) took(r *read) {
	p.read = nil
	rewound := p.after != r.after
	switch {
	case rewound: // what it found will be read again
		return
	case r.err != nil:
		if p.readFails++; p.readFails == 1 {
			p.o.opts.Log.Error("queue cannot be read", "error", r.err)
		}
		p.readAt = time.Now().Add(readPause)
		return
	case len(r.recs) == 0:
		p.readAt = time.Now().Add(readPause)
	}
	p.readFails = 0
	for _, rec := range r.recs {
		p.after = max(p.after, rec.Seq)
		if rec.Seq > p.furthest {
			p.furthest = rec.Seq
			p.news++
		}
		if !r.gone[rec.Seq] {
			p.window.add(rec)
		}
	}
	p.window.away.passed(p.after)
}

// quiet is how long a read must have waited before the queue counts as read to
// its end.
const quiet = 100 * time.Millisecond

// recall reads keys again that were left on the disk and are due. Newer records
// get a turn in between, or keys that fail again and again would be all that is
// ever read.
func (p *pump) recall(now time.Time) {
	waited := p.read != nil && now.Sub(p.read.since) >= quiet
	if p.window.room() == 0 || !waited && p.news < p.window.limit/2 {
		return
	}
	if seq := p.window.away.recall(now); seq > 0 {
		p.news = 0
		p.rewind(seq)
	}
}

// rewind reads again from seq on, since a key whose records were left on disk
// has become free.
func (p *pump) rewind(seq uint64) {
	if seq == 0 || seq > p.after {
		return
	}
	p.after = seq - 1
	if p.read != nil {
		p.read.cancel()
	}
}

// settle takes the outcome of a job.
func (p *pump) settle(ctx context.Context, j *job) {
	p.flying--
	now := time.Now()
	var worst *Error
	alive := false
	for i, it := range j.items {
		it.landed()
		err := j.err(i)
		if err != nil && ctx.Err() != nil {
			p.window.putBack(it) // cut off by the end of Run, nobody's fault
			continue
		}
		e := p.outcome(it, err, now)
		if e == nil {
			alive = true
		} else if notReady(err) {
			it.notBefore = sooner(it.notBefore, now.Add(notReadyPause))
		} else if worst == nil || e.Class > worst.Class || e.RetryAfter > worst.RetryAfter {
			worst = e
		}
	}
	p.judge(now, j.epoch, alive, worst)
}

// notReadyPause is the longest pause of a record that is not ready to be sent.
const notReadyPause = 10 * time.Second

// notReady tells that a record has to wait though its target is well. Errors say
// so with a method NotReady.
func notReady(err error) bool {
	var n interface{ NotReady() bool }
	return errors.As(err, &n) && n.NotReady()
}

// err is the answer for the ith record; a Batch that answers with too few
// errors has not said that the far side has the others.
func (j *job) err(i int) error {
	if i < len(j.errs) {
		return j.errs[i]
	}
	return errShort
}

var errShort = &Error{Class: Retry, Reason: "the batch target gave no answer for this record"}

// outcome settles one item, or makes it wait again; it returns the error of
// one that waits.
func (p *pump) outcome(it *item, err error, now time.Time) *Error {
	if err == nil {
		p.ledger.settled(it, Delivered, "")
		return nil
	}
	e := asError(err)
	switch e.Class {
	case Delivered, FnError, Permanent:
		p.ledger.settled(it, e.Class, e.Reason)
		return nil
	}
	it.tries++
	it.notBefore = now.Add(max(backoff(it.tries, p.o.opts.MaxBackoff), e.RetryAfter))
	p.window.putBack(it)
	p.o.update(func(c *counts, _ *note) { c.Retries++ })
	return e
}

// judge tells the breaker how a job went. Any record that the far side dealt
// with shows that the target is alive.
func (p *pump) judge(now time.Time, epoch int, alive bool, worst *Error) {
	log := p.o.opts.Log
	if alive && p.breaker.succeeded() {
		log.Info("target works again")
	}
	if worst == nil {
		if alive {
			p.o.update(func(_ *counts, n *note) { n.sendErr, n.retryAt = "", time.Time{} })
		}
		return
	}
	p.breaker.pause(now, worst.RetryAfter)
	if !alive && p.breaker.failed(now, epoch, worst.Class == Hold) {
		log.Warn("target fails", "class", worst.Class.String(), "error", worst.Reason)
	}
	p.o.update(func(_ *counts, n *note) { n.sendErr, n.retryAt = worst.Reason, p.breaker.ready() })
}
