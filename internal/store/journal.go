package store

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// room is how many bytes of frames the current segment still takes.
func (s *Store) room() int64 {
	if s.current == nil {
		return 0
	}
	return s.current.room()
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
	var frames, total int64
	for _, e := range batch {
		frames, total = frames+int64(len(e.buf)), total+e.weight()
	}
	if frames == 0 {
		return nil
	}
	total += spotBytes * s.holes(batch)
	if s.room() < total {
		if err := s.rotate(total); err != nil {
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

// holes is how many record sequences are left out before and within a batch;
// the footer names them too.
func (s *Store) holes(batch []*entry) (n int64) {
	next := uint64(0)
	if s.current != nil && s.current.home.len() > 0 {
		next = s.current.base + uint64(s.current.home.len())
	}
	for _, e := range batch {
		if len(e.p.add) > 0 {
			if next > 0 {
				n += int64(e.p.first - next)
			}
			next = e.p.first + uint64(len(e.p.add))
		}
	}
	return n
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
	size := max(s.opts.SegmentSize, n+segmentNeed)
	number := s.nextSegment
	oldest := number
	if seg := s.oldest(); seg != nil {
		oldest = seg.number
	}
	h, err := newHeader(number, s.durable+1, s.firstUnwritten(), size, oldest)
	if err != nil {
		return err
	}
	path := segmentPath(s.journalDir, number)
	f, err := s.opts.files.Create(path, size)
	if err != nil {
		return fmt.Errorf("new journal segment: %w", err)
	}
	s.nextSegment++
	seg := newSegment(path, f, h, size)
	seg.verified = true
	s.mu.Lock()
	s.current = seg
	s.segs = append(s.segs, seg)
	s.ix.segs[uint32(number)] = seg
	s.mu.Unlock()
	signal(s.work) // an older one may go
	s.begun = true
	area := h.encode()
	if _, err := f.WriteAt(area[:headerBytes], size-headerBytes); err != nil {
		return fmt.Errorf("write header of %s: %w", path, err)
	}
	if _, err := f.WriteAt(area, 0); err != nil {
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
		err = seg.cut()
	default:
		s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return g == seg })
		s.ix.forget(seg)
		err = seg.f.Close()
		if rm := s.opts.files.Remove(seg.path); rm != nil {
			s.leftover = append(s.leftover, seg.path)
			err = errors.Join(err, rm)
		}
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
	free, err := s.opts.files.Free(s.dir)
	if err != nil {
		s.log.Warn("free space unknown", "error", err)
		free = 1 << 62 // the disk itself will refuse
	}
	s.freeAt, s.freeNow = now, free
	return free
}

// discard removes a segment from the disk and from memory. No record waits in it.
func (s *Store) discard(seg *segment) error {
	if err := s.opts.files.Remove(seg.path); err != nil {
		return fmt.Errorf("remove journal segment: %w", err)
	}
	s.mu.Lock()
	s.segs = slices.DeleteFunc(s.segs, func(g *segment) bool { return g == seg })
	s.ix.forget(seg)
	s.mu.Unlock()
	s.files.Lock() // whoever found a place in it has read it then
	defer s.files.Unlock()
	if err := seg.f.Close(); err != nil {
		s.log.Warn("close journal segment", "file", seg.path, "error", err)
	}
	return nil
}
