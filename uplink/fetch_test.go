package uplink_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

const loopback = "127.0.0.0/8"

func newFetcher(t testing.TB, opts uplink.FetchOptions) *uplink.Fetcher {
	t.Helper()
	f, err := uplink.NewFetcher(opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func grants(t testing.TB, texts ...string) []agent.HTTPGrant {
	t.Helper()
	var out []agent.HTTPGrant
	for _, text := range texts {
		g, err := agent.ParseHTTPGrant(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, g)
	}
	return out
}

// fetchFrom makes a request with a new Fetcher, granted the server of far alone.
func fetchFrom(t *testing.T, far http.HandlerFunc, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	t.Helper()
	srv := httptest.NewServer(far)
	t.Cleanup(srv.Close)
	r.URL = srv.URL + r.URL
	r.Grants = grants(t, srv.URL)
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	return newFetcher(t, uplink.FetchOptions{}).Fetch(t.Context(), r)
}

func field(fields []agent.HTTPField, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func TestFetchSendsWhatWasAsked(t *testing.T) {
	var got http.Request
	var body []byte
	far := func(w http.ResponseWriter, r *http.Request) {
		got = *r
		body, _ = io.ReadAll(r.Body)
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "made")
	}
	resp, err := fetchFrom(t, far, &agent.HTTPRequest{
		Method: "POST", URL: "/v1/a%2Fb?q=%20x", Body: []byte("hello"), IdempotencyKey: "gw7/1/app/f\xfcn/0",
		Header: []agent.HTTPField{{Name: "content-type", Value: "text/plain"}, {Name: "X-Many", Value: "1"}, {Name: "X-Many", Value: "2"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.RequestURI != "/v1/a%2Fb?q=%20x" || string(body) != "hello" || got.ProtoMajor != 1 {
		t.Errorf("arrived as %s %s %s %q", got.Method, got.RequestURI, got.Proto, body)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "User-Agent": "skerry", "Idempotency-Key": "gw7/1/app/f%FCn/0",
		"Accept-Encoding": "gzip", "Content-Length": "5", "X-Many": "1,2",
	} {
		if got := strings.Join(got.Header[name], ","); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if len(got.Header) != 6 {
		t.Errorf("header %v has lines that nobody asked for", got.Header)
	}
	if resp.Status != 201 || string(resp.Body) != "made" || field(resp.Header, "Content-Length") != "4" {
		t.Errorf("answer %+v", resp)
	}
	cookies := 0
	for _, f := range resp.Header {
		if f.Name == "Set-Cookie" {
			cookies++
		}
	}
	if cookies != 2 {
		t.Errorf("answer's header %v", resp.Header)
	}
}

// A cookie that was set is not sent with the next request, and what the
// function says itself stands.
func TestFetchOwnHeaders(t *testing.T) {
	var seen []http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
	}))
	defer srv.Close()
	f := newFetcher(t, uplink.FetchOptions{})
	for range 2 {
		_, err := f.Fetch(t.Context(), &agent.HTTPRequest{
			Method: "GET", URL: srv.URL, Grants: grants(t, srv.URL), IdempotencyKey: "agent's",
			Header: []agent.HTTPField{{Name: "IDEMPOTENCY-key", Value: "own"}, {Name: "user-agent", Value: "boiler/1 ops@example.com"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range seen {
		if h.Get("Idempotency-Key") != "own" || h.Get("User-Agent") != "boiler/1 ops@example.com" || h.Get("Cookie") != "" {
			t.Errorf("header %v", h)
		}
	}
}

func TestFetchRefusesRequests(t *testing.T) {
	line := func(name, value string) []agent.HTTPField { return []agent.HTTPField{{Name: name, Value: value}} }
	for _, tt := range []struct {
		name string
		r    agent.HTTPRequest
		want error
	}{
		{"no method", agent.HTTPRequest{Method: " "}, agent.ErrInvalid},
		{"CONNECT", agent.HTTPRequest{Method: "CONNECT"}, agent.ErrInvalid},
		{"TRACE", agent.HTTPRequest{Method: "TRACE"}, agent.ErrInvalid},
		{"two lines in a method", agent.HTTPRequest{Method: "GET / HTTP/1.1\r\nX:"}, agent.ErrInvalid},
		{"space in the query", agent.HTTPRequest{URL: "/?a HTTP/1.0"}, agent.ErrInvalid},
		{"line end in the path", agent.HTTPRequest{URL: "/a\r\nX: 1"}, agent.ErrInvalid},
		{"Unicode in the query", agent.HTTPRequest{URL: "/?ö"}, agent.ErrInvalid},
		{"long URL", agent.HTTPRequest{URL: "/" + strings.Repeat("a", 8<<10)}, agent.ErrLimit},
		{"large body", agent.HTTPRequest{Body: make([]byte, 256<<10+1)}, agent.ErrLimit},
		{"large header", agent.HTTPRequest{Header: line("X-A", strings.Repeat("a", 64<<10))}, agent.ErrLimit},
		{"Host", agent.HTTPRequest{Header: line("Host", "other.example")}, agent.ErrInvalid},
		{"connection", agent.HTTPRequest{Header: line("connection", "close")}, agent.ErrInvalid},
		{"Content-Length", agent.HTTPRequest{Header: line("Content-Length", "3")}, agent.ErrInvalid},
		{"transfer-encoding", agent.HTTPRequest{Header: line("transfer-encoding", "chunked")}, agent.ErrInvalid},
		{"TE", agent.HTTPRequest{Header: line("TE", "trailers")}, agent.ErrInvalid},
		{"Trailer", agent.HTTPRequest{Header: line("Trailer", "X")}, agent.ErrInvalid},
		{"Upgrade", agent.HTTPRequest{Header: line("Upgrade", "websocket")}, agent.ErrInvalid},
		{"Keep-Alive", agent.HTTPRequest{Header: line("Keep-Alive", "1")}, agent.ErrInvalid},
		{"Expect", agent.HTTPRequest{Header: line("Expect", "100-continue")}, agent.ErrInvalid},
		{"proxy-authorization", agent.HTTPRequest{Header: line("proxy-authorization", "Basic eA==")}, agent.ErrInvalid},
		{"Proxy-Connection", agent.HTTPRequest{Header: line("Proxy-Connection", "close")}, agent.ErrInvalid},
		{"two lines in a value", agent.HTTPRequest{Header: line("X-A", "1\r\nHost: other.example")}, agent.ErrInvalid},
		{"LF in a value", agent.HTTPRequest{Header: line("X-A", "1\nX-B: 2")}, agent.ErrInvalid},
		{"NUL in a value", agent.HTTPRequest{Header: line("X-A", "1\x00")}, agent.ErrInvalid},
		{"two lines in a name", agent.HTTPRequest{Header: line("X-A: 1\r\nX-B", "2")}, agent.ErrInvalid},
		{"space in a name", agent.HTTPRequest{Header: line("Host ", "other.example")}, agent.ErrInvalid},
		{"no name", agent.HTTPRequest{Header: line("", "x")}, agent.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hits atomic.Int32
			_, err := fetchFrom(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) }, &tt.r)
			if !errors.Is(err, tt.want) || hits.Load() != 0 {
				t.Errorf("got %v after %d requests, want %v", err, hits.Load(), tt.want)
			}
		})
	}
}

// Every spelling that somebody may read as the granted address is refused,
// and nothing is connected to, though the network is granted as well.
func TestFetchRefusesPlaces(t *testing.T) {
	var hits atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	f := newFetcher(t, uplink.FetchOptions{})
	for _, to := range []string{
		"http://2130706433:PORT/", "http://0x7f000001:PORT/", "http://017700000001:PORT/",
		"http://127.1:PORT/", "http://127.0.1:PORT/", "http://0177.0.0.1:PORT/", "http://0x7f.0.0.1:PORT/",
		"http://127.0.0.1.:PORT/", "http://127.000.000.001:PORT/", "http://127.0.0.2:PORT/",
		"http://[::ffff:127.0.0.1]:PORT/", "http://[::ffff:7f00:1]:PORT/", "http://[::127.0.0.1]:PORT/",
		"http://[64:ff9b::7f00:1]:PORT/", "http://[::1]:PORT/", "http://0.0.0.0:PORT/", "http://[::]:PORT/",
		"http://0:PORT/", "http://localhost:PORT/", "http://localhost.:PORT/",
		"http://127。0。0。1:PORT/", "http://127%2e0%2e0%2e1:PORT/", "http://①②⑦.0.0.1:PORT/",
		"http://user@127.0.0.1:PORT/", "http://127.0.0.1:PORT@other.example/", "http://other.example@127.0.0.1:PORT/",
		"http://127.0.0.1/", "http://127.0.0.1:1/", "http://127.0.0.1:0/", "http://127.0.0.1:-PORT/", "http://127.0.0.1:PORT0000/",
		"https://127.0.0.1:PORT/", "ftp://127.0.0.1:PORT/", "file:///etc/passwd", "unix:///run/x.sock",
		"//127.0.0.1:PORT/", "127.0.0.1:PORT", "http:127.0.0.1:PORT/", "http:///x", "http://", "",
	} {
		to = strings.ReplaceAll(to, "PORT", port)
		_, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: to, Grants: grants(t, srv.URL, loopback, "::1/128")})
		if !errors.Is(err, agent.ErrDenied) && !errors.Is(err, agent.ErrInvalid) {
			t.Errorf("%s: %v", to, err)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the server was reached %d times", n)
	}
}

func TestFetchLimitsAnswers(t *testing.T) {
	const limit = 1 << 20
	write := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, n)) }
	}
	zipped := func(data []byte, members int) http.HandlerFunc {
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		gz.Write(data)
		gz.Close()
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for i := 0; members < 0 || i < members; i++ { // below 0: until the client leaves
				if _, err := w.Write(b.Bytes()); err != nil {
					return
				}
			}
		}
	}
	for _, tt := range []struct {
		name string
		far  http.HandlerFunc
		want int // bytes; -1: ErrLimit
	}{
		{"largest", write(limit), limit},
		{"too large", write(limit + 1), -1},
		{"said to be too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1099511627776")
			w.(http.Flusher).Flush()
		}, -1},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, -1},
		{"gzip", zipped(make([]byte, limit), 1), limit},
		{"gzip bomb", zipped(make([]byte, 16*limit), 1), -1},
		{"endless gzip of nothing", zipped(nil, -1), -1},
		{"no body with gzip", status(204, "Content-Encoding", "gzip"), 0},
		{"large header", status(200, "X-Large", strings.Repeat("a", 65<<10)), -1},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-A: "+strings.Repeat("a", 4000)+"\r\n"); err != nil {
					return
				}
			}
		}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := fetchFrom(t, tt.far, &agent.HTTPRequest{})
			if tt.want < 0 {
				if !errors.Is(err, agent.ErrLimit) {
					t.Errorf("got %v, want ErrLimit", err)
				}
				return
			}
			if err != nil || len(resp.Body) != tt.want || field(resp.Header, "Content-Encoding") != "" {
				t.Errorf("got %v, want %d bytes", err, tt.want)
			}
		})
	}
}

// A function that asks for an encoding gets it as it is.
func TestFetchLeavesAskedEncoding(t *testing.T) {
	resp, err := fetchFrom(t, status(200, "Content-Encoding", "gzip"), &agent.HTTPRequest{
		Header: []agent.HTTPField{{Name: "accept-encoding", Value: "gzip"}},
	})
	if err != nil || string(resp.Body) != "said\r\nso" || field(resp.Header, "Content-Encoding") != "gzip" {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestFetchBrokenAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, reason string
		far          http.HandlerFunc
	}{
		{"cut", "unexpected EOF", cutOff},
		{"no gzip at all", "inflate", status(200, "Content-Encoding", "gzip")},
		{"another protocol", "another protocol", func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nendless")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := fetchFrom(t, tt.far, &agent.HTTPRequest{URL: "/?canary"})
			if err == nil || !strings.Contains(err.Error(), tt.reason) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %q and no URL", err, tt.reason)
			}
		})
	}
}

// The run's deadline ends a request wherever it is.
func TestFetchEndsWithDeadline(t *testing.T) {
	for name, far := range map[string]http.HandlerFunc{
		"no answer": hang,
		"slow body": func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begun")
			w.(http.Flusher).Flush()
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(far)
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := newFetcher(t, uplink.FetchOptions{}).Fetch(ctx, &agent.HTTPRequest{Method: "GET", URL: srv.URL, Grants: grants(t, srv.URL)})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The 33rd request waits for one of the 32 others, or for its own end.
func TestFetchBoundsRequestsUnderWay(t *testing.T) {
	arrived, let := make(chan struct{}, 33), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-let
	}))
	defer srv.Close()
	f := newFetcher(t, uplink.FetchOptions{})
	r := func() *agent.HTTPRequest {
		return &agent.HTTPRequest{Method: "GET", URL: srv.URL, Grants: grants(t, srv.URL)}
	}
	ended := make(chan error, 33)
	for range 32 {
		go func() {
			_, err := f.Fetch(t.Context(), r())
			ended <- err
		}()
	}
	for range 32 {
		<-arrived
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := f.Fetch(ctx, r()); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "32 others") {
		t.Errorf("the 33rd: %v", err)
	}
	go func() {
		_, err := f.Fetch(t.Context(), r())
		ended <- err
	}()
	close(let)
	for range 33 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := len(arrived); n != 1 {
		t.Errorf("%d more requests arrived, want 1", n)
	}
}

func TestFetchOverTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(status(200))
	cert, ca := certificate(t, time.Now().Add(-time.Hour)) // for 127.0.0.1
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused certificates
	srv.StartTLS()
	defer srv.Close()
	f := newFetcher(t, uplink.FetchOptions{CAFile: ca, Resolver: names(t, map[string][]string{"other.example.": {"127.0.0.1"}})})
	get := func(f *uplink.Fetcher, base string) error {
		_, err := f.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: base, Grants: grants(t, base, loopback)})
		return err
	}
	if _, used := f.Status(); used {
		t.Error("there is a status before the first request")
	}
	if err := get(f, srv.URL); err != nil {
		t.Fatal(err)
	}
	up, down := f.BytesUp(), f.BytesDown()
	if up < 300 || down < 300 {
		t.Errorf("%d bytes up, %d down: less than a TLS handshake", up, down)
	}
	if s, used := f.Status(); !used || s.Delivered != 1 || s.BytesUp != up {
		t.Errorf("status %+v", s)
	}
	if err := get(f, srv.URL); err != nil || f.BytesUp()-up > 300 {
		t.Errorf("the second request: %v, %d bytes up: another handshake?", err, f.BytesUp()-up)
	}
	if err := get(f, strings.Replace(srv.URL, "127.0.0.1", "other.example", 1)); err == nil || !strings.Contains(err.Error(), "other.example") {
		t.Errorf("a certificate of another name: %v", err)
	}
	if err := get(newFetcher(t, uplink.FetchOptions{}), srv.URL); err == nil {
		t.Error("a certificate of an unknown authority was taken")
	}
}

func TestNewFetcherWithoutItsCA(t *testing.T) {
	if _, err := uplink.NewFetcher(uplink.FetchOptions{CAFile: "/does/not/exist"}); err == nil {
		t.Error("no error")
	}
}
