package store

import (
	"time"

	"github.com/dgraph-io/badger/v4"
)

// loader writes to Badger in transactions that are small enough for it. Each
// is synced; they are not one unit. Each carries the sums of the keys there
// are after it, and only one is under way at a time.
type loader struct {
	s           *Store
	txn         *badger.Txn
	sums, last  keySums // as the transaction leaves them; as the last one left them
	count, size int64
}

// Bytes and entries of a transaction that are left to the sums and to Badger.
const (
	spareBytes   = 2 << 10
	spareEntries = 8
)

func (l *loader) put(key []byte, expires time.Time, data []byte) error {
	value := encodeValue(key, expires, data)
	if err := l.begin(int64(len(key) + len(value))); err != nil {
		return err
	}
	if err := l.sums.change(l.txn, key, true); err != nil {
		return err
	}
	return l.txn.Set(key, value)
}

func (l *loader) delete(key []byte) error {
	if err := l.begin(int64(len(key))); err != nil {
		return err
	}
	if err := l.sums.change(l.txn, key, false); err != nil {
		return err
	}
	return l.txn.Delete(key)
}

// begin makes room for n bytes in the transaction, or opens the next one.
func (l *loader) begin(n int64) error {
	n += 64 // Badger's own
	full := l.size+n > l.s.db.MaxBatchSize()-spareBytes || l.count+1 > l.s.db.MaxBatchCount()-spareEntries
	if l.txn != nil && full {
		if err := l.commit(); err != nil {
			return err
		}
	}
	if l.txn == nil {
		if err := l.s.spare(l.s.opts.Reserve / 4); err != nil {
			return err
		}
		l.s.writing.Lock()
		l.txn, l.count, l.size = l.s.db.NewTransaction(true), 0, 0
		var err error
		if l.sums, _, err = readSums(l.txn); err != nil {
			return err
		}
	}
	l.count++
	l.size += n
	return nil
}

func (l *loader) commit() error {
	if l.txn == nil {
		return nil
	}
	defer l.abandon()
	if err := l.txn.Set(metaSums, encodeValue(metaSums, time.Time{}, l.sums.encode())); err != nil {
		return err
	}
	l.last = l.sums
	return l.txn.Commit()
}

// abandon drops what was not committed.
func (l *loader) abandon() {
	if l.txn != nil {
		l.txn.Discard()
		l.txn = nil
		l.s.writing.Unlock()
	}
}
