package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// leastKept is the shortest chunk in bytes that an interrupted blob leaves: less is
// fetched again, so that a link that breaks all the time makes no chunk of each byte.
const leastKept = 4 << 10

// PutBlob keeps the blob of digest d and of size bytes. fill writes its bytes to w,
// beginning at from: those before are there already from a call that ended early, in
// this run or an earlier one. It is not asked if all of them are.
//
// The blob is there only when it is whole. If fill fails or the disk is full, what
// came is kept for the next call, in chunks that are never written again; a process
// that is killed loses less than one. If there are more bytes than size, or they have
// another digest, nothing is kept, and the error names both digests and wraps
// agent.ErrInvalid.
func (s *Store) PutBlob(ctx context.Context, d agent.Digest, size int64, fill func(from int64, w io.Writer) error) error {
	sum, err := digestBytes(d)
	if err != nil {
		return err
	}
	defer s.lockBlob(sum)()
	if s.HasBlob(d) {
		return nil
	}
	if err := s.putBlob(ctx, sum, size, fill); err != nil {
		return fmt.Errorf("store %s: %w", d, asFull(err))
	}
	return nil
}

func (s *Store) putBlob(ctx context.Context, sum []byte, size int64, fill func(int64, io.Writer) error) error {
	p, err := s.resumeBlob(ctx, sum, size)
	if err != nil {
		return err
	}
	if p.kept < size {
		err := fill(p.kept, p)
		if p.refused != nil { // not what fill may have made of it
			err = p.refused
		}
		if err = errors.Join(err, p.flush(err)); err != nil {
			if errors.Is(p.refused, agent.ErrInvalid) {
				err = errors.Join(err, s.deleteChunks(sum, 0))
			}
			return err
		}
		if p.kept < size {
			return fmt.Errorf("ends after %d bytes of %d: %w", p.kept, size, io.ErrUnexpectedEOF)
		}
	}
	if err := compareDigest(sum, p.sum, agent.ErrInvalid); err != nil {
		return errors.Join(err, s.deleteChunks(sum, 0))
	}
	return s.update(s.opts.Reserve, func(l *loader) error {
		return l.put(blobKey(sum), time.Time{}, binary.LittleEndian.AppendUint64(nil, uint64(size)))
	})
}

// blobPut takes the bytes of a blob and stores them chunk by chunk.
type blobPut struct {
	s       *Store
	digest  []byte
	size    int64
	sum     hash.Hash // of all bytes so far
	kept    int64     // bytes in stored chunks
	chunks  int       // that are stored
	buf     []byte    // of the next one
	refused error     // why Write failed
}

// resumeBlob reads what earlier calls left of a blob. Behind the first chunk that is
// missing, damaged or too much, everything is dropped.
func (s *Store) resumeBlob(ctx context.Context, digest []byte, size int64) (*blobPut, error) {
	p := &blobPut{s: s, digest: digest, size: size, sum: sha256.New()}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		chunk, _, err := s.load(chunkKey(digest, p.chunks))
		if err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		if len(chunk) == 0 || p.kept+int64(len(chunk)) > size {
			break
		}
		p.sum.Write(chunk)
		p.kept, p.chunks = p.kept+int64(len(chunk)), p.chunks+1
	}
	if p.kept == size && compareDigest(digest, p.sum, errDamaged) != nil {
		p.kept, p.chunks = 0, 0
		p.sum.Reset()
	}
	return p, s.deleteChunks(digest, p.chunks)
}

// Write takes the next bytes.
func (p *blobPut) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		if p.kept+int64(len(p.buf)) == p.size {
			p.refused = fmt.Errorf("has more than the %d bytes it should: %w", p.size, agent.ErrInvalid)
			return n, p.refused
		}
		if p.buf == nil {
			p.buf = make([]byte, 0, min(p.size-p.kept, chunkSize))
		}
		room := min(int64(chunkSize), p.size-p.kept) - int64(len(p.buf))
		part := b[:min(int64(len(b)), room)]
		p.buf = append(p.buf, part...)
		n, b = n+len(part), b[len(part):]
		if int64(len(part)) == room {
			if p.refused = p.store(); p.refused != nil {
				return n, p.refused
			}
		}
	}
	return n, nil
}

// store writes the chunk that was gathered.
func (p *blobPut) store() error {
	// More than commits leave free: a module on its way never keeps an event out.
	err := p.s.update(p.s.blobFloor(), func(l *loader) error {
		return l.put(chunkKey(p.digest, p.chunks), time.Time{}, p.buf)
	})
	if err != nil {
		return err
	}
	p.sum.Write(p.buf)
	p.kept, p.chunks, p.buf = p.kept+int64(len(p.buf)), p.chunks+1, p.buf[:0]
	return nil
}

// flush stores what is left of fill's bytes, if that is worth it after why it ended.
func (p *blobPut) flush(why error) error {
	if len(p.buf) == 0 || p.refused != nil || why != nil && len(p.buf) < leastKept {
		return nil
	}
	return p.store()
}

// Unfinished tells how many bytes are kept of blobs that were begun and are not whole.
func (s *Store) Unfinished() (map[agent.Digest]int64, error) {
	whole, begun := map[string]bool{}, map[agent.Digest]int64{}
	if err := s.eachKey([]byte{prefixBlob}, func(key []byte, _ int64) { whole[string(key[1:])] = true }); err != nil {
		return nil, fmt.Errorf("list unfinished blobs: %w", err)
	}
	err := s.eachKey([]byte{prefixChunk}, func(key []byte, value int64) {
		if len(key) != 1+sha256.Size+4 {
			return
		}
		if sum := key[1 : 1+sha256.Size]; !whole[string(sum)] {
			begun[blobDigest(sum)] += value - valueHeader
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list unfinished blobs: %w", err)
	}
	return begun, nil
}
