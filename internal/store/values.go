package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Keys in Badger begin with one byte that tells what they hold.
const (
	prefixState = 's' // scope, 0, key
	prefixMeta  = 'm'
	prefixBlob  = 'b' // digest: size
	prefixChunk = 'c' // digest, chunk number
)

// metaApplied holds the last frame sequence that was applied and the next
// record sequence.
var metaApplied = []byte("mapplied")

func stateKey(scope, key string) []byte {
	b := make([]byte, 0, len(scope)+len(key)+2)
	b = append(append(b, prefixState), scope...)
	return append(append(b, 0), key...)
}

func splitStateKey(b []byte) (scope, key string, ok bool) {
	if len(b) == 0 || b[0] != prefixState {
		return "", "", false
	}
	s, k, ok := bytes.Cut(b[1:], []byte{0})
	return string(s), string(k), ok
}

// A value in Badger is its CRC32C (over key, expiry and data), when it expires
// (Unix milliseconds, 0 never), and the data.
const valueHeader = 12

func encodeValue(key []byte, expires time.Time, data []byte) []byte {
	b := make([]byte, valueHeader, valueHeader+len(data))
	if !expires.IsZero() {
		binary.LittleEndian.PutUint64(b[4:], uint64(expires.UnixMilli()))
	}
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b, valueChecksum(key, b))
	return b
}

func valueChecksum(key, b []byte) uint32 {
	return crc32.Update(checksum(key), castagnoli, b[4:])
}

// decodeValue verifies a value; data points into b.
func decodeValue(key, b []byte) (data []byte, expires time.Time, err error) {
	if len(b) < valueHeader || binary.LittleEndian.Uint32(b) != valueChecksum(key, b) {
		return nil, time.Time{}, fmt.Errorf("value of %.80q: %w", key, errDamaged)
	}
	if ms := int64(binary.LittleEndian.Uint64(b[4:])); ms != 0 {
		expires = time.UnixMilli(ms)
	}
	return b[valueHeader:], expires, nil
}

// view reads from Badger, which stays open meanwhile.
func (s *Store) view(f func(*badger.Txn) error) error {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.isClosed() {
		return errClosed
	}
	return s.db.View(f)
}

// load reads and verifies one value; nil if there is none.
func (s *Store) load(key []byte) (data []byte, expires time.Time, err error) {
	err = s.view(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := item.ValueCopy(nil)
		if err != nil {
			return err
		}
		data, expires, err = decodeValue(key, b)
		return err
	})
	if errors.Is(err, errDamaged) {
		s.damage(1, "a stored value is damaged", "key", string(key))
	}
	return data, expires, err
}

// loader writes to Badger in transactions that are small enough for it. Each
// is synced; they are not one unit.
type loader struct {
	db  *badger.DB
	txn *badger.Txn
}

func (l *loader) put(key []byte, expires time.Time, data []byte) error {
	value := encodeValue(key, expires, data)
	return l.do(func(txn *badger.Txn) error { return txn.Set(key, value) })
}

func (l *loader) delete(key []byte) error {
	return l.do(func(txn *badger.Txn) error { return txn.Delete(key) })
}

func (l *loader) do(op func(*badger.Txn) error) error {
	if l.txn == nil {
		l.txn = l.db.NewTransaction(true)
	}
	err := op(l.txn)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if err := l.commit(); err != nil {
		return err
	}
	l.txn = l.db.NewTransaction(true)
	return op(l.txn)
}

func (l *loader) commit() error {
	if l.txn == nil {
		return nil
	}
	txn := l.txn
	l.txn = nil
	return txn.Commit()
}

// abandon drops what was not committed.
func (l *loader) abandon() {
	if l.txn != nil {
		l.txn.Discard()
		l.txn = nil
	}
}
