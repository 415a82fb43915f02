package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// readFooter reads the footer of a sealed segment; nil if it has none that can
// be used, and its frames must be read.
func (s *Store) readFooter(f *found) *footer {
	seg := f.seg
	if f.end == nil || f.end.last >= f.below || f.end.last < seg.h.first-1 {
		return nil
	}
	index := make([]byte, f.end.index)
	err := seg.read(index, f.end.indexAt())
	var ft *footer
	if err == nil {
		ft, err = parseFooter(f.end, index)
	}
	if err != nil {
		s.log.Warn("the index of a journal segment is damaged, its frames are read instead", "file", seg.path, "error", err)
		return nil
	}
	return ft
}

// replayFooter takes over what the frames of a segment did without reading
// them, but for the values that Badger does not have.
func (s *Store) replayFooter(f *found, ft *footer) error {
	seg := f.seg
	seg.used, seg.last, seg.nextRec = f.end.used, ft.last, ft.nextRec
	s.nextRec = max(s.nextRec, ft.nextRec)
	s.order = ft.last
	s.ix.addAll(seg, ft)
	moved := make([]place, len(ft.moved))
	for i, m := range ft.moved {
		moved[i] = place{seq: m.seq, queue: ft.names[m.queue], n: m.bytes}
	}
	s.ix.relocate(moved, seg, 0, true)
	for i := range ft.touch {
		s.ix.touch(ft.touch[i].Seq, ft.touch[i].Attempts, ft.touch[i].NotBefore)
	}
	for _, seq := range ft.done {
		s.ix.done(seq)
	}
	seg.notes = nil
	at := f.end.spotsAt()
	seg.home.seal(at)
	seg.moved.seal(at + int64(seg.home.len())*spotBytes)
	for _, w := range ft.writes {
		if w.seq <= s.applied {
			continue
		}
		if err := s.replayWrites(seg, w); err != nil {
			return err
		}
	}
	return nil
}

// addAll adds the records of a footer at once.
func (x *index) addAll(seg *segment, ft *footer) {
	if len(ft.home) == 0 {
		return
	}
	ids := make([]*Queue, len(ft.names))
	for i, name := range ft.names {
		ids[i] = x.queue(name)
	}
	t := &seg.home
	seg.base, t.queues, t.live = ft.base, ft.home, make([]uint64, (len(ft.home)+63)/64)
	x.homes = append(x.homes, seg)
	counts := make([]int, len(ids))
	for pos, local := range t.queues {
		if local == 0 {
			continue
		}
		q := ids[local-1]
		q.newest = seg.base + uint64(pos)
		counts[local-1]++
		t.queues[pos] = q.id
		t.set(pos)
	}
	for i, n := range counts {
		if n > 0 {
			ids[i].live += n
			x.share(seg, ids[i].id, n, int64(ft.bytes[i]))
		}
	}
	x.records += seg.live
}

// replayWrites reads the values of one frame.
func (s *Store) replayWrites(seg *segment, w writeFrame) error {
	b := make([]byte, frameHeader)
	err := seg.read(b, int64(w.off))
	if err == nil {
		n := int64(binary.LittleEndian.Uint32(b))
		if n > seg.used {
			n = 0 // damaged
		}
		b = make([]byte, frameHeader+n)
		err = seg.read(b, int64(w.off))
	}
	if err != nil && !errors.Is(err, errDamaged) {
		return err
	}
	fr, ok := readFrame(b, 0, seg.seed, w.seq-1)
	if !ok || fr.seq != w.seq {
		s.damage(1, "a frame with values that were not applied yet is damaged", "file", seg.path, "frame", w.seq)
		s.keepAside(seg.path)
		return nil
	}
	var p payload
	if err := parsePayload(b[fr.off:fr.off+fr.n], &p); err != nil {
		return fmt.Errorf("frame %d of %s has a good checksum but cannot be read; install the release that wrote it: %w", fr.seq, seg.path, err)
	}
	for i := range p.writes {
		p.writes[i].Value = bytes.Clone(p.writes[i].Value)
		s.write(&p.writes[i], w.seq)
	}
	s.active.frames += int64(len(b))
	return nil
}
