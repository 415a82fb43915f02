package uplink

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// KeeperOptions of a Keeper.
type KeeperOptions struct {
	Disk    int64                            // bytes that records for targets may take
	Hold    bool                             // nothing is evicted: whoever adds records waits when the store is full
	Targets []string                         // that are configured; records for others go before theirs
	Left    func(at time.Time) time.Duration // until a record expires: that of the agent's Clock; nil: time.Until
	Log     *slog.Logger                     // nil: slog.Default
}

// Keeper bounds what waits for targets on disk. When that is over 95 % of its
// share, or the store is full of it, records go until it is under 90 %: those
// that have expired, then those of the lowest priority, among them those for
// targets that are not configured any more, then the oldest. Nothing else in
// the store is touched.
type Keeper struct {
	store  *store.Store
	opts   KeeperOptions
	log    *slog.Logger
	known  map[string]bool
	sweeps map[string]*sweep // by queue

	mu    sync.Mutex
	drops map[string]agent.DropCounts // by target
	disk  agent.UplinkDisk
}

// What a Keeper does at its limit.
const (
	FullEvict = "evict"
	FullHold  = "hold"
)

// NewKeeper returns a keeper of what waits in s.
func NewKeeper(s *store.Store, opts KeeperOptions) *Keeper {
	if opts.Left == nil {
		opts.Left = time.Until
	}
	k := &Keeper{
		store: s, opts: opts, log: cmp.Or(opts.Log, slog.Default()),
		known: map[string]bool{}, sweeps: map[string]*sweep{}, drops: map[string]agent.DropCounts{},
	}
	for _, name := range opts.Targets {
		k.known[name] = true
	}
	k.disk = agent.UplinkDisk{Limit: opts.Disk, Full: FullEvict}
	if opts.Hold {
		k.disk.Full = FullHold
	}
	return k
}

// Run keeps to the limit until ctx ends; it returns nil then.
func (k *Keeper) Run(ctx context.Context) error {
	failing, refused := false, false
	for {
		used, err := k.tend(ctx, refused)
		if err != nil && !failing && ctx.Err() == nil {
			k.log.Error("what waits for targets cannot be kept within uplink.disk; it will be tried again", "error", err)
		}
		failing, refused = err != nil, false
		select {
		case <-ctx.Done():
			return nil
		case <-k.store.Full():
			refused = true
		case <-time.After(k.pause(used)):
		}
	}
}

// pause is shorter the less room there is. Looking costs microseconds.
func (k *Keeper) pause(used int64) time.Duration {
	sp := k.store.Space()
	switch {
	case used > k.opts.Disk*4/5 || sp.Room < sp.Quota/5:
		return 250 * time.Millisecond
	case used > k.opts.Disk/2:
		return time.Second
	}
	return 5 * time.Second
}

// tend looks once, and does what is to be done; it returns what waits, bytes.
// refused says that the store has just taken something not.
func (k *Keeper) tend(ctx context.Context, refused bool) (used int64, err error) {
	queues := k.queues()
	excess := k.excess(queues, refused)
	if k.used(queues) > k.opts.Disk/2 || excess > 0 {
		if err := k.sweep(ctx, queues, excess > 0); err != nil {
			return k.used(queues), err
		}
		if excess > 0 {
			excess = k.beyond(queues)
		}
	}
	evicted := 0
	for n := 1; !k.opts.Hold && excess > 0 && n > 0 && err == nil; excess = k.beyond(queues) {
		n, err = k.evict(ctx, queues, excess)
		evicted += n
	}
	if evicted > 0 {
		k.log.Warn("no room for all that waits for targets: the least important records were dropped; skerry uplink shows which, uplink.disk how much may wait", "records", evicted)
	}
	used = k.used(queues)
	k.tell(used)
	return used, err
}

// queues are those that may be evicted from.
func (k *Keeper) queues() []*shelf {
	var list []*shelf
	for _, name := range k.store.Queues() {
		if target, priority, _, ok := agent.SplitTarget(name); ok {
			list = append(list, &shelf{Queue: k.store.Queue(name), name: name, target: target, priority: priority, orphan: !k.known[target]})
		}
	}
	return list
}

func (k *Keeper) used(queues []*shelf) (sum int64) {
	for _, q := range queues {
		sum += q.Bytes()
	}
	return sum
}

// Of 100: from where on the limit counts as reached, and where evicting ends.
const (
	fullAt    = 95
	evictedAt = 90
)

// excess is how much must go, 0 if the limit is not reached.
func (k *Keeper) excess(queues []*shelf, refused bool) int64 {
	sp := k.store.Space()
	tight := refused || sp.Room*100 < sp.Quota*(100-fullAt)
	if k.used(queues)*100 > k.opts.Disk*fullAt || tight && sp.Live > sp.Most {
		return k.beyond(queues)
	}
	return 0
}

// beyond is what must go until there is room again. The store makes the room
// itself once less than its Most waits. When it is full of other things than
// records for targets, half of their share stays theirs: who adds the others
// waits.
func (k *Keeper) beyond(queues []*shelf) int64 {
	sp, used := k.store.Space(), k.used(queues)
	over := used - k.opts.Disk*evictedAt/100
	if sp.Room*100 < sp.Quota*(100-evictedAt) {
		most := sp.Most - sp.Quota*(fullAt-evictedAt)/100
		over = max(over, min(sp.Live-most, used-k.opts.Disk/2))
	}
	return max(over, 0)
}

// tell sets what Disk says.
func (k *Keeper) tell(used int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.disk.Used, k.disk.Note = used, ""
	if k.opts.Hold && used*100 > k.opts.Disk*fullAt {
		k.disk.Note = fmt.Sprintf("what waits for targets has reached uplink.disk (%s) and uplink.full is hold: nothing is dropped, and when limits.disk is reached too, sources are not acknowledged any more; drop records with skerry uplink drop, or raise them",
			agent.BytesText(k.opts.Disk))
	}
}

// Disk is what waits for targets, of what it may take.
func (k *Keeper) Disk() agent.UplinkDisk {
	used := k.used(k.queues())
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.disk
	d.Used = used
	return d
}

// Drops are the records for a target that the keeper has dropped since the
// start, by cause.
func (k *Keeper) Drops(target string) agent.DropCounts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.drops[target]
}

// drop takes records out of the store. A crash may bring them back.
func (k *Keeper) drop(ctx context.Context, recs []agent.Record, count func(*agent.DropCounts)) error {
	f := &agent.Frame{Lazy: true}
	for i := range recs {
		f.Done = append(f.Done, recs[i].Seq)
	}
	if f.Empty() {
		return nil
	}
	if err := k.store.Commit(ctx, f); err != nil {
		return fmt.Errorf("drop records for targets: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range recs {
		target, _, _, _ := agent.SplitTarget(recs[i].Queue)
		c := k.drops[target]
		count(&c)
		k.drops[target] = c
	}
	return nil
}

func evicted(c *agent.DropCounts)       { c.Evicted++ }
func expiredOnDisk(c *agent.DropCounts) { c.Expired++ }

// shelf is a queue of one level of a target.
type shelf struct {
	*store.Queue
	name     string
	target   string
	priority uint8
	orphan   bool // its target is not configured any more
}

// rank orders queues by what goes first.
func (q *shelf) rank(r *shelf) int {
	if c := cmp.Compare(q.priority, r.priority); c != 0 || q.orphan == r.orphan {
		return c
	}
	if q.orphan {
		return -1
	}
	return 1
}

const (
	evictRecords = 256 // of a queue, that are looked at together
	evictBytes   = 1 << 20
)

// evict drops records of the lowest rank, oldest first, of bytes in all or a
// bounded number; it returns how many.
func (k *Keeper) evict(ctx context.Context, queues []*shelf, bytes int64) (int, error) {
	group := lowest(queues)
	var all []agent.Record
	horizon := ^uint64(0) // beyond it one of the queues has records that were not read
	for _, q := range group {
		recs, err := q.Page(0, evictRecords, int(min(bytes, evictBytes)))
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", q.name, err)
		}
		if len(recs) > 0 && len(recs) < q.Len() {
			horizon = min(horizon, recs[len(recs)-1].Seq)
		}
		all = append(all, recs...)
	}
	slices.SortFunc(all, func(a, b agent.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	n := 0
	for ; n < len(all) && all[n].Seq <= horizon && bytes > 0; n++ {
		bytes -= diskBytes(&all[n])
	}
	if err := k.drop(ctx, all[:n], evicted); err != nil {
		return 0, err
	}
	return n, nil
}

// lowest are the queues of the lowest rank in which something waits.
func lowest(queues []*shelf) (group []*shelf) {
	for _, q := range queues {
		switch {
		case q.Len() == 0:
		case len(group) == 0 || q.rank(group[0]) < 0:
			group = []*shelf{q}
		case q.rank(group[0]) == 0:
			group = append(group, q)
		}
	}
	return group
}

// diskBytes is about what a record takes on disk.
func diskBytes(r *agent.Record) int64 {
	e := &r.Event
	return int64(len(e.Data)+len(e.ID)+len(e.Source)+len(e.Type)+len(e.Subject)+len(e.ContentType)+
		len(r.Queue)+len(r.Key)+len(r.Function)+len(r.Trigger)) + 64
}
