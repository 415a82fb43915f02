package store

import (
	"context"
	"errors"
	"time"
)

// verify reads every waiting record once, segment by segment, so that damage
// shows before somebody needs what was there. It rests as long as it works.
func (s *Store) verify(ctx context.Context) {
	for {
		seg := s.unverified()
		if seg == nil {
			return
		}
		began := time.Now()
		s.verifySegment(ctx, seg)
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Since(began), time.Second)):
		}
	}
}

// Verified tells whether every record that waited at the start was read since.
func (s *Store) Verified() bool { return s.unverified() == nil }

// unverified is the next segment whose records were written by an earlier run
// and not read since.
func (s *Store) unverified() *segment {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, seg := range s.segs {
		if !seg.verified {
			return seg
		}
	}
	return nil
}

func (s *Store) verifySegment(ctx context.Context, seg *segment) {
	s.mu.RLock()
	seqs := s.ix.in(seg)
	s.mu.RUnlock()
	defer func() {
		s.mu.Lock()
		seg.verified = true
		s.mu.Unlock()
	}()
	var (
		look spotReader
		win  window
	)
	for _, seq := range seqs {
		if ctx.Err() != nil {
			return
		}
		if !s.verifyRecord(&look, &win, seg, seq) {
			s.drop(seq)
		}
	}
}

// verifyRecord tells whether a record is intact, or gone meanwhile.
func (s *Store) verifyRecord(look *spotReader, win *window, seg *segment, seq uint64) bool {
	s.files.RLock()
	defer s.files.RUnlock()
	s.mu.RLock()
	at, ok := s.ix.find(seq)
	s.mu.RUnlock()
	if !ok || at.seg != seg {
		return true
	}
	if sp, err := s.spot(look, at); err == nil {
		if b, err := win.read(seg, sp); err == nil && recordIntact(b) {
			return true
		}
	}
	_, err := s.stored(&spotReader{}, at)
	return !errors.Is(err, errDamaged)
}

// window reads a segment in large pieces.
type window struct {
	off int64
	buf []byte
}

const windowBytes = 256 << 10

// read returns the bytes of a spot, until the next call.
func (w *window) read(seg *segment, sp spot) ([]byte, error) {
	from, to := int64(sp.off), int64(sp.off)+int64(sp.n)
	if from < w.off || to > w.off+int64(len(w.buf)) {
		if n := max(windowBytes, int(sp.n)); cap(w.buf) < n {
			w.buf = make([]byte, n)
		}
		n, err := seg.f.ReadAt(w.buf[:cap(w.buf)], from)
		if w.off, w.buf = from, w.buf[:n]; n < int(sp.n) {
			return nil, errors.Join(errDamaged, err)
		}
	}
	return w.buf[from-w.off : to-w.off], nil
}
