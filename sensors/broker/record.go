package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// A record is the byte 0xa5, its kind, the length of its body and the CRC32C
// of kind and body (both 4 bytes, little-endian), and its body. Strings and
// data in a body begin with their length; numbers are variable integers.
const (
	recMark      = 0xa5
	recHeader    = 10
	maxRecord    = 320 << 20 // MQTT's largest message, and more
	recSession   = 1         // client id, user, seconds it lasts
	recEnd       = 2         // client id
	recFilter    = 3         // client id, filter, options
	recRemoved   = 4         // client id, filter
	recMessage   = 5         // message, then the sessions it goes to
	recDone      = 6         // client id, number of the delivery
	recRetained  = 7         // message; one without data removes what there was
	recReceived  = 8         // client id, packet id of QoS 2
	recCompleted = 9         // client id, packet id
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, kind byte, body []byte) []byte {
	b = append(b, recMark, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, recordSum(kind, body))
	return append(b, body...)
}

func recordSum(kind byte, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte{kind}, castagnoli), castagnoli, body)
}

// readRecords calls apply with each record of f. It skips what is damaged:
// skipped is how many bytes stood before a record that is whole, torn how many
// after the last one.
func readRecords(f *os.File, apply func(kind byte, body []byte)) (skipped, torn int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	end, at := info.Size(), int64(0)
	if end == 0 {
		return 0, 0, nil
	}
	head := make([]byte, len(magic))
	if _, err := f.ReadAt(head, 0); err == nil && string(head) == magic {
		at = int64(len(magic))
	}
	r := recordReader{f: f, end: end}
	for good := at; ; good = at {
		kind, body, next, err := r.from(at)
		for err == nil && next == 0 && at < end { // look for the next whole one
			if at, err = r.mark(at + 1); err == nil && at < end {
				kind, body, next, err = r.from(at)
			}
		}
		if err != nil {
			return skipped, 0, err
		}
		if next == 0 {
			return skipped, end - good, nil
		}
		skipped += at - good
		apply(kind, body)
		at = next
	}
}

// recordReader reads records at any place of a file.
type recordReader struct {
	f   *os.File
	end int64
	buf *bufio.Reader // ahead of pos
	pos int64
}

func (r *recordReader) seek(at int64) {
	if r.buf == nil || r.pos != at {
		r.buf = bufio.NewReaderSize(io.NewSectionReader(r.f, at, r.end-at), 64<<10)
		r.pos = at
	}
}

// from reads the record at a place; next is where it ends, 0 if there is none.
func (r *recordReader) from(at int64) (kind byte, body []byte, next int64, err error) {
	if r.end-at < recHeader {
		return 0, nil, 0, nil
	}
	r.seek(at)
	var head [recHeader]byte
	if _, err := io.ReadFull(r.buf, head[:]); err != nil {
		return 0, nil, 0, err
	}
	r.pos += recHeader
	n := int64(binary.LittleEndian.Uint32(head[2:]))
	if head[0] != recMark || n > min(maxRecord, r.end-at-recHeader) {
		return 0, nil, 0, nil
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(r.buf, body); err != nil {
		return 0, nil, 0, err
	}
	r.pos += n
	if recordSum(head[1], body) != binary.LittleEndian.Uint32(head[6:]) {
		return 0, nil, 0, nil
	}
	return head[1], body, at + recHeader + n, nil
}

// mark is the place of the first recMark from at on, or the end.
func (r *recordReader) mark(at int64) (int64, error) {
	chunk := make([]byte, 64<<10)
	for at < r.end {
		n, err := r.f.ReadAt(chunk[:min(int64(len(chunk)), r.end-at)], at)
		if n == 0 {
			return 0, err
		}
		if i := bytes.IndexByte(chunk[:n], recMark); i >= 0 {
			return at + int64(i), nil
		}
		at += int64(n)
	}
	return r.end, nil
}
