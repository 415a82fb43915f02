package agent

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// gates looks after what gates keep, so that it is bounded: of a trigger that has
// more keys than maxGateKeys those are forgotten that let an event through the
// longest ago, and of one that has been gone for Options.OrphanAfter all.
type gates struct {
	fresh atomic.Int64 // keys that came since the last look

	next, soonest time.Time // the next look, and the earliest if many keys came
	gone          map[string]time.Time
}

const (
	maxGateKeys = 10_000
	gateLook    = time.Minute
	gateBatch   = 1000 // keys that one frame deletes
)

// tidy looks at all gates, if it is time. It takes a twentieth of one CPU at most.
func (g *gates) tidy(ctx context.Context, a *Agent, now time.Time) {
	if now.Before(g.soonest) || now.Before(g.next) && g.fresh.Load() < maxGateKeys {
		return
	}
	g.fresh.Store(0)
	names, err := a.store.Keys(gateIndex, "", math.MaxInt32)
	if err == nil {
		err = g.look(ctx, a, names, now)
	}
	if err != nil && ctx.Err() == nil {
		a.opts.Log.Warn("cannot tidy up what the gates of triggers keep; it stays for now", "err", err)
	}
	g.soonest = now.Add(20 * time.Since(now))
	g.next = now.Add(min(gateLook, a.opts.OrphanAfter))
}

func (g *gates) look(ctx context.Context, a *Agent, names []string, now time.Time) error {
	triggers := a.current.Load().triggers
	for _, name := range names {
		if tr := triggers[name]; tr != nil && tr.gated {
			delete(g.gone, name)
			if err := a.boundGate(ctx, name); err != nil {
				return err
			}
			continue
		}
		if since, known := g.gone[name]; !known {
			g.gone[name] = now
		} else if now.Sub(since) >= a.opts.OrphanAfter {
			dropped, err := a.dropGate(ctx, name)
			if err != nil {
				return err
			}
			if dropped {
				delete(g.gone, name)
			}
		}
	}
	return ctx.Err()
}

// boundGate has a trigger forget the oldest of too many keys, and some more, so
// that it need not again soon.
func (a *Agent) boundGate(ctx context.Context, name string) error {
	scope := gateScope(name)
	keys, err := a.store.Keys(scope, "", math.MaxInt32)
	if err != nil {
		return err
	}
	keys, err = oldest(keys, maxGateKeys, func(key string) (int64, error) {
		value, err := a.store.Get(scope, key)
		if err != nil {
			return 0, err
		}
		return decodeGate(value).at, nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	a.opts.Log.Warn("the gate of a trigger has too many keys: those seen the longest ago are forgotten; see the key of the trigger",
		"trigger", name, "keys", len(keys))
	return a.forget(ctx, scope, keys)
}

// oldest are those of more than so many keys that must go, so that nine tenths of
// that are left. When tells the age of one: the lower, the older.
func oldest(keys []string, most int, when func(key string) (int64, error)) ([]string, error) {
	if len(keys) <= most {
		return nil, nil
	}
	age := make(map[string]int64, len(keys))
	for _, key := range keys {
		at, err := when(key)
		if err != nil {
			return nil, err
		}
		age[key] = at
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(age[a], age[b]) })
	return keys[:len(keys)-most*9/10], nil
}

// dropGate deletes all that the gate of a trigger keeps, unless it may come back now.
func (a *Agent) dropGate(ctx context.Context, name string) (dropped bool, err error) {
	if !a.applying.TryLock() {
		return false, nil
	}
	defer a.applying.Unlock()
	if tr := a.current.Load().triggers[name]; tr != nil && tr.gated {
		return false, nil
	}
	scope := gateScope(name)
	keys, err := a.store.Keys(scope, "", math.MaxInt32)
	if err == nil {
		err = a.forget(ctx, scope, keys)
	}
	if err == nil {
		err = a.forget(ctx, gateIndex, []string{name})
	}
	return err == nil, err
}

// forget deletes keys of a scope, in bounded frames.
func (a *Agent) forget(ctx context.Context, scope string, keys []string) error {
	for some := range slices.Chunk(keys, gateBatch) {
		f := &Frame{Lazy: true}
		for _, key := range some {
			f.Writes = append(f.Writes, Write{Scope: scope, Key: key})
		}
		if err := a.store.Commit(context.WithoutCancel(ctx), f); err != nil {
			return err
		}
	}
	return nil
}
