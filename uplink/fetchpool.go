package uplink

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxPools    = 8
	poolIdle    = 30 * time.Second
	dialTimeout = 15 * time.Second // with TLS; the run's deadline mostly comes first
)

// pools hold connections. Functions share them if the same networks were
// granted to them: a connection was checked when it was made, and must not be
// used by a function that could not have made it.
type pools struct {
	tls      *tls.Config
	resolver *net.Resolver
	link     *Meter       // nil: none
	up, down atomic.Int64 // bytes on the wire

	mu sync.Mutex
	by map[string]*http.Transport // by networks
}

func newPools(conf *tls.Config, resolver *net.Resolver, link *Meter) *pools {
	return &pools{tls: conf, resolver: resolver, link: link, by: map[string]*http.Transport{}}
}

// of returns the connections that a function with these grants may use. The
// idle ones of a pool that was pushed out end by themselves.
func (p *pools) of(grants []agent.HTTPGrant) *http.Transport {
	var networks []netip.Prefix
	for _, g := range grants {
		if g.Network.IsValid() {
			networks = append(networks, g.Network)
		}
	}
	slices.SortFunc(networks, netip.Prefix.Compare)
	networks = slices.Compact(networks)
	key := fmt.Sprint(networks)

	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.by[key]; t != nil {
		return t
	}
	if len(p.by) >= maxPools {
		for other, t := range p.by {
			delete(p.by, other)
			t.CloseIdleConnections()
			break
		}
	}
	t := p.transport(networks)
	p.by[key] = t
	return t
}

func (p *pools) transport(networks []netip.Prefix) *http.Transport {
	d := &fetchDialer{pools: p, networks: networks}
	t := &http.Transport{
		DialContext:            d.plain,
		DialTLSContext:         d.secure,
		Protocols:              new(http.Protocols), // with HTTP/2, one connection may serve several names
		DisableCompression:     true,                // readFetched inflates, within limits
		IdleConnTimeout:        poolIdle,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: maxFetchHeader,
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// fetchDialer connects to public addresses and to those in networks, which were
// granted.
type fetchDialer struct {
	*pools
	networks []netip.Prefix
}

type askerKey struct{}

// withAsker lets dials find the request they are for: the transport goes on
// dialling when the request has ended, and a function that ends its requests
// quickly would leave dials behind without bound.
func withAsker(ctx context.Context) context.Context { return context.WithValue(ctx, askerKey{}, ctx) }

// bound ends ctx, a dial's, with the request that it is for.
func bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	asker, ok := ctx.Value(askerKey{}).(context.Context)
	if !ok {
		return ctx, cancel
	}
	stop := context.AfterFunc(asker, cancel)
	return ctx, func() { stop(); cancel() }
}

func (d *fetchDialer) plain(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	return d.dial(ctx, network, addr)
}

func (d *fetchDialer) secure(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	plain, err := d.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conf := d.tls.Clone()
	conf.ServerName, _, _ = net.SplitHostPort(addr) // dial has split it
	c := tls.Client(plain, conf)
	if err := c.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return c, nil
}

// dial resolves addr, "host:port", and connects to the first of its addresses
// that is allowed and answers.
func (d *fetchDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	literal, err := netip.ParseAddr(host)
	if err != nil {
		literal = netip.Addr{} // a name
	}
	dialer := net.Dialer{
		KeepAlive: 30 * time.Second,
		Resolver:  d.resolver,
		ControlContext: func(_ context.Context, _, to string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(to)
			if err != nil {
				return fmt.Errorf("address %.80q: %w", to, agent.ErrDenied)
			}
			return checkAddress(at.Addr(), literal, d.networks, attachedNetworks())
		},
	}
	connect := dialer.DialContext
	if d.link != nil {
		dialer.KeepAlive = linkDialer.KeepAlive
		connect = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return d.link.dial(ctx, dialer, network, addr)
		}
	}
	c, err := connect(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &meteredConn{countedConn{Conn: c, written: &d.up}, &d.down}, nil
}

// meteredConn counts what is read as well.
type meteredConn struct {
	countedConn
	read *atomic.Int64
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}
