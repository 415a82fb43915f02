package uplink

import (
	"cmp"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Status is what `skerry status` shows of this outbox. LastError is empty when
// the target works.
func (o *Outbox) Status() agent.TargetStatus {
	now := time.Now()
	var b breaker
	o.mu.Lock()
	c, n := o.counts, o.note
	if o.pump != nil {
		b = o.pump.breaker
	}
	o.mu.Unlock()
	s := agent.TargetStatus{
		Name:      o.opts.Name,
		Kind:      o.opts.Kind,
		Delivered: c.Delivered,
		FnErrors:  c.FnErrors,
		Dead:      c.Dead,
		Retries:   c.Retries,
		Drops:     c.Drops,
		Paused:    n.paused,
		Breaker:   b.status(now),
		LastError: cmp.Or(n.commitErr, n.readErr, n.sendErr),
	}
	if s.Breaker != nil {
		s.RetryAt = s.Breaker.RetryAt
	}
	if w, ok := o.to.(interface{ BytesUp() int64 }); ok {
		s.BytesUp = w.BytesUp()
	}
	if w, ok := o.to.(Noter); ok {
		s.Notes = w.Notes()
	}
	o.backlog(&s)
	if s.Waiting > 0 && n.budget.until.After(now) {
		s.OverBudget = n.budget.why
	}
	return s
}

// backlog tells of what waits.
func (o *Outbox) backlog(s *agent.TargetStatus) {
	var oldest uint64
	for at, name := range o.queues.Names() {
		n := o.queues.Len(at)
		if n == 0 {
			continue
		}
		s.Waiting += n
		s.WaitingBytes += o.queues.Bytes(at)
		if _, p, _, ok := agent.SplitTarget(name); ok {
			s.ByPriority[p] += n
		}
		recs, err := o.queues.Page(at, 0, 1, 1)
		if err == nil && len(recs) > 0 && (oldest == 0 || recs[0].Seq < oldest) {
			oldest, s.Oldest = recs[0].Seq, recs[0].Event.Time
		}
	}
}
