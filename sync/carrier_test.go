package fleetsync_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func TestRangeIgnoredAndCut(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 300_000), "")
	var times atomic.Int64
	proxy.strip.Store(true)
	grow := func(resp *http.Response) error {
		if strings.Contains(resp.Request.URL.Path, "/blobs/") {
			proxy.cut.Store(100_000 * times.Add(1))
		}
		return nil
	}
	proxy.cut.Store(100_000)
	proxy.meddle.Store(&grow)
	check(t, b.puller(proxy.ref("acme/fleet")))
	b.run.want(t, "overheat@1.0.0")
}

func TestSilentConnectionIsGivenUp(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 300_000), "")
	proxy.stall.Store(true)
	r, err := fleetsync.NewRegistry(proxy.ref("acme/fleet"), fleetsync.RegistryOptions{Retries: -1, Idle: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	check(t, fleetsync.NewPuller(r, b.cache, b.run, device(), fleetsync.PullerOptions{Root: b.root()}))
	b.run.want(t, "overheat@1.0.0")
	if n := proxy.bytes.Load(); n > 310_000 {
		t.Errorf("%d bytes for a module of 300000", n)
	}
}

func TestCredentialsFromDockerConfig(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("htpasswd", "-Bbn", "u", "p").Output()
	if err != nil {
		t.Fatalf("htpasswd: %v; install it with: apt-get install -y --no-install-recommends apache2-utils", err)
	}
	users := filepath.Join(dir, "users")
	if err := os.WriteFile(users, bytes.TrimSpace(out), 0o600); err != nil {
		t.Fatal(err)
	}
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{Htpasswd: users})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	config := `{"auths":{"` + reg.Addr() + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("u:p")) + `"}}}`
	file := filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.puller(b.ref).Check(t.Context()); !errors.Is(err, fleetsync.ErrNothingPublished) {
		t.Fatalf("empty repository: %v", err)
	}
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	check(t, b.puller(b.ref))
	b.run.want(t, "overheat@1.0.0")

	if err := os.Rename(file, filepath.Join(dir, "mine.json")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, b.puller(b.ref).Check(t.Context()), reg.Addr())
	r, err := fleetsync.NewRegistry(b.ref, fleetsync.RegistryOptions{Credentials: filepath.Join(dir, "mine.json")})
	if err != nil {
		t.Fatal(err)
	}
	check(t, fleetsync.NewPuller(r, b.cache, b.run, device(), fleetsync.PullerOptions{Root: b.root()}))
}

func TestRetryAfterIsObeyed(t *testing.T) {
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	proxy := newProxy(t, reg.Addr())
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	r, err := fleetsync.NewRegistry(proxy.ref("acme/fleet"), fleetsync.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := fleetsync.NewPuller(r, b.cache, b.run, device(), fleetsync.PullerOptions{Root: b.root()})
	after := "3600"
	busy := func(resp *http.Response) error {
		if after != "" {
			resp.StatusCode, resp.Status = http.StatusTooManyRequests, "429 Too Many Requests"
			resp.Header.Set("Retry-After", after)
		}
		if after == "1" {
			after = ""
		}
		return nil
	}
	proxy.meddle.Store(&busy)
	wantErr(t, p.Check(t.Context()), "429", "it wants no request for 1h")
	if n := proxy.requests.Load(); n != 1 {
		t.Errorf("%d requests to a registry that asks for an hour", n)
	}
	after = "1"
	start := time.Now()
	check(t, p)
	if took := time.Since(start); took < time.Second {
		t.Errorf("came back after %s, asked to wait 1 s", took)
	}
	b.run.want(t, "overheat@1.0.0")
}
