package agent

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// asides knows what is put aside, by rule and key, and has it closed in time. In
// memory is a timer for each key of which something is put aside, and no more.
type asides struct {
	agent *Agent
	clock *Clock
	kick  chan struct{} // to wake: a timer came to the front

	mu     sync.Mutex
	rules  map[string]*gathering // by scope
	firing int                   // calls of fire under way
	ages   int                   // that were given
	heaps  [2]timers             // by arrival, by the events' times

	nextIdle, soonestIdle time.Time // the next look at keys to forget, and the earliest if many came
}

// gathering is the Gather of a trigger, its rule, as it is or as it was in an earlier deployment.
type gathering struct {
	Gather
	trigger string
	scope   string
	kept    atomic.Bool // it is in the store
	retired atomic.Bool // the trigger has another one now: what is there closes

	older atomic.Pointer[[]*gathering] // retired rules that the trigger had before; nil: none

	// guarded by asides.mu
	live  bool              // the trigger is deployed
	since time.Time         // when it last was live or retired began; of the Agent's now
	age   int               // the higher, the later it became the trigger's
	open  map[string]*timer // by key
	idled int               // keys of which nothing is put aside any more, since the last look
	size  int64             // what is put aside counts in the inbox
	inbox *inboxUse         // of the function; nil: it is not live
}

// asideChange is what an outcome changes of a key.
type asideChange struct {
	rule *gathering
	key  string
	due  int64 // when something of the key closes, by the clock of the rule
	open bool  // something is put aside
	cost int64 // bytes more that count in the inbox
}

// timer says when something of a key closes.
type timer struct {
	gather *gathering
	key    string
	due    int64 // by the clock of the rule
	at     int64 // when to look: due, or before it
	index  int   // in the heap; -1: it has fired
}

// settled notes that an outcome is durable.
func (g *asides) settled(c *asideChange) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := c.rule
	t := r.open[c.key]
	switch {
	case !c.open:
		if t != nil {
			g.disarm(t)
			delete(r.open, c.key)
		}
		if r.windows() {
			r.idled++
		}
		return
	case t == nil:
		t = &timer{gather: r, key: c.key, index: -1}
		r.open[c.key] = t
		r.kept.Store(true)
	}
	t.due = c.due
	if r.retired.Load() {
		t.due = math.MinInt64
	}
	if r.live && (t.index < 0 || t.due < t.at) {
		g.arm(t)
	}
}

// arm has a timer fire at its time. The lock is held.
func (g *asides) arm(t *timer) {
	h := g.heap(t.gather)
	t.at = t.due
	if t.index < 0 {
		heap.Push(h, t)
	} else {
		heap.Fix(h, t.index)
	}
	if t.index == 0 {
		select {
		case g.kick <- struct{}{}:
		default:
		}
	}
}

func (g *asides) disarm(t *timer) {
	if t.index >= 0 {
		heap.Remove(g.heap(t.gather), t.index)
	}
}

func (g *asides) heap(r *gathering) *timers {
	if r.Time != "" {
		return &g.heaps[1]
	}
	return &g.heaps[0]
}

// grew notes that what a key has put aside counts more.
func (g *asides) grew(r *gathering, cost int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.size += cost
	if r.inbox != nil {
		r.inbox.aside.Add(cost)
	}
}

// holds tells whether the rule has put anything aside.
func (g *asides) holds(r *gathering) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return r.size > 0
}

// longest is how long the timers sleep at most: the clock may have been set right.
const longest = time.Second

// run fires timers until ctx ends.
func (g *asides) run(ctx context.Context) error {
	for {
		wait := time.Hour
		if next, ok := g.fire(); ok {
			wait = min(longest, next)
		}
		sleep := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			sleep.Stop()
			return nil
		case <-g.kick:
		case <-sleep.C:
		}
		sleep.Stop()
	}
}

// next tells in how long something is due; ok is false if nothing is.
func (g *asides) next() (in time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.firing > 0 {
		return 0, true
	}
	for i := range g.heaps {
		if h := g.heaps[i]; len(h) > 0 {
			wait := time.Duration(0)
			if now := g.clock.at(h[0].gather); h[0].at > now {
				wait = time.Duration(h[0].at - now)
			}
			if !ok || wait < in {
				in, ok = wait, true
			}
		}
	}
	return in, ok
}

// fire gives the workers a task for each key that is due, and tells in how long
// the next one is; ok is false if there is none.
func (g *asides) fire() (next time.Duration, ok bool) {
	var tasks []*task
	g.mu.Lock()
	g.firing++
	for i := range g.heaps {
		h := &g.heaps[i]
		for len(*h) > 0 {
			t := (*h)[0]
			now := g.clock.at(t.gather)
			if t.at <= now && t.due <= now {
				heap.Pop(h)
				tasks = append(tasks, &task{
					trigger: g.agent.trigger(t.gather.trigger, ""), key: asideLane + t.key, gather: t.gather, at: now, order: g.agent.order.Add(1),
				})
				continue
			}
			if t.at < t.due { // it was put off since
				t.at = t.due
				heap.Fix(h, 0)
				continue
			}
			if wait := time.Duration(t.at - now); !ok || wait < next {
				next, ok = wait, true
			}
			break
		}
	}
	g.mu.Unlock()
	for _, t := range tasks {
		if !g.agent.enqueueTick(t) {
			g.again(t)
		}
	}
	g.mu.Lock()
	g.firing--
	g.mu.Unlock()
	return next, ok
}

// enqueueTick gives a task to the function of its trigger; false says that there
// is none.
func (a *Agent) enqueueTick(t *task) bool {
	for {
		d := a.current.Load()
		tr := d.triggers[t.gather.trigger]
		if tr == nil {
			return false
		}
		t.trigger = tr
		if d.functions[tr.Function].accept(t) == taken {
			return true
		}
	}
}

// again arms the timer of a task that found no function, should there be one soon.
func (g *asides) again(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if timer := t.gather.open[t.gatherKey()]; timer != nil && timer.index < 0 && t.gather.live {
		timer.due = t.at + int64(longest)
		g.arm(timer)
	}
}

// timers is a heap by time.
type timers []*timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
