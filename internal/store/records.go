package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Pending lists what waits in queue, oldest first.
func (s *Store) Pending(queue string) []agent.Stub {
	s.files.RLock() // no segment is closed while it is read
	defer s.files.RUnlock()
	s.mu.RLock()
	q := s.ix.byName[queue]
	if q == nil {
		s.mu.RUnlock()
		return nil
	}
	stubs := make([]agent.Stub, 0, q.live)
	places := make([]located, 0, q.live)
	s.ix.each(q.id, 0, func(at located) bool {
		stub := agent.Stub{Seq: at.seq}
		stub.Attempts, stub.NotBefore = s.ix.tried(at.seq)
		if at.limbo != nil {
			stub.Size = int64(at.limbo.at.n)
			at.limbo = nil // may move once the lock is gone
		}
		stubs, places = append(stubs, stub), append(places, at)
		return true
	})
	s.mu.RUnlock()
	var look spotReader
	for i := range places {
		if places[i].seg == nil {
			continue
		}
		if at, err := s.spot(&look, places[i]); err == nil { // what is damaged shows when it is read
			stubs[i].Size = int64(at.n)
		}
	}
	return stubs
}

// Has tells whether a record waits.
func (s *Store) Has(seq uint64) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.ix.find(seq)
	return ok
}

// Record reads one waiting record: agent.ErrNotFound if it is gone.
func (s *Store) Record(seq uint64) (agent.Record, error) {
	rec, _, err := s.record(&spotReader{}, seq)
	if errors.Is(err, errDamaged) {
		s.damage(1, "a waiting record is damaged on disk", "seq", seq)
	}
	return rec, err
}

// read reads records, leaving out those that are gone or damaged, until they
// are bytes long.
func (s *Store) read(seqs []uint64, bytes int) ([]agent.Record, error) {
	var (
		recs []agent.Record
		look spotReader
	)
	for _, seq := range seqs {
		if bytes <= 0 && len(recs) > 0 {
			break
		}
		rec, n, err := s.record(&look, seq)
		bytes -= n
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

// record copies a record out of the journal, or out of a frame not written yet,
// and tells how many bytes it takes there.
func (s *Store) record(look *spotReader, seq uint64) (rec agent.Record, bytes int, err error) {
	s.files.RLock() // no segment is closed while it is read
	defer s.files.RUnlock()
	s.mu.RLock()
	at, ok := s.ix.find(seq)
	if !ok {
		s.mu.RUnlock()
		return agent.Record{}, 0, fmt.Errorf("record %d: %w", seq, agent.ErrNotFound)
	}
	attempts, notBefore := s.ix.tried(seq)
	queue := s.ix.queues[at.queue].name
	var stored []byte
	if at.limbo != nil {
		stored = slices.Clone(s.unwritten(seq, at.limbo.at))
	}
	s.mu.RUnlock()
	if stored == nil {
		if stored, err = s.stored(look, at); err != nil {
			return agent.Record{}, 0, fmt.Errorf("record %d: %w", seq, err)
		}
	}
	rec, err = decodeRecord(stored)
	if err == nil && rec.Queue != queue {
		err = errDamaged
	}
	if err != nil {
		return agent.Record{}, 0, fmt.Errorf("record %d: %w", seq, err)
	}
	rec.Seq, rec.Attempts, rec.NotBefore = seq, attempts, notBefore
	return rec, len(stored), nil
}

// stored reads and verifies the stored record at a place within a segment. If
// the footer of the segment misleads, its frames are looked through.
func (s *Store) stored(look *spotReader, at located) ([]byte, error) {
	if at.seg == nil {
		return nil, errDamaged
	}
	b, err := s.storedAt(look, at)
	if !errors.Is(err, errDamaged) || !s.rescan(at.seg) {
		return b, err
	}
	return s.storedAt(&spotReader{}, at)
}

func (s *Store) storedAt(look *spotReader, at located) ([]byte, error) {
	sp, err := s.spot(look, at)
	if err != nil {
		return nil, err
	}
	b := make([]byte, sp.n)
	if err := at.seg.read(b, int64(sp.off)); err != nil {
		return nil, err
	}
	if !recordIntact(b) {
		return nil, errDamaged
	}
	return b, nil
}

// spotReader keeps the spots that were read last, since neighbours follow.
type spotReader struct {
	t    *table
	from int // position of the first one in buf
	buf  []byte
}

const spotsAtOnce = 64

// spot looks up where a record lies in its segment.
func (s *Store) spot(look *spotReader, at located) (spot, error) {
	s.mu.RLock()
	start, count := at.t.at, at.t.len()
	if at.t.spots != nil {
		sp := at.t.spots[at.pos]
		s.mu.RUnlock()
		return sp, nil
	}
	s.mu.RUnlock()
	if look.t != at.t || at.pos < look.from || at.pos >= look.from+len(look.buf)/spotBytes {
		n := min(spotsAtOnce, count-at.pos)
		look.t, look.from = at.t, at.pos
		look.buf = slices.Grow(look.buf[:0], n*spotBytes)[:n*spotBytes]
		if err := at.seg.read(look.buf, start+int64(at.pos)*spotBytes); err != nil {
			look.t = nil
			return spot{}, err
		}
	}
	sp, ok := decodeSpot(look.buf[(at.pos-look.from)*spotBytes:], at.seq, at.seg.seed)
	if !ok {
		return spot{}, errDamaged
	}
	return sp, nil
}

// rescan takes the places of a sealed segment's records from its frames, and
// tells whether it did. It is done once, when its footer turns out damaged.
func (s *Store) rescan(seg *segment) bool {
	s.mu.RLock()
	sealed := seg.notes == nil && seg.home.spots == nil && seg.moved.spots == nil
	s.mu.RUnlock()
	if !sealed {
		return false
	}
	b, err := readFile(s.opts.files, seg.path)
	if err != nil {
		return false
	}
	places := map[uint64]spot{}
	for _, fr := range scanFrames(b, &seg.h).frames {
		var p payload
		if parsePayload(b[fr.off:fr.off+fr.n], &p) != nil {
			continue
		}
		for _, list := range [...][]place{p.add, p.moved} {
			for _, pl := range list {
				places[pl.seq] = spot{uint32(fr.off) + pl.off, pl.n}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.home.spots = make([]spot, seg.home.len())
	for pos := range seg.home.spots {
		seg.home.spots[pos] = places[seg.base+uint64(pos)]
	}
	seg.moved.spots = make([]spot, seg.moved.len())
	for _, m := range s.ix.moved {
		if uint64(m.seg) == seg.number {
			seg.moved.spots[m.pos] = places[m.seq]
		}
	}
	return true
}

// drop gives up a record that cannot be read. Its segment is kept aside.
func (s *Store) drop(seq uint64) {
	s.mu.Lock()
	at, ok := s.ix.find(seq)
	s.ix.done(seq)
	s.mu.Unlock()
	if !ok {
		return // somebody else has counted it, or it is done
	}
	s.damage(1, "a waiting record is damaged on disk and passed over", "seq", seq)
	if at.seg != nil {
		s.keepAside(at.seg.path)
	}
}
