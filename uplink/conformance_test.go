package uplink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

func huge(w http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 64<<10)
	for range 64 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

var batteries = []battery{
	{name: "success", far: status(202), want: uplink.Delivered},
	{name: "success with a huge answer", far: huge, want: uplink.Delivered},
	{name: "function error", far: status(200, "X-Amz-Function-Error", "Unhandled"), want: uplink.FnError, status: 200},
	{name: "function error of the Functions Framework", far: status(500, "X-Google-Status", "error"), want: uplink.FnError, status: 500},
	{name: "429 with Retry-After", far: status(429, "Retry-After", "20"), want: uplink.Retry, status: 429, retryAfter: 20 * time.Second},
	{name: "429 with a year", far: status(429, "Retry-After", "31536000"), want: uplink.Retry, status: 429, retryAfter: time.Hour},
	{name: "503", far: status(503), want: uplink.Retry, status: 503, reason: "answered 503 Service Unavailable: said so"},
	{name: "503 with garbage", far: status(503, "Retry-After", "later"), want: uplink.Retry, status: 503},
	{name: "408", far: status(408), want: uplink.Retry, status: 408},
	{name: "cut in mid-answer", far: cutOff, want: uplink.Retry, reason: "cut off"},
	{name: "hang", far: hang, want: uplink.Retry, reason: "no answer in time"},
	{name: "redirect", far: status(302, "Location", "/portal"), want: uplink.Retry, status: 302, reason: "not followed"},
	{name: "401", far: status(401), want: uplink.Hold, status: 401},
	{name: "403", far: status(403), want: uplink.Hold, status: 403},
	{name: "410", far: status(410), want: uplink.Hold, status: 410},
	{name: "413", far: status(413), want: uplink.Permanent, status: 413},
	{name: "422", far: status(422), want: uplink.Permanent, status: 422},
}

func TestConformance(t *testing.T) {
	for _, kind := range uplink.Kinds() {
		for _, b := range batteries {
			t.Run(kind+"/"+b.name, func(t *testing.T) {
				t.Parallel()
				far := httptest.NewServer(b.far)
				defer far.Close()
				b.check(t, openKind(t, kind, far.URL, 300*time.Millisecond).Send(t.Context(), sample()))
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
	for _, kind := range uplink.Kinds() {
		if err := openKind(t, kind, far.URL, 0).Send(t.Context(), sample()); uplink.ClassOf(err) != uplink.Retry {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if n := portal.Load(); n != 0 {
		t.Errorf("the portal was asked %d times", n)
	}
}

// Nobody listens, then somebody does.
func TestConnectionRefusedThenBack(t *testing.T) {
	for _, kind := range uplink.Kinds() {
		l := listen(t)
		addr := l.Addr().String()
		l.Close()
		target := openKind(t, kind, "http://"+addr, 0)
		if err := target.Send(t.Context(), sample()); uplink.ClassOf(err) != uplink.Retry {
			t.Errorf("%s: %v, want a RETRY", kind, err)
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		far := &http.Server{Handler: status(202)}
		go far.Serve(l)
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Errorf("%s: back, but %v", kind, err)
		}
		far.Close()
	}
}

// A reason never repeats the URL, which may hold a key.
func TestReasonsHoldNoSecrets(t *testing.T) {
	l := listen(t)
	base := "http://" + l.Addr().String()
	l.Close()
	target, err := uplink.NewHTTP(uplink.HTTPOptions{URL: base + "/in?key=canary", Token: "canary"})
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("reason %q", err)
	}
}

// A certificate of another year may be this gateway's clock: never a dead letter.
func TestExpiredCertificateIsRetried(t *testing.T) {
	far := httptest.NewUnstartedServer(status(202))
	cert, ca := certificate(t, time.Now().AddDate(1, 0, 0))
	far.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	far.StartTLS()
	defer far.Close()
	target, err := uplink.NewHTTP(uplink.HTTPOptions{URL: far.URL, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	err = target.Send(t.Context(), sample())
	if uplink.ClassOf(err) != uplink.Retry || !strings.Contains(err.Error(), "clock") {
		t.Errorf("got %v: %v", uplink.ClassOf(err), err)
	}
}

// TLS with a private CA works, and its bytes are counted.
func TestTLSWithOwnCA(t *testing.T) {
	far := httptest.NewUnstartedServer(status(202))
	cert, ca := certificate(t, time.Now().Add(-time.Hour))
	far.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	far.StartTLS()
	defer far.Close()
	target, err := uplink.NewHTTP(uplink.HTTPOptions{URL: far.URL, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
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
