package uplink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

// battery is one far side's behaviour and what every HTTP target must make of it.
type battery struct {
	name       string
	far        http.HandlerFunc
	want       uplink.Class
	status     int
	retryAfter time.Duration
	reason     string // part of it
	notFor     string // a kind that reads more of an answer; its own tests say what
}

func status(code int, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Set(pairs[i], pairs[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, "said\r\nso")
	}
}

// cutOff promises more than it sends.
func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "100")
	w.Write([]byte("half")) // a client that is gone fails its own test
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// hang reads the request, as the server notices only then that the client left.
func hang(_ http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // the client's leaving ends the wait below
	<-r.Context().Done()
}

// past is a Date that makes whoever signs with the time sign again.
const past = "Mon, 02 Jan 2006 15:04:05 GMT"

// drip begins an answer and never ends it.
func drip(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // the client's leaving ends the wait below
	w.Write([]byte("half"))     // a client that is gone fails its own test
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func huge(w http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 64<<10)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func huge503(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "0") // else it would be read thrice
	w.WriteHeader(http.StatusServiceUnavailable)
	huge(w, r)
}

var batteries = []battery{
	{name: "success", far: status(202), want: uplink.Delivered, notFor: "xray"},
	{name: "success with a huge answer", far: huge, want: uplink.Delivered, notFor: "xray"},
	{name: "function error", far: status(200, "X-Amz-Function-Error", "Unhandled"), want: uplink.FnError, status: 200},
	{name: "function error of the Functions Framework", far: status(500, "X-Google-Status", "error"), want: uplink.FnError, status: 500},
	{name: "function that panicked there", far: status(500, "X-Google-Status", "crash"), want: uplink.FnError, status: 500},
	{name: "request that it could not read", far: status(400, "X-Google-Status", "crash"), want: uplink.Permanent, status: 400},
	{name: "429 with Retry-After", far: status(429, "Retry-After", "20"), want: uplink.Retry, status: 429, retryAfter: 20 * time.Second},
	{name: "429 with a year", far: status(429, "Retry-After", "31536000"), want: uplink.Retry, status: 429, retryAfter: time.Hour},
	{name: "503", far: status(503, "Retry-After", "0"), want: uplink.Retry, status: 503, reason: "answered 503 Service Unavailable: said so"},
	{name: "503 with garbage", far: status(503, "Retry-After", "later"), want: uplink.Retry, status: 503},
	{name: "408", far: status(408), want: uplink.Retry, status: 408},
	{name: "503 with a huge answer", far: huge503, want: uplink.Retry, status: 503},
	{name: "cut in mid-answer", far: cutOff, want: uplink.Retry, reason: "cut off"},
	{name: "hang", far: hang, want: uplink.Retry, reason: "no answer in time"},
	{name: "slow", far: drip, want: uplink.Retry, reason: "no answer in time"},
	{name: "success with a Date years off", far: status(202, "Date", past), want: uplink.Delivered, notFor: "xray"},
	{name: "401 with a Date years off", far: status(401, "Date", past), want: uplink.Hold, status: 401},
	{name: "redirect", far: status(302, "Location", "/portal"), want: uplink.Retry, status: 302, reason: "not followed"},
	{name: "401", far: status(401), want: uplink.Hold, status: 401},
	{name: "403", far: status(403), want: uplink.Hold, status: 403},
	{name: "410", far: status(410), want: uplink.Hold, status: 410},
	{name: "413", far: status(413), want: uplink.Permanent, status: 413},
	{name: "422", far: status(422), want: uplink.Permanent, status: 422},
}

func TestConformance(t *testing.T) {
	for _, kind := range httpKinds() {
		for _, b := range batteries {
			if b.notFor == kind {
				continue
			}
			t.Run(kind+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				far := httptest.NewServer(b.far)
				defer far.Close()
				timeout := time.Minute
				if b.name == "hang" || b.name == "slow" {
					timeout = 300 * time.Millisecond
				}
				b.check(t, openKind(t, kind, far.URL, timeout).Send(t.Context(), sampleOf(kind)))
			})
		}
	}
}

func (b *battery) check(t *testing.T, err error) {
	t.Helper()
	if got := uplink.ClassOf(err); got != b.want {
		t.Fatalf("class %v, want %v: %v", got, b.want, err)
	}
	if err == nil {
		return
	}
	e := asError(err)
	if e.Status != b.status || e.RetryAfter != b.retryAfter || !strings.Contains(e.Reason, b.reason) {
		t.Errorf("got status %d, retry after %v, reason %q; want %d, %v, %q",
			e.Status, e.RetryAfter, e.Reason, b.status, b.retryAfter, b.reason)
	}
}

// A far side that is over its hiccup in a moment is asked thrice.
func TestHiccup(t *testing.T) {
	var far *counter
	far = newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		if far.requests.Load() < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if err := openKind(t, "http", far.URL, 0).Send(t.Context(), sample()); err != nil || far.requests.Load() != 3 {
		t.Errorf("%v after %d requests", err, far.requests.Load())
	}
}

// A captive portal answers with a redirect to a page that says 200: it must
// never be asked for.
func TestRedirectIsNotFollowed(t *testing.T) {
	var portal atomic.Int32
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/portal") {
			portal.Add(1)
			return
		}
		http.Redirect(w, r, "/portal", http.StatusTemporaryRedirect)
	}))
	defer far.Close()
	for _, kind := range httpKinds() {
		if err := openKind(t, kind, far.URL, 0).Send(t.Context(), sampleOf(kind)); uplink.ClassOf(err) != uplink.Retry {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if n := portal.Load(); n != 0 {
		t.Errorf("the portal was asked %d times", n)
	}
}

// Nobody listens, then somebody does.
func TestConnectionRefusedThenBack(t *testing.T) {
	for _, kind := range httpKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			addr := l.Addr().String()
			l.Close()
			target := openKind(t, kind, "http://"+addr, 0)
			err := target.Send(t.Context(), sampleOf(kind))
			if uplink.ClassOf(err) != uplink.Retry || !asError(err).Away {
				t.Errorf("%v, want a RETRY that says nothing of the record", err)
			}
			if l, err = net.Listen("tcp", addr); err != nil {
				t.Fatal(err)
			}
			far := &http.Server{Handler: status(202)}
			go far.Serve(l)
			defer far.Close()
			if err := target.Send(t.Context(), sampleOf(kind)); err != nil && kind != "xray" {
				t.Errorf("back, but %v", err)
			}
		})
	}
}

// What the far side would refuse for its size is refused before it costs a
// byte of the link, in a sentence that names both sizes.
func TestTooLargeIsNeverSent(t *testing.T) {
	for _, kind := range httpKinds() {
		if kind == "xray" || kind == "otlp" { // theirs are made by the agent
			continue
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			far := newCounter(t, status(202))
			c := kindConfig(kind, far.URL)
			c.MaxPayload = 1000
			rec := sampleOf(kind)
			rec.Event.Data = []byte(`{"id":"0123456789abcdef","pad":"` + strings.Repeat("x", 1500) + `"}`)
			err := open(t, c).Send(t.Context(), rec)
			if uplink.ClassOf(err) != uplink.Permanent || !strings.Contains(err.Error(), "1000") || !strings.Contains(err.Error(), "max_payload") {
				t.Errorf("got %v", err)
			}
			if n := far.requests.Load(); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// The owner may choose that what is refused becomes a dead letter.
func TestRefusedIsDead(t *testing.T) {
	for _, kind := range httpKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for code, want := range map[int]uplink.Class{401: uplink.Permanent, 403: uplink.Permanent, 410: uplink.Hold} {
				far := newCounter(t, status(code))
				c := kindConfig(kind, far.URL)
				c.Refused = "dead"
				if err := open(t, c).Send(t.Context(), sampleOf(kind)); uplink.ClassOf(err) != want {
					t.Errorf("%d: %v, want %v: %v", code, uplink.ClassOf(err), want, err)
				}
			}
		})
	}
}

// Whatever the far side repeats of a request, a reason shows no credential.
func TestEchoedCredentialsAreHidden(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		r.Header.Del("User-Agent")
		fmt.Fprintf(w, "%s %v", r.URL.RequestURI(), r.Header)
	}
	for _, kind := range httpKinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			far := newCounter(t, echo)
			c := kindConfig(kind, far.URL)
			if c.URL != "" {
				c.URL += "?code=canary-query"
			}
			if kind != "lambda" && kind != "stepfunctions" && kind != "xray" {
				c.Headers = []string{"X-Key: canary-header"}
			}
			err := open(t, c).Send(t.Context(), sampleOf(kind))
			if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "wJalr") {
				t.Errorf("reason %q", err)
			}
		})
	}
}

// counter is a far side that counts requests and keeps the last one.
type counter struct {
	*httptest.Server
	requests atomic.Int64
	mu       sync.Mutex
	last     *http.Request
	body     []byte
}

func newCounter(t *testing.T, answer http.HandlerFunc) *counter {
	c := &counter{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a cut body fails the comparison
		c.mu.Lock()
		c.last, c.body = r, body
		c.mu.Unlock()
		c.requests.Add(1)
		answer(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

// got is the last request.
func (c *counter) got() (*http.Request, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, string(c.body)
}

// A reason never repeats the URL, which may hold a key.
func TestReasonsHoldNoSecrets(t *testing.T) {
	l := listen(t)
	base := "http://" + l.Addr().String()
	l.Close()
	c := kindConfig("http", base+"/canary-path?key=canary-query")
	c.Token = "canary-token"
	target := open(t, c)
	if err := target.Send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("reason %q", err)
	}
}

// A certificate of another year may be this gateway's clock, and one of
// somebody else a captive portal: never a dead letter, and no record's fault.
func TestWrongCertificateIsRetried(t *testing.T) {
	future, futureCA := certificate(t, time.Now().AddDate(1, 0, 0))
	now, ca := certificate(t, time.Now().Add(-time.Hour))
	other, _ := certificate(t, time.Now().Add(-time.Hour))
	for _, tt := range []struct {
		name, ca, reason string
		cert             tls.Certificate
	}{
		{"not valid yet", futureCA, "clock", future},
		{"of somebody else", ca, "signed by unknown authority", other},
		{"right", ca, "", now},
	} {
		far := httptest.NewUnstartedServer(status(202))
		far.TLS = &tls.Config{Certificates: []tls.Certificate{tt.cert}}
		far.Config.ErrorLog = log.New(io.Discard, "", 0)
		far.StartTLS()
		t.Cleanup(far.Close)
		for _, kind := range httpKinds() {
			c := kindConfig(kind, far.URL)
			c.CAFile = tt.ca
			err := open(t, c).Send(t.Context(), sampleOf(kind))
			switch {
			case tt.reason == "" && err != nil && kind != "xray":
				t.Errorf("%s, %s: %v", kind, tt.name, err)
			case tt.reason != "" && (uplink.ClassOf(err) != uplink.Retry || !strings.Contains(err.Error(), tt.reason) || !asError(err).Away):
				t.Errorf("%s, %s: %v: %v", kind, tt.name, uplink.ClassOf(err), err)
			}
		}
	}
}

// TLS with a private CA works, and its bytes are counted.
func TestTLSWithOwnCA(t *testing.T) {
	far := httptest.NewUnstartedServer(status(202))
	cert, ca := certificate(t, time.Now().Add(-time.Hour))
	far.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	far.StartTLS()
	defer far.Close()
	c := kindConfig("http", far.URL)
	c.CAFile = ca
	target := open(t, c)
	if err := target.Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if up := target.(interface{ BytesUp() int64 }).BytesUp(); up < 300 {
		t.Errorf("BytesUp %d: less than a TLS handshake", up)
	}
}

// certificate is one for 127.0.0.1, valid from the given time for two years,
// and the file of its authority (itself).
func certificate(t *testing.T, from time.Time) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.AddDate(2, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// What cannot become a request is the record's fault.
func TestUnsendableRecords(t *testing.T) {
	far := httptest.NewServer(status(202))
	defer far.Close()
	bad := sample()
	bad.Event.ContentType = "text/plain\r\nX-Evil: 1"
	for _, kind := range []string{"http", "cloudevents"} {
		if err := openKind(t, kind, far.URL, 0).Send(t.Context(), bad); uplink.ClassOf(err) != uplink.Permanent {
			t.Errorf("%s with a content type of two lines: %v", kind, err)
		}
	}
	bad = sample()
	bad.Event.Type = ""
	if err := openKind(t, "cloudevents", far.URL, 0).Send(t.Context(), bad); uplink.ClassOf(err) != uplink.Permanent {
		t.Errorf("CloudEvent without a type: %v", err)
	}
	if got := uplink.ClassOf(errors.New("any")); got != uplink.Retry {
		t.Errorf("a plain error is %v", got)
	}
}
