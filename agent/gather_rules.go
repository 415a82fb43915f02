package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Each rule has a scope of its own, gather/<app/trigger>/<hash>, so that what was
// put aside under an older one is closed as that says. The scopes are the keys of
// asideIndex; a value is an asideEntry as JSON.
const asideIndex = "gather"

type asideEntry struct {
	Trigger string `json:"trigger"`
	Gather  Gather `json:"gather"`
}

func newAsides(a *Agent) *asides {
	clock := a.opts.Clock
	if clock == nil {
		clock = newClock()
	}
	return &asides{agent: a, clock: clock, kick: make(chan struct{}, 1), rules: map[string]*gathering{}}
}

// scopeOf is where what a trigger gathers is put.
func scopeOf(trigger string, g *Gather) string {
	text, err := json.Marshal(g)
	if err != nil { // it holds numbers and texts
		panic(err)
	}
	sum := sha256.Sum256(text)
	return asideIndex + "/" + trigger + "/" + hex.EncodeToString(sum[:4])
}

// entry keeps the rule in the store. The first that puts something aside writes it.
func (r *gathering) entry() Write {
	value, err := json.Marshal(asideEntry{r.trigger, r.Gather})
	if err != nil { // it holds numbers and texts
		panic(err)
	}
	return Write{Scope: asideIndex, Key: r.scope, Value: value}
}

// rule finds the rule of a scope, or makes it. The lock is held.
func (g *asides) rule(trigger string, gather *Gather) *gathering {
	scope := scopeOf(trigger, gather)
	r := g.rules[scope]
	if r == nil {
		r = &gathering{Gather: *gather, trigger: trigger, scope: scope, open: map[string]*timer{}, since: g.agent.now()}
		g.rules[scope] = r
	}
	return r
}

// enter gives the triggers of a deployment their rules.
func (g *asides) enter(d *deployed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tr := range d.triggers {
		if tr.Gather.Kind != GatherNone {
			tr.aside = g.rule(tr.Name, &tr.Gather)
		}
	}
}

// follow has what is put aside closed as the deployment that runs now wants it:
// when its time has come, at once if the trigger gathers in another way now, and
// not for the time being if there is no such trigger.
func (g *asides) follow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.agent.current.Load()
	for _, r := range g.rules {
		tr := d.triggers[r.trigger]
		retired := tr != nil && tr.aside != r
		if r.live != (tr != nil) || r.retired.Load() != retired {
			r.since = g.agent.now()
			if tr != nil && !retired {
				g.ages++
				r.age = g.ages
			}
		}
		r.live = tr != nil
		r.retired.Store(retired)
		if tr == nil {
			r.count(nil)
			for _, t := range r.open {
				g.disarm(t)
			}
			continue
		}
		r.count(d.functions[tr.Function].inbox)
		for _, t := range r.open {
			if retired {
				t.due = math.MinInt64
			}
			if retired || t.index < 0 { // a worker that is gone may have had its task
				g.arm(t)
			}
		}
	}
	g.line()
}

// line tells each rule which ones its trigger had before. The lock is held.
func (g *asides) line() {
	retired := map[string][]*gathering{}
	for _, r := range g.rules {
		if r.retired.Load() {
			retired[r.trigger] = append(retired[r.trigger], r)
		}
	}
	for _, list := range retired {
		slices.SortFunc(list, func(a, b *gathering) int { return cmp.Compare(a.age, b.age) })
	}
	for _, r := range g.rules {
		list := retired[r.trigger]
		n, _ := slices.BinarySearchFunc(list, r.age, func(old *gathering, age int) int { return cmp.Compare(old.age, age) })
		if list = list[:n]; n == 0 {
			r.older.Store(nil)
			continue
		}
		r.older.Store(&list)
	}
}

// count has what is put aside count in that inbox, and in no other.
func (r *gathering) count(inbox *inboxUse) {
	if r.inbox == inbox {
		return
	}
	if r.inbox != nil {
		r.inbox.aside.Add(-r.size)
	}
	if r.inbox = inbox; inbox != nil {
		inbox.aside.Add(r.size)
	}
}

// load finds what was put aside before this start.
func (g *asides) load(store Store) error {
	scopes, err := store.Keys(asideIndex, "", math.MaxInt32)
	if err != nil {
		return fmt.Errorf("read what was put aside: %w", err)
	}
	for _, scope := range scopes {
		value, err := store.Get(asideIndex, scope)
		var e asideEntry
		if err == nil {
			err = json.Unmarshal(value, &e)
		}
		if err != nil || scopeOf(e.Trigger, &e.Gather) != scope {
			g.agent.opts.Log.Error("what a trigger has put aside cannot be read, or was not written by this release; it stays where it is", "scope", scope, "err", err)
			continue
		}
		g.mu.Lock()
		r := g.rule(e.Trigger, &e.Gather)
		r.kept.Store(true)
		err = g.loadKeys(store, r)
		g.mu.Unlock()
		if err != nil {
			return fmt.Errorf("read what trigger %s has put aside: %w", e.Trigger, err)
		}
	}
	g.follow() // there may have been an Apply already
	return nil
}

// loadKeys makes a timer for each key of a rule. The lock is held.
func (g *asides) loadKeys(store Store, r *gathering) error {
	latest := int64(math.MinInt64)
	r.count(nil) // until follow
	r.idled++    // some may be left
	err := eachShelf(store, r, func(key string, s *shelf) {
		r.open[key] = &timer{gather: r, key: key, due: r.due(s), index: -1}
		if s.lost { // see worker.shelf
			r.open[key].due = math.MinInt64
		}
		r.size += s.cost()
		latest = max(latest, s.seen)
	})
	if latest != math.MinInt64 {
		g.clock.reached(r, latest)
	}
	return err
}

// eachShelf calls f with what is put aside of each key; if it cannot be read, with a
// shelf that is lost.
func eachShelf(store Store, r *gathering, f func(key string, s *shelf)) error {
	names, err := store.Keys(r.scope, openKey, math.MaxInt32)
	for _, name := range names {
		key := strings.TrimPrefix(name, openKey)
		s, _ := readShelf(store, r, key)
		f(key, s)
	}
	return err
}

// tidy forgets the oldest of too many keys, and drops what was put aside by triggers
// that have been gone for long.
func (g *asides) tidy(ctx context.Context, a *Agent, now time.Time) {
	g.boundIdle(ctx, a, now)
	if !a.applying.TryLock() { // no trigger may come back meanwhile
		return
	}
	defer a.applying.Unlock()
	var gone []*gathering
	g.mu.Lock()
	for _, r := range g.rules {
		if (!r.live || r.retired.Load() && len(r.open) == 0) && now.Sub(r.since) >= a.opts.OrphanAfter {
			gone = append(gone, r)
		}
	}
	g.mu.Unlock()
	for _, r := range gone {
		if err := g.drop(ctx, a, r); err != nil {
			a.opts.Log.Warn("cannot delete what a trigger that is gone has put aside; it stays for now", "trigger", r.trigger, "err", err)
		}
	}
}

// dropBatch is how many keys one frame deletes.
const dropBatch = 1000

// drop deletes all that a rule has put aside.
func (g *asides) drop(ctx context.Context, a *Agent, r *gathering) error {
	var events uint64
	if err := eachShelf(a.store, r, func(_ string, s *shelf) {
		for i := range s.panes {
			events += s.panes[i].count()
		}
	}); err != nil {
		return err
	}
	keys, err := a.store.Keys(r.scope, "", math.MaxInt32)
	if err != nil {
		return err
	}
	var writes []Write
	for _, key := range keys {
		writes = append(writes, Write{Scope: r.scope, Key: key})
	}
	writes = append(writes, Write{Scope: asideIndex, Key: r.scope})
	for len(writes) > 0 {
		some := writes[:min(dropBatch, len(writes))]
		writes = writes[len(some):]
		if err := a.store.Commit(context.WithoutCancel(ctx), &Frame{Writes: some, Lazy: true}); err != nil {
			return err
		}
	}
	g.mu.Lock()
	delete(g.rules, r.scope)
	g.line()
	g.mu.Unlock()
	if events > 0 {
		a.counts.dropped.Add(int64(events))
		a.opts.Log.Warn("events that a removed trigger had put aside were dropped: it has been gone for too long", "trigger", r.trigger, "events", events)
	}
	return nil
}
