package agent

import (
	"context"
	"errors"
	"strings"
	"time"
)

var errRemoved = errors.New("its function was removed from this device")

// bury ends a function that was removed. Events that their source still waits
// for go to the dead-letter box, since nothing will run them; those in the
// inbox stay there, should the function come back (see orphans).
func (a *Agent) bury(ctx context.Context, fn *function) {
	defer close(fn.buried)
	<-fn.stopped
	for ctx.Err() == nil && a.buryHeld(fn) {
		a.committer.flush() // what could not be committed has come back to its worker
		select {
		case <-ctx.Done():
		case <-time.After(buryPause):
		}
	}
	fn.close(context.WithoutCancel(ctx))
}

// buryPause is between tries to keep the dead letters of a removed function.
const buryPause = 50 * time.Millisecond

// buryHeld dead-letters what the workers hold; false if that was nothing.
func (a *Agent) buryHeld(fn *function) bool {
	any := false
	for _, w := range fn.workers {
		for _, t := range w.surrender() {
			if t.seq == 0 && t.ev != nil {
				any = true
				a.committer.join(w.deadOutcome(t, t.ev, errRemoved), nil)
			}
		}
	}
	return any
}

// orphans remembers since when an inbox has had no function.
type orphans map[string]time.Time

// bury dead-letters what waits in inboxes whose function has been gone for
// long, as far as the box has room: nobody is going to run it.
func (o orphans) bury(ctx context.Context, a *Agent, now time.Time) {
	a.applying.Lock() // no function comes back meanwhile
	defer a.applying.Unlock()
	current := a.current.Load()
	waiting := map[string]bool{}
	for _, queue := range a.store.Queues() {
		name, ok := strings.CutPrefix(queue, QueueInbox(""))
		if !ok || current.functions[name] != nil {
			continue
		}
		waiting[name] = true
		if since, seen := o[name]; !seen {
			o[name] = now
		} else if now.Sub(since) >= a.opts.OrphanAfter {
			a.buryInbox(ctx, queue)
		}
	}
	for name := range o {
		if !waiting[name] {
			delete(o, name)
		}
	}
}

func (a *Agent) buryInbox(ctx context.Context, queue string) {
	room := maxDead - len(a.store.Pending(QueueDead))
	for _, stub := range a.store.Pending(queue) {
		if room--; room < 0 || ctx.Err() != nil {
			return
		}
		rec, err := a.store.Record(stub.Seq)
		if err != nil {
			continue // gone already
		}
		rec.Origin, rec.Queue, rec.Kind, rec.Reason = queue, QueueDead, KindDead, errRemoved.Error()
		f := &Frame{Add: []Record{rec}, Done: []uint64{stub.Seq}, Lazy: true}
		if err := a.store.Commit(context.WithoutCancel(ctx), f); err != nil {
			a.opts.Log.Warn("cannot dead-letter an event of a removed function; it stays in its inbox",
				"function", rec.Function, "err", err)
			return
		}
		a.counts.dead.Add(1)
	}
}
