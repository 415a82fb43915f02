package sensors_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// newHTTP runs an HTTP source on a free port; what is offered goes to offer.
func newHTTP(t *testing.T, offer agent.Offer, more ...func(*sensors.HTTPOptions)) *sensors.HTTP {
	t.Helper()
	opts := sensors.HTTPOptions{Device: "gw7", Listen: "127.0.0.1:0", Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	src, err := sensors.NewHTTP(opts)
	if err != nil {
		t.Fatal(err)
	}
	src.Follow([]agent.Trigger{{Name: "app/orders", Via: "http", Filter: "orders/+"}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, offer) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	testbed.Eventually(t, patience, "the source listens", func() error {
		if src.Addr() == "" {
			return errors.New(src.Status().Note)
		}
		return nil
	})
	return src
}

// functions stands for an agent that runs what echoes.
func functions(ev *agent.Event, done func(error)) {
	ev.ID = "gw7/1"
	go func() {
		if ev.Answer != nil {
			switch string(ev.Data) {
			case "nothing":
				ev.Answer(nil, nil)
			case "poison":
				ev.Answer(nil, errors.New("it cannot be read"))
			case "slow":
			default:
				ev.Answer(ev.Data, nil)
			}
		}
		done(nil)
	}()
}

// post sends a request; head is lines "Name: value". Host is one of them.
func post(t *testing.T, c *http.Client, url, body string, head ...string) (status int, text string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range head {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "":
		case "Host":
			r.Host = value
		default:
			r.Header.Set(name, value)
		}
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b)), resp.Header
}

func TestHTTPAnswers(t *testing.T) {
	src := newHTTP(t, functions)
	url := "http://" + src.Addr()
	for _, tt := range []struct {
		name, path, body, head string
		status                 int
		answer                 string
	}{
		{"kept", "/in/orders/5", "x", "", 202, `{"id":"gw7/1"}`},
		{"result", "/in/orders/5?wait=10s", `{"a":1}`, "", 200, `{"a":1}`},
		{"result by header", "/in/orders/5", "text", "Prefer: respond-async, wait=10", 200, "text"},
		{"no result", "/in/orders/5?wait=10s", "nothing", "", 204, ""},
		{"dead letter", "/in/orders/5?wait=10s", "poison", "", 422, `{"error":"it cannot be read"}`},
		{"not done in time", "/in/orders/5?wait=1ms", "slow", "", 202, `{"id":"gw7/1"}`},
		{"no trigger", "/in/orders", "", "", 404, `{"error":"no trigger takes \"orders\"","paths":["orders/+"]}`},
		{"elsewhere", "/v1/status", "", "", 404, `{"error":"events are posted to /in/ and a path"}`},
		{"two levels in one", "/in/orders/a%2fb", "", "", 400, `{"error":"the path may not hold %2F"}`},
		{"wildcard", "/in/orders/+", "", "", 400, `{"error":"the path is no topic: topic \"orders/+\": wildcards cannot be published to"}`},
		{"no duration", "/in/orders/5?wait=ten", "", "", 400, `{"error":"wait is a duration such as 10s, not \"ten\""}`},
		{"packed", "/in/orders/5", "", "Content-Encoding: gzip", 415, `{"error":"a body has to come as it is, without Content-Encoding"}`},
		{"batch", "/in/orders/5", "[]", "Content-Type: application/cloudevents-batch+json", 400, `{"error":"application/cloudevents-batch+json is not taken: send one event as application/cloudevents+json"}`},
		{"page elsewhere", "/in/orders/5", "x", "Origin: https://evil.example", 403, `{"error":"web pages of other hosts may not post here"}`},
		{"new browser", "/in/orders/5", "x", "Sec-Fetch-Site: cross-site", 403, `{"error":"web pages of other hosts may not post here"}`},
		{"rebound name", "/in/orders/5", "x", "Host: evil.example", 403, `{"error":"the host is localhost or 127.0.0.1 here, not \"evil.example\", as long as there is no token"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, text, _ := post(t, http.DefaultClient, url+tt.path, tt.body, strings.Split(tt.head, "\n")...)
			if status != tt.status || text != tt.answer {
				t.Errorf("%d %s, want %d %s", status, text, tt.status, tt.answer)
			}
		})
	}
	resp, err := http.Get(url + "/in/orders/5")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d, allowed %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
	noted(t, src, "refusals", func(note string) bool { return strings.Contains(note, "403 Forbidden: 3") })
}

func TestHTTPEvents(t *testing.T) {
	s := &sink{keep: true}
	src := newHTTP(t, s.offer)
	url := "http://" + src.Addr() + "/in/orders/a%20b"
	structured := `{"specversion":"1.0","id":"7","source":"/shop","type":"order.new","time":"2026-01-31T12:00:00Z",
		"datacontenttype":"%s","%s":%s}`
	for i, tt := range []struct {
		name, body, head          string
		kind, source, media, data string
	}{
		{"plain", "x=1", "Content-Type: application/x-www-form-urlencoded", "io.skerry.http", "/gw7/http", "application/x-www-form-urlencoded", "x=1"},
		{"JSON", `{"a":1}`, "", "io.skerry.http", "/gw7/http", "application/json", `{"a":1}`},
		{
			"binary mode", "t", "Content-Type: text/plain\nCe-Specversion: 1.0\nCe-Id: 7\nCe-Source: /shop%20a\nCe-Type: order.new",
			"order.new", "/shop a", "text/plain", "t",
		},
		{"JSON inside", fmt.Sprintf(structured, "application/json", "data", `{"a": 1}`), "Content-Type: application/cloudevents+json; charset=UTF-8", "order.new", "/shop", "application/json", `{"a": 1}`},
		{"text inside", fmt.Sprintf(structured, "text/plain", "data", `"a\nb"`), "Content-Type: application/cloudevents+json", "order.new", "/shop", "text/plain", "a\nb"},
		{"bytes inside", fmt.Sprintf(structured, "image/png", "data_base64", `"AAE="`), "Content-Type: application/cloudevents+json", "order.new", "/shop", "image/png", "\x00\x01"},
	} {
		if status, text, _ := post(t, http.DefaultClient, url, tt.body, strings.Split(tt.head, "\n")...); status != 204 { // the sink gives no ids, as if nobody wanted it
			t.Fatalf("%s: %d %s", tt.name, status, text)
		}
		ev := s.offers()[i]
		if ev.Subject != "orders/a b" || ev.Via != "http" || ev.QoS != 1 || ev.ID != "" || ev.Type != tt.kind ||
			ev.Source != tt.source || ev.ContentType != tt.media || string(ev.Data) != tt.data {
			t.Errorf("%s: %+v with data %q", tt.name, ev.Event, ev.Data)
		}
		if repeated := tt.kind == "order.new"; ev.Origin.Redelivered != repeated {
			t.Errorf("%s: origin %+v", tt.name, ev.Origin)
		}
	}
	for name, body := range map[string]string{
		"no id":     `{"specversion":"1.0","source":"/shop","type":"order.new"}`,
		"two datas": fmt.Sprintf(structured, "text/plain", "data", `1,"data_base64":""`),
		"no time":   `{"specversion":"1.0","id":"1","source":"/shop","type":"order.new","time":"noon"}`,
		"old":       `{"specversion":"0.3","id":"1","source":"/shop","type":"order.new"}`,
		"no JSON":   `{`,
		"no type":   fmt.Sprintf(structured, `text/plain\nX-Other: 1`, "data", "1"),
	} {
		if status, text, _ := post(t, http.DefaultClient, url, body, "Content-Type: application/cloudevents+json"); status != 400 {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// TestHTTPRepeatedRequests: a key gives the same origin each time, and another
// body under it another event.
func TestHTTPRepeatedRequests(t *testing.T) {
	s := &sink{keep: true}
	src := newHTTP(t, s.offer)
	url := "http://" + src.Addr() + "/in/orders/5"
	for _, body := range []string{"x", "x", "y"} {
		post(t, http.DefaultClient, url, body, "Idempotency-Key: k1")
	}
	got := s.offers()
	if a, b := got[0].Origin, got[1].Origin; a != b || a.Slot == "" || !a.Redelivered {
		t.Errorf("repeated request: %+v, first %+v", b, a)
	}
	if a, b := got[0].Origin, got[2].Origin; a.Slot != b.Slot || a.Hash == b.Hash {
		t.Errorf("other body: %+v, first %+v", b, a)
	}
}

func TestHTTPRefusesWhatItCannotKeep(t *testing.T) {
	s := &sink{}
	src := newHTTP(t, s.offer, func(o *sensors.HTTPOptions) { o.MaxWaiting, o.MaxBody = 2, 10 })
	url := "http://" + src.Addr() + "/in/orders/5"
	answers := make(chan int, 2)
	for range 2 {
		go func() {
			status, _, _ := post(t, http.DefaultClient, url, "x")
			answers <- status
		}()
	}
	s.wait(t, 2)
	status, text, head := post(t, http.DefaultClient, url, "x")
	if status != 503 || head.Get("Retry-After") != "1" {
		t.Errorf("full: %d %s, %v", status, text, head)
	}
	if n := src.Status().Inflight; n != 2 {
		t.Errorf("%d in flight", n)
	}
	for _, o := range s.offers() {
		o.done(errors.New("disk full"))
	}
	for range 2 {
		if status := <-answers; status != 503 {
			t.Errorf("not kept: %d", status)
		}
	}
	if status, text, _ = post(t, http.DefaultClient, url, "eleven byte"); status != 413 {
		t.Errorf("too large: %d %s", status, text)
	}
	conn, err := net.Dial("tcp", src.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /in/orders/5 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nb\r\neleven byte\r\n0\r\n\r\n")
	first := make([]byte, 12)
	if _, err := io.ReadFull(conn, first); err != nil || string(first) != "HTTP/1.1 413" {
		t.Errorf("too large, in chunks: %q, %v", first, err)
	}
	idle(t, src)
}

func TestHTTPRate(t *testing.T) {
	src := newHTTP(t, functions, func(o *sensors.HTTPOptions) { o.Rate, o.Burst = 0.01, 3 })
	for i := range 4 {
		status, text, head := post(t, http.DefaultClient, "http://"+src.Addr()+"/in/orders/5", "x")
		switch {
		case i < 3 && status != 202:
			t.Errorf("request %d: %d %s", i, status, text)
		case i == 3 && (status != 429 || head.Get("Retry-After") == ""):
			t.Errorf("one too many: %d %s %v", status, text, head)
		}
	}
}

func TestHTTPToken(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "token"), "first\n")
	src := newHTTP(t, functions, func(o *sensors.HTTPOptions) { o.TokenFile = file })
	url := "http://" + src.Addr() + "/in/orders/5"
	status, text, head := post(t, http.DefaultClient, "http://"+src.Addr()+"/in/nowhere", "x")
	if status != 401 || head.Get("WWW-Authenticate") != "Bearer" || strings.Contains(text, "orders") || !strings.Contains(text, "Bearer <token>") {
		t.Errorf("no token: %d %s", status, text)
	}
	if status, text, _ = post(t, http.DefaultClient, url, "x", "Authorization: Bearer first", "Host: gateway.example"); status != 202 {
		t.Errorf("right token: %d %s", status, text)
	}
	write(t, file, "second")
	if status, text, _ = post(t, http.DefaultClient, url, "x", "Authorization: Bearer first"); status != 401 {
		t.Errorf("old token: %d %s", status, text)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if status, text, _ = post(t, http.DefaultClient, url, "x", "Authorization: Bearer second"); status != 503 {
		t.Errorf("token that cannot be read: %d %s", status, text)
	}
}

func TestHTTPClientCertificates(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	src := newHTTP(t, functions, func(o *sensors.HTTPOptions) {
		o.CertFile, o.KeyFile, o.ClientCAFile = files.ServerCert, files.ServerKey, files.CA
	})
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(pem)
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: config.Clone()}}
	if resp, err := stranger.Post("https://"+src.Addr()+"/in/orders/5", "", strings.NewReader("x")); err == nil {
		resp.Body.Close()
		t.Errorf("without a certificate: %s", resp.Status)
	}
	cert, err := tls.LoadX509KeyPair(files.ClientCert, files.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{cert}
	known := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer known.CloseIdleConnections()
	if status, text, _ := post(t, known, "https://"+src.Addr()+"/in/orders/5?wait=5s", "x"); status != 200 {
		t.Errorf("with a certificate: %d %s", status, text)
	}
}

func TestHTTPUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "in.sock")
	newHTTP(t, functions, func(o *sensors.HTTPOptions) { o.Listen = "unix:" + path })
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	defer c.CloseIdleConnections()
	if status, text, _ := post(t, c, "http://skerry/in/orders/5", "x"); status != 202 {
		t.Errorf("%d %s", status, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket %v, %v", info, err)
	}
}

func TestNewHTTPRefuses(t *testing.T) {
	for want, o := range map[string]sensors.HTTPOptions{
		"other machines reach 0.0.0.0:9181: set a token":       {Listen: "0.0.0.0:9181"},
		"other machines reach :9181: set a token":              {Listen: ":9181"},
		`listen address "gateway" must be host:port`:           {Listen: "gateway"},
		"a certificate needs a key":                            {CertFile: "x"},
		"client_ca_file needs a certificate for this side too": {ClientCAFile: "x"},
	} {
		if _, err := sensors.NewHTTP(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

// TestHTTPStops: requests under way are answered, and Run ends soon though some
// never end.
func TestHTTPStops(t *testing.T) {
	s := &sink{}
	opts := sensors.HTTPOptions{Device: "gw7", Listen: "127.0.0.1:0", Log: quiet()}
	src, err := sensors.NewHTTP(opts)
	if err != nil {
		t.Fatal(err)
	}
	src.Follow([]agent.Trigger{{Name: "app/a", Via: "http", Filter: "#"}})
	stop := start(t, src, s)
	testbed.Eventually(t, patience, "the source listens", func() error {
		if src.Addr() == "" {
			return errors.New("not yet")
		}
		return nil
	})
	conn, err := net.Dial("tcp", src.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /in/never HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab")
	status := make(chan int, 1)
	go func() {
		code, _, _ := post(t, http.DefaultClient, "http://"+src.Addr()+"/in/a?wait=50s", "x")
		status <- code
	}()
	o := s.wait(t, 1)[0]
	o.ID = "gw7/1"
	o.done(nil)
	began := time.Now()
	stop()
	if got := <-status; got != 202 {
		t.Errorf("%d, want 202: the event goes on", got)
	}
	if d := time.Since(began); d > patience/2 {
		t.Errorf("stopping took %s", d)
	}
}
