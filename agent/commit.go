package agent

import (
	"context"
	"sync"
	"time"
)

// committer gathers outcomes into groups and makes each group durable as one
// frame with one sync. While a group is being written the next one fills, and
// its runs see what the groups before them decided.
type committer struct {
	agent *Agent
	kick  chan struct{} // there is something to commit
	hurry chan struct{} // it should not linger

	mu        sync.Mutex
	changed   *sync.Cond // open was sealed, or a group was settled
	open      *group
	sealed    *group // being written
	closed    bool
	epoch     uint64 // counts failed groups: what was read in an older one never happened
	pending   map[stateKey]pendingValue
	writes    uint64
	flushing  int          // who waits in flush
	failing   int          // commits that failed, in a row
	fullUntil time.Time    // no room before, most likely
	told      time.Time    // when that was last logged
	slots     [4096]uint64 // number of the last write to keys that hash here
}

// group is what one frame will hold.
type group struct {
	frame    Frame
	outcomes []*outcome
	size     int64 // bytes of what was decided
	sync     bool
	over     bool           // settled or dropped
	blocks   map[string]int // marks: where in frame.Writes each block is
}

// A group that has so many outcomes, or so many bytes, takes no more.
const (
	maxGroup      = 64
	maxGroupBytes = 1 << 20
)

// full tells whether the open group takes no more.
func (c *committer) full() bool {
	return len(c.open.outcomes) >= c.agent.opts.Group || c.open.size >= maxGroupBytes
}

type stateKey struct{ scope, key string }

// pendingValue is a value whose group is not durable yet.
type pendingValue struct {
	write Write
	in    *group
}

type joinResult uint8

const (
	joined   joinResult = iota
	conflict            // another worker changed what was read: run again now
	stale               // what was read was dropped: run again after what it depends on
	ended               // the agent stops; nothing was kept
)

func newCommitter(a *Agent) *committer {
	c := &committer{agent: a, kick: make(chan struct{}, 1), hurry: make(chan struct{}, 1), open: &group{}, pending: map[stateKey]pendingValue{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// join adds an outcome to the open group if all it read is still so. reads is
// nil for outcomes that read nothing.
func (c *committer) join(o *outcome, reads *readSet) joinResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.full() && !c.closed {
		c.changed.Wait()
	}
	switch {
	case c.closed:
		return ended
	case reads != nil && reads.epoch != c.epoch:
		return stale
	case reads != nil && !reads.valid():
		return conflict
	}
	if len(o.adds) > 0 && o.task.volatile() && !o.dead && time.Now().Before(c.fullUntil) {
		c.agent.counts.dropped.Add(1) // it would fail the group of those that need no room
		return joined
	}
	c.add(o)
	return joined
}

// add enters an outcome into the open group.
func (c *committer) add(o *outcome) {
	g := c.open
	for _, w := range o.writes {
		c.pending[stateKey{w.Scope, w.Key}] = pendingValue{w, g}
		c.writes++
		c.slots[c.slot(w.Scope, w.Key)] = c.writes
		c.slots[c.slot(w.Scope, "")] = c.writes
		g.size += int64(len(w.Key) + len(w.Value))
	}
	for i := range o.adds {
		g.size += recordSize(&o.adds[i].Event)
	}
	g.frame.Writes = append(g.frame.Writes, o.writes...)
	if o.marked {
		c.mark(g, o)
	}
	g.frame.Add = append(g.frame.Add, o.adds...)
	if o.task.seq != 0 {
		g.frame.Done = append(g.frame.Done, o.task.seq)
	}
	g.sync = g.sync || o.level == DurabilitySync
	if d := o.task.within(o.level); d > 0 && (g.frame.Within == 0 || d < g.frame.Within) {
		g.frame.Within = d
	}
	o.worker.fn.grew(o, 1)
	g.outcomes = append(g.outcomes, o)
	if len(g.outcomes) == 1 {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
	if c.full() {
		c.hurryUp()
	}
}

// mark enters what is to be remembered of an outcome into the group's frame. The
// committer's lock is held.
func (c *committer) mark(g *group, o *outcome) {
	key, place := blockOf(o.event.Origin.Slot)
	var value []byte
	old, err := c.block(key)
	if err == nil {
		value = remember(old, place, markOf(o.event, o.task.trigger.Name))
	}
	if err != nil || len(value) > maxBlock { // what it holds must not be written over, nor grow without end
		g.frame.Writes = append(g.frame.Writes, markWrite(o.event, o.task.trigger.Name))
		return
	}
	w := Write{Scope: blockScope, Key: key, Value: value}
	c.pending[stateKey{blockScope, key}] = pendingValue{w, g}
	if i, ok := g.blocks[key]; ok {
		g.frame.Writes[i] = w
		return
	}
	g.size += int64(len(key) + len(w.Value))
	if g.blocks == nil {
		g.blocks = map[string]int{}
	}
	g.blocks[key] = len(g.frame.Writes)
	g.frame.Writes = append(g.frame.Writes, w)
}

// block reads the marks under key, those that are not durable yet included.
func (c *committer) block(key string) ([]byte, error) {
	if p, ok := c.pending[stateKey{blockScope, key}]; ok {
		return p.write.Value, nil
	}
	return c.agent.store.Get(blockScope, key)
}

// hurryUp ends the lingering, if there is any. The committer's lock is held.
func (c *committer) hurryUp() {
	select {
	case c.hurry <- struct{}{}:
	default:
	}
}

// run commits groups until ctx ends, then the last one.
func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-c.kick:
			c.linger(ctx)
			c.commit(ctx)
		case <-ctx.Done():
			c.commit(ctx)
			c.mu.Lock()
			c.closed = true
			c.changed.Broadcast()
			c.mu.Unlock()
			return
		}
	}
}

// linger lets the open group wait for company, until it is full or somebody
// waits for it. A group that is not synced has no need to.
func (c *committer) linger(ctx context.Context) {
	c.mu.Lock()
	select {
	case <-c.hurry: // of a group before
	default:
	}
	wait := c.agent.opts.Linger > 0 && c.open.sync && !c.full() && c.flushing == 0
	c.mu.Unlock()
	if !wait {
		return
	}
	timer := time.NewTimer(c.agent.opts.Linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.hurry:
	case <-ctx.Done():
	}
}

// commit makes the open group durable, or drops it and all that built on it.
func (c *committer) commit(ctx context.Context) {
	c.mu.Lock()
	g := c.open
	if len(g.outcomes) == 0 {
		c.mu.Unlock()
		return
	}
	c.open, c.sealed = &group{}, g
	c.changed.Broadcast()
	c.mu.Unlock()

	var err error
	g.frame.Lazy = !g.sync
	if !g.frame.Empty() {
		err = c.agent.replacer.commit(context.WithoutCancel(ctx), &g.frame)
	}
	if err != nil {
		c.failed(ctx, g, err)
		return
	}
	c.settle(g)
}

// settle tells everybody that the group is durable.
func (c *committer) settle(g *group) {
	n := 0
	for _, o := range g.outcomes { // Commit has numbered the records
		for i := range o.adds {
			o.adds[i].Seq = g.frame.Add[n].Seq
			n++
		}
	}
	c.mu.Lock()
	if c.failing > 0 && len(g.frame.Add) > 0 {
		c.failing = 0
		c.agent.opts.Log.Info("commits work again")
	}
	for _, w := range g.frame.Writes {
		if k := (stateKey{w.Scope, w.Key}); c.pending[k].in == g {
			delete(c.pending, k)
		}
	}
	c.mu.Unlock()
	for _, o := range g.outcomes {
		o.worker.fn.settleSpaces(o)
		c.agent.settled(o)
	}
	c.mu.Lock()
	c.sealed, g.over = nil, true
	c.changed.Broadcast()
	c.mu.Unlock()
}

// flush waits until everything that has joined so far is settled or dropped.
func (c *committer) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushing++
	defer func() { c.flushing-- }()
	c.hurryUp()
	for _, g := range []*group{c.sealed, c.open} {
		for g != nil && len(g.outcomes) > 0 && !g.over && !c.closed {
			c.changed.Wait()
		}
	}
}

func (c *committer) currentEpoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

func (c *committer) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sealed != nil || len(c.open.outcomes) > 0
}

// publishNow sends what need not survive a crash.
func (a *Agent) publishNow(o *outcome) {
	for i := range o.direct {
		p := &o.direct[i]
		broker, topic := a.destination(o.event, p)
		if err := a.opts.Publishers[broker].Publish(topic, p.Data, p.QoS, p.Retain); err != nil {
			a.counts.dropped.Add(1)
			continue
		}
		a.counts.publishes.Add(1)
	}
}
