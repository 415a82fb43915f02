package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
)

const chunkSize = 256 << 10

func digestBytes(d agent.Digest) ([]byte, error) {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	b, err := hex.DecodeString(h)
	if !ok || err != nil || len(b) != sha256.Size || h != strings.ToLower(h) {
		return nil, fmt.Errorf("digest %.80q is not sha256: and 64 hex digits: %w", d, agent.ErrInvalid)
	}
	return b, nil
}

func blobKey(sum []byte) []byte { return append([]byte{prefixBlob}, sum...) }

func chunkKey(sum []byte, i int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{prefixChunk}, sum...), uint32(i))
}

// PutBlob stores what r gives under its digest, in chunks. It is there only
// when it is whole: other bytes than d and size promise are an error that
// names both digests, and nothing is kept of them.
func (s *Store) PutBlob(ctx context.Context, d agent.Digest, size int64, r io.Reader) error {
	sum, err := digestBytes(d)
	if err != nil {
		return err
	}
	defer s.lockBlob(sum)()
	if s.HasBlob(d) {
		return nil
	}
	chunks, err := s.putChunks(ctx, sum, size, r)
	if err == nil {
		err = s.update(s.opts.Reserve, func(l *loader) error {
			return l.put(blobKey(sum), time.Time{}, binary.LittleEndian.AppendUint64(nil, uint64(size)))
		})
	}
	if err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", d, asFull(err)), s.deleteChunks(sum, chunks))
	}
	return nil
}

// putChunks writes and verifies the bytes; it tells how many chunks it began.
func (s *Store) putChunks(ctx context.Context, sum []byte, size int64, r io.Reader) (chunks int, err error) {
	h := sha256.New()
	buf := make([]byte, chunkSize)
	for left := size; left > 0; chunks++ {
		if err := ctx.Err(); err != nil {
			return chunks, err
		}
		b := buf[:min(left, chunkSize)]
		if n, err := io.ReadFull(r, b); err != nil {
			return chunks, fmt.Errorf("ends after %d bytes of %d: %w", size-left+int64(n), size, err)
		}
		left -= int64(len(b))
		h.Write(b)
		if err := s.update(s.opts.Reserve, func(l *loader) error { return l.put(chunkKey(sum, chunks), time.Time{}, b) }); err != nil {
			return chunks + 1, err
		}
	}
	if n, err := io.ReadFull(r, buf[:1]); n > 0 {
		return chunks, fmt.Errorf("has more than the %d bytes it should", size)
	} else if !errors.Is(err, io.EOF) {
		return chunks, err
	}
	return chunks, compareDigest(sum, h)
}

func compareDigest(sum []byte, h hash.Hash) error {
	if got := h.Sum(nil); string(got) != string(sum) {
		return fmt.Errorf("digest is sha256:%x, not sha256:%x as it should be: %w", got, sum, errDamaged)
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
	var blob []byte
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
	if err := compareDigest(sum, h); err != nil {
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
	err := s.eachKey(prefixBlob, func(key []byte) {
		list = append(list, agent.Digest(fmt.Sprintf("sha256:%x", key[1:])))
	})
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	return list, nil
}

// DeleteBlob removes a blob; removing what is not there is no error.
func (s *Store) DeleteBlob(d agent.Digest) error {
	sum, err := digestBytes(d)
	if err != nil {
		return err
	}
	defer s.lockBlob(sum)()
	size, err := s.blobSize(sum)
	switch {
	case errors.Is(err, agent.ErrNotFound):
		return nil
	case err != nil && !errors.Is(err, errDamaged):
		return fmt.Errorf("delete %s: %w", d, err)
	}
	if err := s.update(s.opts.Reserve/4, func(l *loader) error { return l.delete(blobKey(sum)) }); err != nil {
		return fmt.Errorf("delete %s: %w", d, err)
	}
	return s.deleteChunks(sum, int((size+chunkSize-1)/chunkSize))
}

func (s *Store) deleteChunks(sum []byte, chunks int) error {
	if chunks == 0 {
		return nil
	}
	err := s.update(s.opts.Reserve/4, func(l *loader) error {
		for i := range chunks {
			if err := l.delete(chunkKey(sum, i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete chunks: %w", err)
	}
	return nil
}

// sweepChunks removes chunks of blobs that were never finished.
func (s *Store) sweepChunks() error {
	var orphans [][]byte
	whole := map[string]bool{}
	if err := s.eachKey(prefixBlob, func(key []byte) { whole[string(key[1:])] = true }); err != nil {
		return err
	}
	err := s.eachKey(prefixChunk, func(key []byte) {
		if len(key) == 1+sha256.Size+4 && !whole[string(key[1:1+sha256.Size])] {
			orphans = append(orphans, append([]byte{}, key...))
		}
	})
	if err != nil || len(orphans) == 0 {
		return err
	}
	return s.update(s.opts.Reserve/4, func(l *loader) error {
		for _, key := range orphans {
			if err := l.delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachKey calls f with every key of one kind, in order; f must copy it to keep it.
func (s *Store) eachKey(prefix byte, f func(key []byte)) error {
	return s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{PrefetchValues: false, Prefix: []byte{prefix}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			f(it.Item().Key())
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
