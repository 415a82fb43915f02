package fleetsync_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// wire counts the bytes of all connections that a device opens, as they are sent:
// headers, and handshakes where there are some.
type wire struct{ up, down, connections atomic.Int64 }

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.connections.Add(1)
	return &wireConn{Conn: conn, w: w}, nil
}

type wireConn struct {
	net.Conn
	w *wire
}

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.w.down.Add(int64(n))
	return n, err
}

func (c *wireConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.w.up.Add(int64(n))
	return n, err
}

// most holds that what happened since the last call took so many bytes down, and
// prints what it took.
func (w *wire) most(t *testing.T, what string, down int64) {
	t.Helper()
	up, got := w.up.Swap(0), w.down.Swap(0)
	t.Logf("%-40s %7d B down, %5d B up, %d new connections", what, got, up, w.connections.Swap(0))
	if got > down {
		t.Errorf("%s takes %d bytes down, want at most %d", what, got, down)
	}
}

// goModule is a Go program of about 3 MB with a constant in it.
const goModule = `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

const limit = %d

func main() {
	var reading map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&reading); err != nil {
		fmt.Fprintln(os.Stderr, "no JSON object:", err)
		os.Exit(65)
	}
	if value, ok := reading["value"].(float64); ok && value > limit {
		reading["alarm"] = fmt.Sprintf("above %%d", limit)
	}
	if err := json.NewEncoder(os.Stdout).Encode(reading); err != nil {
		os.Exit(1)
	}
}
`

// buildGo makes the module; what the toolchain has built before it takes from its cache.
func buildGo(t *testing.T, to string, limit int) (size int64) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module alarm\n\ngo 1.24\n", "main.go": fmt.Sprintf(goModule, limit)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build a Go module: %v\n%s", err, out)
	}
	info, err := os.Stat(to)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// meteredDevice is a device whose connections go through the wire.
func meteredDevice(b *bench, w *wire, opts fleetsync.RegistryOptions, root []byte) *fleetsync.Puller {
	opts.Dial, opts.Retries = w.dial, -1
	reg, err := fleetsync.NewRegistry(b.ref, opts)
	if err != nil {
		b.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	return fleetsync.NewPuller(reg, b.cache, b.run, device(), fleetsync.PullerOptions{Root: root, Log: log})
}

const alarmApp = `apiVersion: skerry/v1
kind: App
metadata: {name: alarm, version: %s}
functions:
  f: {module: {path: ./alarm.wasm}, limits: {memory: 32Mi, timeout: 2s}}
triggers:
  - {name: hot, function: f, mqtt: {topic: sensors/+/temperature}}
`

// TestBytesOnTheWire holds what a fleet of devices costs its uplinks: a Go module of
// 3 MB installed, updated with another constant, and a poll without news.
func TestBytesOnTheWire(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	size := buildGo(t, filepath.Join(b.dir, "alarm.wasm"), 30)
	b.publish(b.write("alarm.yaml", fmt.Sprintf(alarmApp, "1.0.0")), "")
	w := &wire{}
	p := meteredDevice(b, w, fleetsync.RegistryOptions{}, b.root())
	check(t, p)
	b.run.want(t, "alarm@1.0.0")
	t.Logf("the module has %d bytes", size)
	if size < 3_000_000 {
		t.Errorf("a module of %d bytes is not what is to be measured", size)
	}
	w.most(t, "first install", 900_000)
	check(t, p)
	w.most(t, "poll without news", 400)

	buildGo(t, filepath.Join(b.dir, "alarm.wasm"), 31)
	b.publish(b.write("alarm.yaml", fmt.Sprintf(alarmApp, "1.1.0")), "")
	check(t, p)
	b.run.want(t, "alarm@1.1.0")
	w.most(t, "update with another constant", 20_000)

	p = meteredDevice(b, w, fleetsync.RegistryOptions{}, b.root())
	if err := p.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, p)
	w.most(t, "poll after a restart", 400)
}

// TestBytesOfTLSAndTokens holds what a poll costs beside its HTTP when it begins with
// a new connection, and with asking for a token: handshakes, certificates and all.
func TestBytesOfTLSAndTokens(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	users := map[string]testbed.TokenUser{"gw": {Password: "secret", Actions: []string{"pull", "push"}}}
	for _, tt := range []struct {
		name        string
		tls, tokens bool
		most        int64
	}{
		{"TLS", true, false, 3000},
		{"a token", false, true, 3000},
		{"TLS and a token", true, true, 5000}, // two handshakes, with the token server's
	} {
		t.Run(tt.name, func(t *testing.T) {
			var opts testbed.RegistryOptions
			var trust *tls.Config
			if tt.tls {
				opts.CertFile, opts.KeyFile, trust = files.ServerCert, files.ServerKey, trusting(t, files.CA)
			}
			if tt.tokens {
				opts.Tokens = testbed.StartTokenServer(t, users)
				if tt.tls {
					opts.Tokens.URL = overTLS(t, opts.Tokens.URL, files)
				}
			}
			reg := testbed.StartRegistry(t, opts)
			b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
			if tt.tokens {
				login(t, reg.Addr(), "gw:secret")
			}
			access := fleetsync.Access{Ref: b.ref, Keys: filepath.Join(t.TempDir(), "keys"), TLS: trust}
			fleet, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: b.app("alarm", "1.0.0", 1, 5000)}); err != nil {
				t.Fatal(err)
			}
			w := &wire{}
			device := fleetsync.RegistryOptions{TLS: trust}
			check(t, meteredDevice(b, w, device, fleet.Root))
			w.most(t, tt.name+": first install", 20_000)
			p := meteredDevice(b, w, device, fleet.Root)
			if err := p.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			check(t, p)
			w.most(t, tt.name+": poll, new connection", tt.most)
			check(t, p)
			w.most(t, tt.name+": poll, the same connection", 400)
		})
	}
}

// login writes the docker configuration of the test.
func login(t *testing.T, addr, user string) {
	t.Helper()
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr, base64.StdEncoding.EncodeToString([]byte(user)))
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// overTLS puts TLS in front of a server, and gives its new URL.
func overTLS(t *testing.T, to string, files *testbed.TLSFiles) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(u))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	front.StartTLS()
	t.Cleanup(front.Close)
	return front.URL
}

func trusting(t *testing.T, ca string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatalf("no certificates in %s", strings.TrimSpace(ca))
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
