package sensors

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// connect dials, greets the broker and waits for its answer. present tells that
// the broker kept the session.
func (l *link) connect(ctx context.Context) (present bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	with, err := l.m.to.access()
	if err != nil {
		return false, err
	}
	c, err := l.m.to.dial(ctx, with.tls)
	if errors.Is(err, syscall.ECONNREFUSED) {
		l.m.session.doubt()
	}
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", l.m.to, err)
	}
	l.sure = l.m.session.connecting()
	opts := mqtt.Options{
		ClientID: l.m.opts.ClientID, Username: l.m.to.username, Password: with.password,
		KeepAlive: l.m.opts.KeepAlive, MaxPacket: l.m.opts.MaxPacket, Receive: l.receive,
	}
	if w := l.m.opts.Will; w != nil {
		opts.Will = &mqtt.Will{Topic: w.Topic, Payload: []byte(w.Payload), QoS: w.QoS, Retain: w.Retain}
	}
	l.conn, present, err = mqtt.Open(ctx, c, opts)
	if err != nil {
		return false, l.m.explain(err)
	}
	return present, nil
}

// dial opens the connection under MQTT.
func (e *endpoint) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	if strings.HasPrefix(e.url.Scheme, "ws") {
		return e.dialWebsocket(ctx, config)
	}
	var d net.Dialer
	tcp, err := d.DialContext(ctx, "tcp", e.url.Host)
	if err != nil {
		return nil, err
	}
	c, err := mqtt.Blocking(tcp.(*net.TCPConn))
	if err != nil || e.url.Scheme != "ssl" {
		return c, err
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close() // why the handshake failed says more
		return nil, err
	}
	return secure, nil
}

// dialWebsocket returns when ctx ends; what paho still does then ends with the
// deadline of ctx, and its connection is closed.
func (e *endpoint) dialWebsocket(ctx context.Context, config *tls.Config) (net.Conn, error) {
	type result struct {
		c   net.Conn
		err error
	}
	dialled := make(chan result, 1)
	deadline, _ := ctx.Deadline()
	go func() {
		c, err := paho.NewWebsocket(e.url.String(), config, time.Until(deadline), nil, nil)
		dialled <- result{c, err}
	}()
	select {
	case r := <-dialled:
		return r.c, r.err
	case <-ctx.Done():
		go func() {
			if r := <-dialled; r.err == nil {
				r.c.Close() // nobody waits for it any more
			}
		}()
		return nil, ctx.Err()
	}
}

// explain makes a sentence of a broker's reasons for refusing the connection.
func (m *MQTT) explain(err error) error {
	var refused mqtt.Refused
	if !errors.As(err, &refused) {
		return fmt.Errorf("connect to %s: no answer to the MQTT greeting: %w", m.to, err)
	}
	switch refused {
	case mqtt.RefusedPassword, mqtt.RefusedAccess:
		if m.to.username == "" {
			return fmt.Errorf("broker %s wants credentials: set username and password, or a client certificate", m.to)
		}
		return fmt.Errorf("broker %s refuses user %q: check username and password", m.to, m.to.username)
	case mqtt.RefusedID:
		return fmt.Errorf("broker %s refuses the client id %q: set another one", m.to, m.opts.ClientID)
	case mqtt.RefusedUnavailable:
		return fmt.Errorf("broker %s says that it is not available", m.to)
	case mqtt.RefusedVersion:
		return fmt.Errorf("broker %s does not speak MQTT 3.1.1", m.to)
	default:
		return fmt.Errorf("broker %s: %w", m.to, err)
	}
}
