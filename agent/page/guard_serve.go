package page

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent/admin"
)

const (
	maxConns   = 64
	maxOfOne   = maxConns / 2    // from one address: others are heard too
	maxHead    = 16 << 10        // bytes of the head of a request
	headTime   = 5 * time.Second // for it, and for the handshake
	idleTime   = 30 * time.Second
	answerTime = 30 * time.Second // for the client to take the answer; who streams asks for more
)

// Serve answers on l, with TLS unless encrypt is nil, until ctx ends.
func Serve(ctx context.Context, l net.Listener, encrypt *tls.Config, h http.Handler, log *slog.Logger) error {
	l = &fewConns{Listener: l, free: make(chan struct{}, maxConns), stop: ctx.Done(), of: map[netip.Prefix]int{}}
	if encrypt != nil {
		l = tls.NewListener(l, encrypt)
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headTime, IdleTimeout: idleTime, WriteTimeout: answerTime, MaxHeaderBytes: maxHead,
		DisableGeneralOptionsHandler: true, // the guard answers those too
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	if err := admin.Until(ctx, srv, l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

// fewConns has connections beyond the places in free wait until one ends, and ends
// at once those that one client has too many of.
type fewConns struct {
	net.Listener
	free chan struct{}
	stop <-chan struct{}

	mu sync.Mutex
	of map[netip.Prefix]int // connections of each client
}

// Accept implements net.Listener.
func (l *fewConns) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.stop:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		from := client(c.RemoteAddr().String())
		if l.enter(from) {
			return &oneConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		c.Close() // it hears why by that alone
	}
}

func (l *fewConns) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[from] >= maxOfOne {
		return false
	}
	l.of[from]++
	return true
}

func (l *fewConns) leave(from netip.Prefix) {
	l.mu.Lock()
	if l.of[from]--; l.of[from] == 0 {
		delete(l.of, from)
	}
	l.mu.Unlock()
	<-l.free
}

type oneConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *oneConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
