package fleetsim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// errAway is how a link that is away fails.
var errAway = errors.New("network is unreachable (simulated)")

// errLost is how a request fails that gets lost.
var errLost = errors.New("connection lost (simulated)")

// mostBefore is how many bytes of an answer come at most before it is lost.
const mostBefore = 32 << 10

// link is a device's way to the registry.
type link struct {
	to   *server // nil: a registry elsewhere
	loss float64 // of requests, 0 to 1
	away atomic.Bool

	down, up, requests atomic.Int64 // bytes of HTTP, and requests begun

	mu   sync.Mutex
	open []*lossy
}

// dial connects to the registry; to the one in this process without a socket.
func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if l.away.Load() {
		return nil, errAway
	}
	var near net.Conn
	var err error
	if l.to != nil {
		near, err = l.to.connect()
	} else {
		near, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	if err != nil {
		return nil, err
	}
	c := &lossy{Conn: near, link: l, left: -1}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(slices.DeleteFunc(l.open, (*lossy).closed), c)
	return c, nil
}

// drop ends all connections.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// lossy is a connection on which requests get lost, each with the link's odds.
type lossy struct {
	net.Conn
	link *link
	mu   sync.Mutex
	left int // bytes that still come; -1: all
	done bool
}

// closed tells that the connection was ended from here.
func (c *lossy) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}

func (c *lossy) Close() error {
	c.mu.Lock()
	c.done = true
	c.mu.Unlock()
	return c.Conn.Close()
}

// Write sends a request, whose headers and body are one write here: Skerry's
// devices only ask.
func (c *lossy) Write(p []byte) (int, error) {
	if c.link.away.Load() {
		return 0, c.lose(errAway)
	}
	c.link.requests.Add(1)
	if rand.Float64() < c.link.loss {
		c.mu.Lock()
		c.left = rand.IntN(mostBefore)
		c.mu.Unlock()
	}
	n, err := c.Conn.Write(p)
	c.link.up.Add(int64(n))
	return n, err
}

func (c *lossy) Read(p []byte) (int, error) {
	if c.link.away.Load() {
		return 0, c.lose(errAway)
	}
	c.mu.Lock()
	left := c.left
	c.mu.Unlock()
	if left == 0 {
		return 0, c.lose(errLost)
	}
	if left > 0 && len(p) > left {
		p = p[:left]
	}
	n, err := c.Conn.Read(p)
	c.link.down.Add(int64(n))
	if left > 0 {
		c.mu.Lock()
		c.left = left - n
		c.mu.Unlock()
	}
	return n, err
}

func (c *lossy) lose(err error) error {
	_ = c.Close() // what it says is not news: it is lost
	return err
}
