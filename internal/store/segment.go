package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
)

const (
	formatVersion = 1
	segmentMagic  = "SKRYJNL\x00"

	headerBytes = 64   // of one copy of the header
	headerCopy  = 512  // where the second copy lies, in another sector; the third one is at the end
	headerArea  = 1024 // where frames begin
	frameHeader = 24
	maxFrame    = 64 << 20 // payload bytes

	segmentNeed = headerArea + openingBytes + trailerBytes + 128 // of every segment, besides frames and what they add to the footer
)

// header opens a segment file.
type header struct {
	number  uint64
	first   uint64 // frame sequence from which this segment continues; the same in earlier ones is void
	nextRec uint64 // record sequence that comes next
	size    uint64 // bytes preallocated; a shorter file has been sealed
	salt    uint64 // random, part of every checksum: data cannot pass for a frame
	oldest  uint32 // number of the oldest segment there was: lower ones are leftovers
}

func newHeader(number, first, nextRec uint64, size int64, oldest uint64) (header, error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return header{}, fmt.Errorf("random salt: %w", err)
	}
	return header{number, first, nextRec, uint64(size), binary.LittleEndian.Uint64(salt[:]), uint32(oldest)}, nil
}

// encode gives the header area with both copies.
func (h *header) encode() []byte {
	area := make([]byte, headerArea)
	b := append(area[:0], segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	b = binary.LittleEndian.AppendUint32(b, headerArea)
	for _, v := range []uint64{h.number, h.first, h.nextRec, h.size, h.salt} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, h.oldest)
	binary.LittleEndian.AppendUint32(b, checksum(b))
	copy(area[headerCopy:], area[:headerBytes])
	return area
}

// decodeHeader reads the first intact copy; errDamaged if there is none.
func decodeHeader(area []byte) (header, error) {
	for at := 0; at+headerBytes <= len(area) && at <= headerCopy; at += headerCopy {
		b := area[at : at+headerBytes]
		if string(b[:8]) != segmentMagic || binary.LittleEndian.Uint32(b[60:]) != checksum(b[:60]) {
			continue
		}
		if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
			return header{}, fmt.Errorf("it is of format %d and this release reads format %d; install the release that wrote it", v, formatVersion)
		}
		r := reader{b: b, off: 16}
		return header{r.uint64(), r.uint64(), r.uint64(), r.uint64(), r.uint64(), r.uint32()}, nil
	}
	return header{}, fmt.Errorf("segment header: %w", errDamaged)
}

// seed starts the checksums of a segment's frames.
func (h *header) seed() uint32 {
	return checksum(binary.LittleEndian.AppendUint64(nil, h.salt))
}

// segment is one journal file. Its fields are written by the one committer, or
// the one who maintains, under the store's lock.
type segment struct {
	number   uint64
	path     string
	f        file
	h        header
	seed     uint32
	size     int64  // of the file
	used     int64  // bytes up to the end of the last durable frame
	reserved int64  // bytes kept for the footer
	last     uint64 // sequence of its last frame; 0 if it has none
	nextRec  uint64 // record sequence that comes after its frames

	base    uint64 // sequence of the first position of home
	home    table  // records that were added here
	moved   table  // records that were moved here
	live    int    // waiting records that lie here
	byQueue map[uint32]share

	liveBytes int64 // of waiting records, about

	notes      *notes // what the footer must tell besides; nil once sealed
	damaged    bool   // never sealed, so that each start finds the damage again
	unreadable bool   // the disk failed to read a part of it at the start
	verified   bool   // every waiting record was read since the start
}

// share is what waits in a segment of one queue.
type share struct {
	live  int
	bytes int64 // about, once some of it is gone
}

// notes is what the frames of a segment did besides adding and moving records.
type notes struct {
	done   []uint64
	touch  map[uint64]agent.Touch
	writes []writeFrame
	moved  []uint64 // sequences, by position
}

func newSegment(path string, f file, h header, size int64) *segment {
	return &segment{
		number: h.number, path: path, f: f, h: h, seed: h.seed(), size: size, used: headerArea, nextRec: h.nextRec,
		byQueue: map[uint32]share{}, notes: &notes{touch: map[uint64]agent.Touch{}},
	}
}

// room is how many bytes of frames and footer it still takes.
func (g *segment) room() int64 {
	return g.size - g.used - g.reserved - openingBytes - trailerBytes
}

// note keeps for the footer what a durable frame did. A record that is done
// in the segment where it was added leaves no trace in the footer.
func (g *segment) note(p *payload, w writeFrame) {
	g.nextRec = max(g.nextRec, p.first+uint64(len(p.add)))
	for _, seq := range p.done {
		if pos := seq - g.base; seq >= g.base && pos < uint64(g.home.len()) {
			g.home.spots[pos] = spot{}
		} else {
			g.notes.done = append(g.notes.done, seq)
		}
		delete(g.notes.touch, seq)
	}
	for i := range p.touch {
		g.notes.touch[p.touch[i].Seq] = p.touch[i]
	}
	for _, list := range [...][]place{p.add, p.moved} {
		for i := range list {
			if pl := &list[i]; pl.attempts > 0 || !pl.notBefore.IsZero() {
				g.notes.touch[pl.seq] = agent.Touch{Seq: pl.seq, Attempts: pl.attempts, NotBefore: pl.notBefore}
			}
		}
	}
	if len(p.writes) > 0 {
		g.notes.writes = append(g.notes.writes, w)
	}
}

// read fills b from off on; what the file has lost is damage.
func (g *segment) read(b []byte, off int64) error {
	_, err := g.f.ReadAt(b, off)
	if errors.Is(err, unix.EIO) { // the system has tried for long; one more costs little
		_, err = g.f.ReadAt(b, off)
	}
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s is cut short: %w", g.path, errDamaged)
	case errors.Is(err, unix.EIO):
		return fmt.Errorf("the disk cannot read a part of %s: %w", g.path, errDamaged)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", g.path, err)
	}
	return nil
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x.seg", number) }

func segmentPath(dir string, number uint64) string {
	return filepath.Join(dir, segmentName(number))
}

func align8(n int) int { return (n + 7) &^ 7 }

// frameBytes is what a payload of n bytes takes in a segment.
func frameBytes(n int) int { return frameHeader + align8(n) }

// sealFrame fills in the header of a frame: b is header, payload and padding.
// Group is the sequence of the first frame that is written with it: every
// frame before that was durable when this one was written.
func sealFrame(b []byte, n int, seq, group uint64, seed uint32) {
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint64(b[16:], group)
	binary.LittleEndian.PutUint32(b[4:], frameChecksum(b, n, seed))
}

func frameChecksum(b []byte, n int, seed uint32) uint32 {
	c := crc32.Update(seed, castagnoli, b[:4])
	return crc32.Update(c, castagnoli, b[8:frameHeader+n])
}

// frameAt is a frame found in a segment.
type frameAt struct {
	seq, group uint64
	off, n     int // of its payload
}

// readFrame returns the intact frame at off whose sequence is above last.
func readFrame(b []byte, off int, seed uint32, last uint64) (frameAt, bool) {
	if off+frameHeader > len(b) {
		return frameAt{}, false
	}
	h := b[off:]
	n := int64(binary.LittleEndian.Uint32(h))
	if n < 8 || n > maxFrame || n > int64(len(h)-frameHeader) {
		return frameAt{}, false
	}
	f := frameAt{binary.LittleEndian.Uint64(h[8:]), binary.LittleEndian.Uint64(h[16:]), off + frameHeader, int(n)}
	if f.seq <= last || f.group > f.seq || binary.LittleEndian.Uint32(h[4:]) != frameChecksum(h, int(n), seed) {
		return frameAt{}, false
	}
	return f, true
}

// scanned is what a look at every byte of a segment found.
type scanned struct {
	frames []frameAt
	end    int    // of the last frame
	sealed bool   // a footer begins there: no frame is missing behind it
	last   uint64 // of the frames, as the footer tells
}

// scanFrames lists the intact frames of a segment's bytes in order. What lies
// between them and is none is passed over.
func scanFrames(b []byte, h *header) scanned {
	seed, last := h.seed(), h.first-1
	s := scanned{end: headerArea}
	for off := headerArea; off+frameHeader <= len(b); {
		f, ok := readFrame(b, off, seed, last)
		if ok {
			s.frames, last = append(s.frames, f), f.seq
			off += frameBytes(f.n)
			s.end = min(off, len(b))
			continue
		}
		if s.last, s.sealed = openingAt(b, off, seed); s.sealed {
			return s
		}
		off += 8
	}
	return s
}
