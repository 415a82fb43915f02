package sensors_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

const patience = 20 * time.Second

// sink stands for the agent: it keeps what is offered.
type sink struct {
	keep bool // every outcome is durable at once

	mu  sync.Mutex
	got []offer
}

type offer struct {
	*agent.Event
	done func(error)
}

func (s *sink) offer(ev *agent.Event, done func(error)) {
	s.mu.Lock()
	s.got = append(s.got, offer{ev, done})
	keep := s.keep
	s.mu.Unlock()
	if keep && done != nil {
		done(nil)
	}
}

func (s *sink) offers() []offer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// wait waits for n offers in all and returns them.
func (s *sink) wait(t *testing.T, n int) []offer {
	t.Helper()
	testbed.Eventually(t, patience, fmt.Sprintf("%d events", n), func() error {
		if got := len(s.offers()); got < n {
			return fmt.Errorf("%d events", got)
		}
		return nil
	})
	return s.offers()
}

// texts are the data of what was offered from the nth on.
func (s *sink) texts(from int) (texts []string) {
	for _, o := range s.offers()[from:] {
		texts = append(texts, string(o.Data))
	}
	return texts
}

// start runs a source until the test ends or stop is called.
func start(t *testing.T, src agent.Source, s *sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, s.offer) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// newMQTT makes the source "plant" of device gw7.
func newMQTT(t *testing.T, url string, more ...func(*sensors.MQTTOptions)) *sensors.MQTT {
	t.Helper()
	opts := sensors.MQTTOptions{Name: "plant", Device: "gw7", URL: url, Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	src, err := sensors.NewMQTT(opts)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// triggers of the source "plant", QoS 1.
func triggers(filters ...string) (ts []agent.Trigger) {
	for _, f := range filters {
		ts = append(ts, agent.Trigger{Name: "app/" + f, Via: "plant", Filter: f, QoS: 1})
	}
	return ts
}

type statuser interface{ Status() agent.SourceStatus }

// subscribed waits until the broker holds exactly these filters (sorted).
func subscribed(t *testing.T, src statuser, filters ...string) {
	t.Helper()
	testbed.Eventually(t, patience, "subscriptions", func() error {
		st := src.Status()
		if !st.Connected || !slices.Equal(st.Filters, filters) {
			return fmt.Errorf("status %+v", st)
		}
		return nil
	})
}

// idle waits until nothing is unacknowledged.
func idle(t *testing.T, src statuser) {
	t.Helper()
	testbed.Eventually(t, patience, "all acknowledged", func() error {
		if n := src.Status().Inflight; n > 0 {
			return fmt.Errorf("%d in flight", n)
		}
		return nil
	})
}

// noted waits until the status's note satisfies ok.
func noted(t *testing.T, src statuser, what string, ok func(string) bool) {
	t.Helper()
	testbed.Eventually(t, patience, what, func() error {
		if note := src.Status().Note; !ok(note) {
			return fmt.Errorf("note %q", note)
		}
		return nil
	})
}

// client is an ordinary MQTT client with a clean session.
func client(t *testing.T, url string, more ...func(*paho.ClientOptions)) paho.Client {
	t.Helper()
	o := paho.NewClientOptions().AddBroker(url).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	for _, m := range more {
		m(o)
	}
	c := paho.NewClient(o)
	token := c.Connect()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatalf("connect to %s: %v", url, token.Error())
	}
	t.Cleanup(func() { c.Disconnect(50) })
	return c
}

// publish sends and waits for the broker's acknowledgement.
func publish(t *testing.T, c paho.Client, topic string, qos byte, texts ...string) {
	t.Helper()
	for _, text := range texts {
		token := c.Publish(topic, qos, false, text)
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("publish %s: %v", topic, token.Error())
		}
	}
}

// wire is a TCP proxy whose connections can be cut, as a crash cuts them.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, port int) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: testbed.Addr(port)}
	var all sync.WaitGroup
	all.Go(func() { w.accept(&all) })
	t.Cleanup(func() {
		l.Close()
		w.cut()
		all.Wait()
	})
	return w
}

func (w *wire) url() string { return "tcp://" + w.listener.Addr().String() }

func (w *wire) accept(all *sync.WaitGroup) {
	for {
		a, err := w.listener.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", w.to)
		if err != nil {
			a.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, a, b)
		w.mu.Unlock()
		pipe := func(to, from net.Conn) {
			io.Copy(to, from)
			to.Close()
			from.Close()
		}
		all.Go(func() { pipe(a, b) })
		all.Go(func() { pipe(b, a) })
	}
}

// cut ends all connections there are.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
	w.conns = nil
}

// notes is a sensors.Notes in memory.
type notes struct {
	mu     sync.Mutex
	values map[string][]byte
	broken bool
}

func (n *notes) Get(key string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.values[key], nil
}

func (n *notes) Put(key string, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("disk full")
	}
	if n.values == nil {
		n.values = map[string][]byte{}
	}
	n.values[key] = value
	return nil
}
