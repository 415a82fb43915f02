package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// room is how many bytes of frames the current segment still takes.
func (s *Store) room() int64 {
	if s.current == nil {
		return 0
	}
	return s.current.size - s.current.used
}

// journalBytes is the size of all segment files.
func (s *Store) journalBytes() (sum int64) {
	for _, seg := range s.segs {
		sum += seg.size
	}
	return sum
}

// writeBatch lays out the frames of a batch and makes them durable with one
// write and one sync. Only the leader calls it, without the lock. After an
// error it is unknown what reached the disk.
func (s *Store) writeBatch(batch []*entry) error {
	total := 0
	for _, e := range batch {
		total += len(e.buf)
	}
	if total == 0 {
		return nil
	}
	if s.room() < int64(total) {
		if err := s.rotate(int64(total)); err != nil {
			return err
		}
	}
	b := s.layOut(batch)
	seg := s.current
	s.begun = true
	if _, err := seg.f.WriteAt(b, seg.used); err != nil {
		return fmt.Errorf("write %s: %w", seg.path, err)
	}
	if s.opts.NoSync {
		return nil
	}
	s.syncs.Add(1)
	if err := seg.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", seg.path, err)
	}
	return nil
}

// layOut gives each frame its sequence and its place behind the last one.
func (s *Store) layOut(batch []*entry) []byte {
	b := s.buf[:0]
	seq, group := s.durable, s.durable+1
	for _, e := range batch {
		if e.n == 0 {
			continue
		}
		seq++
		sealFrame(e.buf, e.n, seq, group, s.current.seed)
		e.off = uint32(s.current.used) + uint32(len(b)+frameHeader)
		b = append(b, e.buf...)
	}
	if cap(b) <= maxBatch {
		s.buf = b
	}
	return b
}

// rotate starts a new segment with room for n bytes of frames. Its header
// becomes durable with the first frames in it.
func (s *Store) rotate(n int64) error {
	size := max(s.opts.SegmentSize, n+headerArea)
	number := s.nextSegment
	h, err := newHeader(number, s.durable+1, s.firstUnwritten(), size)
	if err != nil {
		return err
	}
	path := segmentPath(s.journalDir, number)
	f, err := s.opts.files.Create(path, size)
	if err != nil {
		return fmt.Errorf("new journal segment: %w", err)
	}
	s.nextSegment++
	seg := &segment{number: number, path: path, f: f, size: size, used: headerArea, seed: h.seed()}
	s.mu.Lock()
	s.current = seg
	s.segs = append(s.segs, seg)
	s.ix.segs[uint32(number)] = seg
	s.mu.Unlock()
	signal(s.work) // an older one may go
	s.begun = true
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return fmt.Errorf("write header of %s: %w", path, err)
	}
	return nil
}

// abandon gives up the current segment: nobody knows what a failed write left
// there. It is cut to what is durable; should that fail, the header of the next
// segment voids the rest. One that holds nothing durable is removed, or a disk
// that keeps failing would be filled with them. It is called with the lock held.
func (s *Store) abandon() {
	seg := s.current
	s.current, s.begun = nil, false
	var err error
	switch {
	case seg == nil:
	case seg.last > 0:
		if err = cutSegment(seg.path, seg.used); err == nil {
			seg.size = seg.used
		}
	default:
		s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return g == seg })
		delete(s.ix.segs, uint32(seg.number))
		err = errors.Join(seg.f.Close(), os.Remove(seg.path))
	}
	if err != nil {
		s.log.Warn("clean up abandoned journal segment", "file", seg.path, "error", err)
	}
}

// firstUnwritten is the lowest record sequence the new segment may bring.
func (s *Store) firstUnwritten() uint64 { return s.inflight[0].p.first }

// free is the free space of the file system, looked up at most once a second.
// It is called with the lock held.
func (s *Store) free(now time.Time) int64 {
	if now.Sub(s.freeAt) < time.Second {
		return s.freeNow
	}
	free, err := freeBytes(s.dir)
	if err != nil {
		s.log.Warn("free space unknown", "error", err)
		free = 1 << 62 // the disk itself will refuse
	}
	s.freeAt, s.freeNow = now, free
	return free
}

// discard removes the oldest segment from the disk. Its frames are applied and
// no record waits in it.
func (s *Store) discard(seg *segment) error {
	s.files.Lock()
	err := seg.f.Close()
	s.files.Unlock()
	if err != nil {
		s.log.Warn("close journal segment", "file", seg.path, "error", err)
	}
	if err := os.Remove(seg.path); err != nil {
		return fmt.Errorf("remove journal segment: %w", err)
	}
	return syncDir(s.journalDir)
}
