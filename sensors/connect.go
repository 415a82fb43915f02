package sensors

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/gorilla/websocket"

	"github.com/skerry-edge/skerry/sensors/broker"
	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// connect dials, greets the broker and waits for its answer. present tells that
// the broker kept the session.
func (l *link) connect(ctx context.Context) (present bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	c, password, err := l.m.dial(ctx)
	if errors.Is(err, syscall.ECONNREFUSED) {
		l.m.session.doubt()
	}
	if err != nil {
		return false, err
	}
	l.sure = l.m.session.connecting()
	l.conn, present, err = l.m.greet(ctx, c, password, l.receive)
	return present, err
}

// Open makes one connection: unlike Run it subscribes to nothing and does not
// connect again. receive is given the messages, by one goroutine, and acknowledges
// them. Run of the connection must be called.
func (m *MQTT) Open(ctx context.Context, receive func(*mqtt.Message)) (*mqtt.Conn, error) {
	c, password, err := m.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn, _, err := m.greet(ctx, c, password, receive)
	return conn, err
}

// Dial opens the connection under MQTT, for who greets the broker in another way; the
// others are for the greeting.
func (m *MQTT) Dial(ctx context.Context) (c net.Conn, username, password string, err error) {
	c, password, err = m.dial(ctx)
	return c, m.to.username, password, err
}

// dial opens the connection under MQTT; password is for the greeting.
func (m *MQTT) dial(ctx context.Context) (c net.Conn, password string, err error) {
	with, err := m.to.access()
	if err != nil {
		return nil, "", err
	}
	c, err = m.to.dial(ctx, with.tls)
	if err != nil {
		return nil, "", fmt.Errorf("connect to %s: %w", m.to, err)
	}
	return c, with.password, nil
}

func (m *MQTT) greet(ctx context.Context, c net.Conn, password string, receive func(*mqtt.Message)) (conn *mqtt.Conn, present bool, err error) {
	opts := mqtt.Options{
		ClientID: m.opts.ClientID, CleanSession: m.opts.Clean, Username: m.to.username, Password: password,
		KeepAlive: m.opts.KeepAlive, MaxPacket: m.opts.MaxPacket, Receive: receive,
	}
	if w := m.opts.Will; w != nil {
		opts.Will = &mqtt.Will{Topic: w.Topic, Payload: []byte(w.Payload), QoS: w.QoS, Retain: w.Retain}
	}
	conn, present, err = mqtt.Open(ctx, c, opts)
	if err != nil {
		return nil, false, m.explain(err)
	}
	return conn, present, nil
}

// dial opens the connection under MQTT.
func (e *endpoint) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	if e.overHTTP() {
		return e.dialWebsocket(ctx, config)
	}
	c, err := e.open(ctx, "tcp", e.url.Host)
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

// open makes the TCP connection.
func (e *endpoint) open(ctx context.Context, network, addr string) (net.Conn, error) {
	if e.opts.Dial != nil {
		return e.opts.Dial(ctx, network, addr)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil || e.overHTTP() {
		return c, err
	}
	return mqtt.Blocking(c.(*net.TCPConn))
}

// dialWebsocket also ends when ctx does in the middle of the handshake.
func (e *endpoint) dialWebsocket(ctx context.Context, config *tls.Config) (net.Conn, error) {
	goOn := func() bool { return true }
	d := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, Subprotocols: []string{"mqtt"},
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := e.open(ctx, network, addr)
			if err == nil {
				goOn = context.AfterFunc(ctx, func() { c.Close() })
			}
			return c, err
		},
	}
	ws, answer, err := d.DialContext(ctx, e.url.String(), nil)
	if err != nil && answer != nil {
		err = fmt.Errorf("%w: the server answers %s", err, answer.Status)
	}
	if err != nil {
		goOn()
		return nil, err
	}
	if !goOn() {
		ws.Close() // it is closed below
		return nil, ctx.Err()
	}
	return broker.Stream(ws), nil
}

// notLetIn is why a broker refused the connection, in a sentence for people.
type notLetIn struct {
	text string
	code mqtt.Refused
}

func (r *notLetIn) Error() string { return r.text }
func (r *notLetIn) Unwrap() error { return r.code }

// explain makes a sentence of a broker's reasons for refusing the connection.
func (m *MQTT) explain(err error) error {
	var code mqtt.Refused
	if !errors.As(err, &code) {
		return fmt.Errorf("connect to %s: no answer to the MQTT greeting: %w", m.to, err)
	}
	return &notLetIn{m.refused(code), code}
}

func (m *MQTT) refused(code mqtt.Refused) string {
	switch code {
	case mqtt.RefusedPassword, mqtt.RefusedAccess:
		if m.to.username == "" {
			return fmt.Sprintf("broker %s wants credentials: set username and password, or a client certificate", m.to)
		}
		return fmt.Sprintf("broker %s refuses user %q: check username and password", m.to, m.to.username)
	case mqtt.RefusedID:
		return fmt.Sprintf("broker %s refuses the client id %q: set another one", m.to, m.opts.ClientID)
	case mqtt.RefusedUnavailable:
		return fmt.Sprintf("broker %s says that it is not available", m.to)
	case mqtt.RefusedVersion:
		return fmt.Sprintf("broker %s does not speak MQTT 3.1.1", m.to)
	default:
		return fmt.Sprintf("broker %s: %v", m.to, code)
	}
}
