package agent

import (
	"context"
	"errors"
	"slices"
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
	for held := fn.held(); len(held) > 0 && ctx.Err() == nil; held = fn.held() {
		if next := a.current.Load().functions[fn.Name]; next != nil {
			next.insert(held) // it is back, and waits for this burial to end
			break
		}
		for _, t := range held {
			w := fn.worker(t.key)
			w.leave(t)
			a.committer.join(w.deadOutcome(t, t.ev, errRemoved), nil)
		}
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

// held takes from the workers the events that are on no disk, oldest first.
func (fn *function) held() []*task {
	var held []*task
	for _, w := range fn.workers {
		for _, t := range w.surrender() {
			if t.seq == 0 && t.ev != nil {
				held = append(held, t)
			}
		}
	}
	slices.SortFunc(held, byArrival)
	return held
}

// orphans remembers since when an inbox has had no function.
type orphans map[string]time.Time

// bury dead-letters what waits in inboxes whose function has been gone for
// long, as far as the box has room: nobody is going to run it.
func (o orphans) bury(ctx context.Context, a *Agent, now time.Time) {
	if !a.applying.TryLock() { // no function may come back meanwhile
		return // one is coming: at the next look; loading it may take long
	}
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
	letters, size := a.deadLetters()
	room, bytes := maxDead-len(letters), maxDeadBytes-size
	for _, stub := range a.store.Pending(queue) {
		room--
		bytes -= stub.Size
		if room < 0 || bytes < 0 || ctx.Err() != nil {
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
