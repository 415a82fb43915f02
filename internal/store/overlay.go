package store

import (
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// held is a committed value that Badger does not have yet.
type held struct {
	data    []byte // nil: deleted
	expires time.Time
	order   uint64 // of the commit; a later one wins however late the other one's sync ends
}

const heldCost = 96 // bytes of memory besides key and data, about

// overlay is committed values by scope and key.
type overlay struct {
	scopes map[string]map[string]held
	bytes  int64
	count  int
	frames int64 // bytes of the frames it came from: a start has to read them again
}

// maxReplay bounds the frames whose values are not applied, bytes: reading them
// again at a start takes about 30 ms.
const maxReplay = 16 << 20

// due tells that it is time to apply the overlay. The store's lock is held.
func (s *Store) due() bool {
	return s.active.bytes >= s.opts.Overlay || s.active.frames >= maxReplay
}

func newOverlay() *overlay { return &overlay{scopes: map[string]map[string]held{}} }

func (o *overlay) get(scope, key string) (held, bool) {
	if o == nil {
		return held{}, false
	}
	h, ok := o.scopes[scope][key]
	return h, ok
}

func (o *overlay) put(scope, key string, h held) {
	keys := o.scopes[scope]
	if keys == nil {
		keys = map[string]held{}
		o.scopes[scope] = keys
	}
	if old, ok := keys[key]; ok {
		if old.order > h.order {
			return
		}
		o.bytes += int64(len(h.data) - len(old.data))
	} else {
		o.count++
		o.bytes += int64(len(scope) + len(key) + len(h.data) + heldCost)
	}
	keys[key] = h
}

// write puts a committed write above Badger and the frozen overlay.
func (s *Store) write(w *agent.Write, order uint64) {
	if old, ok := s.frozen.get(w.Scope, w.Key); ok && old.order > order {
		return
	}
	s.active.put(w.Scope, w.Key, held{w.Value, w.Expires, order})
}

// lookup finds the newest committed value that Badger does not have yet.
func (s *Store) lookup(scope, key string) (held, bool) {
	if h, ok := s.active.get(scope, key); ok {
		return h, true
	}
	return s.frozen.get(scope, key)
}

// alive gives the data, nil if it was deleted or has expired.
func (s *Store) alive(h *held) []byte {
	if h.data == nil || s.expired(h.expires) {
		return nil
	}
	return h.data
}

func (s *Store) expired(at time.Time) bool { return !at.IsZero() && s.opts.Past(at) }
