package wasm

import (
	"bytes"
	"errors"
)

// maxLine is where a line that does not end is cut.
const maxLine = 4 << 10

// lineWriter gives each line written to it to emit, without the line end.
type lineWriter struct {
	emit  func(line []byte) // which is used again
	check func()            // ends the run if its time is over
	buf   []byte
	said  []byte // the line that says best why the guest ended
	last  bool   // said is the last line, and the next replaces it
}

// begin forgets what an earlier run wrote.
func (w *lineWriter) begin() { w.said, w.last, w.buf = w.said[:0], true, w.buf[:0] }

// why is the line that says best why the guest ended.
func (w *lineWriter) why() string { return string(w.said) }

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	w.check() // also where nothing is written: that takes time too
	for len(p) > 0 {
		w.check()
		i := bytes.IndexByte(p[:min(len(p), maxLine+1)], '\n')
		end := i >= 0
		if !end {
			i = min(len(p), maxLine+1)
		}
		i = min(i, maxLine-len(w.buf))
		w.buf = append(w.buf, p[:i]...)
		p = p[i:]
		switch {
		case end && len(p) > 0 && p[0] == '\n':
			p = p[1:]
			w.flush()
		case len(w.buf) == maxLine:
			w.flush()
		}
	}
	return n, nil
}

// flush emits what is left of an unfinished line.
func (w *lineWriter) flush() {
	if len(w.buf) == 0 {
		return
	}
	line := bytes.TrimRight(w.buf, "\r")
	w.buf = w.buf[:0]
	if len(line) == 0 {
		return
	}
	w.emit(line)
	if w.last {
		w.said = append(w.said[:0], line...)
		w.last = !bytes.HasPrefix(line, goPanic) && !bytes.HasPrefix(line, goFatal)
	}
}

// What Go says when it ends; a stack follows.
var goPanic, goFatal = []byte("panic: "), []byte("fatal error: ")

var errOutput = errors.New("output limit reached")

// boundedBuffer keeps at most limit bytes and refuses more.
type boundedBuffer struct {
	bytes.Buffer
	limit int64
	check func()
	over  bool
}

// begin forgets what an earlier run wrote. What a large run needed is kept for
// others, until one needs much less.
func (b *boundedBuffer) begin(limit int64) {
	if b.Cap() > keptOutput && b.Len() < b.Cap()/4 {
		b.Buffer = bytes.Buffer{}
	}
	b.Reset()
	b.limit, b.over = limit, false
}

const keptOutput = 64 << 10 // bytes

func (b *boundedBuffer) Write(p []byte) (int, error) {
	b.check()
	if int64(b.Len()+len(p)) > b.limit {
		b.over = true
		return 0, errOutput
	}
	return b.Buffer.Write(p)
}
