package fleetsync_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// runner is an Applier that remembers what runs.
type runner struct {
	mu    sync.Mutex
	now   agent.Deployment
	times int
	fail  error
	// broken are apps that do not start: "name@version".
	broken  map[string]error
	refused int  // times that Apply failed for them
	dies    bool // when everything is loaded and kept, before it switches
}

func (r *runner) Apply(_ context.Context, d agent.Deployment) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	causes := map[string]error{}
	for _, app := range d.Apps {
		if err := r.broken[app.Name+"@"+app.Version]; err != nil {
			causes[app.Name+"/f"] = fmt.Errorf("load %s/f: %w", app.Name, err)
		}
	}
	if len(causes) > 0 {
		r.refused++
		return fmt.Errorf("apply generation %d: %w", d.Generation, &agent.LoadError{Causes: causes})
	}
	if d.Keep != nil {
		if err := d.Keep(); err != nil {
			return err
		}
	}
	if r.dies {
		return errors.New("the power went")
	}
	r.now = d
	r.times++
	return nil
}

func (r *runner) running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, a := range r.now.Apps {
		out = append(out, a.Name+"@"+a.Version)
	}
	return out
}

func (r *runner) want(t *testing.T, apps ...string) {
	t.Helper()
	if got := r.running(); !slices.Equal(got, apps) {
		t.Fatalf("running %v, want %v", got, apps)
	}
}

func digestOf(data []byte) agent.Digest {
	return agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
}

// module makes bytes that pass for a module, the same for the same seed.
func module(seed uint64, size int) []byte {
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	data := make([]byte, size)
	_, _ = src.Read(data) // never fails
	copy(data, "\x00asm\x01\x00\x00\x00")
	return data
}

// bench is a folder to publish from and a device that pulls.
type bench struct {
	t     *testing.T
	dir   string
	ref   string
	keys  map[string]string // folder, by the reference of its fleet
	roots map[string][]byte // by the folder
	tls   *tls.Config       // of publishing; nil for the usual
	cache *memory
	run   *runner
	log   *bytes.Buffer
}

func newBench(t *testing.T, ref string) *bench {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	return &bench{
		t: t, dir: t.TempDir(), ref: ref, keys: map[string]string{}, roots: map[string][]byte{},
		cache: newMemory(), run: &runner{}, log: &bytes.Buffer{},
	}
}

// access is to the fleet at b.ref, which it makes the first time.
func (b *bench) access() fleetsync.Access {
	b.t.Helper()
	access := fleetsync.Access{Ref: b.ref, Keys: b.keys[b.ref], TLS: b.tls}
	if access.Keys == "" {
		access.Keys = filepath.Join(b.t.TempDir(), "keys")
		fleet, err := fleetsync.InitFleet(b.t.Context(), fleetsync.InitOptions{Access: access})
		if err != nil {
			b.t.Fatalf("begin a fleet: %v", err)
		}
		b.keys[b.ref], b.roots[access.Keys] = access.Keys, fleet.Root
	}
	return access
}

// root is what devices of the fleet at b.ref trust.
func (b *bench) root() []byte {
	b.t.Helper()
	return b.roots[b.access().Keys]
}

func (b *bench) write(name, text string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// app writes an app of one function with a module of its own.
func (b *bench) app(name, version string, seed uint64, size int) string {
	b.write(name+".wasm", string(module(seed, size)))
	return b.write(name+".yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: %s, version: %s}
functions:
  f: {module: {path: ./%s.wasm}, limits: {memory: 32Mi, timeout: 2s}, permissions: {invoke: [central/notify]}}
triggers:
  - {name: hot, function: f, mqtt: {topic: $share/g/sensors/+/t, qos: 2, retained: ignore}}
  - {name: tick, function: f, schedule: {every: 30s}}
`, name, version, name))
}

func (b *bench) publish(app, fleet string) fleetsync.PublishResult {
	b.t.Helper()
	res, err := fleetsync.Publish(b.t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: app, FleetFile: fleet})
	if err != nil {
		b.t.Fatalf("publish: %v", err)
	}
	return res
}

func device() fleetsync.Device {
	return fleetsync.Device{
		ID: "gw7", Labels: map[string]string{"site": "west"}, Arch: "arm64",
		Brokers: []string{"plant", "hall"}, Targets: []string{"notify"}, Secrets: []string{"token"},
	}
}

// puller makes a device with the bench's cache; via is the reference it uses.
func (b *bench) puller(via string) *fleetsync.Puller {
	b.t.Helper()
	return b.pullerOf(via, device(), fleetsync.Checks{})
}

func (b *bench) pullerOf(via string, d fleetsync.Device, checks fleetsync.Checks) *fleetsync.Puller {
	b.t.Helper()
	return b.pullerOptions(via, d, fleetsync.PullerOptions{Checks: checks})
}

func (b *bench) pullerOptions(via string, d fleetsync.Device, opts fleetsync.PullerOptions) *fleetsync.Puller {
	b.t.Helper()
	reg, err := fleetsync.NewRegistry(via, fleetsync.RegistryOptions{Retries: -1})
	if err != nil {
		b.t.Fatal(err)
	}
	if opts.Root == nil {
		opts.Root = b.root()
	}
	opts.Log = slog.New(slog.NewTextHandler(b.log, nil))
	return fleetsync.NewPuller(reg, b.cache, b.run, d, opts)
}

func check(t *testing.T, p *fleetsync.Puller) {
	t.Helper()
	if err := p.Check(t.Context()); err != nil {
		t.Fatalf("check: %v", err)
	}
}

func wantErr(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("error %q lacks %q", err, part)
		}
	}
}

// proxy counts what passes between a device and a registry, and meddles.
type proxy struct {
	*httptest.Server
	requests, bytes atomic.Int64
	meddle          atomic.Pointer[func(*http.Response) error]
	cut             atomic.Int64 // of blob bodies: bytes after which to hang up; 0 never
	strip           atomic.Bool  // drop Range, as some servers do
	stall           atomic.Bool  // the next blob body falls silent in the middle
}

func newProxy(t *testing.T, addr string) *proxy {
	p := &proxy{}
	rp := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	rp.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	rp.ModifyResponse = func(resp *http.Response) error {
		if f := p.meddle.Load(); f != nil {
			return (*f)(resp)
		}
		return nil
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		limit := int64(0)
		var done <-chan struct{}
		if strings.Contains(r.URL.Path, "/blobs/") {
			limit = p.cut.Load()
			if p.strip.Load() {
				r.Header.Del("Range")
			}
			if p.stall.CompareAndSwap(true, false) {
				limit, done = 100_000, r.Context().Done()
			}
		}
		rp.ServeHTTP(&countingWriter{ResponseWriter: w, p: p, limit: limit, done: done}, r)
	}))
	p.Config.ErrorLog = rp.ErrorLog
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) ref(repo string) string { return "oci://" + p.Listener.Addr().String() + "/" + repo }

func (p *proxy) reset() { p.requests.Store(0); p.bytes.Store(0) }

type countingWriter struct {
	http.ResponseWriter
	p        *proxy
	n, limit int64
	done     <-chan struct{} // hang up only then
}

func (w *countingWriter) Write(data []byte) (int, error) {
	if w.limit > 0 && w.n+int64(len(data)) > w.limit {
		data = data[:w.limit-w.n]
		w.p.bytes.Add(int64(len(data)))
		_, _ = w.ResponseWriter.Write(data)
		w.ResponseWriter.(http.Flusher).Flush()
		if w.done != nil {
			<-w.done
		}
		panic(http.ErrAbortHandler)
	}
	w.n += int64(len(data))
	w.p.bytes.Add(int64(len(data)))
	return w.ResponseWriter.Write(data)
}
