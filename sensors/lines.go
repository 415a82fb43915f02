package sensors

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf8"
)

// lines takes a stream apart, with bounded memory. Lines longer than max are
// left out, and so are empty ones.
type lines struct {
	from io.Reader
	max  int // bytes of a line, without its end

	buf  []byte // what is read and not handed out
	at   int64  // bytes before buf
	skip bool   // in the middle of a line that is too long
	long func() // called for each line that is left out; nil: nobody asks
}

const readSize = 32 << 10 // bytes at a time

// next returns the next line without its end. On an error of the reader, io.EOF
// too, what there is of an unfinished line stays; it may be called again then.
// The line is the caller's.
func (l *lines) next() ([]byte, error) {
	looked := 0
	for {
		if end := bytes.IndexByte(l.buf[looked:], '\n'); end >= 0 {
			if line := l.take(looked + end + 1); line != nil {
				return line, nil
			}
			looked = 0
			continue
		}
		if l.skip || len(l.buf) > l.max+len("\r") {
			l.tooLong()
			l.drop(len(l.buf))
		}
		looked = len(l.buf)
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more.
func (l *lines) fill() error {
	l.buf = slices.Grow(l.buf, readSize)
	n, err := l.from.Read(l.buf[len(l.buf):cap(l.buf)])
	l.buf = l.buf[:len(l.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// rest returns an unfinished last line; nil if there is none.
func (l *lines) rest() []byte { return l.take(len(l.buf)) }

// take hands out the first n bytes, which end a line; nil if it is empty or too
// long.
func (l *lines) take(n int) (line []byte) {
	text := bytes.TrimSuffix(bytes.TrimSuffix(l.buf[:n], []byte("\n")), []byte("\r"))
	switch {
	case l.skip:
	case len(text) > l.max:
		l.tooLong()
	case len(text) > 0:
		line = bytes.Clone(text)
	}
	l.skip = false
	l.drop(n)
	return line
}

func (l *lines) tooLong() {
	if !l.skip && l.long != nil {
		l.long()
	}
	l.skip = true
}

// drop has the first n bytes go. What is left is moved by append when there is no
// room behind it.
func (l *lines) drop(n int) {
	l.buf = l.buf[n:]
	l.at += int64(n)
}

// lineType is the media type of a line.
func lineType(line []byte) string {
	kind := contentType(line)
	if kind == "application/octet-stream" && utf8.Valid(line) {
		return "text/plain; charset=utf-8"
	}
	return kind
}
