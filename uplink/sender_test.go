package uplink_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// What does not answer any more is not asked again over the same connection:
// one of HTTP/2 would go on until the kernel gives it up, after a quarter of an
// hour.
func TestSilentConnectionIsGivenUp(t *testing.T) {
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("it is %s", r.Proto)
		}
	}))
	far.EnableHTTP2 = true
	far.StartTLS()
	defer far.Close()
	proxy, url := testbed.InFront(t, far.URL)
	c := kindConfig("http", url)
	c.Timeout, c.CAFile = time.Second, filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(c.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: far.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	target := open(t, c)
	if err := target.Send(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	proxy.Freeze()
	if err := target.Send(t.Context(), sample()); err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Fatalf("frozen: %v", err)
	}
	testbed.Eventually(t, 20*time.Second, "another connection", func() error { return target.Send(t.Context(), sample()) })
}

// Headers without an end are not taken in.
func TestHugeHeaders(t *testing.T) {
	far := newCounter(t, status(202, "X-Huge", strings.Repeat("x", 1<<20)))
	if err := openKind(t, "http", far.URL, 0).Send(t.Context(), sample()); uplink.ClassOf(err) != uplink.Retry {
		t.Errorf("%v", err)
	}
}

// An answer may take as long as the timeout says, its beginning included.
func TestSlowFunctionIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := kindConfig("http", "http://127.0.0.1:1")
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				r, err := http.ReadRequest(bufio.NewReader(theirs))
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body) // a cut body is no answer
				<-time.After(25 * time.Second)
				io.WriteString(theirs, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}()
			return ours, nil
		}
		if err := open(t, c).Send(t.Context(), sample()); err != nil {
			t.Error(err)
		}
	})
}

// A secret that begins with another one, or is written as URLs write it, is
// hidden as a whole.
func TestSecretsAreHiddenWhole(t *testing.T) {
	far := newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "you said shop-canary")
	})
	for range 20 { // maps have no order
		c := kindConfig("http", far.URL)
		c.Token, c.Headers = "shop-canary", []string{"X-A: shop"}
		if err := open(t, c).Send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "canary") {
			t.Fatalf("%v", err)
		}
	}
	c := kindConfig("ifttt", far.URL)
	c.Token = "shop+canary /"
	far.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, r.URL.EscapedPath())
	})
	if err := open(t, c).Send(t.Context(), sample()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v", err)
	}
}
