package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
)

const (
	chunkSize = 256 << 10
	mostAhead = 64 << 20 // bytes of memory that a size on disk is believed for
)

func digestBytes(d agent.Digest) ([]byte, error) {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	b, err := hex.DecodeString(h)
	if !ok || err != nil || len(b) != sha256.Size || h != strings.ToLower(h) {
		return nil, fmt.Errorf("digest %.80q is not sha256: and 64 hex digits: %w", d, agent.ErrInvalid)
	}
	return b, nil
}

func blobDigest(sum []byte) agent.Digest { return agent.Digest(fmt.Sprintf("sha256:%x", sum)) }

func blobKey(sum []byte) []byte { return append([]byte{prefixBlob}, sum...) }

func chunkKey(sum []byte, i int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixChunk}, sum...), uint32(i))
}

// compareDigest gives an error that names both digests and wraps kind if they differ.
func compareDigest(sum []byte, h hash.Hash, kind error) error {
	if got := h.Sum(nil); string(got) != string(sum) {
		return fmt.Errorf("digest is sha256:%x, not sha256:%x as it should be: %w", got, sum, kind)
	}
	return nil
}

// update writes to Badger at once, if floor bytes are free on the disk.
func (s *Store) update(floor int64, op func(*loader) error) error {
	s.files.RLock()
	defer s.files.RUnlock()
	if s.isClosed() {
		return errClosed
	}
	if err := s.spare(floor); err != nil {
		return err
	}
	l := &loader{s: s}
	defer l.abandon()
	if err := op(l); err != nil {
		return err
	}
	return l.commit()
}

// Blob reads a blob and verifies it: agent.ErrNotFound if there is none. One
// that is damaged is not there any more afterwards, so that it can be put again.
func (s *Store) Blob(d agent.Digest) ([]byte, error) {
	sum, err := digestBytes(d)
	if err != nil {
		return nil, err
	}
	blob, err := s.readBlob(d, sum)
	if errors.Is(err, errDamaged) {
		s.log.Error("a stored module is damaged and is dropped", "digest", d, "error", err)
		err = errors.Join(err, s.DeleteBlob(d))
	}
	return blob, err
}

func (s *Store) readBlob(d agent.Digest, sum []byte) ([]byte, error) {
	size, err := s.blobSize(sum)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d, err)
	}
	blob := make([]byte, 0, min(size, mostAhead))
	h := sha256.New()
	for i := 0; int64(len(blob)) < size; i++ {
		chunk, _, err := s.load(chunkKey(sum, i))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", d, err)
		}
		if len(chunk) == 0 {
			return nil, fmt.Errorf("read %s: chunk %d is missing: %w", d, i, errDamaged)
		}
		h.Write(chunk)
		blob = append(blob, chunk...)
	}
	if err := compareDigest(sum, h, errDamaged); err != nil {
		return nil, fmt.Errorf("read %s: %w", d, err)
	}
	return blob, nil
}

func (s *Store) blobSize(sum []byte) (int64, error) {
	if s.isClosed() {
		return 0, errClosed
	}
	b, _, err := s.load(blobKey(sum))
	switch {
	case err != nil:
		return 0, err
	case b == nil:
		return 0, agent.ErrNotFound
	case len(b) != 8:
		return 0, errDamaged
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
}

// HasBlob tells whether a whole blob is stored under d. It does not read it.
func (s *Store) HasBlob(d agent.Digest) bool {
	sum, err := digestBytes(d)
	if err != nil {
		return false
	}
	_, err = s.blobSize(sum)
	return err == nil
}

// Blobs lists the digests of all blobs, sorted.
func (s *Store) Blobs() ([]agent.Digest, error) {
	if s.isClosed() {
		return nil, errClosed
	}
	var list []agent.Digest
	err := s.eachKey([]byte{prefixBlob}, func(key []byte, _ int64) { list = append(list, blobDigest(key[1:])) })
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	return list, nil
}

// DeleteBlob removes a blob, whole or not; removing what is not there is no error.
func (s *Store) DeleteBlob(d agent.Digest) error {
	sum, err := digestBytes(d)
	if err != nil {
		return err
	}
	defer s.lockBlob(sum)()
	_, err = s.blobSize(sum)
	if err == nil || errors.Is(err, errDamaged) {
		err = s.update(s.opts.Reserve/4, func(l *loader) error { return l.delete(blobKey(sum)) })
	} else if errors.Is(err, agent.ErrNotFound) {
		err = nil
	}
	if err == nil {
		err = s.deleteChunks(sum, 0)
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", d, err)
	}
	return nil
}

// deleteChunks removes the chunks of a blob from one on.
func (s *Store) deleteChunks(sum []byte, from int) error {
	var keys [][]byte
	first := chunkKey(sum, from)
	err := s.eachKey(first[:1+sha256.Size], func(key []byte, _ int64) {
		if bytes.Compare(key, first) >= 0 {
			keys = append(keys, bytes.Clone(key))
		}
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return s.update(s.opts.Reserve/4, func(l *loader) error {
		for _, key := range keys {
			if err := l.delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachKey calls f with every key that begins with prefix, in order, and the length
// of its value; f must copy the key to keep it.
func (s *Store) eachKey(prefix []byte, f func(key []byte, value int64)) error {
	return s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false, Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			f(it.Item().Key(), it.Item().ValueSize())
		}
		return nil
	})
}

// lockBlob waits until nobody else writes or deletes the blob; the returned
// function lets others go on.
func (s *Store) lockBlob(sum []byte) (unlock func()) {
	name := string(sum)
	s.blobs.Lock()
	for s.busyBlobs[name] != nil {
		busy := s.busyBlobs[name]
		s.blobs.Unlock()
		<-busy
		s.blobs.Lock()
	}
	done := make(chan struct{})
	s.busyBlobs[name] = done
	s.blobs.Unlock()
	return func() {
		s.blobs.Lock()
		delete(s.busyBlobs, name)
		s.blobs.Unlock()
		close(done)
	}
}

func (s *Store) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}
