package agent

import "encoding/binary"

// varints reads numbers from the front of b; what is not there is 0, and failed.
type varints struct {
	b      []byte
	failed bool
}

func (v *varints) int() int64 {
	n, size := binary.Varint(v.b)
	v.skip(size)
	return n
}

func (v *varints) uint() uint64 {
	n, size := binary.Uvarint(v.b)
	v.skip(size)
	return n
}

// len is the length of a list, each item of which takes a byte at least.
func (v *varints) len() int {
	n := v.uint()
	if n > uint64(len(v.b)) {
		v.failed = true
		return 0
	}
	return int(n)
}

func (v *varints) skip(size int) {
	if size <= 0 {
		v.failed, v.b = true, nil
		return
	}
	v.b = v.b[size:]
}

// bytes are the next n.
func (v *varints) bytes(n int) []byte {
	if v.failed || n > len(v.b) {
		v.failed = true
		return nil
	}
	b := v.b[:n]
	v.b = v.b[n:]
	return b
}
