package mqtt

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Blocking takes c over and gives a connection whose system calls block. Go
// wakes a thread for each segment that reaches a socket of its own, whether
// anybody reads or not; a blocking one wakes its reader alone, and only when it
// waits. That halves what a stream of small messages costs. Its deadlines bound
// one call each, about as long as they were away when they were set.
func Blocking(c *net.TCPConn) (net.Conn, error) {
	f, err := c.File() // a duplicate
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	b := &blockingConn{fd: fd, local: c.LocalAddr(), remote: c.RemoteAddr()}
	return b, c.Close()
}

type blockingConn struct {
	fd            int
	local, remote net.Addr

	mu       sync.Mutex
	users    int // calls under way
	closing  bool
	timeouts [2]time.Duration // for reading and writing, as they are set; 0: none
}

// enter keeps the descriptor open until leave.
func (c *blockingConn) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	c.users++
	return nil
}

func (c *blockingConn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users--
	c.release()
}

// release closes the descriptor once nobody uses it; mu is held.
func (c *blockingConn) release() {
	if c.closing && c.users == 0 && c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// Read implements net.Conn.
func (c *blockingConn) Read(b []byte) (int, error) {
	n, err := c.call(unix.Read, "read", b)
	if n == 0 && err == nil && len(b) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closing {
			return 0, net.ErrClosed
		}
		return 0, io.EOF
	}
	return n, err
}

// Write implements net.Conn.
func (c *blockingConn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var did int
		did, err = c.call(unix.Write, "write", b[n:])
		n += did
	}
	return n, err
}

func (c *blockingConn) call(do func(int, []byte) (int, error), name string, b []byte) (int, error) {
	if err := c.enter(); err != nil {
		return 0, err
	}
	defer c.leave()
	for {
		n, err := do(c.fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, os.ErrDeadlineExceeded
		default:
			return 0, os.NewSyscallError(name, err)
		}
	}
}

// Close implements net.Conn: calls under way end.
func (c *blockingConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	c.closing = true
	unix.Shutdown(c.fd, unix.SHUT_RDWR) // fails only when the other end is gone
	c.release()
	return nil
}

func (c *blockingConn) LocalAddr() net.Addr  { return c.local }
func (c *blockingConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *blockingConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *blockingConn) SetReadDeadline(t time.Time) error {
	return c.limit(0, unix.SO_RCVTIMEO, t)
}

// SetWriteDeadline implements net.Conn.
func (c *blockingConn) SetWriteDeadline(t time.Time) error {
	return c.limit(1, unix.SO_SNDTIMEO, t)
}

// limit bounds each call. A bound that is about the one before needs no system
// call: whoever reads sets the same one again and again.
func (c *blockingConn) limit(i, option int, t time.Time) error {
	var d time.Duration // none
	if !t.IsZero() {
		d = max(time.Until(t), time.Millisecond)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return net.ErrClosed
	}
	old := c.timeouts[i]
	if d == old || d > old-old/16 && d < old+old/16 {
		return nil
	}
	tv := unix.NsecToTimeval(int64(d))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, option, &tv); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	c.timeouts[i] = d
	return nil
}
