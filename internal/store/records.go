package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Pending lists what waits in queue, oldest first.
func (s *Store) Pending(queue string) []agent.Stub {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q := s.ix.byName[queue]
	if q == nil {
		return nil
	}
	stubs := make([]agent.Stub, 0, q.live)
	for _, seq := range q.seqs[q.head:] {
		if sl := s.ix.get(seq); sl != nil && sl.queue == q.id {
			stubs = append(stubs, agent.Stub{
				Seq: seq, Size: int64(sl.n), Attempts: int(sl.attempts), NotBefore: s.ix.notBefore[seq],
			})
		}
	}
	return stubs
}

// Record reads one waiting record: agent.ErrNotFound if it is gone.
func (s *Store) Record(seq uint64) (agent.Record, error) {
	rec, err := s.record(seq)
	if errors.Is(err, errDamaged) {
		s.damage(1, "a waiting record is damaged on disk", "seq", seq)
	}
	return rec, err
}

// read reads records, leaving out those that are gone or damaged.
func (s *Store) read(seqs []uint64) ([]agent.Record, error) {
	var recs []agent.Record
	for _, seq := range seqs {
		rec, err := s.record(seq)
		switch {
		case err == nil:
			recs = append(recs, rec)
		case errors.Is(err, errDamaged):
			s.drop(seq)
		case !errors.Is(err, agent.ErrNotFound):
			return recs, err
		}
	}
	return recs, nil
}

// record copies a record out of the journal, or out of a frame not written yet.
func (s *Store) record(seq uint64) (agent.Record, error) {
	s.files.RLock() // no segment is closed while it is read
	defer s.files.RUnlock()
	s.mu.RLock()
	sl := s.ix.get(seq)
	if sl == nil {
		s.mu.RUnlock()
		return agent.Record{}, fmt.Errorf("record %d: %w", seq, agent.ErrNotFound)
	}
	at, notBefore, queue := *sl, s.ix.notBefore[seq], s.ix.queues[sl.queue].name
	seg := s.ix.segs[at.seg]
	var stored []byte
	if seg == nil {
		stored = slices.Clone(s.unwritten(seq, at))
	}
	s.mu.RUnlock()
	if stored == nil {
		var err error
		if stored, err = readStoredAt(seg, at); err != nil {
			return agent.Record{}, fmt.Errorf("record %d: %w", seq, err)
		}
	}
	rec, err := decodeRecord(stored)
	if err == nil && rec.Queue != queue {
		err = errDamaged
	}
	if err != nil {
		return agent.Record{}, fmt.Errorf("record %d: %w", seq, err)
	}
	rec.Seq, rec.Attempts, rec.NotBefore = seq, int(at.attempts), notBefore
	return rec, nil
}

func readStoredAt(seg *segment, at slot) ([]byte, error) {
	if seg == nil {
		return nil, errDamaged
	}
	b := make([]byte, at.n)
	if _, err := seg.f.ReadAt(b, int64(at.off)); err != nil {
		return nil, fmt.Errorf("read %s: %w", seg.path, err)
	}
	return b, nil
}

// drop gives up a record that cannot be read. Its segment is kept aside.
func (s *Store) drop(seq uint64) {
	s.mu.Lock()
	var seg *segment
	if sl := s.ix.get(seq); sl != nil {
		seg = s.ix.segs[sl.seg]
	}
	s.ix.done(seq)
	s.mu.Unlock()
	s.damage(1, "a waiting record is damaged on disk and passed over", "seq", seq)
	if seg != nil {
		s.keepAside(seg.path)
	}
}
