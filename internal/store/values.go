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

var (
	metaApplied = []byte("mapplied") // the last frame sequence that was applied, the next record sequence
	metaSums    = []byte("msums")    // count and hash of the keys of each kind
)

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

// view reads from Badger, which stays open meanwhile. A panic over damaged
// tables is an error.
func (s *Store) view(f func(*badger.Txn) error) (err error) {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.isClosed() {
		return errClosed
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read the database: %w: %v", errDamaged, r)
		}
	}()
	return s.db.View(f)
}

// load reads and verifies one value; nil if there is none.
func (s *Store) load(key []byte) (data []byte, expires time.Time, err error) {
	err = s.view(func(txn *badger.Txn) error {
		data, expires, err = loadFrom(txn, key)
		return err
	})
	if errors.Is(err, errDamaged) {
		s.damagedValue(key)
	}
	return data, expires, err
}

func loadFrom(txn *badger.Txn, key []byte) ([]byte, time.Time, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	b, err := item.ValueCopy(nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	return decodeValue(key, b)
}
