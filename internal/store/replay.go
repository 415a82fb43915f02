package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// found is a segment file that was there when the store was opened.
type found struct {
	seg    *segment
	h      header
	broken bool   // no intact header
	below  uint64 // frames from here on are void: a later segment continues there
}

// replay reads the journal into memory. Values that Badger has already are
// left out; a torn end is cut; damage before it is skipped and counted.
func (s *Store) replay() error {
	list, err := s.findSegments()
	if err != nil {
		return err
	}
	s.ix.loading = true
	expected := s.applied + 1
	if len(list) == 0 && s.applied > 0 {
		s.damage(1, "the journal is gone although the database has applied one", "applied", s.applied)
	}
	begun := false
	for i := range list {
		f := &list[i]
		if !begun && !f.broken && (i > 0 || f.h.first <= expected) {
			expected = f.h.first // what came before was applied and given back, or was told already
		}
		begun = begun || !f.broken
		if expected, err = s.replaySegment(f, i == len(list)-1, expected); err != nil {
			return err
		}
	}
	if expected <= s.applied {
		s.damage(int64(s.applied+1-expected), "the end of the journal is gone", "applied", s.applied)
		expected = s.applied + 1
	}
	s.ix.loaded()
	s.durable, s.told = expected-1, s.nextRec
	return nil
}

// findSegments opens the segment files, oldest first.
func (s *Store) findSegments() ([]found, error) {
	names, err := filepath.Glob(filepath.Join(s.journalDir, "*.seg"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	s.nextSegment = 1
	var list []found
	for _, path := range names {
		number, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".seg"), 16, 32)
		if err != nil || number == 0 {
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
			below = min(below, list[i].h.first)
		}
	}
	return list, nil
}

// openSegment reads a header. A segment that was cut off while it was made,
// and holds nothing, is removed; nil then.
func (s *Store) openSegment(path string, number uint64) (*found, error) {
	f, err := s.opts.files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open journal segment: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	area := make([]byte, min(headerArea, info.Size()))
	if _, err := f.ReadAt(area, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	h, err := decodeHeader(area)
	damaged := errors.Is(err, errDamaged)
	if err != nil && !damaged {
		return nil, errors.Join(fmt.Errorf("journal segment %s cannot be used: %w", path, err), f.Close())
	}
	if !damaged && h.number != number {
		return nil, errors.Join(fmt.Errorf("journal segment %s was renamed; give it back its name %s", path, segmentName(h.number)), f.Close())
	}
	if damaged && allZero(path) {
		return nil, errors.Join(f.Close(), os.Remove(path))
	}
	seg := &segment{number: number, path: path, f: f, size: info.Size(), used: headerArea, seed: h.seed()}
	s.segs = append(s.segs, seg)
	s.ix.segs[uint32(number)] = seg
	return &found{seg: seg, h: h, broken: damaged}, nil
}

func allZero(path string) bool {
	b, err := os.ReadFile(path)
	return err == nil && len(bytes.Trim(b, "\x00")) == 0
}

// replaySegment applies the frames of one segment and returns the sequence
// expected next.
func (s *Store) replaySegment(f *found, newest bool, expected uint64) (uint64, error) {
	if f.broken {
		s.damage(1, "a journal segment has no intact header and is skipped; more than one frame may be lost", "file", f.seg.path)
		s.keepAside(f.seg.path)
		return expected, nil
	}
	b, err := os.ReadFile(f.seg.path)
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	s.nextRec = max(s.nextRec, f.h.nextRec)
	frames, end := scanFrames(b, &f.h)
	sealed := uint64(len(b)) < f.h.size
	frames = slices.DeleteFunc(frames, func(fr frameAt) bool { return fr.seq >= f.below })
	if newest && !sealed {
		frames = cutTorn(frames, f.h.first)
	}
	expected = s.skipTo(f.h.first, expected, f.seg.path)
	for _, fr := range frames {
		s.skipTo(fr.seq, expected, f.seg.path)
		if err := s.replayFrame(f.seg, b[fr.off:fr.off+fr.n], fr); err != nil {
			return 0, err
		}
		expected = fr.seq + 1
	}
	if newest {
		return expected, s.endJournal(f.seg, b, end, sealed)
	}
	return expected, nil
}

// skipTo counts the frames that are missing before seq.
func (s *Store) skipTo(seq, expected uint64, path string) uint64 {
	if seq <= expected {
		return expected
	}
	s.damage(int64(seq-expected), "frames of the journal are damaged and skipped",
		"file", path, "first", expected, "last", seq-1)
	s.keepAside(path)
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
	if fr.seq <= s.applied {
		e.p.writes = e.p.writes[:0]
	}
	for i := range e.p.writes {
		e.p.writes[i].Value = bytes.Clone(e.p.writes[i].Value)
	}
	for i := range e.p.moved {
		s.ix.add(&e.p.moved[i], seg, e.off+e.p.moved[i].off)
	}
	s.order = fr.seq
	s.apply(e, seg)
	return nil
}

// endJournal cuts what lies behind the last frame, so that it can never come
// back, and makes sure that what was accepted is on disk.
func (s *Store) endJournal(seg *segment, b []byte, end int, sealed bool) error {
	if sealed && end < len(b) {
		s.damage(1, "the end of a closed journal segment is damaged", "file", seg.path, "bytes", len(b)-end)
		s.keepAside(seg.path)
		return nil
	}
	if torn := len(bytes.TrimRight(b[seg.used:], "\x00")); torn > 0 {
		s.log.Warn("unfinished frames at the end of the journal are cut off", "file", seg.path, "bytes", torn)
	}
	seg.size = seg.used
	return cutSegment(seg.path, seg.used)
}

// cutSegment gives a segment its final length.
func cutSegment(path string, length int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("seal journal segment: %w", err)
	}
	if err := errors.Join(f.Truncate(length), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("seal journal segment: %w", err)
	}
	return nil
}
