package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

const moveBatch = 256 << 10 // bytes of records moved with one frame

// maintain checks point and gives segments back, as far as either is due.
func (s *Store) maintain(ctx context.Context, due bool) error {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	s.mu.RLock()
	due = due || s.due() || s.journalBytes() >= s.opts.Quota/2
	s.mu.RUnlock()
	if due {
		if err := s.checkpoint(ctx); err != nil {
			return err
		}
	}
	if err := s.reclaim(); err != nil {
		return err
	}
	if err := s.sealFull(); err != nil {
		return err
	}
	for {
		seg := s.blocking()
		if seg == nil {
			return nil
		}
		if err := s.moveForward(ctx, seg); err != nil {
			return err
		}
		if err := s.checkpoint(ctx); err != nil { // its last frame must count as applied
			return err
		}
		if err := s.reclaim(); err != nil {
			return err
		}
		if s.oldest() == seg {
			return nil // something in it is on its way; next time
		}
	}
}

func (s *Store) oldest() *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.segs) == 0 {
		return nil
	}
	return s.segs[0]
}

// reclaim removes segments from the oldest on, and only in this order: a later
// one may say that records of an earlier one are done.
func (s *Store) reclaim() error {
	if err := s.removeLeftover(); err != nil {
		return err
	}
	for {
		seg := s.reclaimable()
		if seg == nil {
			return nil
		}
		// A Lazy frame may have taken the last record out of it. Until that frame
		// is synced, a crash brings the record back.
		if err := s.flush(); err != nil {
			return err
		}
		if err := s.discard(seg); err != nil {
			return err
		}
	}
}

// reclaimable is the oldest segment if nothing in it is needed any more.
func (s *Store) reclaimable() *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.segs) < 2 || s.segs[0].live > 0 || s.segs[0].last > s.applied || s.segs[0] == s.current {
		return nil
	}
	return s.segs[0]
}

// removeLeftover tries again to remove what the disk would not give up.
func (s *Store) removeLeftover() error {
	s.mu.Lock()
	list := s.leftover
	s.leftover = nil
	s.mu.Unlock()
	for i, path := range list {
		if err := s.opts.files.Remove(path); err != nil {
			s.mu.Lock()
			s.leftover = append(s.leftover, list[i:]...)
			s.mu.Unlock()
			return fmt.Errorf("remove journal segment: %w", err)
		}
	}
	return nil
}

// blocking returns the oldest segment if it keeps the others from being given
// back: under half of the journal is live, or the quota is near and there is
// something to gain.
func (s *Store) blocking() *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.segs) < 4 || s.segs[0].live == 0 {
		return nil
	}
	total, live := s.journalBytes(), int64(0)
	for _, seg := range s.segs {
		live += seg.liveBytes
	}
	tight := total >= s.opts.Quota-s.opts.SegmentSize && live < total-2*s.opts.SegmentSize
	if live*2 < total || tight {
		return s.segs[0]
	}
	return nil
}

// moveForward writes the waiting records of seg again at the end of the
// journal. They keep their sequences, and with them their order.
func (s *Store) moveForward(ctx context.Context, seg *segment) error {
	s.mu.RLock()
	seqs := s.ix.in(seg)
	s.mu.RUnlock()
	for len(seqs) > 0 {
		moved, n, err := s.collect(seg, seqs)
		if err != nil {
			return fmt.Errorf("move records forward: %w", err)
		}
		seqs = seqs[n:]
		if len(moved) == 0 {
			continue
		}
		if err := s.commitMoved(ctx, moved); err != nil {
			return fmt.Errorf("move records forward: %w", err)
		}
	}
	return nil
}

// collect reads stored records of seg, at most moveBatch bytes of them, and
// tells how many of seqs it has dealt with.
func (s *Store) collect(seg *segment, seqs []uint64) (moved []moving, n int, err error) {
	size, look := 0, spotReader{}
	for n < len(seqs) && size < moveBatch {
		seq := seqs[n]
		n++
		s.mu.RLock()
		at, ok := s.ix.find(seq)
		s.mu.RUnlock()
		if !ok || at.seg != seg {
			continue
		}
		stored, err := s.stored(&look, at)
		m := moving{place: place{seq: seq}, stored: stored}
		switch {
		case errors.Is(err, errDamaged) || err == nil && !recordHead(stored, &m.place):
			s.drop(seq)
			continue
		case err != nil:
			return nil, n, err
		}
		size += len(stored)
		moved = append(moved, m)
	}
	return moved, n, nil
}

// commitMoved commits moved records as they are now. Those that are done, or
// about to be, are left out: the journal would bring them back.
func (s *Store) commitMoved(ctx context.Context, moved []moving) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	leaving := s.leaving()
	moved = slices.DeleteFunc(moved, func(m moving) bool {
		_, waits := s.ix.find(m.seq)
		return leaving[m.seq] || !waits
	})
	if len(moved) == 0 {
		s.mu.Unlock()
		return nil
	}
	for i := range moved {
		m := &moved[i]
		m.attempts, m.notBefore = s.ix.tried(m.seq)
	}
	e := newEntry(&agent.Frame{}, moved)
	if err := s.admit(e); err != nil {
		s.mu.Unlock()
		e.recycle()
		return err
	}
	s.enqueue(e)
	err := s.await(e)
	e.recycle()
	return err
}

// leaving is the records that frames on their way to the disk take away or touch.
func (s *Store) leaving() map[uint64]bool {
	set := map[uint64]bool{}
	for _, list := range [...][]*entry{s.inflight, s.pending} {
		for _, e := range list {
			for _, seq := range e.p.done {
				set[seq] = true
			}
			for i := range e.p.touch {
				set[e.p.touch[i].Seq] = true
			}
		}
	}
	return set
}
