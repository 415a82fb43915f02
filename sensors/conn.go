package sensors

import (
	"net"
	"time"

	"github.com/skerry-edge/skerry/sensors/gather"
)

const (
	readBuffer   = 32 << 10 // bytes; some 250 messages of 120 bytes in one system call
	maxUnwritten = 1 << 20  // bytes that wait to be written before Write blocks
)

// gatherConn is a connection to a broker as paho sees it. Reads go through a
// packetReader, and writes are gathered.
type gatherConn struct {
	net.Conn
	in   *packetReader
	out  *gather.Writer
	lost func(error) // told of each read error
}

// newGatherConn takes over c and starts its writer, which ends with Close.
func newGatherConn(c net.Conn, maxPacket int64, lost func(error)) *gatherConn {
	return &gatherConn{Conn: c, in: newPacketReader(c, readBuffer, maxPacket), out: gather.New(c, maxUnwritten), lost: lost}
}

// Read implements net.Conn. Every error is told to lost too, since paho takes
// a read from a closed connection for the end that it wanted, and would not
// notice that a failed write has closed it.
func (g *gatherConn) Read(b []byte) (int, error) {
	n, err := g.in.Read(b)
	if err != nil {
		if werr := g.out.Err(); werr != nil {
			err = werr // it closed the connection
		}
		g.lost(err)
	}
	return n, err
}

// Write takes b and returns; it blocks only while 1 MiB waits.
func (g *gatherConn) Write(b []byte) (int, error) { return g.out.Write(b) }

// Close writes what waits, for at most half a second, and closes the connection.
func (g *gatherConn) Close() error { return g.out.Close() }

// SetDeadline sets the read deadline; writes have one of their own.
func (g *gatherConn) SetDeadline(t time.Time) error { return g.SetReadDeadline(t) }

// SetWriteDeadline does nothing: each write has one of 10 s.
func (g *gatherConn) SetWriteDeadline(time.Time) error { return nil }
