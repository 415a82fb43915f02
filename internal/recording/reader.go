package recording

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line of a recording, bytes: as much as an MQTT packet may have.
const maxLine = 256 << 20

// Reader reads a recording.
type Reader struct {
	Header Header

	lines     *bufio.Reader
	number    int // of the line that was read last
	truncated bool
}

// NewReader reads the header of a recording, packed or not.
func NewReader(r io.Reader) (*Reader, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	if head, err := lines.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		unpacked, err := gzip.NewReader(lines)
		if err != nil {
			return nil, fmt.Errorf("unpack the recording: %w", err)
		}
		lines = bufio.NewReaderSize(unpacked, 64<<10)
	}
	rd := &Reader{lines: lines}
	line, err := rd.line()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	rd.Header, err = parseHeader(line)
	return rd, err
}

// Next reads the next entry; io.EOF says that there is none.
func (r *Reader) Next() (Entry, error) {
	line, err := r.line()
	whole := err == nil
	if len(line) == 0 {
		return Entry{}, err
	}
	e, err := ParseEntry(line)
	switch {
	case err == nil:
		return e, nil
	case whole:
		return Entry{}, fmt.Errorf("line %d of the recording: %w", r.number, err)
	}
	r.truncated = true
	return Entry{}, io.EOF
}

// Number is the line that Next read last, from 1.
func (r *Reader) Number() int { return r.number }

// Truncated tells, at the end, that the recording stops in the middle of
// something: whoever wrote it was stopped.
func (r *Reader) Truncated() bool { return r.truncated }

// line reads the next line that is not empty. With io.EOF comes what stands
// behind the last line's end.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= maxLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d of the recording has more than %d bytes", r.number+1, maxLine)
		case errors.Is(err, io.ErrUnexpectedEOF): // of what is packed
			r.truncated = true
			err = io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read the recording: %w", err)
		}
		r.number++
		line = bytes.TrimSpace(line)
		if len(line) > 0 || err != nil {
			return line, err
		}
	}
}
