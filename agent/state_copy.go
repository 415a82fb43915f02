package agent

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A place is where the state of an app is, all of it: see Function.StateSpace. It is
// complete when its scope among the states says so; that comes last. What is copied
// is the state of the functions that there are, and of the app itself.

// inPlaceOf tells whether a scope is in a place of an app.
func inPlaceOf(scope, app, place string) bool {
	rest, ok := strings.CutPrefix(scope, placeScope(app, place))
	return ok && (rest == "" || rest[0] == '/')
}

// originalOf tells whether a scope is in a place that the state of an app was copied
// from, and may have to go back to.
func (d *deployed) originalOf(scope string) bool {
	return slices.ContainsFunc(d.Functions, func(fn Function) bool {
		return fn.StateSpace != fn.StateFrom && inPlaceOf(scope, fn.App(), fn.StateFrom)
	})
}

// isCopied tells whether the value of a place's scope among the states says that it is complete.
func isCopied(value string) bool { return value != "" && value != stateCopying }

// complete tells whether the state of an app can be used in a place.
func (a *Agent) complete(app, place string) (bool, error) {
	if place == "" {
		return true, nil
	}
	value, err := a.store.Get(stateIndex, placeScope(app, place))
	return isCopied(string(value)), err
}

// copyPlace makes the place of a function complete from the one it begins with, for
// all functions of its app.
func (a *Agent) copyPlace(ctx context.Context, fn *Function, functions []string) error {
	app := fn.App()
	if there, err := a.complete(app, fn.StateSpace); there || err != nil {
		return err
	}
	if there, err := a.complete(app, fn.StateFrom); err != nil {
		return err
	} else if !there {
		return fmt.Errorf("the state in %s is not complete itself", placeScope(app, fn.StateFrom))
	}
	var total int64
	sizes := map[string]int64{}
	for _, name := range append(slices.Clone(functions), app) { // the app's own is the last, and says that all is there
		spec := Function{Name: name}
		from, to := scopesIn(&spec, fn.StateFrom)[ownSpace], scopesIn(&spec, fn.StateSpace)[ownSpace]
		size, err := a.copyState(ctx, from, to)
		if err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		sizes[to] = size
		total += size
	}
	a.spacesMu.Lock()
	for scope, size := range sizes {
		if sp := a.spaces[scope]; sp != nil {
			sp.bytes.Store(size) // nobody has written to it yet
		}
	}
	a.spacesMu.Unlock()
	a.opts.Log.Info("the state of an app was copied for its new version", "app", app, "bytes", total)
	return nil
}

// copyState makes the scope to what from is, instead of what an attempt that was cut
// short left there. It gives the size as limits.state counts it.
func (a *Agent) copyState(ctx context.Context, from, to string) (size int64, err error) {
	c := copier{store: a.store, to: to}
	left, err := a.store.Keys(to, "", math.MaxInt32)
	if err != nil {
		return 0, err
	}
	for _, key := range left {
		if err := c.write(ctx, Write{Key: key}); err != nil {
			return 0, err
		}
	}
	keys, err := a.store.Keys(from, "", math.MaxInt32)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		w, err := a.store.Read(from, key)
		if err != nil {
			a.opts.Log.Error("a value of the state cannot be read: the copy for the new version lacks it", "scope", from, "key", key, "err", err)
		}
		if w.Value == nil { // or it has expired
			continue
		}
		size += StateSize(key, w.Value)
		if err := c.write(ctx, w); err != nil {
			return 0, err
		}
	}
	return size, c.commit(ctx, stateHeld)
}

// copier writes a scope in frames of bounded size. Each says how far the scope is.
type copier struct {
	store Store
	to    string
	frame Frame
	bytes int
}

const copyPiece = 256 << 10 // bytes of a frame, about

func (c *copier) write(ctx context.Context, w Write) error {
	w.Scope = c.to
	c.frame.Writes = append(c.frame.Writes, w)
	if c.bytes += len(w.Key) + len(w.Value); c.bytes >= copyPiece || len(c.frame.Writes) >= gateBatch {
		return c.commit(ctx, stateCopying)
	}
	return nil
}

func (c *copier) commit(ctx context.Context, state string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.frame.Writes = append(c.frame.Writes, Write{Scope: stateIndex, Key: c.to, Value: []byte(state)})
	err := c.store.Commit(context.WithoutCancel(ctx), &c.frame)
	c.frame, c.bytes = Frame{}, 0
	return err
}
