package testbed

import (
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

const (
	packet     = 1460     // bytes: what is lost at once
	linkBuffer = 64 << 10 // bytes under way, each way
)

// Link is how a Proxy treats what goes through it. The zero value is a good link.
type Link struct {
	Delay     time.Duration // of everything, each way
	Loss      float64       // chance that a chunk stalls as if a packet was lost and sent again
	Stall     time.Duration // for how long; 0 means 3 times Delay, at least 200 ms
	Rate      int           // bytes per second, each way; 0 means no limit
	Refuse    bool          // nobody may connect
	Silent    bool          // new connections are taken, and nothing comes through
	CutBehind int64         // bytes from the gateway behind which a connection is reset; 0 means never
	CutDown   int64         // the same of bytes to it
}

// Proxy is a bad link on loopback, in front of addr.
type Proxy struct {
	Port int

	t     testing.TB
	to    string
	l     net.Listener
	mu    sync.Mutex
	link  Link
	pairs map[*pair]bool
	stats ProxyStats
}

// ProxyStats are totals of a Proxy.
type ProxyStats struct {
	Connections, Refused, Resets int
	Up, Down                     int64 // bytes taken in: from the gateway, to it
}

// pair is one connection through the proxy.
type pair struct {
	near, far net.Conn      // of the gateway, of what it talks to
	frozen    chan struct{} // closed when nothing shall come through any more
	gone      chan struct{} // closed when it has ended
	freeze    sync.Once
	end       sync.Once
	mu        sync.Mutex
	link      Link
}

// StartProxy listens in front of the address, which is host:port.
func StartProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the proxy: %v", err)
	}
	p := &Proxy{Port: l.Addr().(*net.TCPAddr).Port, t: t, to: to, l: l, pairs: map[*pair]bool{}}
	done := make(chan struct{})
	go func() {
		p.accept()
		close(done)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		p.Reset()
	})
	return p
}

// InFront starts a proxy in front of what a URL names, and returns that URL
// with the proxy's port.
func InFront(t testing.TB, of string) (*Proxy, string) {
	t.Helper()
	u, err := url.Parse(of)
	if err != nil {
		t.Fatalf("proxy: %v", err)
	}
	p := StartProxy(t, u.Host)
	u.Host = Addr(p.Port)
	return p, u.String()
}

// Set changes the link: delay, loss and rate of connections that are there too,
// the rest for new ones.
func (p *Proxy) Set(link Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.link = link
	for c := range p.pairs {
		c.setLink(link)
	}
}

// Freeze makes the connections that are there half open: they stay, and nothing
// comes through. New ones work.
func (p *Proxy) Freeze() {
	for _, c := range p.open() {
		c.stop()
	}
}

// Reset ends all connections with a TCP reset.
func (p *Proxy) Reset() {
	for _, c := range p.open() {
		p.reset(c)
	}
}

// Stats tells what happened so far.
func (p *Proxy) Stats() ProxyStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

func (p *Proxy) open() (list []*pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		list = append(list, c)
	}
	return list
}

func (p *Proxy) accept() {
	for {
		near, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		link := p.link
		p.mu.Unlock()
		far, err := p.dial(link)
		if err != nil {
			p.count(func(s *ProxyStats) { s.Refused++ })
			abort(near)
			continue
		}
		p.join(near, far, link)
	}
}

func (p *Proxy) dial(link Link) (net.Conn, error) {
	if link.Refuse {
		return nil, errors.New("the link is down")
	}
	return net.DialTimeout("tcp", p.to, 5*time.Second)
}

// join lets two connections talk to each other until one ends.
func (p *Proxy) join(near, far net.Conn, link Link) {
	c := &pair{near: near, far: far, link: link, frozen: make(chan struct{}), gone: make(chan struct{})}
	if link.Silent {
		c.stop()
	}
	for _, side := range []net.Conn{near, far} {
		// A slow link does not hold megabytes, as loopback would.
		_ = side.(*net.TCPConn).SetReadBuffer(linkBuffer)
	}
	p.mu.Lock()
	p.pairs[c] = true
	p.stats.Connections++
	p.mu.Unlock()
	go p.carry(c, near, far, true)
	go p.carry(c, far, near, false)
}

// stop lets nothing through any more.
func (c *pair) stop() { c.freeze.Do(func() { close(c.frozen) }) }

// reset ends a connection at once, without sending what is under way.
func (p *Proxy) reset(c *pair) {
	c.end.Do(func() {
		close(c.gone)
		abort(c.near)
		abort(c.far)
		p.mu.Lock()
		delete(p.pairs, c)
		p.stats.Resets++
		p.mu.Unlock()
	})
}

// abort closes with a reset.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing says what matters
	}
	c.Close()
}

func (p *Proxy) count(f func(*ProxyStats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.stats)
}
