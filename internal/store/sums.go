package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// buckets are the kinds of keys that are counted. Badger can lose keys without
// a word: a table that is skipped, an iterator that stops early.
var buckets = [...]struct {
	prefix byte
	name   string
}{{prefixState, "state"}, {prefixBlob, "modules"}, {prefixChunk, "chunks of modules"}}

// keySums is how many keys each bucket has, and the sum of their hashes.
type keySums [len(buckets)]struct{ count, hash uint64 }

func (k *keySums) add(key []byte, n uint64) {
	for i := range buckets {
		if len(key) > 0 && key[0] == buckets[i].prefix {
			k[i].count += n
			k[i].hash += n * keyHash(key)
		}
	}
}

// change counts a key that is about to be set or deleted.
func (k *keySums) change(txn *badger.Txn, key []byte, set bool) error {
	_, err := txn.Get(key)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound) && set:
		k.add(key, 1)
	case err == nil && !set:
		k.add(key, ^uint64(0))
	case err != nil && !errors.Is(err, badger.ErrKeyNotFound):
		return err
	}
	return nil
}

// keyHash is FNV-1a.
func keyHash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (k *keySums) encode() []byte {
	var b []byte
	for i := range k {
		b = binary.LittleEndian.AppendUint64(b, k[i].count)
		b = binary.LittleEndian.AppendUint64(b, k[i].hash)
	}
	return b
}

const sumsBytes = 16 * len(buckets)

func decodeSums(b []byte) (k keySums) {
	for i := range k {
		k[i].count, k[i].hash = binary.LittleEndian.Uint64(b[16*i:]), binary.LittleEndian.Uint64(b[16*i+8:])
	}
	return k
}

// readSums returns the sums as of txn; not ok if there are none, or damaged ones.
func readSums(txn *badger.Txn) (k keySums, ok bool, err error) {
	b, _, err := loadFrom(txn, metaSums)
	if errors.Is(err, errDamaged) || err == nil && len(b) != sumsBytes {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	return decodeSums(b), true, nil
}

// scrub reads everything over, at once and now and then.
func (s *Store) scrub(ctx context.Context) {
	tick := time.NewTicker(s.opts.Scrub)
	defer tick.Stop()
	for {
		s.verify(ctx)
		if err := s.scanKeys(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the keys of the database could not be checked", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.forgetVerified()
		}
	}
}

func (s *Store) forgetVerified() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segs {
		seg.verified = seg == s.current
	}
}

// scanKeys compares the keys in Badger with their sums and verifies every
// value. What is missing is counted as a gap, once.
func (s *Store) scanKeys(ctx context.Context) error {
	var want, got keySums
	var known bool
	err := s.view(func(txn *badger.Txn) (err error) {
		if want, known, err = readSums(txn); err != nil {
			return err
		}
		for i := range buckets {
			if err := s.scanBucket(ctx, txn, buckets[i].prefix, &got); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errDamaged) { // what was seen until there counts
		s.log.Error("the database is damaged", "error", err)
	} else if err != nil {
		return err
	}
	s.mu.RLock()
	fresh := s.applied == 0 && got == (keySums{})
	s.mu.RUnlock()
	if want == got && (known || fresh) {
		return nil
	}
	for i := range want {
		lost := int64(want[i].count - got[i].count)
		if want[i] != got[i] && known {
			s.damage(max(lost, 1), "the database has lost keys", "kind", buckets[i].name,
				"expected", want[i].count, "found", got[i].count)
		}
	}
	if !known {
		s.damage(1, "the database has lost the count of its keys")
	}
	return s.adoptSums(want, got)
}

func (s *Store) scanBucket(ctx context.Context, txn *badger.Txn, prefix byte, got *keySums) error {
	it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false, Prefix: []byte{prefix}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		item := it.Item()
		got.add(item.Key(), 1)
		err := item.Value(func(b []byte) error {
			_, _, err := decodeValue(item.Key(), b)
			return err
		})
		if errors.Is(err, errDamaged) {
			s.damagedValue(item.Key())
		} else if err != nil {
			return err
		}
	}
	return nil
}

// adoptSums makes what was found the sums to expect from now on.
func (s *Store) adoptSums(want, got keySums) error {
	l := &loader{s: s}
	defer l.abandon()
	if err := s.spare(s.opts.Reserve / 4); err != nil {
		return err
	}
	if err := l.begin(0); err != nil {
		return err
	}
	for i := range l.sums {
		l.sums[i].count += got[i].count - want[i].count
		l.sums[i].hash += got[i].hash - want[i].hash
	}
	if err := l.commit(); err != nil {
		return fmt.Errorf("count the keys anew: %w", err)
	}
	return nil
}

// checkSums looks whether the sums are there, and whether modules are missing
// from a database that has fallen back behind the marker beside it: values
// come again from the journal, modules do not.
func (s *Store) checkSums(m *marker) error {
	var now keySums
	known := false
	err := s.view(func(txn *badger.Txn) (err error) {
		now, known, err = readSums(txn)
		return err
	})
	if err != nil {
		return err
	}
	for i := range buckets {
		if lost := int64(m.sums[i].count - now[i].count); buckets[i].prefix != prefixState && s.applied < m.applied && lost > 0 {
			s.damage(lost, "the database has lost keys", "kind", buckets[i].name)
		}
	}
	if known {
		return nil
	}
	empty := s.applied == 0
	for i := range buckets {
		if err := s.eachKey([]byte{buckets[i].prefix}, func([]byte, int64) { empty = false }); err != nil {
			return err
		}
	}
	if empty {
		return nil
	}
	return s.scanKeys(context.Background())
}
