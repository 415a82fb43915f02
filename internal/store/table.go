package store

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// spot is where a stored record lies in its segment. The zero spot is none:
// the sequence was never used, or the record was done in the same segment.
type spot struct{ off, n uint32 }

const spotBytes = 12 // of a spot in a footer: offset, length, checksum

// table is the records that lie in one segment, by position.
type table struct {
	queues []uint32 // ids
	live   []uint64 // a bit each: it waits
	spots  []spot   // nil once the segment is sealed: its footer has them
	at     int64    // of the spots in the sealed file
}

func (t *table) len() int { return len(t.queues) }

func (t *table) waits(pos int) bool {
	return pos < len(t.queues) && t.live[pos/64]&(1<<(pos%64)) != 0
}

func (t *table) set(pos int) { t.live[pos/64] |= 1 << (pos % 64) }

func (t *table) clear(pos int) { t.live[pos/64] &^= 1 << (pos % 64) }

// add appends a position whose record does not wait.
func (t *table) add(queue uint32, at spot) int {
	pos := len(t.queues)
	if pos%64 == 0 {
		t.live = append(t.live, 0)
	}
	t.queues, t.spots = append(t.queues, queue), append(t.spots, at)
	return pos
}

// bytes is the length of a record, 0 if it is not known any more.
func (t *table) bytes(pos int) int64 {
	if t.spots == nil {
		return 0
	}
	return int64(t.spots[pos].n)
}

// next is the first position from pos on whose record waits, len if there is none.
func (t *table) next(pos int) int {
	for pos < len(t.queues) {
		if word := t.live[pos/64] >> (pos % 64); word != 0 {
			return pos + bits.TrailingZeros64(word)
		}
		pos = (pos/64 + 1) * 64
	}
	return len(t.queues)
}

// appendSpot encodes a spot so that it can be verified alone: one that points
// to another good record would otherwise give that one for this.
func appendSpot(b []byte, at spot, seq uint64, seed uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, at.off)
	b = binary.LittleEndian.AppendUint32(b, at.n)
	return binary.LittleEndian.AppendUint32(b, spotChecksum(at, seq, seed))
}

func spotChecksum(at spot, seq uint64, seed uint32) uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], seq)
	binary.LittleEndian.PutUint32(b[8:], at.off)
	binary.LittleEndian.PutUint32(b[12:], at.n)
	return crc32.Update(seed, castagnoli, b[:])
}

func decodeSpot(b []byte, seq uint64, seed uint32) (spot, bool) {
	at := spot{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
	return at, binary.LittleEndian.Uint32(b[8:]) == spotChecksum(at, seq, seed)
}
