package agent

import (
	"context"
	"errors"
	"strings"
)

var errRemoved = errors.New("its function was removed from this device")

// bury ends a function that was removed: what still waits for it goes to the
// dead-letter box, since nothing will ever run it.
func (a *Agent) bury(ctx context.Context, fn *function) {
	<-fn.stopped
	if ctx.Err() != nil {
		return // the agent stops: they wait for the next start
	}
	for _, w := range fn.workers {
		for _, t := range w.surrender() {
			ev, err := w.event(t)
			if err != nil {
				continue // gone already
			}
			a.committer.join(w.deadOutcome(t, ev, errRemoved), nil)
		}
	}
	fn.close(ctx)
}

// buryOrphans does the same for functions that were removed while the agent
// was not running: their inboxes are all that is left of them.
func (a *Agent) buryOrphans(ctx context.Context, known func(function string) bool) {
	for _, queue := range a.store.Queues() {
		name, ok := strings.CutPrefix(queue, QueueInbox(""))
		if !ok || known(name) {
			continue
		}
		for _, stub := range a.store.Pending(queue) {
			if ctx.Err() != nil {
				return
			}
			a.buryRecord(ctx, stub.Seq)
		}
	}
}

func (a *Agent) buryRecord(ctx context.Context, seq uint64) {
	rec, err := a.store.Record(seq)
	if err != nil {
		return // gone already
	}
	rec.Origin, rec.Queue, rec.Kind, rec.Reason = rec.Queue, QueueDead, KindDead, errRemoved.Error()
	f := &Frame{Add: []Record{rec}, Done: []uint64{seq}, Lazy: true}
	if err := a.store.Commit(context.WithoutCancel(ctx), f); err != nil {
		a.opts.Log.Warn("cannot dead-letter an event of a removed function; it stays in its inbox",
			"function", rec.Function, "err", err)
		return
	}
	a.counts.dead.Add(1)
}
