// Package gather writes to connections in few system calls. What is written
// while a system call is under way leaves with the next one, so that small
// packets share system calls when the rate is high and wait for nobody when
// it is low.
package gather

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	keepBuffer   = 128 << 10 // bytes; larger buffers are given back
	writeTimeout = 10 * time.Second
	closeWait    = 500 * time.Millisecond
)

// ErrFull reports a connection that is too slow for what is written to it.
var ErrFull = errors.New("the connection is too slow: too much waits to be written")

// Writer writes to one connection from a goroutine of its own, which ends with
// Close. The error of a failed write is that of the next one; the connection
// is closed then, so that its reader ends too.
type Writer struct {
	conn  net.Conn
	limit int // bytes

	mu      sync.Mutex
	moved   sync.Cond // buf was taken, or err is set
	buf     []byte
	err     error
	closing bool
	wake    chan struct{} // capacity 1: there is something to write
	flushed chan struct{} // closed when the goroutine has ended
}

// New starts the writer of c, for which limit bytes may wait.
func New(c net.Conn, limit int) *Writer {
	w := &Writer{conn: c, limit: limit, wake: make(chan struct{}, 1), flushed: make(chan struct{})}
	w.moved.L = &w.mu
	go w.flush()
	return w
}

// TryWrite takes b, or gives ErrFull while the limit is reached.
func (w *Writer) TryWrite(b []byte) error {
	return w.Encode(false, func(buf []byte) []byte { return append(buf, b...) })
}

// Add takes b however much waits: for what is bounded otherwise.
func (w *Writer) Add(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.put(func(buf []byte) []byte { return append(buf, b...) })
}

// Encode has encode append one packet to what waits. While the limit is reached
// it blocks, or gives ErrFull if it may not wait.
func (w *Writer) Encode(mayWait bool, encode func([]byte) []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.buf) >= w.limit && w.err == nil && !w.closing {
		if !mayWait {
			return ErrFull
		}
		w.moved.Wait()
	}
	return w.put(encode)
}

// put is Encode without a limit. The lock is held.
func (w *Writer) put(encode func([]byte) []byte) error {
	if w.err != nil {
		return w.err
	}
	if w.closing {
		return net.ErrClosed
	}
	w.buf = encode(w.buf)
	w.signal()
	return nil
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // the goroutine is about to look
	}
}

// Waiting is how many bytes wait to be written.
func (w *Writer) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.buf)
}

// Err is why the connection was closed, nil unless a write failed.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// flush writes what there is, again and again.
func (w *Writer) flush() {
	defer close(w.flushed)
	var out []byte
	for range w.wake {
		runtime.Gosched() // who just wrote may have more
		w.mu.Lock()
		out, w.buf = w.buf, out[:0]
		closing := w.closing
		w.mu.Unlock()
		if err := w.writeOut(out); err != nil {
			w.fail(err)
			return
		}
		if closing {
			return
		}
		w.mu.Lock()
		w.moved.Broadcast()
		w.mu.Unlock()
		if cap(out) > keepBuffer {
			out = nil // a burst shall not keep its memory
		}
	}
}

func (w *Writer) writeOut(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := w.conn.Write(b)
	return err
}

// fail keeps the error for those who write, and ends the reader too.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	w.err = err
	w.moved.Broadcast()
	w.mu.Unlock()
	w.conn.Close() // the write error is what counts
}

// Close writes what waits, for at most half a second, and closes the
// connection. It may be called again.
func (w *Writer) Close() error {
	w.mu.Lock()
	w.closing = true
	w.moved.Broadcast()
	w.mu.Unlock()
	w.signal()
	select {
	case <-w.flushed:
	case <-time.After(closeWait):
	}
	err := w.conn.Close()
	<-w.flushed // a closed connection ends the write under way
	return err
}
