package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// handover is how an app that is deployed with its state in another place comes to it.
// Its functions share it.
type handover struct {
	functions []string          // of the app
	before    []<-chan struct{} // closed when what ran of the app elsewhere has ended
	trouble   atomic.Value      // string: why the state is not there yet
}

// removal is what is known of a function that was removed.
type removal struct {
	stopped, buried <-chan struct{}
	app, place      string
}

// handOver gives new functions that have their state in a place of their own the way
// to it. Apply calls it.
func (a *Agent) handOver(old, next *deployed, fresh []*function) {
	byApp := map[string]*handover{}
	for _, fn := range fresh {
		if fn.StateSpace == "" {
			continue
		}
		app := fn.App()
		if byApp[app] == nil {
			byApp[app] = &handover{before: a.elsewhere(old, &fn.Function)}
			for name, other := range next.functions {
				if other.App() == app {
					byApp[app].functions = append(byApp[app].functions, name)
				}
			}
			slices.Sort(byApp[app].functions)
		}
		fn.handover = byApp[app]
	}
}

// elsewhere is what closes when all has ended of an app that ran with its state in
// another place.
func (a *Agent) elsewhere(old *deployed, spec *Function) (ends []<-chan struct{}) {
	for _, was := range old.functions {
		if was.App() != spec.App() {
			continue
		}
		if was.handover != nil { // which may have been cut short
			ends = append(ends, was.handover.before...)
		}
		if was.StateSpace != spec.StateSpace {
			ends = append(ends, was.stopped)
		}
	}
	for _, gone := range a.removed {
		if gone.app == spec.App() && gone.place != spec.StateSpace {
			ends = append(ends, gone.stopped)
		}
	}
	return ends
}

// copyFits refuses functions whose state is to be copied if the disk has no room for it.
func (a *Agent) copyFits(fresh []*function) error {
	var size int64
	var whose []string
	counted := map[string]bool{}
	for _, fn := range fresh {
		there, err := a.complete(fn.App(), fn.StateSpace)
		if err != nil {
			return fmt.Errorf("state of %s: %w", fn.Name, err)
		}
		if there || a.opts.Room == nil {
			continue
		}
		whose = append(whose, fn.Name)
		for _, scope := range scopesIn(&fn.Function, fn.StateFrom) {
			if !counted[scope] {
				counted[scope] = true
				size += a.stateSize(scope)
			}
		}
	}
	if size == 0 {
		return nil
	}
	room := a.opts.Room()
	if 2*size <= room { // it is in the journal, then in the database
		return nil
	}
	refused := map[string]error{}
	for _, name := range whose {
		refused[name] = fmt.Errorf("its app begins with a copy of %s of state, for which the disk needs twice as much, and has room for %s: free some", BytesText(size), BytesText(room))
	}
	return &LoadError{refused}
}

// stateSize is what a scope counts in limits.state.
func (a *Agent) stateSize(scope string) int64 {
	a.spacesMu.Lock()
	sp := a.spaces[scope]
	a.spacesMu.Unlock()
	if sp != nil {
		return sp.bytes.Load()
	}
	return a.countState(scope)
}

// Pauses between tries to copy a state.
const (
	copyPause    = time.Second
	maxCopyPause = time.Minute
)

// inherit waits until the function's state is there, and sees to it, however long that
// takes: its events wait, in memory and in the inbox. False says that it is not to run
// any more.
func (fn *function) inherit(ctx context.Context) bool {
	h := fn.handover
	if h == nil {
		return true
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-fn.stop:
			cancel()
		case <-ctx.Done():
		}
	})
	for _, end := range h.before {
		if !await(ctx, end) {
			return false
		}
	}
	for pause := copyPause; ; pause = min(2*pause, maxCopyPause) {
		err := fn.copyPlace(ctx)
		if err == nil || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		fn.agent.opts.Log.Warn("the state of an app cannot be copied for its new version, whose events wait; it is tried again",
			"function", fn.Name, "pause", pause, "err", err)
		if !await(ctx, time.After(pause)) {
			return false
		}
	}
}

// await tells whether what it waits for came before ctx ended.
func await[T any](ctx context.Context, what <-chan T) bool {
	select {
	case <-what:
		return true
	case <-ctx.Done():
		return false
	}
}

// copyPlace is Agent.copyPlace while no other function does the same.
func (fn *function) copyPlace(ctx context.Context) error {
	a := fn.agent
	select {
	case a.copying <- struct{}{}:
		defer func() { <-a.copying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := a.copyPlace(ctx, &fn.Function, fn.handover.functions)
	text := ""
	if err != nil {
		text = err.Error()
	}
	fn.handover.trouble.Store(text)
	return err
}

// stateless says why the function waits for its state; "" if it does not.
func (fn *function) stateless() string {
	if fn.handover == nil || fn.inherited.Load() {
		return ""
	}
	if text, _ := fn.handover.trouble.Load().(string); text != "" {
		return text
	}
	return "its state is being copied"
}
