package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
)

// Get returns the committed value of key in scope, nil if there is none or it
// has expired. The value must not be changed. A value that was damaged on disk
// is an error, never a wrong value.
func (s *Store) Get(scope, key string) ([]byte, error) {
	value, _, err := s.get(scope, key)
	return value, err
}

// Read is Get with when the value expires.
func (s *Store) Read(scope, key string) (agent.Write, error) {
	value, expires, err := s.get(scope, key)
	return agent.Write{Scope: scope, Key: key, Value: value, Expires: expires}, err
}

func (s *Store) get(scope, key string) ([]byte, time.Time, error) {
	s.mu.RLock()
	h, ok := s.lookup(scope, key)
	closed, generation := s.closed, s.generation
	s.mu.RUnlock()
	switch {
	case closed:
		return nil, time.Time{}, errClosed
	case ok:
		return s.alive(&h), h.expires, nil
	}
	data, expires, err := s.load(stateKey(scope, key))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read %s of %s: %w", key, scope, err)
	}
	if data != nil && s.expired(expires) {
		s.forget(scope, key, generation)
		return nil, time.Time{}, nil
	}
	return data, expires, nil
}

// forget has an expired value deleted with the next checkpoint, unless there
// was one since it was read: the key may have a new value then.
func (s *Store) forget(scope, key string, generation uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, newer := s.lookup(scope, key); newer || generation != s.generation || s.active.bytes > s.opts.Overlay/2 {
		return
	}
	s.active.put(scope, key, held{})
}

// Keys returns at most limit keys in scope that start with prefix, sorted.
func (s *Store) Keys(scope, prefix string, limit int) ([]string, error) {
	s.mu.RLock()
	closed, generation := s.closed, s.generation
	newer := s.newer(scope, prefix)
	s.mu.RUnlock()
	if closed {
		return nil, errClosed
	}
	keys, err := s.storedKeys(scope, prefix, limit, newer)
	if err != nil {
		return nil, fmt.Errorf("list keys of %s: %w", scope, err)
	}
	s.mu.RLock()
	moved := generation != s.generation
	s.mu.RUnlock()
	if moved { // a checkpoint moved values from one to the other meanwhile
		return s.Keys(scope, prefix, limit)
	}
	for key, alive := range newer {
		if alive {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys[:min(limit, len(keys))], nil
}

// newer tells of keys that Badger does not know right whether they are there.
func (s *Store) newer(scope, prefix string) map[string]bool {
	found := map[string]bool{}
	for _, o := range [...]*overlay{s.frozen, s.active} {
		if o == nil {
			continue
		}
		for key, h := range o.scopes[scope] {
			if strings.HasPrefix(key, prefix) {
				found[key] = s.alive(&h) != nil
			}
		}
	}
	return found
}

// storedKeys lists keys in Badger that are alive and not in except.
func (s *Store) storedKeys(scope, prefix string, limit int, except map[string]bool) ([]string, error) {
	var keys []string
	from := stateKey(scope, prefix)
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false, Prefix: from})
		defer it.Close()
		for it.Seek(from); it.Valid() && len(keys) < limit; it.Next() {
			item := it.Item()
			_, key, _ := splitStateKey(item.Key())
			if _, ok := except[key]; ok {
				continue
			}
			var gone bool
			err := item.Value(func(b []byte) error {
				_, expires, err := decodeValue(item.Key(), b)
				gone = err == nil && s.expired(expires)
				return nil // a damaged value is told when it is read; its key is there
			})
			if err != nil {
				return err
			}
			if !gone {
				keys = append(keys, key)
			}
		}
		return nil
	})
	return keys, err
}

// sweep deletes expired values among the next n keys, so that marks nobody
// reads any more do not pile up.
func (s *Store) sweep(l *loader, n int) error {
	var gone [][]byte
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false, Prefix: []byte{prefixState}})
		defer it.Close()
		from := s.sweepFrom
		if from == nil {
			from = []byte{prefixState}
		}
		for it.Seek(from); it.Valid() && n > 0; it.Next() {
			n--
			item := it.Item()
			err := item.Value(func(b []byte) error {
				if _, expires, err := decodeValue(item.Key(), b); err == nil && s.expired(expires) {
					gone = append(gone, item.KeyCopy(nil))
				}
				return nil // a damaged value is told when it is read
			})
			if err != nil {
				return err
			}
		}
		s.sweepFrom = nil
		if it.Valid() {
			s.sweepFrom = bytes.Clone(it.Item().Key())
		}
		return nil
	})
	for _, key := range gone {
		if err == nil {
			err = l.delete(key)
		}
	}
	return err
}
