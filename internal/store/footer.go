package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

const (
	openingMagic = "SKRYIDX\x00"
	trailerMagic = "SKRYEND\x00"
	openingBytes = 24
	trailerBytes = 40 + headerBytes
)

// footer ends a sealed segment: what its frames did, so that nobody has to
// read them to know which records wait.
type footer struct {
	last    uint64     // frame sequence
	nextRec uint64     // record sequence that comes next
	base    uint64     // sequence of the first position of home
	names   []string   // of queues
	bytes   []uint64   // by name: of the records of home that are not done here
	home    []uint32   // records that were added: 1 + index in names, 0 for none
	moved   []movedRec // records that were moved here
	done    []uint64   // ascending; those added here are not named, but none in home
	touch   []agent.Touch
	writes  []writeFrame // frames that carry values
	spots   []spot       // of home, then of moved; not parsed
}

// movedRec is a record that was moved into a segment.
type movedRec struct {
	seq   uint64
	queue uint32 // index in names
	bytes uint32
}

// writeFrame is a frame that carries values.
type writeFrame struct {
	seq uint64
	off uint32 // of the frame in the segment
}

// encode gives all bytes from the end of the last frame on.
func (ft *footer) encode(h *header, used int64) []byte {
	seed := h.seed()
	b := append(make([]byte, 0, openingBytes+len(ft.spots)*(spotBytes+2)+trailerBytes), openingMagic...)
	b = binary.LittleEndian.AppendUint64(b, ft.last)
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(seed, castagnoli, b))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = ft.appendIndex(b)
	index := b[openingBytes:]
	for i, at := range ft.spots {
		b = appendSpot(b, at, ft.seq(i), seed)
	}
	start := len(b)
	b = append(b, trailerMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(used))
	b = binary.LittleEndian.AppendUint64(b, ft.last)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(index)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(ft.spots)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(seed, castagnoli, index))
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(seed, castagnoli, b[start:]))
	return append(b, h.encode()[:headerBytes]...)
}

// seq is the sequence of the record whose spot is the i-th.
func (ft *footer) seq(i int) uint64 {
	if i < len(ft.home) {
		return ft.base + uint64(i)
	}
	return ft.moved[i-len(ft.home)].seq
}

func (ft *footer) appendIndex(b []byte) []byte {
	for _, v := range [...]uint64{ft.nextRec, ft.base, uint64(len(ft.names))} {
		b = binary.AppendUvarint(b, v)
	}
	for i, name := range ft.names {
		b = binary.AppendUvarint(appendString(b, name), ft.bytes[i])
	}
	b = binary.AppendUvarint(b, uint64(len(ft.home)))
	for _, q := range ft.home {
		b = binary.AppendUvarint(b, uint64(q))
	}
	b = binary.AppendUvarint(b, uint64(len(ft.moved)))
	for _, m := range ft.moved {
		b = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, m.seq), uint64(m.queue)), uint64(m.bytes))
	}
	b = binary.AppendUvarint(b, uint64(len(ft.done)))
	var before uint64
	for _, seq := range ft.done {
		b = binary.AppendUvarint(b, seq-before)
		before = seq
	}
	b = appendTouches(b, ft.touch)
	b = binary.AppendUvarint(b, uint64(len(ft.writes)))
	for _, w := range ft.writes {
		b = binary.AppendUvarint(binary.AppendUvarint(b, w.seq), uint64(w.off))
	}
	return b
}

// parseIndex is the inverse of appendIndex.
func (ft *footer) parseIndex(b []byte) error {
	r := reader{b: b}
	ft.nextRec, ft.base = r.uvarint(), r.uvarint()
	for range r.count(2) {
		ft.names, ft.bytes = append(ft.names, r.string()), append(ft.bytes, r.uvarint())
	}
	ft.home = make([]uint32, r.count(1))
	for i := range ft.home {
		ft.home[i] = r.index(uint64(len(ft.names)) + 1)
	}
	ft.moved = make([]movedRec, r.count(3))
	for i := range ft.moved {
		ft.moved[i] = movedRec{r.uvarint(), r.index(uint64(len(ft.names))), r.index(math.MaxUint32)}
	}
	var before uint64
	ft.done = make([]uint64, r.count(1))
	for i := range ft.done {
		before += r.uvarint()
		ft.done[i] = before
	}
	ft.touch = r.touches()
	ft.writes = make([]writeFrame, r.count(2))
	for i := range ft.writes {
		ft.writes[i] = writeFrame{r.uvarint(), r.index(math.MaxUint32)}
	}
	if r.bad || r.left() > 0 || ft.base > math.MaxUint64-uint64(len(ft.home)) || !slices.IsSorted(ft.done) {
		return fmt.Errorf("segment footer: %w", errDamaged)
	}
	return nil
}

// trailer is the last bytes of a sealed segment.
type trailer struct {
	h            header
	used         int64 // where the footer begins
	last         uint64
	index, spots uint32 // bytes of the index, number of spots
	sum          uint32 // of the index
}

// indexAt is where the index lies in the file, spotsAt where the spots do.
func (t *trailer) indexAt() int64 { return t.used + openingBytes }
func (t *trailer) spotsAt() int64 { return t.indexAt() + int64(t.index) }

// decodeTrailer reads the end of a file of that size, whose header is h;
// errDamaged if there is none.
func decodeTrailer(b []byte, h header, size int64) (trailer, error) {
	bad := fmt.Errorf("segment trailer: %w", errDamaged)
	if len(b) != trailerBytes || string(b[:8]) != trailerMagic ||
		binary.LittleEndian.Uint32(b[36:]) != crc32.Update(h.seed(), castagnoli, b[:36]) {
		return trailer{}, bad
	}
	r := reader{b: b, off: 8}
	t := trailer{h: h, used: int64(r.uint64()), last: r.uint64(), index: r.uint32(), spots: r.uint32(), sum: r.uint32()}
	if t.used < headerArea || t.used%8 != 0 || t.spotsAt()+int64(t.spots)*spotBytes+trailerBytes != size {
		return trailer{}, bad
	}
	return t, nil
}

// parseFooter verifies and parses the index of a footer.
func parseFooter(t *trailer, index []byte) (*footer, error) {
	if crc32.Update(t.h.seed(), castagnoli, index) != t.sum {
		return nil, fmt.Errorf("segment footer: %w", errDamaged)
	}
	ft := &footer{last: t.last}
	if err := ft.parseIndex(index); err != nil {
		return nil, err
	}
	if len(ft.home)+len(ft.moved) != int(t.spots) {
		return nil, fmt.Errorf("segment footer: %w", errDamaged)
	}
	return ft, nil
}

// openingAt tells that a footer begins at off, and the last frame before it.
func openingAt(b []byte, off int, seed uint32) (last uint64, ok bool) {
	if off+openingBytes > len(b) || string(b[off:off+8]) != openingMagic {
		return 0, false
	}
	b = b[off:]
	return binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint32(b[16:]) == crc32.Update(seed, castagnoli, b[:16])
}

// footerNeed is the most that one frame adds to a footer.
func footerNeed(p *payload) int {
	n := 16 + len(p.done)*10 + len(p.touch)*32
	for i := range p.add {
		n += spotBytes + 13 + len(p.add[i].queue)
		if p.add[i].attempts > 0 || !p.add[i].notBefore.IsZero() {
			n += 32
		}
	}
	for i := range p.moved {
		n += spotBytes + 58 + len(p.moved[i].queue)
	}
	return n
}
