package sensors

import (
	"errors"
	"net"
	"sync"
	"time"
)

const (
	readBuffer   = 32 << 10 // bytes; some 250 messages of 120 bytes in one system call
	maxUnwritten = 1 << 20  // bytes that wait to be written before Write blocks
	writeTimeout = 10 * time.Second
)

var errWriteQueue = errors.New("the connection to the broker is too slow: 1 MiB waits to be written")

// gatherConn is a connection to a broker as paho sees it. Reads go through a
// packetReader. Writes are gathered: what is written while a system call is
// under way leaves with the next one, so that acknowledgements and publishes
// share system calls when the rate is high and wait for nobody when it is low.
type gatherConn struct {
	net.Conn
	in   *packetReader
	lost func(error) // told of each read error

	mu      sync.Mutex
	moved   sync.Cond // unwritten went down, or err is set
	buf     []byte
	err     error
	closing bool
	wake    chan struct{} // capacity 1: there is something to write
	flushed chan struct{} // closed when the writer has ended
}

// newGatherConn takes over c and starts its writer, which ends with Close.
func newGatherConn(c net.Conn, maxPacket int64, lost func(error)) *gatherConn {
	g := &gatherConn{
		Conn: c, in: newPacketReader(c, readBuffer, maxPacket), lost: lost,
		wake: make(chan struct{}, 1), flushed: make(chan struct{}),
	}
	g.moved.L = &g.mu
	go g.flush()
	return g
}

// Read implements net.Conn. Every error is told to lost too, since paho takes
// a read from a closed connection for the end that it wanted, and would not
// notice that a failed write has closed it.
func (g *gatherConn) Read(b []byte) (int, error) {
	n, err := g.in.Read(b)
	if err != nil {
		g.lost(g.reason(err))
	}
	return n, err
}

// reason is the error of the write that closed the connection, or err.
func (g *gatherConn) reason(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return g.err
	}
	return err
}

// Write takes b and returns; it blocks only while maxUnwritten bytes wait. The
// error of a failed write is that of the next one; the connection is closed then.
func (g *gatherConn) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.buf) >= maxUnwritten && g.err == nil && !g.closing {
		g.moved.Wait()
	}
	return g.put(b)
}

// tryWrite is Write that returns an error instead of blocking.
func (g *gatherConn) tryWrite(b []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.buf) >= maxUnwritten {
		return errWriteQueue
	}
	_, err := g.put(b)
	return err
}

func (g *gatherConn) put(b []byte) (int, error) {
	if g.err != nil {
		return 0, g.err
	}
	if g.closing {
		return 0, net.ErrClosed
	}
	g.buf = append(g.buf, b...)
	g.signal()
	return len(b), nil
}

func (g *gatherConn) signal() {
	select {
	case g.wake <- struct{}{}:
	default: // the writer is about to look
	}
}

// flush is the writer: it writes what there is, again and again.
func (g *gatherConn) flush() {
	defer close(g.flushed)
	var out []byte
	for range g.wake {
		g.mu.Lock()
		out, g.buf = g.buf, out[:0]
		closing := g.closing
		g.mu.Unlock()
		if err := g.writeOut(out); err != nil {
			g.fail(err)
			return
		}
		if closing {
			return
		}
		g.mu.Lock()
		g.moved.Broadcast()
		g.mu.Unlock()
		if cap(out) > maxUnwritten/4 {
			out = nil // a burst shall not keep its memory
		}
	}
}

func (g *gatherConn) writeOut(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := g.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := g.Conn.Write(b)
	return err
}

// fail keeps the error for the writers and ends the reader too.
func (g *gatherConn) fail(err error) {
	g.mu.Lock()
	g.err = err
	g.moved.Broadcast()
	g.mu.Unlock()
	g.Conn.Close() // the write error is what counts
}

// Close writes what waits, for at most half a second, and closes the connection.
func (g *gatherConn) Close() error {
	g.mu.Lock()
	g.closing = true
	g.moved.Broadcast()
	g.mu.Unlock()
	g.signal()
	select {
	case <-g.flushed:
	case <-time.After(500 * time.Millisecond):
	}
	err := g.Conn.Close()
	<-g.flushed // a closed connection ends the write under way
	return err
}

// SetDeadline sets the read deadline; writes have one of their own.
func (g *gatherConn) SetDeadline(t time.Time) error { return g.Conn.SetReadDeadline(t) }

// SetWriteDeadline does nothing: each write has writeTimeout.
func (g *gatherConn) SetWriteDeadline(time.Time) error { return nil }
