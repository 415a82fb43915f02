package agent

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"time"
)

// A function has two key spaces: its own state, and the one it shares with the
// other functions of its app, whose keys begin with a slash.
const (
	ownSpace = iota
	appSpace
)

// stateScopes are the scopes of a function's spaces: "state/app/function" and
// "state/app", or "state/app@place/function" and "state/app@place".
func stateScopes(f *Function) [2]string { return scopesIn(f, f.StateSpace) }

func scopesIn(f *Function, place string) [2]string {
	app := f.App()
	shared := placeScope(app, place)
	return [2]string{ownSpace: shared + strings.TrimPrefix(f.Name, app), appSpace: shared}
}

// placeScope is the scope of what an app shares in a place, see Function.StateSpace.
func placeScope(app, place string) string {
	if place != "" {
		app += "@" + place
	}
	return "state/" + app
}

// keyCost is what a key takes beside its name and its value, bytes.
const keyCost = 64

// StateSize is what a key with a value counts in limits.state.
func StateSize(key string, value []byte) int64 { return int64(len(key)+len(value)) + keyCost }

// space is how much of a key space is used. It is right but for values that
// have expired, which nobody tells: those it counts until it is counted again.
type space struct {
	scope  string
	limit  int64        // the most that a function may bring it to; under Agent.spacesMu
	bytes  atomic.Int64 // in use, with what has joined a group
	joined atomic.Int64 // the part of it that is not settled
	again  time.Time    // not counted again before; under Agent.spacesMu
}

// openSpaces makes spaces of the function's scopes, or finds them.
func (a *Agent) openSpaces(fn *function) {
	a.spacesMu.Lock()
	defer a.spacesMu.Unlock()
	for i, scope := range stateScopes(&fn.Function) {
		sp := a.spaces[scope]
		if sp == nil {
			sp = &space{scope: scope}
			sp.bytes.Store(a.countState(scope))
			a.spaces[scope] = sp
		}
		sp.limit = max(sp.limit, fn.Limits.State)
		fn.spaces[i] = sp
	}
}

// countState adds up what is committed. Badger keeps no sizes, so that every
// value is looked at.
func (a *Agent) countState(scope string) (size int64) {
	keys, err := a.store.Keys(scope, "", math.MaxInt32)
	if err != nil {
		a.opts.Log.Error("cannot count the state: its limit does not hold until the next start", "scope", scope, "err", err)
		return 0
	}
	for _, key := range keys {
		value, err := a.store.Get(scope, key)
		if err != nil {
			a.opts.Log.Error("a value of the state cannot be read", "scope", scope, "key", key, "err", err)
		}
		size += StateSize(key, value)
	}
	return size
}

// grew notes that an outcome has joined a group (1) or was dropped again (-1).
func (fn *function) grew(o *outcome, sign int64) {
	if o.aside != nil {
		fn.agent.asides.grew(o.aside.rule, sign*o.aside.cost)
	}
	for i, n := range o.grown {
		if n != 0 {
			fn.spaces[i].bytes.Add(sign * n)
			fn.spaces[i].joined.Add(sign * n)
		}
	}
}

// settleSpaces notes that an outcome is committed.
func (fn *function) settleSpaces(o *outcome) {
	for i, n := range o.grown {
		if n != 0 {
			fn.spaces[i].joined.Add(-n)
		}
	}
}

// recount counts spaces again that come near their limit: some of their values
// may have expired. It takes a twentieth of one CPU at most.
func (a *Agent) recount(ctx context.Context, now time.Time) {
	a.spacesMu.Lock()
	defer a.spacesMu.Unlock()
	for _, sp := range a.spaces {
		if ctx.Err() != nil || sp.bytes.Load() < sp.limit*3/4 || now.Before(sp.again) {
			continue
		}
		before, joined := sp.bytes.Load(), sp.joined.Load()
		counted := a.countState(sp.scope) + joined
		sp.bytes.Add(counted - before) // what joined meanwhile stays counted
		sp.again = now.Add(20 * time.Since(now))
	}
}
