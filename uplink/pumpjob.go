package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// job is one call of Send.
type job struct {
	items []*item
	bytes int
	epoch int // of the breaker, when it was sent
	errs  []error
	start time.Time // of sending, if somebody asks for that
}

// nextJob is what may be sent now: up to a batch of items of one level, or a
// single one as a probe; nil for nothing.
func (p *pump) nextJob(now time.Time) *job {
	width, size := p.o.opts.InFlight, p.o.opts.Batch
	if p.breaker.probing() {
		width, size = 1, 1
	}
	if p.o.note.paused || p.breaker.ready().After(now) || p.flying >= width {
		return nil
	}
	p.jobs++
	j := &job{epoch: p.breaker.epoch}
	var it *item
	for len(j.items) < size {
		if it != nil && len(j.items) > 0 {
			it = it.level.next(now, p.jobs, false)
		} else {
			it = p.choose(now)
		}
		if it == nil || len(j.items) > 0 && j.bytes+len(it.rec.Event.Data) > p.o.opts.BatchBytes {
			break
		}
		it.take(p.jobs)
		if p.mayGo(it, now) {
			j.items = append(j.items, it)
			j.bytes += len(it.rec.Event.Data)
		}
	}
	if len(j.items) == 0 {
		return nil
	}
	p.passTurn(j.items[0].level)
	p.flying++
	return j
}

// choose is the item that should go next, nil for none: the highest priority
// first. A level that its link holds holds those below it, too.
func (p *pump) choose(now time.Time) (best *item) {
	probe := p.breaker.probing()
	var held hold
	for _, l := range p.levels {
		if held.until.After(now) && !l.holds.all(now) {
			l.holds[""] = held // what is to be dropped rather than to wait still is
		}
		if len(l.items) > 0 {
			if it := l.next(now, p.jobs, probe); it != nil && (best == nil || it.tries < best.tries) {
				best = it
			}
		}
		if best != nil && (!probe || best.tries == 0) {
			break
		}
		if l.holds.all(now) {
			held = l.holds[""]
		} else if best == nil && !probe && p.unread(l) {
			return nil // in a moment
		}
	}
	return best
}

// unread tells that all of a level that is in memory is on its way, and more of
// it is on the disk: what is less important must not go before that.
func (p *pump) unread(l *level) bool {
	return l.busy.items == len(l.items) && len(l.skips)+len(l.away.keys)+len(l.away.functions) == 0 &&
		p.o.queues.Len(l.at) > len(l.items)
}

// passTurn puts a level behind the other one of its priority.
func (p *pump) passTurn(l *level) {
	for i := range p.levels[1:] {
		if next := p.levels[i+1]; p.levels[i] == l && next.priority == l.priority {
			p.levels[i], p.levels[i+1] = next, l
			return
		}
	}
}

// mayGo tells whether an item that was taken is to be sent. One that is not is
// gone, settled, or waits again.
func (p *pump) mayGo(it *item, now time.Time) bool {
	switch expires := it.rec.Expires; {
	case !p.o.queues.Has(it.rec.Seq): // replaced, evicted or dropped since it was read
		it.landed()
		it.level.rewind(it.level.drop([]*item{it}))
		return false
	case !expires.IsZero() && p.o.opts.Past(expires):
		it.landed()
		p.ledger.settled(it, expired, "")
		return false
	}
	return p.admit(it, now)
}

func (j *job) records() []agent.Record {
	recs := make([]agent.Record, len(j.items))
	for i, it := range j.items {
		recs[i] = it.rec
	}
	return recs
}

// settle takes the outcome of a job, and tells whether it went well altogether.
func (p *pump) settle(ctx context.Context, j *job, now time.Time) (went bool) {
	p.flying--
	var worst *Error
	alive := false
	went = true
	for i, it := range j.items {
		it.landed()
		err := j.err(i)
		p.spent(it, err)
		if err != nil && ctx.Err() != nil {
			it.level.putBack(it) // cut off by the end of Run, nobody's fault
			continue
		}
		e := p.outcome(it, err, now)
		if p.o.opts.Sent != nil && it.settled {
			p.o.opts.Sent(Delivery{&it.rec, j.start, now, it.tries, it.reason})
		}
		went = went && e == nil
		if e == nil {
			alive = true
		} else if notReady(err) {
			it.notBefore = sooner(it.notBefore, now.Add(notReadyPause))
		} else if worst == nil || e.Class > worst.Class || e.RetryAfter > worst.RetryAfter {
			worst = e
		}
	}
	p.judge(now, j.epoch, alive, worst)
	return went
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
	it.reason = e.Reason
	if !e.Away { // else the record is not to blame, and the breaker's pause is enough
		it.tries++
		it.notBefore = now.Add(max(backoff(it.tries, p.o.opts.MaxBackoff), e.RetryAfter))
	}
	it.level.putBack(it)
	p.o.counts.Retries++
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
			p.o.note.sendErr = ""
		}
		return
	}
	p.breaker.pause(now, worst.RetryAfter, worst.Reason)
	if !alive && p.breaker.failed(now, epoch, worst.Class == Hold, worst.Reason) {
		log.Warn("target fails", "class", worst.Class.String(), "error", worst.Reason)
	}
	p.o.note.sendErr = worst.Reason
}
