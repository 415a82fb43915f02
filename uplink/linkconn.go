package uplink

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sampleEvery  = 50 * time.Millisecond // the system is asked for its count at most so often
	sampleBytes  = 64 << 10              // or each time so much went through
	lingerFor    = time.Second           // and two round trips: what comes behind the last byte
	maxLingering = 64                    // connections; of more the end is estimated
)

// linkConn is a connection whose bytes are counted. What is written or read
// counts at once; the system's own count, which knows of headers,
// acknowledgements and what was sent again, corrects that soon after.
type linkConn struct {
	net.Conn
	m    *Meter
	raw  syscall.RawConn // nil: not TCP
	stop sync.Once

	mu       sync.Mutex
	state    tcpState
	fd       int           // a copy, once the connection is closed; else -1
	ended    bool          // and this is the end
	rtt      time.Duration // round trip
	up, down int64         // counted
	news     int64         // of them, since the last sample
	sampled  time.Time
}

// attend counts what goes over c from now on, and what connecting took.
func (m *Meter) attend(c net.Conn) net.Conn {
	lc := &linkConn{Conn: c, m: m, fd: -1, state: tcpState{ip: ipHeader(c)}}
	if tcp, ok := c.(*net.TCPConn); ok {
		lc.raw, _ = tcp.SyscallConn() // fails for no connection
	}
	m.mu.Lock()
	m.conns[lc] = struct{}{}
	m.mu.Unlock()
	lc.sample()
	return lc
}

func ipHeader(c net.Conn) int64 {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err == nil && at.Addr().Is6() && !at.Addr().Is4In6() {
		return ip6Header
	}
	return ip4Header
}

func (c *linkConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.went(int64(n), 0)
	return n, err
}

func (c *linkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.went(0, int64(n))
	return n, err
}

// went counts bytes that were written and read, about.
func (c *linkConn) went(written, read int64) {
	c.mu.Lock()
	c.state.written += written
	c.state.read += read
	c.news += written + read
	if c.news >= sampleBytes || time.Since(c.sampled) >= sampleEvery {
		c.correct()
		c.mu.Unlock()
		return
	}
	header := c.state.ip + tcpHeader + timestamps
	up, down := packets(written, header), packets(read, header)
	c.up += up
	c.down += down
	c.mu.Unlock()
	c.m.count(up, down)
}

// packets is what n bytes take with the headers of their segments.
func packets(n, header int64) int64 {
	if n == 0 {
		return 0
	}
	return n + header*((n+usualMSS-1)/usualMSS)
}

// sample brings the count up to date.
func (c *linkConn) sample() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.correct()
}

// correct makes the count what the system says; c.mu is held.
func (c *linkConn) correct() {
	if c.ended {
		return
	}
	c.state.info = c.info()
	up, down := c.state.wire()
	c.m.count(up-c.up, down-c.down)
	c.up, c.down, c.news, c.sampled = up, down, 0, time.Now()
}

// info asks the system, nil if it does not tell.
func (c *linkConn) info() (info *unix.TCPInfo) {
	ask := func(fd uintptr) {
		if got, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			info = got
			c.rtt = time.Duration(got.Rtt) * time.Microsecond
		}
	}
	switch {
	case c.fd >= 0:
		ask(uintptr(c.fd))
	case c.raw != nil:
		_ = c.raw.Control(ask) // of a closed connection: nothing is told
	}
	return info
}

// Close closes the connection and goes on counting for a moment: what says
// goodbye on the wire is a tenth of a short connection.
func (c *linkConn) Close() (err error) {
	err = net.ErrClosed
	c.stop.Do(func() {
		c.sample()
		linger := c.linger()
		err = c.Conn.Close()
		if linger > 0 {
			time.AfterFunc(linger, c.end)
		} else {
			c.m.count(2*(c.state.ip+tcpHeader), c.state.ip+tcpHeader)
			c.end()
		}
	})
	return err
}

// linger ends the connection on the wire and keeps a descriptor of it, by which
// the system goes on to tell; it returns for how long, 0 for not at all.
func (c *linkConn) linger() time.Duration {
	if c.raw == nil || !c.m.mayLinger() {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.raw.Control(func(fd uintptr) {
		if dup, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			c.fd = dup
			_ = unix.Shutdown(dup, unix.SHUT_RDWR) // fails if the far side has ended it
		}
	})
	if err != nil || c.fd < 0 {
		c.m.lingered()
		return 0
	}
	c.state.over = true
	return lingerFor + 2*c.rtt
}

// end takes the last sample.
func (c *linkConn) end() {
	c.mu.Lock()
	if c.fd >= 0 {
		c.correct()
		unix.Close(c.fd)
		c.m.lingered()
	}
	c.fd, c.ended = -1, true
	c.mu.Unlock()
	c.m.mu.Lock()
	delete(c.m.conns, c)
	c.m.mu.Unlock()
}

func (m *Meter) mayLinger() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lingering >= maxLingering {
		return false
	}
	m.lingering++
	return true
}

func (m *Meter) lingered() {
	m.mu.Lock()
	m.lingering--
	m.mu.Unlock()
}
