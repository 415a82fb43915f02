package agent

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// committer gathers outcomes into groups and makes each group durable as one
// frame with one sync. While a group is being written the next one fills, and
// its runs see what the groups before them decided.
type committer struct {
	agent *Agent
	kick  chan struct{} // there is something to commit

	mu        sync.Mutex
	changed   *sync.Cond // open was sealed, or a group was settled
	open      *group
	sealed    *group // being written
	closed    bool
	epoch     uint64 // counts failed groups: what was read in an older one never happened
	pending   map[stateKey]pendingValue
	writes    uint64
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
	over     bool // settled or dropped
}

// A group that has so many outcomes, or so many bytes, takes no more.
const (
	maxGroup      = 64
	maxGroupBytes = 1 << 20
)

func (g *group) full() bool { return len(g.outcomes) >= maxGroup || g.size >= maxGroupBytes }

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
	c := &committer{agent: a, kick: make(chan struct{}, 1), open: &group{}, pending: map[stateKey]pendingValue{}}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// join adds an outcome to the open group if all it read is still so. reads is
// nil for outcomes that read nothing.
func (c *committer) join(o *outcome, reads *readSet) joinResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open.full() && !c.closed {
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
		c.slots[slot(w.Scope, w.Key)] = c.writes
		c.slots[slot(w.Scope, "")] = c.writes
		g.size += int64(len(w.Key) + len(w.Value))
	}
	for i := range o.adds {
		g.size += recordSize(&o.adds[i].Event)
	}
	g.frame.Writes = append(g.frame.Writes, o.writes...)
	g.frame.Add = append(g.frame.Add, o.adds...)
	if o.task.seq != 0 {
		g.frame.Done = append(g.frame.Done, o.task.seq)
	}
	g.sync = g.sync || o.sync
	g.outcomes = append(g.outcomes, o)
	if len(g.outcomes) == 1 {
		select {
		case c.kick <- struct{}{}:
		default:
		}
	}
}

// run commits groups until ctx ends, then the last one.
func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-c.kick:
			if linger := c.agent.opts.Linger; linger > 0 {
				time.Sleep(linger)
			}
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
		err = c.agent.store.Commit(context.WithoutCancel(ctx), &g.frame)
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
		c.agent.settled(o)
	}
	c.mu.Lock()
	c.sealed, g.over = nil, true
	c.changed.Broadcast()
	c.mu.Unlock()
}

// failed drops a group that could not be committed and the one behind it,
// whose runs may have read from it, and has their events run again before any
// other.
func (c *committer) failed(ctx context.Context, g *group, err error) {
	c.mu.Lock()
	lost := append(g.outcomes, c.open.outcomes...)
	g.over, c.open.over = true, true
	c.open, c.sealed = &group{}, nil
	c.epoch++
	clear(c.pending)
	full := errors.Is(err, ErrFull)
	c.failing++
	pause := min(fullPause<<min(c.failing-1, 5), maxFullPause)
	if full {
		c.fullUntil = time.Now().Add(pause)
	}
	c.giveBack(lost, full, pause)
	tell := c.failing == 1 || time.Since(c.told) > time.Minute
	if tell {
		c.told = time.Now()
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if tell {
		c.tell(full, len(lost), err)
	}
	if full {
		return // who needs room waits; the others need not
	}
	select { // the disk may need a while
	case <-time.After(250 * time.Millisecond):
	case <-ctx.Done():
	}
}

// tell logs why commits fail; it is called once a minute at most.
func (c *committer) tell(full bool, events int, err error) {
	log := c.agent.opts.Log
	if full {
		log.Error("no room for what functions decided: their events wait, unacknowledged; skerry status shows what fills the disk, limits.disk how much may",
			"events", events, "err", err)
		return
	}
	log.Error("cannot commit: nothing was acknowledged, the events run again until it works", "events", events, "err", err)
}

// An event whose outcome finds no room waits for so long, at first and at most.
const (
	fullPause    = time.Second
	maxFullPause = 15 * time.Second
)

// giveBack returns the tasks of dropped outcomes to their workers. When the
// store is full those that would add records wait, so that they do not spoil
// the groups of those that would not.
func (c *committer) giveBack(lost []*outcome, full bool, pause time.Duration) {
	byWorker, waiting := map[*worker][]*task{}, map[*worker][]*task{}
	for _, o := range lost {
		if o.task.volatile() && !o.dead { // nobody waits for it, and its publishes have left
			c.agent.counts.dropped.Add(1)
			continue
		}
		if full && len(o.adds) > 0 {
			waiting[o.worker] = append(waiting[o.worker], o.task)
			continue
		}
		byWorker[o.worker] = append(byWorker[o.worker], o.task)
	}
	for w, tasks := range waiting {
		w.postpone(tasks, pause)
	}
	for w, tasks := range byWorker {
		w.again(tasks)
	}
}

// flush waits until everything that has joined so far is settled or dropped.
func (c *committer) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
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
	if len(o.direct) == 0 {
		return
	}
	broker := a.opts.Publishers[o.via]
	for _, p := range o.direct {
		if err := broker.Publish(p.Topic, p.Data, p.QoS, p.Retain); err != nil {
			a.counts.dropped.Add(1)
			continue
		}
		a.counts.publishes.Add(1)
	}
}

// readSet is the state as one run sees it, and what it has read so far. It
// implements View over what is committed and what waits to be.
type readSet struct {
	committer   *committer
	epoch       uint64
	reads       []read
	uncommitted bool // it read something that is not durable yet
}

type read struct {
	slot    int
	version uint64
}

var slotSeed = maphash.MakeSeed()

// slot numbers a key for conflict detection. Two keys may share one: that
// costs a rerun, never a wrong result.
func slot(scope, key string) int {
	var h maphash.Hash
	h.SetSeed(slotSeed)
	h.WriteString(scope)
	h.WriteByte(0)
	h.WriteString(key)
	return int(h.Sum64() % uint64(len(committer{}.slots)))
}

// begin notes what the next run may build on.
func (r *readSet) begin() { r.epoch = r.committer.currentEpoch() }

// forget drops the reads of the last run.
func (r *readSet) forget() { r.reads, r.uncommitted = r.reads[:0], false }

// valid tells whether nothing that was read has been written since. The
// committer's lock is held.
func (r *readSet) valid() bool {
	for _, rd := range r.reads {
		if r.committer.slots[rd.slot] != rd.version {
			return false
		}
	}
	return true
}

// Get implements View.
func (r *readSet) Get(scope, key string) ([]byte, error) {
	c := r.committer
	n := slot(scope, key)
	c.mu.Lock()
	r.reads = append(r.reads, read{n, c.slots[n]})
	p, ok := c.pending[stateKey{scope, key}]
	c.mu.Unlock()
	if ok {
		r.uncommitted = true
		return p.write.Value, nil
	}
	return c.agent.store.Get(scope, key)
}

// Keys implements View.
func (r *readSet) Keys(scope, prefix string, limit int) ([]string, error) {
	c := r.committer
	n := slot(scope, "")
	var own []Write
	c.mu.Lock()
	r.reads = append(r.reads, read{n, c.slots[n]})
	for k, p := range c.pending {
		if k.scope == scope && strings.HasPrefix(k.key, prefix) {
			own = append(own, p.write)
		}
	}
	c.mu.Unlock()
	keys, err := c.agent.store.Keys(scope, prefix, limit+len(own))
	if err != nil || len(own) == 0 {
		return keys, err
	}
	r.uncommitted = true
	keys = overlayKeys(keys, own, prefix)
	return keys[:min(limit, len(keys))], nil
}
