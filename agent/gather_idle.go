package agent

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"
)

// maxIdle is how many keys a rule remembers of which nothing is put aside; then
// those are forgotten that were looked at the longest ago.
const maxIdle = 10_000

// boundIdle has rules forget the oldest of too many keys, if it is time: where many
// were added, or some and the last look was a while ago. It takes a twentieth of one
// CPU at most. Only tidy may call it.
func (g *asides) boundIdle(ctx context.Context, a *Agent, now time.Time) {
	if now.Before(g.soonestIdle) {
		return
	}
	waited := !now.Before(g.nextIdle)
	var due []*gathering
	g.mu.Lock()
	for _, r := range g.rules {
		if r.idled >= maxIdle || waited && r.idled > 0 {
			due = append(due, r)
			r.idled = 0
		}
	}
	g.mu.Unlock()
	for _, r := range due {
		if err := g.forgetIdle(ctx, a, r); err != nil && ctx.Err() == nil {
			a.opts.Log.Warn("cannot forget keys of windows that closed long ago; they stay for now", "trigger", r.trigger, "err", err)
			g.mu.Lock()
			r.idled++ // for the next look
			g.mu.Unlock()
		}
	}
	g.soonestIdle = now.Add(20 * time.Since(now))
	if waited {
		g.nextIdle = now.Add(min(gateLook, a.opts.OrphanAfter))
	}
}

// forgetIdle has a rule forget the oldest of too many keys, and some more, so that
// it need not again soon.
func (g *asides) forgetIdle(ctx context.Context, a *Agent, r *gathering) error {
	names, err := a.store.Keys(r.scope, idleKey, math.MaxInt32)
	if err != nil {
		return err
	}
	names, err = oldest(g.closed(r, names), maxIdle, func(name string) (int64, error) {
		value, err := a.store.Get(r.scope, name)
		if err != nil {
			return 0, err
		}
		s, err := decodeShelf(value, r.unit())
		if err != nil { // it is of no use
			return math.MinInt64, nil //nolint:nilerr // see above
		}
		return s.seen, nil
	})
	if err != nil || len(names) == 0 {
		return err
	}
	a.opts.Log.Warn("the windows of a trigger have too many keys: those seen the longest ago are forgotten; see the key of the trigger",
		"trigger", r.trigger, "keys", len(names))
	for some := range slices.Chunk(names, gateBatch) {
		if err := a.forget(ctx, r.scope, g.closed(r, some)); err != nil {
			return err
		}
	}
	return nil
}

// closed are those names of idle shelves of whose key nothing is put aside now.
func (g *asides) closed(r *gathering, names []string) (list []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		if r.open[strings.TrimPrefix(name, idleKey)] == nil {
			list = append(list, name)
		}
	}
	return list
}
