package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
)

const (
	formatVersion = 1
	segmentMagic  = "SKRYJNL\x00"

	headerBytes = 64   // of one copy of the header
	headerCopy  = 512  // where the second copy lies, in another sector
	headerArea  = 1024 // where frames begin
	frameHeader = 24
	maxFrame    = 64 << 20 // payload bytes
)

// header opens a segment file.
type header struct {
	number  uint64
	first   uint64 // frame sequence from which this segment continues; the same in earlier ones is void
	nextRec uint64 // record sequence that comes next
	size    uint64 // bytes preallocated; a shorter file has been sealed
	salt    uint64 // random, part of every checksum: data cannot pass for a frame
}

func newHeader(number, first, nextRec uint64, size int64) (header, error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return header{}, fmt.Errorf("random salt: %w", err)
	}
	return header{number, first, nextRec, uint64(size), binary.LittleEndian.Uint64(salt[:])}, nil
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
	b = binary.LittleEndian.AppendUint32(b, 0)
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
		return header{r.uint64(), r.uint64(), r.uint64(), r.uint64(), r.uint64()}, nil
	}
	return header{}, fmt.Errorf("segment header: %w", errDamaged)
}

// seed starts the checksums of a segment's frames.
func (h *header) seed() uint32 {
	return checksum(binary.LittleEndian.AppendUint64(nil, h.salt))
}

// segment is one journal file. Fields but live and liveBytes are written by
// the one committer, under the store's lock.
type segment struct {
	number    uint64
	path      string
	f         file
	size      int64  // of the file
	used      int64  // bytes up to the end of the last durable frame
	last      uint64 // sequence of its last frame; 0 if it has none
	seed      uint32
	live      int // waiting records that lie here
	liveBytes int64
	minRec    uint64 // the records that ever lay here are within these
	maxRec    uint64
}

// holds widens the range of records that lie here.
func (g *segment) holds(seq uint64) {
	if g.minRec == 0 || seq < g.minRec {
		g.minRec = seq
	}
	g.maxRec = max(g.maxRec, seq)
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

// scanFrames lists the intact frames of a segment's bytes in order, and where
// the last one ends. What lies between them and is none is passed over.
func scanFrames(b []byte, h *header) (frames []frameAt, end int) {
	seed, last := h.seed(), h.first-1
	end = headerArea
	for off := headerArea; off+frameHeader <= len(b); {
		f, ok := readFrame(b, off, seed, last)
		if !ok {
			off += 8
			continue
		}
		frames, last = append(frames, f), f.seq
		off += frameBytes(f.n)
		end = min(off, len(b))
	}
	return frames, end
}
