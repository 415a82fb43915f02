package uplink_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

// A token file that is replaced counts from the next request on. While it makes
// no sense the old token serves, and the target says so.
func TestCredentialFileIsReadAgain(t *testing.T) {
	far := newCounter(t, status(202))
	file := filepath.Join(t.TempDir(), "token")
	c := kindConfig("http", far.URL)
	c.TokenFile = file
	write(t, file, "first\n")
	target := open(t, c)
	for _, tt := range []struct {
		content, want, note string
	}{
		{"", "first", ""},
		{"second\n", "second", ""},
		{"\n", "second", "token_file: what was read before stays in use: " + file + " has nothing on its first line"},
		{"third\nmore", "third", ""},
		{"a\x00b", "third", "holds characters that a header cannot carry"},
		{"4", "4", ""},
	} {
		if tt.content != "" {
			write(t, file, tt.content)
		}
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if r, _ := far.got(); r.Header.Get("Authorization") != "Bearer "+tt.want {
			t.Errorf("after %q: %q, want %q", tt.content, r.Header.Get("Authorization"), tt.want)
		}
		notes := strings.Join(target.(uplink.Noter).Notes(), "\n")
		if !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
			t.Errorf("after %q: notes %q, want %q", tt.content, notes, tt.note)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := target.Send(t.Context(), sample()); err != nil || len(target.(uplink.Noter).Notes()) != 1 {
		t.Errorf("without the file: %v, %q", err, target.(uplink.Noter).Notes())
	}
}

// A token that was replaced while a request was under way is tried at once.
func TestTokenRotatesUnderWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write(t, file, "old")
	far := newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer old" {
			write(t, file, "new")
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	c := kindConfig("http", far.URL)
	c.TokenFile = file
	if err := open(t, c).Send(t.Context(), sample()); err != nil || far.requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, far.requests.Load())
	}
}

// write replaces a file as tools that rotate credentials do.
func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// The next connection shows the certificate that the file has then.
func TestClientCertificateIsReadAgain(t *testing.T) {
	var shown [][]byte
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown = append(shown, r.TLS.PeerCertificates[0].Raw)
	}))
	cert, ca := certificate(t, time.Now().Add(-time.Hour))
	far.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert}
	far.Config.SetKeepAlivesEnabled(false)
	far.StartTLS()
	defer far.Close()
	c := kindConfig("http", far.URL)
	dir := t.TempDir()
	c.CAFile, c.CertFile, c.KeyFile = ca, filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	var pairs []tls.Certificate
	rotate := func() {
		pair, _ := certificate(t, time.Now().Add(-time.Hour))
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		write(t, c.KeyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
		write(t, c.CertFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
		pairs = append(pairs, pair)
	}
	rotate()
	target := open(t, c)
	for i := range 3 {
		switch i {
		case 1:
			rotate()
		case 2:
			write(t, c.CertFile, "half a certificate")
		}
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if want := pairs[min(i, 1)].Certificate[0]; string(shown[i]) != string(want) {
			t.Errorf("request %d shows another certificate", i)
		}
	}
	if notes := target.(uplink.Noter).Notes(); len(notes) != 1 || !strings.HasPrefix(notes[0], "cert_file: ") {
		t.Errorf("notes %q", notes)
	}
}

// The signature is what docs/targets.md says, and takes over the far side's
// clock when that refuses ours.
func TestHMAC(t *testing.T) {
	cloud := time.Now().Add(1000 * time.Hour).UTC().Truncate(time.Second)
	tries := 0
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		body, _ := io.ReadAll(r.Body) // a cut body fails the comparison
		at, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Sig"), "t="), ",v1=")
		m := hmac.New(sha256.New, []byte("secret"))
		m.Write([]byte(at + "\nPOST\n" + r.RequestURI + "\n"))
		m.Write(body)
		if signature != hex.EncodeToString(m.Sum(nil)) {
			t.Errorf("signature %q of %q", signature, body)
		}
		w.Header().Set("Date", cloud.Format(http.TimeFormat))
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil || time.Unix(seconds, 0).Sub(cloud).Abs() > time.Minute {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer far.Close()
	c := kindConfig("http", far.URL+"/a%20b?q=%C3%96")
	c.Auth, c.Secret, c.AuthHeader, c.Compress = "hmac", "secret", "X-Sig", "gzip"
	target := open(t, c)
	for _, want := range []int{2, 3} { // the second record needs no second try
		if err := target.Send(t.Context(), sample()); err != nil || tries != want {
			t.Errorf("%v after %d requests, want %d", err, tries, want)
		}
	}
}

// Requests that were under way together are all signed again when the first of
// them has set the clock.
func TestClockIsSetForAllUnderWay(t *testing.T) {
	const n = 3
	cloud := time.Now().Add(1000 * time.Hour).UTC()
	for _, kind := range []string{"http", "lambda"} {
		arrived, all := make(chan bool, 2*n), make(chan bool)
		go func() {
			for range n {
				<-arrived
			}
			close(all)
		}()
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			arrived <- true
			<-all
			w.Header().Set("Date", cloud.Format(http.TimeFormat))
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
			if kind == "http" {
				at, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("X-Skerry-Signature"), "t="), ",")
				var seconds int64
				seconds, err = strconv.ParseInt(at, 10, 64)
				signed = time.Unix(seconds, 0)
			}
			if err != nil || signed.Sub(cloud).Abs() > time.Minute {
				w.WriteHeader(http.StatusForbidden)
			}
		}))
		c := kindConfig(kind, far.URL)
		if kind == "http" {
			c.Auth, c.Secret = "hmac", "secret"
		}
		target := open(t, c)
		results := make(chan error, n)
		for range n {
			go func() { results <- target.Send(t.Context(), sample()) }()
		}
		for range n {
			if err := <-results; err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		far.Close()
	}
}
