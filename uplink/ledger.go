package uplink

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxCommitPause = 5 * time.Second
	finishWithin   = 3 * time.Second
)

// ledger is what is settled and not yet committed. Its items stay in the
// window until then, which bounds it.
type ledger struct {
	done     []*item // delivered or expired
	dead     []*item
	writing  *settlement // under way, nil if none
	failures int         // of commits, in a row
	retryAt  time.Time   // no commit before, after a failed one
}

// settlement is one round of commits, and how it went.
type settlement struct {
	done, dead []*item
	ended      []*item // the part that was committed
	err        error
}

func (l *ledger) settled(it *item, class Class, reason string) {
	it.outcome, it.reason = class, reason
	if class == Permanent {
		l.dead = append(l.dead, it)
		return
	}
	l.done = append(l.done, it)
}

// expired is an outcome of its own: nobody has the record, and nobody will.
const expired = Permanent + 1

func (l *ledger) expired(it *item) { l.settled(it, expired, "") }

// startCommit writes what is settled, in the background.
func (p *pump) startCommit(ctx context.Context, now time.Time) {
	l := &p.ledger
	if l.writing != nil || len(l.done)+len(l.dead) == 0 || l.retryAt.After(now) {
		return
	}
	s := &settlement{done: l.done, dead: l.dead}
	l.writing, l.done, l.dead = s, nil, nil
	p.beside.Go(func() {
		s.write(ctx, p.o)
		p.commits <- s
	})
}

// write commits all deliveries as one lazy frame (a crash sends those of the
// last 100 ms again, with the same ids) and each dead letter as a synced frame
// of its own, so that one that is refused holds up no other.
func (s *settlement) write(ctx context.Context, o *Outbox) {
	if len(s.done) > 0 {
		f := &agent.Frame{Lazy: true}
		for _, it := range s.done {
			f.Done = append(f.Done, it.rec.Seq)
		}
		s.commit(ctx, o, f, s.done)
	}
	for i, it := range s.dead {
		f := &agent.Frame{Done: []uint64{it.rec.Seq}, Add: []agent.Record{deadLetter(it)}}
		s.commit(ctx, o, f, s.dead[i:i+1])
	}
}

func (s *settlement) commit(ctx context.Context, o *Outbox, f *agent.Frame, items []*item) {
	if err := o.commit.Commit(ctx, f); err != nil {
		s.err = fmt.Errorf("record what left queue %s: %w", items[0].rec.Queue, err)
		return
	}
	s.ended = append(s.ended, items...)
}

func deadLetter(it *item) agent.Record {
	rec := it.rec
	rec.Seq = 0
	rec.Origin = rec.Queue
	rec.Queue = agent.QueueDead
	rec.Kind = agent.KindDead
	rec.Reason = it.reason
	rec.Attempts += it.tries + 1
	rec.Expires = time.Time{}
	rec.NotBefore = time.Time{}
	return rec
}

// committed takes the result of a round; what could not be committed is tried
// again after a pause.
func (p *pump) committed(s *settlement) {
	p.ledger.writing = nil
	p.forget(s.ended)
	p.ledger.keep(s)
	p.countEnded(s.ended)
	if s.err == nil {
		p.ledger.failures, p.ledger.retryAt = 0, time.Time{}
		p.o.update(func(_ *counts, n *note) { n.commitErr = "" })
		return
	}
	if p.ledger.failures++; p.ledger.failures == 1 {
		p.o.opts.Log.Error("deliveries cannot be recorded", "error", s.err)
	}
	p.ledger.retryAt = time.Now().Add(backoff(p.ledger.failures, maxCommitPause))
	p.o.update(func(_ *counts, n *note) { n.commitErr = s.err.Error() })
}

// keep takes back what a round could not commit.
func (l *ledger) keep(s *settlement) {
	ended := make(map[*item]bool, len(s.ended))
	for _, it := range s.ended {
		ended[it] = true
	}
	for _, it := range append(s.done, s.dead...) {
		if !ended[it] {
			l.settled(it, it.outcome, it.reason)
		}
	}
}

// forget drops committed items from memory.
func (p *pump) forget(items []*item) {
	if p.read != nil {
		for _, it := range items {
			if it.rec.Seq > p.read.after {
				p.read.gone[it.rec.Seq] = true
			}
		}
	}
	p.rewind(p.window.drop(items))
}

func (p *pump) countEnded(items []*item) {
	expiredNow := 0
	p.o.update(func(c *counts, _ *note) {
		for _, it := range items {
			switch it.outcome {
			case FnError:
				c.FnErrors++
				c.Delivered++
			case Permanent:
				c.Dead++
			case expired:
				c.Expired++
				expiredNow++
			default:
				c.Delivered++
			}
		}
	})
	if expiredNow > 0 {
		p.o.opts.Log.Warn("records expired before they were delivered", "records", expiredNow)
	}
	for _, it := range items {
		if it.outcome == Permanent {
			p.o.opts.Log.Warn("record dead-lettered", "id", it.rec.Event.ID, "reason", it.reason)
		}
	}
}

// finish waits for what runs beside and commits what was delivered, though ctx
// has ended.
func (p *pump) finish(ctx context.Context) {
	p.beside.Wait()
	p.gather(ctx)
	select {
	case s := <-p.commits:
		p.committed(s)
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	s := &settlement{done: p.ledger.done, dead: p.ledger.dead}
	p.ledger.done, p.ledger.dead = nil, nil
	s.write(ctx, p.o)
	p.committed(s)
}
