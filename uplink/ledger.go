package uplink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	done    pile        // delivered, expired or over budget
	dead    pile        // to be dead-lettered
	writing *settlement // under way, nil if none
	seen    bool        // the loop knows that there is something in done
}

// pile is one half of it. Each has its own pause after a failed commit: a
// dead-letter box that is full holds up no delivery.
type pile struct {
	items    []*item
	enough   int       // that many items are committed at once
	due      time.Time // when fewer of them are
	failures int       // of commits, in a row
	err      error     // of the last commit
	retryAt  time.Time // no commit before
}

// commitPause is within what time deliveries are committed together. A commit is
// lazy anyway.
const commitPause = 10 * time.Millisecond

// add takes in an item that is to be committed within a pause.
func (p *pile) add(it *item, pause time.Duration) {
	if len(p.items) == 0 {
		p.due = time.Now().Add(pause)
	}
	p.items = append(p.items, it)
}

// wait is until when nothing is to be committed.
func (p *pile) wait() time.Time {
	if len(p.items) > 0 && len(p.items) < p.enough {
		return later(p.retryAt, p.due)
	}
	return p.retryAt
}

// take gives what may be committed now.
func (p *pile) take(now time.Time) []*item {
	if p.wait().After(now) {
		return nil
	}
	items := p.items
	p.items = nil
	return items
}

// ended takes the result of a commit; it tells whether this is the first
// failure after a success.
func (p *pile) ended(err error) (first bool) {
	p.err = err
	if err == nil {
		p.failures, p.retryAt = 0, time.Time{}
		return false
	}
	p.failures++
	p.retryAt = time.Now().Add(backoff(p.failures, maxCommitPause))
	return p.failures == 1
}

// settlement is one round of commits, and how it went.
type settlement struct {
	done, dead       []*item
	ended            []*item // the part that was committed
	doneErr, deadErr error
}

// presses tells that there is something for the loop to do: to commit, or to
// wait until then.
func (l *ledger) presses() bool {
	n := len(l.done.items)
	return l.writing == nil && (n > 0 && !l.seen || n >= l.done.enough || len(l.dead.items) > 0)
}

func (l *ledger) settled(it *item, class Class, reason string) {
	if class == Permanent && it.rec.Kind == agent.KindTelemetry {
		class = thrownAway // nobody would mend it, and it would push out letters that somebody would
	}
	it.settled, it.outcome, it.reason = true, class, reason
	if class == Permanent {
		l.dead.add(it, 0)
	} else {
		l.done.add(it, commitPause)
	}
}

// Outcomes of their own: nobody has the record, and nobody will.
const (
	expired = Permanent + 1 + iota
	overBudget
	thrownAway
)

// startCommit writes what is settled, in the background.
func (p *pump) startCommit(ctx context.Context, now time.Time) {
	l := &p.ledger
	if l.writing != nil {
		return
	}
	s := &settlement{done: l.done.take(now), dead: l.dead.take(now)}
	l.seen = len(l.done.items) > 0
	if len(s.done)+len(s.dead) == 0 {
		return
	}
	l.writing = s
	ctx = context.WithoutCancel(ctx) // finish would only have to commit it then
	p.beside.Go(func() {
		s.write(ctx, p.o)
		p.o.mu.Lock()
		defer p.o.mu.Unlock()
		p.committed(s)
		p.kick()
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
		s.doneErr = s.commit(ctx, o, f, s.done)
	}
	for i, it := range s.dead {
		f := &agent.Frame{Done: []uint64{it.rec.Seq}, Add: []agent.Record{deadLetter(it)}}
		if err := s.commit(ctx, o, f, s.dead[i:i+1]); err != nil {
			s.deadErr = err
		}
	}
}

func (s *settlement) commit(ctx context.Context, o *Outbox, f *agent.Frame, items []*item) error {
	if err := o.commit.Commit(ctx, f); err != nil {
		return fmt.Errorf("record what left queue %s: %w", items[0].rec.Queue, err)
	}
	s.ended = append(s.ended, items...)
	return nil
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
	l := &p.ledger
	l.writing = nil
	p.countEnded(s.ended)
	l.keep(s)
	p.forget(s.ended)
	first := false
	if len(s.done) > 0 {
		first = l.done.ended(s.doneErr)
	}
	if len(s.dead) > 0 {
		first = l.dead.ended(s.deadErr) || first
	}
	err := errors.Join(l.done.err, l.dead.err)
	if first {
		p.o.opts.Log.Error("deliveries cannot be recorded", "error", err)
	}
	p.o.note.commitErr = ""
	if err != nil {
		p.o.note.commitErr = err.Error()
	}
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
	slices.SortStableFunc(items, func(a, b *item) int { return cmp.Compare(a.level.at, b.level.at) })
	for len(items) > 0 {
		l := items[0].level
		n := slices.IndexFunc(items, func(it *item) bool { return it.level != l })
		if n < 0 {
			n = len(items)
		}
		l.rewind(l.drop(items[:n]))
		items = items[n:]
	}
}

func (p *pump) countEnded(items []*item) {
	expiredNow := 0
	c := &p.o.counts
	for _, it := range items {
		switch it.outcome {
		case FnError:
			c.FnErrors++
			c.Delivered++
		case Permanent:
			c.Dead++
		case expired:
			c.Drops.Expired++
			expiredNow++
		case overBudget:
			c.Drops.OverBudget++
		case thrownAway:
			c.Drops.Refused++
		default:
			c.Delivered++
		}
	}
	if expiredNow > 0 {
		p.o.opts.Log.Warn("records expired before they were delivered", "records", expiredNow)
	}
	for _, it := range items {
		switch it.outcome {
		case Permanent:
			p.o.opts.Log.Warn("record dead-lettered", "id", it.rec.Event.ID, "reason", it.reason)
		case thrownAway:
			p.o.opts.Log.Warn("telemetry refused and thrown away", "id", it.rec.Event.ID, "reason", it.reason)
		}
	}
}

// finish waits for what runs beside and commits what was delivered, though ctx
// has ended.
func (p *pump) finish(ctx context.Context) {
	p.beside.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	p.o.mu.Lock()
	s := &settlement{done: p.ledger.done.items, dead: p.ledger.dead.items}
	p.ledger.done.items, p.ledger.dead.items = nil, nil
	p.o.mu.Unlock()
	s.write(ctx, p.o)
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	p.committed(s)
}
