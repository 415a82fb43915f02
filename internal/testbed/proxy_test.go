package testbed_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *testbed.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", testbed.Addr(p.Port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// roundTrip sends b and reads as much again; it tells how long that took.
func roundTrip(c net.Conn, b []byte, within time.Duration) (time.Duration, error) {
	start := time.Now()
	c.SetDeadline(start.Add(within))
	go c.Write(b)
	back := make([]byte, len(b))
	if _, err := io.ReadFull(c, back); err != nil {
		return 0, err
	}
	if !bytes.Equal(back, b) {
		return 0, errors.New("other bytes came back")
	}
	return time.Since(start), nil
}

func TestProxyCarriesEveryByteOfABadLink(t *testing.T) {
	b := make([]byte, 64<<10)
	rand.Read(b)
	for name, tt := range map[string]struct {
		link    testbed.Link
		atLeast time.Duration
	}{
		"good":  {testbed.Link{}, 0},
		"delay": {testbed.Link{Delay: 100 * time.Millisecond}, 200 * time.Millisecond},
		"loss":  {testbed.Link{Loss: 1, Stall: 200 * time.Millisecond}, 400 * time.Millisecond},
		"rate":  {testbed.Link{Rate: 256 << 10}, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p := testbed.StartProxy(t, echo(t))
			p.Set(tt.link)
			took, err := roundTrip(dial(t, p), b, 20*time.Second)
			if err != nil || took < tt.atLeast {
				t.Errorf("took %s (%v), at least %s", took, err, tt.atLeast)
			}
			if s := p.Stats(); s.Up != int64(len(b)) || s.Down != int64(len(b)) {
				t.Errorf("stats = %+v", s)
			}
		})
	}
}

func TestProxyBreaksLinks(t *testing.T) {
	p := testbed.StartProxy(t, echo(t))
	one := []byte("1")
	c := dial(t, p)
	if _, err := roundTrip(c, one, 5*time.Second); err != nil {
		t.Fatal(err)
	}

	p.Freeze()
	var timeout net.Error
	if _, err := roundTrip(c, one, 100*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a half-open connection answers %v, want a timeout", err)
	}
	c = dial(t, p)
	if _, err := roundTrip(c, one, 5*time.Second); err != nil {
		t.Errorf("a new connection beside a half-open one: %v", err)
	}

	p.Reset()
	if _, err := roundTrip(c, one, 5*time.Second); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("a reset connection answers %v", err)
	}

	p.Set(testbed.Link{Silent: true})
	if _, err := roundTrip(dial(t, p), one, 100*time.Millisecond); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a black hole answers %v, want a timeout", err)
	}

	p.Set(testbed.Link{Refuse: true})
	if refused, err := net.Dial("tcp", testbed.Addr(p.Port)); err == nil { // it may notice now or with the first read
		defer refused.Close()
		if _, err := roundTrip(refused, one, 5*time.Second); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a link that is down answers %v", err)
		}
	}

	p.Set(testbed.Link{CutBehind: 1000})
	if _, err := roundTrip(dial(t, p), make([]byte, 4000), 5*time.Second); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("a connection that is cut behind 1,000 bytes answers %v", err)
	}
}
