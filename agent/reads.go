package agent

import (
	"hash/maphash"
	"strings"
	"time"
)

// readSet is the state as one run sees it, and what it has read so far. It
// implements View over what is committed and what waits to be, and bounds it.
type readSet struct {
	committer   *committer
	spaces      *[2]*space // of the function
	epoch       uint64
	reads       []read
	uncommitted bool // it read something that is not durable yet
}

type read struct {
	slot    int
	version uint64
}

var hashSeed = maphash.MakeSeed()

func hashKey(scope, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(hashSeed)
	h.WriteString(scope)
	h.WriteByte(0)
	h.WriteString(key)
	return h.Sum64()
}

// slot numbers a key for conflict detection. Two keys may share one: that
// costs a rerun, never a wrong result.
func (c *committer) slot(scope, key string) int {
	return int(c.agent.hash(scope, key) % uint64(len(c.slots)))
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

// Used implements Sized.
func (r *readSet) Used(shared bool) int64 {
	if shared {
		return r.spaces[appSpace].bytes.Load()
	}
	return r.spaces[ownSpace].bytes.Load()
}

// expiry implements timed.
func (r *readSet) expiry(ttl time.Duration) time.Time {
	return r.committer.agent.expiry(ttl)
}

// past tells whether at, from expiry, is over.
func (r *readSet) past(at time.Time) bool {
	return r.committer.agent.past(at)
}

// Get implements View.
func (r *readSet) Get(scope, key string) ([]byte, error) {
	c := r.committer
	n := c.slot(scope, key)
	c.mu.Lock()
	r.reads = append(r.reads, read{n, c.slots[n]})
	p, ok := c.pending[stateKey{scope, key}]
	c.mu.Unlock()
	return r.newest(p, ok, scope, key)
}

// newest is the value of a write that is not durable yet, if there is one, else
// what the store has.
func (r *readSet) newest(p pendingValue, ok bool, scope, key string) ([]byte, error) {
	if ok {
		r.uncommitted = true
		return p.write.Value, nil
	}
	return r.committer.agent.store.Get(scope, key)
}

// peek is Get of what only those write who wrote something else that was read,
// too: no other worker can come between.
func (r *readSet) peek(scope, key string) ([]byte, error) {
	c := r.committer
	c.mu.Lock()
	p, ok := c.pending[stateKey{scope, key}]
	c.mu.Unlock()
	return r.newest(p, ok, scope, key)
}

// Keys implements View.
func (r *readSet) Keys(scope, prefix string, limit int) ([]string, error) {
	c := r.committer
	n := c.slot(scope, "")
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
	keys = overlayKeys(keys, own, matching(nil, own, scope, prefix), limit)
	return keys[:min(limit, len(keys))], nil
}
