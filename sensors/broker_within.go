package sensors

import (
	"context"
	"net"
	"sync"
)

// withinUser is who the agent itself is at its own broker. No user that people
// name can be it: a slash is no letter of names.
const withinUser = "skerry/agent"

// Within has o connect to b in this process, without a network, as a client with
// all rights. The connection waits for b to run.
func (b *Broker) Within(o MQTTOptions) MQTTOptions {
	o.URL, o.Username, o.Password = "tcp://127.0.0.1", withinUser, b.within
	o.PasswordFile, o.CAFile, o.CertFile, o.KeyFile = "", "", "", ""
	o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		run := b.running()
		if run == nil {
			return nil, errNotRunning
		}
		return run.within.dial(ctx)
	}
	return o
}

// pipes is a listener without a network.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errNotRunning
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "within"} }
