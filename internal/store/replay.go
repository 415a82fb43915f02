package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// found is a segment file that was there when the store was opened.
type found struct {
	seg    *segment
	broken bool     // no intact header
	below  uint64   // frames from here on are void: a later segment continues there
	end    *trailer // nil: it was not sealed, or is damaged
}

// replay learns from the journal what waits. Values that Badger has already
// are left out; a torn end is cut; damage before it is skipped and counted.
func (s *Store) replay() error {
	list, err := s.findSegments()
	if err != nil {
		return err
	}
	s.loading = true
	expected := s.applied + 1
	if len(list) == 0 && s.applied > 0 {
		s.damage(1, "the journal is gone although the database has applied one", "applied", s.applied)
	}
	begun, newest := false, slices.IndexFunc(list, func(f found) bool { return !f.broken && f.below == math.MaxUint64 })
	var broken []*segment
	for i := range list {
		f := &list[i]
		if f.broken {
			broken = append(broken, f.seg)
		} else if err := s.judge(broken, func(g *segment) bool {
			return uint64(f.seg.h.oldest) > g.number || begun && f.seg.h.first == expected
		}); err != nil {
			return err
		} else {
			broken = nil
		}
		if !begun && !f.broken && (i > 0 || f.seg.h.first <= expected) {
			expected = f.seg.h.first // what came before was applied and given back, or was told already
		}
		begun = begun || !f.broken
		if expected, err = s.replaySegment(f, i == newest, expected); err != nil {
			return err
		}
	}
	if err := s.judge(broken, func(g *segment) bool { return expected > s.applied && g.size >= minSegment }); err != nil {
		return err
	}
	if expected <= s.applied {
		s.damage(int64(s.applied+1-expected), "the end of the journal is gone", "applied", s.applied)
		expected = s.applied + 1
	}
	s.loading = false
	s.durable, s.told, s.usedRec = expected-1, s.nextRec, s.nextRec
	return nil
}

// findSegments opens the segment files, oldest first.
func (s *Store) findSegments() ([]found, error) {
	paths, err := s.opts.files.List(s.journalDir)
	if err != nil {
		return nil, err
	}
	s.nextSegment = 1
	var list []found
	for _, path := range paths {
		name, isSegment := strings.CutSuffix(filepath.Base(path), ".seg")
		number, err := strconv.ParseUint(name, 16, 32)
		if !isSegment || err != nil || number == 0 {
			s.log.Warn("a file in the journal is none of ours and is left alone", "file", path)
			continue
		}
		s.nextSegment = number + 1
		f, err := s.openSegment(path, number)
		if err != nil {
			return nil, err
		}
		if f != nil {
			list = append(list, *f)
		}
	}
	below := uint64(math.MaxUint64)
	for i := len(list) - 1; i >= 0; i-- {
		list[i].below = below
		if !list[i].broken {
			below = min(below, list[i].seg.h.first)
		}
	}
	return list, nil
}

// openSegment reads a header and, if it is sealed, where the footer lies. A
// segment that was cut off while it was made, and holds nothing, is removed;
// nil then.
func (s *Store) openSegment(path string, number uint64) (*found, error) {
	f, err := s.opts.files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open journal segment: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal segment: %w", err), f.Close())
	}
	area, tail := make([]byte, min(headerArea, size)), make([]byte, min(trailerBytes, size))
	worn, err := readAround(f, area, 0)
	if _, err2 := readAround(f, tail, size-int64(len(tail))); size > 0 && (err != nil || err2 != nil) {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, errors.Join(err, err2)), f.Close())
	}
	h, err := decodeHeader(area)
	if errors.Is(err, errDamaged) && size >= headerBytes {
		h, err = decodeHeader(tail[len(tail)-headerBytes:])
	}
	broken := errors.Is(err, errDamaged)
	switch {
	case err != nil && !broken:
		return nil, errors.Join(fmt.Errorf("journal segment %s cannot be used: %w", path, err), f.Close())
	case !broken && h.number != number:
		return nil, errors.Join(fmt.Errorf("journal segment %s was renamed; give it back its name %s", path, segmentName(h.number)), f.Close())
	case broken:
		b, unreadable, err := readWhole(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
		}
		if worn += unreadable; worn == 0 && len(bytes.Trim(b, "\x00")) == 0 {
			return nil, errors.Join(f.Close(), s.opts.files.Remove(path))
		}
	}
	seg := newSegment(path, f, h, size)
	seg.number, seg.damaged, seg.unreadable = number, broken, worn > 0
	s.segs = append(s.segs, seg)
	s.ix.segs[uint32(number)] = seg
	at := &found{seg: seg, broken: broken}
	if t, err := decodeTrailer(tail, h, size); !broken && err == nil {
		at.end = &t
	}
	return at, nil
}

// replaySegment takes over what one segment did and returns the frame
// sequence expected next.
func (s *Store) replaySegment(f *found, newest bool, expected uint64) (uint64, error) {
	seg := f.seg
	if f.broken {
		return expected, nil
	}
	s.nextRec = max(s.nextRec, seg.h.nextRec)
	if ft := s.readFooter(f); ft != nil {
		s.skipTo(seg.h.first, expected, seg)
		return ft.last + 1, s.replayFooter(f, ft)
	}
	return s.replayFrames(f, newest, expected)
}

// judge decides about segments without an intact header. Those that were cut
// off while they were made go.
func (s *Store) judge(broken []*segment, leftover func(*segment) bool) error {
	for _, seg := range broken {
		s.keepAside(seg.path)
		if seg.unreadable || !leftover(seg) {
			s.damage(1, "a journal segment has no intact header and is skipped; more than one frame may be lost", "file", seg.path)
			continue
		}
		s.log.Warn("a journal segment was cut off while it was made and is removed", "file", seg.path)
		if err := s.discard(seg); err != nil {
			return err
		}
	}
	return nil
}

// replayFrames does so frame by frame: there is no footer, or it is damaged.
func (s *Store) replayFrames(f *found, newest bool, expected uint64) (uint64, error) {
	seg := f.seg
	b, unreadable, err := readWhole(seg.f)
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	seg.unreadable = seg.unreadable || unreadable > 0
	found := scanFrames(b, &seg.h)
	frames := found.frames
	for len(frames) > 0 && frames[len(frames)-1].seq >= f.below {
		frames = frames[:len(frames)-1]
	}
	sealed := found.sealed || seg.size < int64(seg.h.size) && seg.size != int64(found.end)
	if newest && !sealed && !seg.unreadable {
		frames = cutTorn(frames, seg.h.first)
	}
	expected = s.skipTo(seg.h.first, expected, seg)
	for _, fr := range frames {
		s.skipTo(fr.seq, expected, seg)
		if err := s.replayFrame(seg, b[fr.off:fr.off+fr.n], fr); err != nil {
			return 0, err
		}
		expected = fr.seq + 1
	}
	if found.sealed && newest {
		return s.skipTo(found.last+1, expected, seg), nil
	}
	if newest {
		return expected, s.endJournal(seg, b, sealed)
	}
	return expected, nil
}

// skipTo counts the frames that are missing before seq.
func (s *Store) skipTo(seq, expected uint64, seg *segment) uint64 {
	if seq <= expected {
		return expected
	}
	seg.damaged = true
	s.damage(int64(seq-expected), "frames of the journal are damaged and skipped",
		"file", seg.path, "first", expected, "last", seq-1)
	s.keepAside(seg.path)
	return seq
}

// cutTorn ends the list at the first missing frame that may never have been
// synced: what follows it was not acknowledged, and may rest on it.
func cutTorn(frames []frameAt, expected uint64) []frameAt {
	synced := expected - 1
	for _, fr := range frames {
		synced = max(synced, fr.group-1)
	}
	for i, fr := range frames {
		if fr.seq > expected && fr.seq-1 > synced {
			return frames[:i]
		}
		expected = fr.seq + 1
	}
	return frames
}

// replayFrame makes one frame take effect again.
func (s *Store) replayFrame(seg *segment, b []byte, fr frameAt) error {
	e := &entry{n: fr.n, off: uint32(fr.off), order: fr.seq}
	if err := parsePayload(b, &e.p); err != nil {
		return fmt.Errorf("frame %d of %s has a good checksum but cannot be read; install the release that wrote it: %w", fr.seq, seg.path, err)
	}
	s.nextRec = max(s.nextRec, e.p.first+uint64(len(e.p.add)))
	seg.last, seg.used = fr.seq, int64(fr.off+align8(fr.n))
	seg.note(&e.p, writeFrame{fr.seq, uint32(fr.off - frameHeader)})
	if fr.seq <= s.applied {
		e.p.writes = e.p.writes[:0]
	}
	for i := range e.p.writes {
		e.p.writes[i].Value = bytes.Clone(e.p.writes[i].Value)
	}
	s.order = fr.seq
	s.apply(e, seg)
	return nil
}

// endJournal cuts what lies behind the last frame, so that it can never come
// back, and makes sure that what was accepted is on disk.
func (s *Store) endJournal(seg *segment, b []byte, sealed bool) error {
	if seg.unreadable { // what was acknowledged may lie there: nothing is cut
		seg.damaged = true
		s.damage(1, "the disk cannot read a part of the newest journal segment: replace it soon", "file", seg.path)
		s.keepAside(seg.path)
		return nil
	}
	if sealed {
		seg.damaged = true
		s.damage(1, "the end of a closed journal segment is damaged", "file", seg.path)
		s.keepAside(seg.path)
		return nil
	}
	rest := b[seg.used:max(int(seg.used), len(b)-headerBytes)]
	if torn := len(bytes.TrimRight(rest, "\x00")); torn > 0 {
		s.log.Warn("unfinished frames at the end of the journal are cut off", "file", seg.path, "bytes", torn)
	}
	if !seg.damaged {
		err := s.seal(seg)
		if err == nil {
			return nil
		}
		s.log.Warn("the last journal segment is cut and not sealed", "error", err)
	}
	return seg.cut()
}
