package uplink

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

var dialer = net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}

// dial connects and counts what is written, below TLS.
func (s *sender) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	connect := s.link
	if connect == nil {
		connect = dialer.DialContext
	}
	c, err := connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: c, written: &s.up}, nil
}

type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}
