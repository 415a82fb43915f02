package sensors_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// Who waits for a connection is told of it, of a refusal at once, and of
// anything else when the time is over.
func TestConnected(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	writePassword := func(text string) {
		if err := os.WriteFile(password, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writePassword("wrong")
	port := testbed.FreePort(t)
	m := newMQTT(t, "tcp://"+testbed.Addr(port), func(o *sensors.MQTTOptions) { o.Username, o.PasswordFile = "cloud", password })
	start(t, m, &sink{})
	briefly, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := m.Connected(briefly)
	var refused mqtt.Refused
	if !errors.Is(err, sensors.ErrNotConnected) || errors.As(err, &refused) {
		t.Errorf("nobody listens: %v", err)
	}
	testbed.StartMosquitto(t, testbed.MosquittoOptions{Port: port, Users: map[string]string{"cloud": "right"}})
	if err := m.Connected(t.Context()); !errors.As(err, &refused) || refused != mqtt.RefusedAccess || !strings.Contains(err.Error(), "check username and password") {
		t.Errorf("a wrong password: %v", err)
	}
	writePassword("right")
	testbed.Eventually(t, patience, "connected", func() error { return m.Connected(t.Context()) })
	if errs := m.Send(t.Context(), []agent.Record{{Event: agent.Event{Subject: "a", QoS: 1}}}); errs[0] != nil {
		t.Errorf("connected, but %v", errs[0])
	}
}

// countedConn counts what is written below TLS and WebSockets.
type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// Connections are made by Dial, where there is one, in each scheme.
func TestDial(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	for name, url := range map[string]string{
		"tcp": testbed.StartMosquitto(t, testbed.MosquittoOptions{}).URL,
		"tls": testbed.StartMosquitto(t, testbed.MosquittoOptions{TLS: files}).URL,
		"ws":  startWebSockets(t),
	} {
		var written atomic.Int64
		m := newMQTT(t, url, func(o *sensors.MQTTOptions) {
			if name == "tls" {
				o.CAFile, o.CertFile, o.KeyFile = files.CA, files.ClientCert, files.ClientKey
			}
			o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &countedConn{c, &written}, err
			}
		})
		stop := start(t, m, &sink{})
		if err := m.Connected(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec := agent.Record{Event: agent.Event{Subject: "a", QoS: 1, Data: make([]byte, 10_000)}}
		if errs := m.Send(t.Context(), []agent.Record{rec}); errs[0] != nil {
			t.Errorf("%s: %v", name, errs[0])
		}
		testbed.Eventually(t, patience, "it is counted", func() error { // the answer may come before the write returns
			if n := written.Load(); n < 10_000 || n > 14_000 {
				return fmt.Errorf("%s: %d bytes written, want somewhat more than 10000", name, n)
			}
			return nil
		})
		stop()
	}
}

// A source that keeps no session is given nothing that one of its name left.
func TestCleanSession(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	before := newMQTT(t, broker.URL)
	before.Follow(triggers("a/#"))
	stop := start(t, before, &sink{})
	subscribed(t, before, "a/#")
	stop()
	publish(t, client(t, broker.URL), "a/1", 1, "for the session")
	clean := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Clean = true })
	s := &sink{keep: true}
	start(t, clean, s)
	if err := clean.Connected(t.Context()); err != nil {
		t.Fatal(err)
	}
	errs := clean.Send(t.Context(), []agent.Record{{Event: agent.Event{Subject: "a/2", QoS: 1}}})
	if errs[0] != nil || len(s.offers()) != 0 || len(clean.Status().Filters) != 0 {
		t.Errorf("sent %v, was given %d, filters %v", errs[0], len(s.offers()), clean.Status().Filters)
	}
}
