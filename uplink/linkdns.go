package uplink

import (
	"context"
	"net"
)

// resolver asks name servers over the link.
func (m *Meter) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := linkDialer.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		switch c := c.(type) {
		case *net.TCPConn:
			if !c.RemoteAddr().(*net.TCPAddr).IP.IsLoopback() {
				return m.attend(c), nil
			}
		case *net.UDPConn:
			if !c.RemoteAddr().(*net.UDPAddr).IP.IsLoopback() {
				return &linkPackets{UDPConn: c, m: m, header: ipHeader(c) + udpHeader}, nil
			}
		}
		return c, nil
	}}
}

// linkPackets counts questions and answers. It must be a *net.UDPConn within,
// or the resolver takes it for a stream.
type linkPackets struct {
	*net.UDPConn
	m      *Meter
	header int64
}

func (c *linkPackets) Write(p []byte) (int, error) {
	n, err := c.UDPConn.Write(p)
	if err == nil {
		c.m.count(int64(n)+c.header, 0)
	}
	return n, err
}

func (c *linkPackets) Read(p []byte) (int, error) {
	n, err := c.UDPConn.Read(p)
	if err == nil {
		c.m.count(0, int64(n)+c.header)
	}
	return n, err
}
