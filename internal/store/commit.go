package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxValue = 256 << 10 // bytes; what Badger takes in one transaction of a small memtable
	maxName  = 4 << 10   // bytes of scope and key together
	maxBatch = 1 << 20   // bytes written with one sync
	maxLazy  = 1 << 20   // bytes that may wait for a sync; beyond it Lazy frames wait too
)

var errClosed = errors.New("store is closed")

// entry is a frame on its way into the journal.
type entry struct {
	buf    []byte // room for the frame header, payload, padding
	n      int    // bytes of payload
	p      payload
	lazy   bool
	leaves bool // its records only move, to the dead-letter box
	order  uint64
	off    uint32    // of the payload in its segment, once laid out
	foot   int       // bytes that it may add to the footer
	wake   chan bool // true: lead the next batch; false: the outcome is in err
	err    error
}

var entries = sync.Pool{New: func() any { return &entry{wake: make(chan bool, 1)} }}

func newEntry(f *agent.Frame, moved []moving) *entry {
	e := entries.Get().(*entry)
	e.p.reset()
	e.lazy, e.leaves, e.err, e.off = f.Lazy, onlyMoves(f), nil, 0
	e.buf = append(e.buf[:0], make([]byte, frameHeader)...)
	e.buf = appendPayload(e.buf, f, moved, &e.p)
	e.n, e.foot = len(e.buf)-frameHeader, footerNeed(&e.p)
	for len(e.buf)%8 != 0 {
		e.buf = append(e.buf, 0)
	}
	return e
}

// onlyMoves tells that a frame adds nothing but dead letters in place of as
// many records that leave. They may use the reserve: a full journal must not
// keep a queue from getting past what will never be delivered.
func onlyMoves(f *agent.Frame) bool {
	for i := range f.Add {
		if f.Add[i].Kind != agent.KindDead {
			return false
		}
	}
	return len(f.Done) >= len(f.Add)
}

// weight is the most that e takes of a segment.
func (e *entry) weight() int64 { return int64(len(e.buf) + e.foot) }

func (e *entry) recycle() {
	e.p.reset()
	if cap(e.buf) <= 256<<10 {
		entries.Put(e)
	}
}

// Commit makes f durable as a whole and then visible, and sets the Seq of each
// added record. Commits that run at the same time share one write and one
// sync. A Lazy frame is visible at once and durable within its Within, or else
// Options.LazySync; when too much waits for its sync it waits too.
//
// On error nothing of f is kept: agent.ErrFull means that the quota or the
// disk is full. A frame that only takes away (Done, Touch, Writes) may use a
// reserve, so that draining always works. The values of f.Writes are kept and
// must not be changed afterwards. Once a write has begun, ctx no longer
// matters.
func (s *Store) Commit(ctx context.Context, f *agent.Frame) error {
	for i := range f.Writes {
		if err := checkWrite(&f.Writes[i]); err != nil {
			return err
		}
	}
	if f.Empty() {
		return ctx.Err()
	}
	return s.commit(ctx, f, nil)
}

func checkWrite(w *agent.Write) error {
	switch {
	case w.Scope == "" || w.Scope == pinScope || strings.IndexByte(w.Scope, 0) >= 0 || len(w.Scope)+len(w.Key) > maxName:
		return fmt.Errorf("write %.40q in scope %.40q: %w", w.Key, w.Scope, agent.ErrInvalid)
	case len(w.Value) > maxValue:
		return fmt.Errorf("value of %d bytes for %.40q, at most %d: %w", len(w.Value), w.Key, maxValue, agent.ErrLimit)
	}
	return nil
}

func (s *Store) commit(ctx context.Context, f *agent.Frame, moved []moving) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(f.Writes) > 0 {
		if err := s.relieve(ctx); err != nil {
			return err
		}
	}
	e := newEntry(f, moved)
	s.mu.Lock()
	if err := s.admit(e); err != nil {
		s.refused, s.refusedAt = err, time.Now()
		s.mu.Unlock()
		e.recycle()
		return fmt.Errorf("commit: %w", err)
	}
	s.enqueue(e)
	for i := range f.Add {
		f.Add[i].Seq = e.p.first + uint64(i)
	}
	if e.lazy {
		if due := time.Now().Add(cmp.Or(f.Within, s.opts.LazySync)); s.lazyDue.IsZero() || due.Before(s.lazyDue) {
			s.lazyDue = due
			signal(s.lazyWork)
		}
		s.mu.Unlock()
		return nil
	}
	err := s.await(e)
	e.recycle()
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// enqueue gives e its place in the journal's order. A Lazy frame takes effect
// in memory here, the others when they are durable.
func (s *Store) enqueue(e *entry) {
	s.order++
	e.order = s.order
	e.p.setFirst(e.buf[frameHeader:], s.nextRec)
	s.nextRec += uint64(len(e.p.add))
	if e.lazy && s.unsynced > maxLazy {
		e.lazy = false
	}
	s.pending = append(s.pending, e)
	s.unsynced += int64(len(e.buf))
	if e.lazy {
		s.apply(e, nil)
		s.announce()
	}
}

// apply makes the decisions of a frame visible. seg is nil for a Lazy frame
// that is not written yet.
func (s *Store) apply(e *entry, seg *segment) {
	for i := range e.p.add {
		if pl := &e.p.add[i]; seg == nil {
			s.ix.float(pl)
		} else {
			s.ix.add(pl, seg, e.off+pl.off, false)
		}
	}
	s.ix.relocate(e.p.moved, seg, e.off, s.loading)
	for _, seq := range e.p.done {
		s.ix.done(seq)
	}
	for i := range e.p.touch {
		t := &e.p.touch[i]
		s.ix.touch(t.Seq, t.Attempts, t.NotBefore)
	}
	for i := range e.p.writes {
		s.write(&e.p.writes[i], e.order)
	}
	if len(e.p.writes) > 0 {
		s.active.frames += int64(len(e.buf))
	}
}

// settledBelow is the sequence from which on a record with a lower one may
// still appear.
func (s *Store) settledBelow() uint64 {
	for _, list := range [...][]*entry{s.inflight, s.pending} {
		for _, e := range list {
			if !e.lazy && len(e.p.add) > 0 {
				return e.p.first
			}
		}
	}
	return s.nextRec
}

// announce wakes readers of queues if more records may be read than before.
func (s *Store) announce() {
	below, before := s.settledBelow(), s.told
	if below == before {
		return
	}
	s.told = below
	for _, q := range s.ix.queues {
		if q.newest >= before {
			q.ring()
		}
	}
}

// unwritten is the stored record of a frame that is not in a segment yet.
func (s *Store) unwritten(seq uint64, at spot) []byte {
	for _, list := range [...][]*entry{s.inflight, s.pending} {
		i := sort.Search(len(list), func(i int) bool { return list[i].p.first+uint64(len(list[i].p.add)) > seq })
		if i < len(list) && list[i].p.first <= seq {
			return list[i].buf[frameHeader+at.off : frameHeader+at.off+at.n]
		}
	}
	return nil
}

// Settle waits until what is under way is on the disk, Lazy frames too, and tells why
// it is not. With nothing under way nothing is written.
func (s *Store) Settle() error { return s.flush() }

// flush syncs every Lazy frame committed so far.
func (s *Store) flush() error {
	s.mu.Lock()
	if len(s.pending) == 0 && len(s.inflight) == 0 {
		s.mu.Unlock()
		return nil
	}
	e := entries.Get().(*entry)
	e.p.reset()
	e.buf, e.n, e.foot, e.lazy, e.err = e.buf[:0], 0, 0, false, nil
	s.order++
	e.order, e.p.first = s.order, s.nextRec
	s.pending = append(s.pending, e)
	err := s.await(e)
	e.recycle()
	return err
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // somebody was told already
	}
}

// admit refuses what there is no room for.
func (s *Store) admit(e *entry) error {
	if s.closed {
		return errClosed
	}
	if e.n > maxFrame {
		return fmt.Errorf("frame of %d bytes, at most %d: %w", e.n, maxFrame, agent.ErrLimit)
	}
	need := s.unsynced + int64(len(e.buf))
	grown := s.journalBytes()
	if need > s.room() {
		grown += max(s.opts.SegmentSize, e.weight()+segmentNeed)
	}
	// Each kind has a segment of the reserve more than the one that could use it
	// up: what is dead-lettered or written must leave room for what only leaves,
	// and that for what reclaim moves, or a full journal could never be drained.
	limit := s.opts.Quota
	switch {
	case len(e.p.moved) > 0:
		limit += 3 * s.opts.SegmentSize
	case len(e.p.add)+len(e.p.writes) == 0:
		limit += 2 * s.opts.SegmentSize
	case len(e.p.add) == 0 || e.leaves:
		limit += s.opts.SegmentSize
	case s.free(time.Now()) < s.opts.Reserve:
		return fmt.Errorf("less than %d MiB are free on the disk: %w", s.opts.Reserve>>20, agent.ErrFull)
	}
	if grown > limit {
		signal(s.work)
		signal(s.full)
		return fmt.Errorf("journal has reached its quota of %d MiB: %w", s.opts.Quota>>20, agent.ErrFull)
	}
	return nil
}
