package author

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// A module ends in a custom section, which engines pass over, with the hash of
// what it was built from.
const markName = "skerry_source"

// marked is the module with its mark.
func marked(module []byte, sum [sha256.Size]byte) []byte {
	body := append([]byte{byte(len(markName))}, markName...)
	body = append(body, sum[:]...)
	return append(append(bytes.Clone(module), 0, byte(len(body))), body...)
}

// readMark is the mark of a module, wherever it stands in it.
func readMark(module []byte) (sum [sha256.Size]byte, ok bool) {
	const header = 8
	for at := header; at+1 < len(module); {
		id := module[at]
		size, n := binary.Uvarint(module[at+1:])
		at += 1 + n
		if n <= 0 || size > uint64(len(module)-at) {
			return sum, false
		}
		body := module[at : at+int(size)]
		at += int(size)
		if rest, mine := bytes.CutPrefix(body, append([]byte{byte(len(markName))}, markName...)); id == 0 && mine && len(rest) == len(sum) {
			return [sha256.Size]byte(rest), true
		}
	}
	return sum, false
}
