package sensors

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// pahoOptions are those of a client for one connection: no reconnecting of its
// own, one handler for everything, acknowledgements by hand.
func (m *MQTT) pahoOptions(l *link) *paho.ClientOptions {
	o := paho.NewClientOptions()
	o.AddBroker(m.to.String())
	o.SetClientID(m.opts.ClientID)
	o.SetCredentialsProvider(func() (string, string) { return m.to.username, l.password })
	if w := m.opts.Will; w != nil {
		o.SetBinaryWill(w.Topic, []byte(w.Payload), w.QoS, w.Retain)
	}
	o.SetCleanSession(false)
	o.SetProtocolVersion(4) // and not 3 when the broker refuses
	o.SetKeepAlive(m.opts.KeepAlive)
	o.SetPingTimeout(m.opts.KeepAlive / 2)
	o.SetConnectTimeout(connectWait)
	o.SetWriteTimeout(handWait)
	o.SetAutoReconnect(false)
	o.SetConnectRetry(false)
	o.SetOrderMatters(true)
	o.SetAutoAckDisabled(true)
	o.SetCustomOpenConnectionFn(l.open)
	o.SetStore(noStore{})
	o.SetDefaultPublishHandler(l.receive)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { l.lose(err) })
	return o
}

// connect dials, sends CONNECT and waits for the answer. present tells that
// the broker kept the session.
func (l *link) connect(ctx context.Context) (present bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	with, err := l.m.to.access()
	if err != nil {
		return false, err
	}
	l.password = with.password
	c, err := l.m.to.dial(ctx, with.tls)
	if errors.Is(err, syscall.ECONNREFUSED) {
		l.m.session.doubt()
	}
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", l.m.to, err)
	}
	gathered := l.opened(c)
	giveUp := context.AfterFunc(ctx, func() { c.Close() })
	defer giveUp()
	token := l.client.Connect()
	<-token.Done() // at the latest when giveUp closes the connection
	if err := token.Error(); err != nil {
		gathered.Close() // paho has done so already, unless it never began
		return false, l.m.explain(err)
	}
	return token.(*paho.ConnectToken).SessionPresent(), nil
}

// dial opens the connection under MQTT.
func (e *endpoint) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	var d net.Dialer
	switch e.url.Scheme {
	case "ssl":
		t := tls.Dialer{NetDialer: &d, Config: config}
		return t.DialContext(ctx, "tcp", e.url.Host)
	case "ws", "wss":
		return e.dialWebsocket(ctx, config)
	default:
		return d.DialContext(ctx, "tcp", e.url.Host)
	}
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

// explain makes a sentence of paho's reasons for having no connection.
func (m *MQTT) explain(err error) error {
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword), errors.Is(err, packets.ErrorRefusedNotAuthorised):
		if m.to.username == "" {
			return fmt.Errorf("broker %s wants credentials: set username and password, or a client certificate", m.to)
		}
		return fmt.Errorf("broker %s refuses user %q: check username and password", m.to, m.to.username)
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return fmt.Errorf("broker %s refuses the client id %q: set another one", m.to, m.opts.ClientID)
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return fmt.Errorf("broker %s says that it is not available", m.to)
	case errors.Is(err, packets.ErrorRefusedBadProtocolVersion):
		return fmt.Errorf("broker %s does not speak MQTT 3.1.1", m.to)
	default:
		return fmt.Errorf("connect to %s: no answer to the MQTT greeting: %w", m.to, err)
	}
}

// open hands paho the connection that connect dialled.
func (l *link) open(*url.URL, paho.ClientOptions) (net.Conn, error) { return l.conn, nil }

// noStore is a paho.Store that keeps nothing: a client lives for one
// connection, and what it had under way is sent anew on the next.
type noStore struct{}

func (noStore) Open()                             {}
func (noStore) Put(string, packets.ControlPacket) {}
func (noStore) Get(string) packets.ControlPacket  { return nil }
func (noStore) All() []string                     { return nil }
func (noStore) Del(string)                        {}
func (noStore) Close()                            {}
func (noStore) Reset()                            {}
