package store

import (
	"errors"
	"fmt"
	"slices"
)

// sealFull ends every segment that takes no more frames with a footer. They
// are synced, so nothing waits for it. The lock maintaining is held.
func (s *Store) sealFull() error {
	s.mu.RLock()
	var list []*segment
	for _, seg := range s.segs {
		if seg != s.current && seg.notes != nil && !seg.damaged {
			list = append(list, seg)
		}
	}
	s.mu.RUnlock()
	for _, seg := range list {
		if err := s.seal(seg); err != nil {
			return err
		}
	}
	return nil
}

// seal writes the footer behind the last frame and cuts the file there. What
// memory kept for it is let go.
func (s *Store) seal(seg *segment) error {
	s.mu.RLock()
	ft := s.footerOf(seg)
	s.mu.RUnlock()
	b := ft.encode(&seg.h, seg.used)
	size := seg.used + int64(len(b))
	if size > int64(seg.h.size) {
		return s.cutOnly(seg) // only what was damaged, or another release wrote, leaves too little room
	}
	if now, err := seg.f.Size(); err != nil || now < int64(seg.h.size) { // it was cut
		if err = errors.Join(err, seg.f.Truncate(int64(seg.h.size))); err != nil {
			return fmt.Errorf("seal journal segment %s: %w", seg.path, err)
		}
	}
	if _, err := seg.f.WriteAt(b, seg.used); err != nil {
		return fmt.Errorf("seal journal segment %s: %w", seg.path, err)
	}
	if err := seg.f.Sync(); err != nil {
		return fmt.Errorf("seal journal segment %s: %w", seg.path, err)
	}
	if err := seg.f.Truncate(size); err != nil { // after the sync: a file that is shorter has a footer
		return fmt.Errorf("seal journal segment %s: %w", seg.path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := size - trailerBytes - int64(len(ft.spots))*spotBytes
	seg.home.seal(at)
	seg.moved.seal(at + int64(seg.home.len())*spotBytes)
	seg.size, seg.notes = size, nil
	return nil
}

// seal lets go of the spots, which are on disk from at on.
func (t *table) seal(at int64) {
	t.spots, t.at = nil, at
	t.queues, t.live = slices.Clip(t.queues), slices.Clip(t.live)
}

// cutOnly leaves a segment without a footer; its frames are read at each start.
func (s *Store) cutOnly(seg *segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.damaged = true
	return seg.cut()
}

// cut removes what lies behind the last durable frame. A file that ends there
// was cut, one that is shorter than it was made and ends elsewhere is damaged.
// It is called with the lock held.
func (g *segment) cut() error {
	if err := g.f.Truncate(g.used); err != nil {
		return fmt.Errorf("cut journal segment %s: %w", g.path, err)
	}
	g.size = g.used
	return nil
}

// footerOf collects what the footer of a segment tells.
func (s *Store) footerOf(seg *segment) *footer {
	ft := &footer{
		last: seg.last, nextRec: seg.nextRec, base: seg.base,
		done: slices.Clone(seg.notes.done), writes: seg.notes.writes,
	}
	local := map[uint32]uint32{}
	name := func(queue uint32) uint32 {
		i, ok := local[queue]
		if !ok {
			i = uint32(len(ft.names))
			local[queue] = i
			ft.names, ft.bytes = append(ft.names, s.ix.queues[queue].name), append(ft.bytes, 0)
		}
		return i
	}
	for pos, at := range seg.home.spots {
		q := uint32(0)
		if at != (spot{}) {
			q = name(seg.home.queues[pos]) + 1
			ft.bytes[q-1] += uint64(at.n)
		}
		ft.home = append(ft.home, q)
	}
	for pos, seq := range seg.notes.moved {
		ft.moved = append(ft.moved, movedRec{seq, name(seg.moved.queues[pos]), seg.moved.spots[pos].n})
	}
	ft.spots = slices.Concat(seg.home.spots, seg.moved.spots)
	slices.Sort(ft.done)
	for _, t := range seg.notes.touch {
		ft.touch = append(ft.touch, t)
	}
	return ft
}
