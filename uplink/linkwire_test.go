package uplink_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

type wireCase struct {
	name     string
	host     string
	secure   bool
	size     int
	echo     bool
	requests int
	workers  int
	oneShot  bool // a connection for each
}

// TestLinkCountsTheWire compares the count of a link with that of the packets.
func TestLinkCountsTheWire(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, tt := range []wireCase{
		{name: "small plain", requests: 200, workers: 1, size: 100},
		{name: "small plain parallel", requests: 400, workers: 16, size: 100},
		{name: "small plain one-shot", requests: 30, workers: 1, size: 100, oneShot: true},
		{name: "large plain", requests: 5, workers: 1, size: 3 << 20},
		{name: "large both ways parallel", requests: 8, workers: 4, size: 1 << 20, echo: true},
		{name: "small TLS", requests: 200, workers: 1, size: 100, secure: true},
		{name: "small TLS one-shot", requests: 20, workers: 1, size: 300, secure: true, oneShot: true},
		{name: "large TLS", requests: 5, workers: 2, size: 1 << 20, secure: true, echo: true},
		{name: "IPv6", requests: 200, workers: 2, size: 1000, host: "::1"},
		{name: "IPv6 TLS one-shot", requests: 20, workers: 2, size: 1000, host: "::1", secure: true, oneShot: true},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t) })
	}
}

func (tt *wireCase) run(t *testing.T) {
	m := newMeter(t, uplink.LinkOptions{Name: "lte"})
	l, err := net.Listen("tcp", net.JoinHostPort(tt.hostOr(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !tt.echo {
			io.Copy(io.Discard, r.Body)
			return
		}
		io.Copy(w, r.Body)
	}))
	srv.Listener.Close()
	srv.Listener = l
	if tt.secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: m.DialContext, DisableKeepAlives: tt.oneShot, MaxIdleConnsPerHost: tt.workers,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	before := onWire(t)
	var done sync.WaitGroup
	for w := range tt.workers {
		done.Go(func() {
			for range tt.requests / tt.workers {
				resp, err := client.Post(srv.URL, "", bytes.NewReader(make([]byte, tt.size)))
				if err != nil {
					t.Error(w, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	done.Wait()
	client.CloseIdleConnections()
	compareWire(t, m, before)
	srv.Close()
}

func (tt *wireCase) hostOr() string {
	if tt.host != "" {
		return tt.host
	}
	return "127.0.0.1"
}

// compareWire waits until all is quiet and fails if the count is off by over 2 %.
func compareWire(t *testing.T, m *uplink.Meter, before int64) {
	t.Helper()
	var counted, wire int64
	var off float64
	testbed.Eventually(t, 10*time.Second, "the count is that of the packets within 2 %", func() error {
		s := m.Status()
		counted, wire = s.Sent+s.Received, onWire(t)-before
		if off = 100 * (float64(counted)/float64(wire) - 1); math.Abs(off) > 2 {
			return fmt.Errorf("the link counted %d bytes, the packets have %d: %.2f %%", counted, wire, off)
		}
		return nil
	})
	t.Logf("link %d, packets %d: %+.2f %%", counted, wire, off)
}

// shelf is a store of a Meter in memory.
type shelf struct {
	mu      sync.Mutex
	values  map[string][]byte
	commits int
}

func (s *shelf) Get(scope, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[scope+" "+key], nil
}

func (s *shelf) Commit(_ context.Context, f *agent.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	s.commits++
	for _, w := range f.Writes {
		s.values[w.Scope+" "+w.Key] = w.Value
	}
	return nil
}

// count is how many frames were committed.
func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

func newMeter(t testing.TB, opts uplink.LinkOptions) *uplink.Meter {
	t.Helper()
	m, err := uplink.NewMeter(opts, &shelf{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLinkCountsKeepAlives: the far side asks whether an idle connection is
// still there, and the link answers.
func TestLinkCountsKeepAlives(t *testing.T) {
	if !alone(t) {
		return
	}
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second}}
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := newMeter(t, uplink.LinkOptions{Name: "lte"})
	c, err := m.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	quiet := onWire(t)
	testbed.Eventually(t, 20*time.Second, "the far side has asked three times", func() error {
		if got := onWire(t) - quiet; got < 6*52 {
			return fmt.Errorf("%d bytes", got)
		}
		return nil
	})
	compareWire(t, m, 0)
	if err := errors.Join(c.Close(), far.Close()); err != nil {
		t.Fatal(err)
	}
	compareWire(t, m, 0)
}

// TestLinkCountsQuestions: what name servers are asked and what they answer is
// counted, but for those on this device. A dial that comes to nothing counts too.
func TestLinkCountsQuestions(t *testing.T) {
	if !alone(t) {
		return
	}
	addAddress(t, "192.0.2.53")
	m := newMeter(t, uplink.LinkOptions{Name: "lte"})
	for _, host := range []string{"127.0.0.53", "192.0.2.53"} {
		before, counted := onWire(t), m.Status()
		ask(t, m, host)
		wire := onWire(t) - before
		s := m.Status()
		if got := s.Sent + s.Received - counted.Sent - counted.Received; host == "192.0.2.53" && got != wire || host == "127.0.0.53" && got != 0 {
			t.Errorf("%s: the link counted %d bytes, the packets have %d", host, got, wire)
		}
	}
	before, counted := onWire(t), m.Status()
	if _, err := m.DialContext(t.Context(), "tcp", testbed.Addr(testbed.FreePort(t))); err == nil {
		t.Fatal("somebody answers on a free port")
	}
	s := m.Status()
	if got := s.Sent + s.Received - counted.Sent - counted.Received; got != onWire(t)-before {
		t.Errorf("a refused dial: the link counted %d bytes, the packets have %d", got, onWire(t)-before)
	}
}

// ask has a name server at host echo a question.
func ask(t *testing.T, m *uplink.Meter, host string) {
	t.Helper()
	server, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := m.Resolver().Dial(t.Context(), "udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(net.PacketConn); !ok {
		t.Error("the resolver would take it for a stream")
	}
	question := make([]byte, 512)
	if _, err := c.Write(question[:40]); err != nil {
		t.Fatal(err)
	}
	n, from, err := server.ReadFrom(question)
	if err == nil {
		_, err = server.WriteTo(question[:n+60], from)
	}
	if err == nil {
		n, err = c.Read(question)
	}
	if n != 100 || err != nil {
		t.Fatal(n, err)
	}
}
