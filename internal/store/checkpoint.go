package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// relieve makes room when the values that are not applied have grown to twice
// their cap because nobody applied them in time.
func (s *Store) relieve(ctx context.Context) error {
	if !s.overfull() {
		return nil
	}
	s.relieving.Lock()
	defer s.relieving.Unlock()
	if !s.overfull() { // somebody else has made room meanwhile
		return nil
	}
	if err := s.checkpoint(ctx); err != nil {
		return fmt.Errorf("make room for new values: %w", err)
	}
	return nil
}

func (s *Store) overfull() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sum := s.active.bytes
	if s.frozen != nil {
		sum += s.frozen.bytes
	}
	return sum >= 2*s.opts.Overlay
}

// checkpoint applies what was committed so far to Badger, and then the
// sequence up to which nothing is missing there. If it fails, the values stay
// where they are and the next one goes on.
func (s *Store) checkpoint(ctx context.Context) error {
	s.checkpointing.Lock()
	defer s.checkpointing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.freeze() {
		return nil
	}
	// Values of Lazy frames must not be in Badger before their frame is in the
	// journal: a crash would keep half of it.
	err := s.flush()
	if err == nil {
		err = s.spare(s.opts.Reserve / 2)
	}
	if err == nil && s.opts.db == nil {
		s.keepBallast()
		err = s.backLogs()
	}
	if err == nil {
		err = s.applyFrozen()
	}
	s.mu.Lock()
	s.notApplied = err
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("checkpoint: %w", asFull(err))
	}
	return nil
}

// freeze sets the overlay apart for a checkpoint, unless there is one already.
// It tells whether there is anything to apply.
func (s *Store) freeze() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		return true
	}
	if s.active.count == 0 && s.durable == s.applied {
		return false
	}
	s.frozen, s.active = s.active, newOverlay()
	s.frozenSeq, s.frozenRec = s.durable, s.nextRec
	return true
}

// spare refuses to write to Badger when the disk is nearly full: it writes
// through memory maps, and a full disk would kill the process.
func (s *Store) spare(floor int64) error {
	free, err := s.opts.files.Free(s.dir)
	if err != nil {
		return err
	}
	if free < floor {
		return fmt.Errorf("%d MiB are free on the disk, %d are needed: %w", free>>20, floor>>20, agent.ErrFull)
	}
	return nil
}

func (s *Store) applyFrozen() error {
	l := &loader{s: s}
	defer l.abandon()
	if err := s.sweep(l, 1000+4*s.frozen.count); err != nil {
		return err
	}
	for scope, keys := range s.frozen.scopes {
		for key, h := range keys {
			if err := s.applyOne(l, stateKey(scope, key), &h); err != nil {
				return err
			}
		}
	}
	if err := l.commit(); err != nil {
		return err
	}
	return s.markApplied(l)
}

func (s *Store) applyOne(l *loader, key []byte, h *held) error {
	if data := s.alive(h); data != nil {
		return l.put(key, h.expires, data)
	}
	return l.delete(key)
}

// markApplied makes the checkpoint count, in Badger and beside it.
func (s *Store) markApplied(l *loader) error {
	b := binary.LittleEndian.AppendUint64(nil, s.frozenSeq)
	b = binary.LittleEndian.AppendUint64(b, s.frozenRec)
	if err := l.put(metaApplied, time.Time{}, b); err != nil {
		return err
	}
	if err := l.commit(); err != nil {
		return err
	}
	s.sums = l.last
	m := marker{applied: s.frozenSeq, tables: uint64(len(s.db.Tables())), sums: s.sums}
	if err := m.write(s.opts.files, s.dir); err != nil {
		return err
	}
	s.mu.Lock()
	s.frozen, s.applied = nil, s.frozenSeq
	s.generation++
	s.mu.Unlock()
	return nil
}

// loadApplied reads up to where Badger has everything.
func (s *Store) loadApplied() (seq, nextRec uint64, err error) {
	b, _, err := s.load(metaApplied)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("read the checkpoint: %w", err)
	case b == nil:
		return 0, 1, nil
	case len(b) != 16:
		return 0, 0, fmt.Errorf("read the checkpoint: %w", errDamaged)
	}
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), nil
}
