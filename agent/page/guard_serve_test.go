package page

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener without a network, so that time may be that of synctest.
type pipes struct {
	come chan net.Conn
	shut chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.shut:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.shut)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9180} }

// dial connects; what comes can be read from the connection.
func (p *pipes) dial() net.Conn { return p.dialFrom("127.0.0.1:5000") }

// from is a connection that says whose it is.
type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

func (p *pipes) dialFrom(addr string) net.Conn {
	here, pipe := net.Pipe()
	there := from{pipe, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))}
	go func() {
		select {
		case p.come <- there:
		case <-p.shut:
			there.Close()
		}
	}()
	return here
}

// attacked runs f against a guard that serves, by a clock that is not the real one.
func attacked(t *testing.T, f func(t *testing.T, w *world, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(t, nil), &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, p, nil, w.guard, slog.New(slog.DiscardHandler)) }()
		f(t, w, p)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// answered reads the status of an answer, 0 if the connection just ends.
func answered(c net.Conn) int {
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

func TestRequestsThatNoClientMakes(t *testing.T) {
	attacked(t, func(t *testing.T, w *world, p *pipes) {
		auth := "Authorization: Bearer " + goodToken + "\r\n"
		for name, tt := range map[string]struct {
			text string
			want int
		}{
			"an honest one":           {"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 200},
			"another host in the URL": {"GET http://evil.example/v1/status HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 421},
			"HTTP/1.0 without a host": {"GET /v1/status HTTP/1.0\r\n" + auth + "\r\n", 421},
			"two hosts":               {"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n" + auth + "\r\n", 400},
			"no host":                 {"GET /v1/status HTTP/1.1\r\n" + auth + "\r\n", 400},
			"two lengths":             {"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 50\r\n" + auth + "\r\nhello", 400},
			"length and chunks":       {"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\nContent-Length: 5\r\n" + auth + "\r\n0\r\n\r\n", 501},
			"a proxy is asked for":    {"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n", 400},
			"everything":              {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
			"a path without slash":    {"GET v1/status HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 400},
			"zero bytes":              {"GET /v1/\x00status HTTP/1.1\r\nHost: localhost\r\n" + auth + "\r\n", 400},
			"a space in a name":       {"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer x\r\n\r\n", 400},
			"a large head":            {"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n", 431},
			"many headers":            {"GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: x\r\n", 2*maxHead/6) + "\r\n", 431},
			"another protocol":        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
			"HTTP/2 without TLS":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 421},
		} {
			c := p.dial()
			var writing sync.WaitGroup
			writing.Go(func() { io.WriteString(c, tt.text) }) // it may be cut off
			if got := answered(c); got != tt.want {
				t.Errorf("%s: %d, want %d", name, got, tt.want)
			}
			c.Close()
			writing.Wait()
		}
	})
}

// TestSlowClientsAreCutOff has clients that send a byte now and then, or nothing.
func TestSlowClientsAreCutOff(t *testing.T) {
	attacked(t, func(t *testing.T, w *world, p *pipes) {
		head := "Host: localhost\r\nAuthorization: Bearer " + goodToken + "\r\n"
		for name, tt := range map[string]struct {
			begin  string
			within time.Duration
		}{
			"nothing":                 {"", headTime},
			"a slow head":             {"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", headTime},
			"a slow body":             {"POST /v1/sync HTTP/1.1\r\n" + head + "Content-Length: 100000\r\n\r\n", bodyTime},
			"a slow body of a login":  {"POST /login HTTP/1.1\r\nContent-Type: application/json\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", bodyTime},
			"a body where none is":    {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", bodyTime},
			"a body of who is nobody": {"POST /v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", bodyTime},
			"nothing after an answer": {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", idleTime},
		} {
			c, begun := p.dial(), time.Now()
			var writing sync.WaitGroup
			writing.Go(func() {
				_, err := io.WriteString(c, tt.begin)
				for tt.begin != "" && !strings.HasPrefix(name, "nothing") && err == nil {
					pass(time.Second)
					_, err = io.WriteString(c, "x")
				}
			})
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took > tt.within+2*time.Second {
				t.Errorf("%s: cut off after %s, want %s", name, took, tt.within)
			}
			c.Close()
			writing.Wait()
		}
	})
}

// TestConnectionsAreFew has somebody take all places; others get theirs when he is
// cut off.
func TestConnectionsAreFew(t *testing.T) {
	attacked(t, func(t *testing.T, w *world, p *pipes) {
		for i := range maxConns {
			c := p.dialFrom(fmt.Sprintf("192.0.2.%d:5", 1+i%2))
			defer c.Close()
		}
		synctest.Wait()
		c, begun := p.dial(), time.Now()
		defer c.Close()
		go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := answered(c); got != 200 || time.Since(begun) != headTime {
			t.Errorf("%d after %s", got, time.Since(begun))
		}
	})
}

// TestOneClientTakesHalfOfAllConnections: health is still heard then.
func TestOneClientTakesHalfOfAllConnections(t *testing.T) {
	attacked(t, func(t *testing.T, w *world, p *pipes) {
		for i := range 2 * maxConns {
			c := p.dialFrom(fmt.Sprintf("192.0.2.1:%d", 1+i))
			defer c.Close()
		}
		synctest.Wait()
		c, begun := p.dial(), time.Now()
		defer c.Close()
		go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if got := answered(c); got != 200 || time.Since(begun) != 0 {
			t.Errorf("%d after %s", got, time.Since(begun))
		}
	})
}

// TestStreamsGoOn has a stream outlive all the times that bound other answers, and
// end with the agent.
func TestStreamsGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(t, nil), &pipes{make(chan net.Conn), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, p, nil, w.guard, slog.New(slog.DiscardHandler)) }()
		c := p.dial()
		defer c.Close()
		go fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", goodToken)
		var over time.Time
		closed := make(chan bool)
		go func() {
			if got := answered(c); got != 0 {
				t.Errorf("the stream ended by itself: %d", got)
			}
			over = time.Now()
			close(closed)
		}()
		begun := time.Now()
		pass(time.Hour)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if <-closed; over.Sub(begun) != time.Hour {
			t.Errorf("it lasted %s", over.Sub(begun))
		}
	})
}
