package agent

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"
)

// remains looks after state that no function of the deployment has, so that it is
// bounded: it is deleted when it has been so for Options.OrphanAfter. Which states there
// are is in the scope "states": a key is the scope of one, a value is stateHeld, stateCopying,
// or when it goes (nanoseconds since 1970 by Clock.In, as text).
type remains struct {
	next time.Time
	seen *deployed
	done map[string]deleted // by scope, of what is being deleted
}

const (
	stateIndex   = "states"
	stateHeld    = "held"
	stateCopying = "copying" // only a part of it is there
)

// deleted is how much of a state is gone.
type deleted struct {
	keys  int
	bytes int64 // as limits.state counts them
}

// tidy looks at all states, if it is time: now and then, after each deployment, and
// again soon while there is something to delete.
func (r *remains) tidy(ctx context.Context, a *Agent, now time.Time) {
	current := a.current.Load()
	if current == r.seen && now.Before(r.next) {
		return
	}
	more, err := r.look(ctx, a, current)
	if err != nil && ctx.Err() == nil {
		a.opts.Log.Warn("cannot tidy up the state of functions that are gone; it stays for now", "err", err)
	}
	r.seen, r.next = current, now.Add(min(gateLook, a.opts.OrphanAfter))
	if more {
		r.next = now
	}
}

// look notes which states came and went, and deletes some of what has been gone for too
// long. More says that there is more of it.
func (r *remains) look(ctx context.Context, a *Agent, current *deployed) (more bool, err error) {
	names, err := a.store.Keys(stateIndex, "", math.MaxInt32)
	if err != nil {
		return false, err
	}
	values := map[string]string{}
	for _, scope := range names {
		value, err := a.store.Get(stateIndex, scope)
		if err != nil {
			return false, err
		}
		values[scope] = string(value)
	}
	f := &Frame{Lazy: true}
	for i := range current.Functions {
		fn := &current.Functions[i]
		for space, scope := range stateScopes(fn) {
			copying := space == appSpace && fn.StateSpace != "" && !isCopied(values[scope]) // who copies enters it
			if values[scope] != stateHeld && !copying {
				f.Writes = append(f.Writes, Write{Scope: stateIndex, Key: scope, Value: []byte(stateHeld)})
			}
			delete(values, scope)
			delete(r.done, scope)
		}
	}
	maps.DeleteFunc(values, func(scope, _ string) bool { return current.originalOf(scope) })
	settled := a.opts.Settled == nil || a.opts.Settled()
	for scope, value := range values {
		if !settled {
			break // who left something out, or stands still, takes nothing away
		}
		at, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil: // it was held until now
			at := a.expiry(a.opts.OrphanAfter)
			f.Writes = append(f.Writes, Write{Scope: stateIndex, Key: scope, Value: strconv.AppendInt(nil, at.UnixNano(), 10)})
			a.opts.Log.Info("a function or an app is gone; its state stays for a while, should it come back", "scope", scope, "for", a.opts.OrphanAfter)
		case a.past(time.Unix(0, at)):
			left, err := r.delete(ctx, a, scope)
			if err != nil {
				return false, fmt.Errorf("delete %s: %w", scope, err)
			}
			more = more || left
		}
	}
	if f.Empty() {
		return more, nil
	}
	return more, a.store.Commit(context.WithoutCancel(ctx), f)
}

// delete takes a piece off a state that is gone; left says that there is more of it.
func (r *remains) delete(ctx context.Context, a *Agent, scope string) (left bool, err error) {
	if !a.applying.TryLock() { // its function may come back now
		return true, nil
	}
	defer a.applying.Unlock()
	current := a.current.Load()
	for i := range current.Functions {
		if scopes := stateScopes(&current.Functions[i]); scopes[ownSpace] == scope || scopes[appSpace] == scope {
			return false, nil
		}
	}
	if current.originalOf(scope) {
		return false, nil
	}
	a.spacesMu.Lock()
	delete(a.spaces, scope) // counted anew, should it come back
	a.spacesMu.Unlock()
	keys, err := a.store.Keys(scope, "", gateBatch)
	if err != nil {
		return false, err
	}
	sum := r.done[scope]
	for _, key := range keys {
		value, err := a.store.Get(scope, key)
		if err != nil {
			a.opts.Log.Error("a value of the state cannot be read", "scope", scope, "key", key, "err", err)
		}
		sum.keys, sum.bytes = sum.keys+1, sum.bytes+StateSize(key, value)
	}
	if err := a.forget(ctx, scope, keys); err != nil {
		return false, err
	}
	if len(keys) == gateBatch {
		r.done[scope] = sum
		return true, nil
	}
	delete(r.done, scope)
	a.opts.Log.Warn("the state of a function or an app that has been gone for too long is deleted",
		"scope", scope, "keys", sum.keys, "bytes", sum.bytes)
	return false, a.forget(ctx, stateIndex, []string{scope})
}

// expiry is when what is written now expires after ttl.
func (a *Agent) expiry(ttl time.Duration) time.Time {
	if a.opts.Clock != nil {
		return a.opts.Clock.In(ttl)
	}
	return time.Now().Add(ttl)
}

// past tells whether at, from expiry, is over.
func (a *Agent) past(at time.Time) bool {
	if a.opts.Clock != nil {
		return a.opts.Clock.Past(at)
	}
	return !at.After(time.Now())
}
