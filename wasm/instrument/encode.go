package instrument

import "encoding/binary"

// putU appends v as an unsigned LEB128 number.
func putU[T ~uint32 | ~int](b []byte, v T) []byte { return binary.AppendUvarint(b, uint64(v)) }

// putS appends v as a signed LEB128 number.
func putS(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func putName(b []byte, s string) []byte { return append(putU(b, len(s)), s...) }

func putBytes(b, s []byte) []byte { return append(putU(b, len(s)), s...) }

// putSection appends a section unless it has no content.
func putSection(b []byte, id byte, body []byte) []byte {
	if len(body) == 0 {
		return b
	}
	return putBytes(append(b, id), body)
}

// putVec appends a vector of n elements whose encoding is body.
func putVec(b []byte, n int, body []byte) []byte {
	if n == 0 {
		return b
	}
	return append(putU(b, n), body...)
}
