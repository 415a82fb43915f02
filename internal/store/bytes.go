package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// castagnoli is CRC32C, the checksum of everything on disk: processors
// compute it at memory speed.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// errDamaged marks bytes that are not what was written.
var errDamaged = errors.New("damaged")

// Times on disk lie between year 1 and year 9999; later ones are cut.
const (
	minSecond = -62135596800
	maxSecond = 253402300799
)

// appendTime writes 0 for the zero time, else nanoseconds + 1 and seconds.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	sec := min(max(t.Unix(), minSecond), maxSecond)
	b = binary.AppendUvarint(b, uint64(t.Nanosecond())+1)
	return binary.AppendVarint(b, sec)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendBlock writes length + 1 and the bytes, or 0 for nil.
func appendBlock(b, block []byte) []byte {
	if block == nil {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(block))+1)
	return append(b, block...)
}

// reader takes values off the front of bytes. After the first that does not
// fit, bad is set and everything reads as zero.
type reader struct {
	b   []byte
	off int
	bad bool
}

func (r *reader) left() int { return len(r.b) - r.off }

func (r *reader) fail() {
	r.bad = true
	r.off = len(r.b)
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b[r.off:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.off += n
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b[r.off:])
	if n <= 0 {
		r.fail()
		return 0
	}
	r.off += n
	return v
}

// count reads how many items follow, each of at least size bytes.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(r.left()/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// small reads a number that fits 31 bits.
func (r *reader) small() int {
	n := r.uvarint()
	if n > math.MaxInt32 {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	if r.left() < 1 {
		r.fail()
		return 0
	}
	r.off++
	return r.b[r.off-1]
}

func (r *reader) uint64() uint64 {
	if r.left() < 8 {
		r.fail()
		return 0
	}
	r.off += 8
	return binary.LittleEndian.Uint64(r.b[r.off-8:])
}

func (r *reader) uint32() uint32 {
	b := r.take(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// index reads a number below n.
func (r *reader) index(n uint64) uint32 {
	v := r.uvarint()
	if v >= n {
		r.fail()
		return 0
	}
	return uint32(v)
}

// take returns the next n bytes without copying them.
func (r *reader) take(n uint64) []byte {
	if n > uint64(r.left()) {
		r.fail()
		return nil
	}
	r.off += int(n)
	return r.b[r.off-int(n) : r.off : r.off]
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) block() []byte {
	n := r.uvarint()
	if n == 0 {
		return nil
	}
	return r.take(n - 1)
}

func (r *reader) time() time.Time {
	nano := r.uvarint()
	if nano == 0 {
		return time.Time{}
	}
	sec := r.varint()
	if nano > 1e9 || sec < minSecond || sec > maxSecond {
		r.fail()
		return time.Time{}
	}
	return time.Unix(sec, int64(nano-1)).UTC()
}
