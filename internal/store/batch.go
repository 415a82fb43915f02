package store

import "slices"

// await waits for the outcome of e, leading a batch if nobody does. It is
// called with the lock held and returns without it.
func (s *Store) await(e *entry) error {
	if s.leading {
		s.mu.Unlock()
		if lead := <-e.wake; !lead {
			return e.err
		}
		s.mu.Lock()
	}
	s.leading = true
	for s.waiting(e) {
		s.batch()
	}
	s.handOver()
	s.mu.Unlock()
	<-e.wake // its own outcome, told like everybody's
	return e.err
}

func (s *Store) waiting(e *entry) bool { return slices.Contains(s.pending, e) }

// handOver makes the first who waits the leader of the next batch.
func (s *Store) handOver() {
	for _, e := range s.pending {
		if !e.lazy {
			e.wake <- true
			return
		}
	}
	s.leading = false
}

// batch writes what waits, as far as it fits, with one sync. It is called with
// the lock held by the leader and lets go of it while the disk works.
func (s *Store) batch() {
	s.take()
	s.mu.Unlock()
	err := asFull(s.writeBatch(s.inflight))
	s.mu.Lock()
	if err != nil {
		s.failed(err)
	} else {
		s.succeeded()
	}
	s.announce()
}

// take moves entries from pending to inflight: at least one, and no more than
// the segment they will go to can hold.
func (s *Store) take() {
	first := s.pending[0].weight()
	room := s.room()
	if first > room {
		room = max(s.opts.SegmentSize-segmentNeed, first)
	}
	room = max(min(room, maxBatch), first)
	k := 0
	for k < len(s.pending) && room >= s.pending[k].weight() {
		room -= s.pending[k].weight()
		k++
	}
	s.inflight = append(s.inflight[:0], s.pending[:k]...)
	s.pending = slices.Delete(s.pending, 0, k)
}

// succeeded makes a durable batch visible and tells those who wait.
func (s *Store) succeeded() {
	s.begun = false
	for _, e := range s.inflight {
		s.unsynced -= int64(len(e.buf))
		if e.n > 0 {
			s.failing = nil
			s.written(e)
		}
		if e.lazy {
			e.recycle()
		} else {
			e.wake <- false
		}
	}
	s.settled()
}

// written makes a durable frame count. What a Lazy one decided took effect
// before; only its records find their place now.
func (s *Store) written(e *entry) {
	s.durable++
	seg := s.current
	seg.last = s.durable
	seg.used = int64(e.off) + int64(align8(e.n))
	seg.reserved += int64(e.foot)
	if e.lazy {
		for i := range e.p.add {
			s.ix.add(&e.p.add[i], seg, e.off+e.p.add[i].off, true)
		}
	} else {
		s.apply(e, seg)
	}
	seg.note(&e.p, writeFrame{s.durable, e.off - frameHeader})
	s.usedRec = max(s.usedRec, seg.nextRec)
}

// failed fails the batch and everybody who waits behind it, for what they
// decided may rest on it. Lazy frames have taken effect: they stay and go into
// the next segment.
func (s *Store) failed(err error) {
	if s.failing == nil {
		s.log.Error("journal write failed, the segment is abandoned", "error", err)
	}
	s.failing = err
	lazy := make([]*entry, 0, len(s.inflight))
	for _, e := range slices.Concat(s.inflight, s.pending) {
		if e.lazy {
			lazy = append(lazy, e)
			continue
		}
		s.unsynced -= int64(len(e.buf))
		e.err = err
		e.wake <- false
	}
	s.pending = lazy
	s.giveBackSeqs()
	if s.begun {
		s.abandon()
	}
	s.settled()
}

// giveBackSeqs makes the record sequences of frames that failed free again, or
// a disk that keeps failing would tear holes that cost memory.
func (s *Store) giveBackSeqs() {
	s.nextRec = s.usedRec
	for _, e := range s.pending { // Lazy frames, whose records are visible already
		if len(e.p.add) == 0 {
			e.p.setFirst(e.buf[frameHeader:], s.nextRec)
		}
		s.nextRec = e.p.first + uint64(len(e.p.add))
	}
}

func (s *Store) settled() {
	clear(s.inflight)
	s.inflight = s.inflight[:0]
	if s.due() {
		signal(s.work)
	}
}
