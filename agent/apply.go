package agent

import (
	"context"
	"errors"
	"fmt"
)

// deployed is a Deployment with what it takes to run it.
type deployed struct {
	Deployment
	router    *router
	functions map[string]*function
	triggers  map[string]*compiled
	programs  *programs
}

// deployment is d with nothing of it loaded yet.
func (a *Agent) deployment(d Deployment) *deployed {
	return &deployed{
		Deployment: d, router: newRouter(), functions: map[string]*function{},
		triggers: make(map[string]*compiled, len(d.Triggers)), programs: newPrograms(a.opts.Language),
	}
}

// Apply replaces what runs by d: whole, or not at all. A function that changed
// is loaded before anything is switched; events that wait for it then run in
// the new one. Nothing is lost and no order is broken by it. Run must be
// running. A *LoadError names every function that cannot be loaded. Once d is kept,
// the end of ctx ends nothing of it any more.
func (a *Agent) Apply(ctx context.Context, d Deployment) error {
	a.applying.Lock()
	defer a.applying.Unlock()
	old := a.current.Load()
	next := a.deployment(d)
	fresh, err := a.prepare(ctx, old, next)
	if err == nil {
		err = a.copyFits(fresh)
	}
	if err == nil && len(fresh) > 0 && !await(ctx, a.begun) {
		err = ctx.Err()
	}
	if err == nil && d.Keep != nil {
		err = d.Keep()
	}
	if err != nil {
		for _, fn := range fresh {
			fn.close(ctx)
		}
		return fmt.Errorf("apply generation %d: %w", d.Generation, err)
	}
	for _, fn := range fresh {
		a.openSpaces(fn)
	}
	a.handOver(old, next, fresh)
	a.countReleases(old, next)
	a.current.Store(next)
	a.asides.follow()
	for name, fn := range old.functions {
		if next.functions[name] == fn {
			continue
		}
		fn.retire()
		if next.functions[name] == nil {
			a.removed[name] = removal{fn.stopped, fn.buried, fn.App(), fn.StateSpace}
			if err := a.begin(func(ctx context.Context) { a.bury(ctx, fn) }); err != nil {
				return err
			}
		}
	}
	for _, fn := range fresh {
		if err := a.begin(fn.run); err != nil {
			return err
		}
	}
	for _, s := range a.sources {
		s.Follow(d.Triggers)
	}
	a.once.Do(func() { close(a.applied) })
	return nil
}

// begin has Run run f.
func (a *Agent) begin(f func(context.Context)) error {
	select {
	case a.start <- f:
		return nil
	case <-a.ended:
		return errors.New("apply: the agent ends")
	}
}

// prepare fills next, keeping functions that did not change, and returns those
// that are new, on error too.
func (a *Agent) prepare(ctx context.Context, old, next *deployed) (fresh []*function, err error) {
	refused := map[string]error{}
	for _, spec := range next.Functions {
		prev := old.functions[spec.Name]
		if prev != nil && prev.Function.same(&spec) {
			next.functions[spec.Name] = prev
			continue
		}
		fn, err := a.load(ctx, spec, prev)
		if err != nil {
			refused[spec.Name] = err
			continue
		}
		if prev == nil {
			fn.after = a.removed[spec.Name].buried
		}
		fresh = append(fresh, fn)
		next.functions[spec.Name] = fn
	}
	if len(refused) > 0 {
		return fresh, &LoadError{refused}
	}
	for i := range next.Triggers {
		if err := addRoute(old, next, &next.Triggers[i]); err != nil {
			return fresh, err
		}
	}
	a.asides.enter(next)
	return fresh, nil
}

// addRoute compiles a trigger and has events find it.
func addRoute(old, next *deployed, t *Trigger) error {
	fn := next.functions[t.Function]
	if fn == nil {
		return fmt.Errorf("trigger %s: there is no function %q", t.Name, t.Function)
	}
	tr, err := next.programs.compile(t, old.programs)
	if err != nil {
		return err
	}
	next.triggers[t.Name] = tr
	return next.router.add(&route{tr, fn})
}
