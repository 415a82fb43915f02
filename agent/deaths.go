package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// deaths counts how often the agent died while a function ran an event: a bug in the
// engine, the kernel that was out of memory, kill -9. Such an event runs once more,
// while no other does that was under way at a death, so that one is to blame when it
// happens again. Then it goes to the dead-letter box instead of running, and its
// function is stopped for a while, longer with each such letter (see breaker).
//
// In the store, a death is JSON in the scope "deaths", under a hash of its deathKey. It
// goes in the frame with the outcome of the event; the newest maxKnownDeaths stay.
type deaths struct {
	known atomic.Int64 // so many are in by; for the hot path

	mu     sync.Mutex
	by     map[deathKey]*death
	newest uint64 // Order

	alone sync.Mutex // held by the run of an event with a death
}

const (
	deathScope     = "deaths"
	maxKnownDeaths = 256
	maxDeaths      = 2 // of an event: then it is not run again
)

// deathKey is a run that is known over a restart; of another version of the function
// it is another one. Without an event it stands for the function.
type deathKey struct{ function, version, trigger, event string }

// death is what is known of a run that the agent died in, or of a function that has
// letters for it.
type death struct {
	Function string `json:"function"`
	Version  string `json:"version"`
	Trigger  string `json:"trigger,omitempty"`
	Event    string `json:"event,omitempty"`
	Slot     string `json:"slot,omitempty"` // of the event's Origin, as the hash
	Hash     uint64 `json:"hash,omitempty"`
	Count    int    `json:"count"`          // deaths; of a function: letters since it last worked
	Life     string `json:"life,omitempty"` // of the agent, that ended with the last of them
	Order    uint64 `json:"order"`          // the higher, the newer
}

func (d *death) key() deathKey { return deathKey{d.Function, d.Version, d.Trigger, d.Event} }

// write keeps d, or deletes it if its count is 0.
func (d *death) write() Write {
	w := Write{Scope: deathScope, Key: d.key().name()}
	if d.Count > 0 {
		value, err := json.Marshal(d)
		if err != nil { // it holds numbers and texts
			panic(err)
		}
		w.Value = value
	}
	return w
}

func (k deathKey) name() string {
	sum := sha256.Sum256([]byte(k.function + "\x00" + k.version + "\x00" + k.trigger + "\x00" + k.event))
	return hex.EncodeToString(sum[:16])
}

// load reads what is known of earlier deaths, and counts what the last one cost. What
// cannot be kept is known to this start alone.
func (d *deaths) load(ctx context.Context, a *Agent) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.read(a.store); err != nil {
		return err
	}
	life, runs := a.underway.past(a.opts.Log)
	f := &Frame{}
	for _, r := range runs {
		if n, counted := d.count(r, life); !counted {
			a.opts.Log.Error("the agent died while a function ran: its event runs once more, and becomes a dead letter if that happens again",
				"function", r.function, "version", r.version, "event", r.event, "deaths", n)
			f.Writes = append(f.Writes, d.by[r.deathKey].write())
		}
	}
	f.Writes = append(f.Writes, d.evict()...)
	d.known.Store(int64(len(d.by)))
	if !f.Empty() {
		if err := a.store.Commit(ctx, f); err != nil {
			a.opts.Log.Warn("cannot keep what the agent died of", "err", err)
		}
	}
	a.underway.renew(a.opts.Log)
	return nil
}

func (d *deaths) read(view View) error {
	d.by = map[deathKey]*death{}
	names, err := view.Keys(deathScope, "", math.MaxInt32)
	if err != nil {
		return fmt.Errorf("read what the agent died of: %w", err)
	}
	for _, name := range names {
		value, err := view.Get(deathScope, name)
		if err != nil {
			return fmt.Errorf("read what the agent died of: %w", err)
		}
		var known death
		if json.Unmarshal(value, &known) == nil && known.key().name() == name {
			d.by[known.key()] = &known
			d.newest = max(d.newest, known.Order)
		}
	}
	return nil
}

// count notes that the agent died in r, once for each life: it may have died again
// before it could forget that.
func (d *deaths) count(r ran, life string) (n int, counted bool) {
	known := d.by[r.deathKey]
	if known == nil {
		known = &death{
			Function: r.function, Version: r.version, Trigger: r.trigger, Event: r.event,
			Slot: r.origin.Slot, Hash: r.origin.Hash,
		}
		d.by[r.deathKey] = known
	}
	if known.Life == life {
		return known.Count, true
	}
	d.newest++
	known.Count, known.Life, known.Order = known.Count+1, life, d.newest
	return known.Count, false
}

// evict forgets the oldest of too many: of most the event never came again.
func (d *deaths) evict() (writes []Write) {
	all := slices.SortedFunc(maps.Values(d.by), func(a, b *death) int { return cmp.Compare(a.Order, b.Order) })
	for _, old := range all[:max(0, len(all)-maxKnownDeaths)] {
		delete(d.by, old.key())
		old.Count = 0
		writes = append(writes, old.write())
	}
	return writes
}

// of tells how often the agent died in such a run.
func (d *deaths) of(key deathKey) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.by[key]; known != nil {
		return known.Count
	}
	return 0
}

// idOf is the id that a redelivered event had when the agent died in it, "" if it did not.
func (d *deaths) idOf(o Origin) (id string) {
	if d.known.Load() == 0 {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, known := range d.by {
		if known.Event != "" && known.Slot == o.Slot && known.Hash == o.Hash {
			id = max(id, known.Event)
		}
	}
	return id
}

// over has the frame of an outcome forget the deaths of its event.
func (d *deaths) over(o *outcome) {
	if d.known.Load() == 0 {
		return
	}
	key := o.worker.deathKey(o.task, o.event)
	if d.of(key) > 0 {
		o.survived = &key
		o.writes = append(o.writes, (&death{Function: key.function, Version: key.version, Trigger: key.trigger, Event: key.event}).write())
	}
}

// forget notes that the event of key has a durable outcome.
func (d *deaths) forget(key deathKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.by, key)
	d.known.Store(int64(len(d.by)))
}

// convict counts a letter of a function, and tells how many there are.
func (d *deaths) convict(ctx context.Context, a *Agent, fn *Function) int {
	key := deathKey{function: fn.Name, version: fn.Version()}
	d.mu.Lock()
	known := d.by[key]
	if known == nil {
		known = &death{Function: fn.Name, Version: fn.Version()}
		d.by[key] = known
	}
	d.newest++
	known.Count, known.Order = known.Count+1, d.newest
	n, w := known.Count, known.write()
	d.known.Store(int64(len(d.by)))
	d.mu.Unlock()
	d.keep(ctx, a, w)
	return n
}

// acquit forgets the letters of a function that works.
func (d *deaths) acquit(ctx context.Context, a *Agent, fn *Function) {
	key := deathKey{function: fn.Name, version: fn.Version()}
	if d.known.Load() == 0 || d.of(key) == 0 {
		return
	}
	d.forget(key)
	d.keep(ctx, a, (&death{Function: key.function, Version: key.version}).write())
}

func (d *deaths) keep(ctx context.Context, a *Agent, w Write) {
	if err := a.store.Commit(context.WithoutCancel(ctx), &Frame{Writes: []Write{w}}); err != nil {
		a.opts.Log.Warn("cannot keep whether a function killed the agent", "function", w.Key, "err", err)
	}
}

// admit asks whether a run may begin that the agent died in before, if it did: the error
// says why it must not now, or not any more. Release ends the run.
func (d *deaths) admit(key deathKey) (release func(), err error) {
	switch n := d.of(key); {
	case n == 0:
		return func() {}, nil
	case n >= maxDeaths:
		return nil, diedError(n)
	case !d.alone.TryLock():
		return nil, fmt.Errorf("%w: another event runs that the agent may have died of", errPutOff)
	}
	return d.alone.Unlock, nil
}

// diedError is why an event is not run again.
func diedError(n int) error {
	times := "twice"
	if n > maxDeaths {
		times = fmt.Sprint(n, " times")
	}
	return &Fault{FaultDeath, fmt.Errorf("the agent died %s while it ran", times)}
}

func isDeath(err error) bool {
	var fault *Fault
	return errors.As(err, &fault) && fault.Kind == FaultDeath
}

// condemned stops a function for a while that has letters from an earlier start.
func (fn *function) condemned() {
	key := deathKey{function: fn.Name, version: fn.Version()}
	if n := fn.agent.deaths.of(key); n > 0 {
		fn.workers[0].killed(n, &Fault{FaultDeath, fmt.Errorf("the agent died twice while it ran, of %d of its events", n)})
	}
}

func (w *worker) deathKey(t *task, ev *Event) deathKey {
	return deathKey{w.fn.Name, w.fn.Version(), t.trigger.Name, ev.ID}
}

// attempt runs the function on ev, unless the agent died too often of that.
func (w *worker) attempt(ctx context.Context, t *task, ev *Event) error {
	if deaths := &w.fn.agent.deaths; deaths.known.Load() > 0 {
		release, err := deaths.admit(w.deathKey(t, ev))
		if err != nil {
			return err
		}
		defer release()
	}
	w.inv.Begin(ev, t.trigger.Name, t.attempts+1)
	w.inv.trigger = &t.trigger.Trigger
	return w.invoke(ctx)
}
