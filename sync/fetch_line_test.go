package fleetsync_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// line is a bad way to a registry. It counts the bytes of blobs that came through.
type line struct {
	*httptest.Server
	to    string // address of the registry
	bytes atomic.Int64
	asked atomic.Int64 // for blobs

	mu    sync.Mutex
	treat func(a *answer) // nil: as it is
}

// answer is what the registry says to a request for a blob, and what becomes of it.
type answer struct {
	ask    int64 // the first is 1
	req    *http.Request
	status int
	header http.Header
	body   []byte
	cut    int  // hang up behind so many bytes, -1: at once; 0: never
	stall  bool // fall silent there instead
	pace   time.Duration
}

const pieceBytes = 16 << 10

func newLine(t *testing.T, to string) *line {
	l := &line{to: to}
	l.Server = httptest.NewUnstartedServer(l)
	l.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	l.Start()
	t.Cleanup(l.Close)
	return l
}

func (l *line) ref() string { return "oci://" + l.Listener.Addr().String() + "/acme/fleet" }

// set says what becomes of answers from now on, and counts anew.
func (l *line) set(treat func(a *answer)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.treat = treat
	l.bytes.Store(0)
	l.asked.Store(0)
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	blob := strings.Contains(r.URL.Path, "/blobs/")
	a := &answer{req: r}
	if blob {
		a.ask = l.asked.Add(1)
	}
	if err := a.get(l.to); err != nil {
		panic(http.ErrAbortHandler) // the registry is away
	}
	l.mu.Lock()
	if l.treat != nil && blob {
		l.treat(a)
	}
	l.mu.Unlock()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.(http.Flusher).Flush()
	l.send(w, a)
}

// get asks the registry.
func (a *answer) get(addr string) error {
	req, err := http.NewRequest(a.req.Method, "http://"+addr+a.req.URL.Path, nil)
	if err != nil {
		return err
	}
	req.Header = a.req.Header.Clone()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, err = io.ReadAll(resp.Body)
	return err
}

func (l *line) send(w http.ResponseWriter, a *answer) {
	body := a.body
	hangUp := a.cut != 0 && a.cut < len(body)
	if hangUp {
		body = body[:max(a.cut, 0)]
	}
	for len(body) > 0 {
		piece := body[:min(len(body), pieceBytes)]
		if a.pace > 0 {
			select {
			case <-time.After(a.pace):
			case <-a.req.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		n, err := w.Write(piece)
		if l.bytes.Add(int64(n)); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.(http.Flusher).Flush()
		body = body[n:]
	}
	if hangUp {
		if a.stall {
			<-a.req.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
}

// ranged is the first byte that was asked for.
func (a *answer) ranged() (from int64) {
	_, _ = fmt.Sscanf(a.req.Header.Get("Range"), "bytes=%d-", &from) // none is 0
	return from
}

// whole answers with all of the blob, as a server does that knows no ranges.
func (a *answer) whole(addr string) {
	a.req.Header.Del("Range")
	if err := a.get(addr); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// plainly answers with a status and nothing else.
func (a *answer) plainly(status int, header ...string) {
	a.status, a.header, a.body = status, http.Header{}, nil
	for i := 0; i < len(header); i += 2 {
		a.header.Set(header[i], header[i+1])
	}
}

// pushBlob puts a blob into the registry's repository.
func pushBlob(t *testing.T, addr string, data []byte) agent.Digest {
	t.Helper()
	d := digestOf(data)
	resp, err := http.Post("http://"+addr+"/v2/acme/fleet/blobs/uploads/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	query.Set("digest", string(d))
	to.RawQuery = query.Encode()
	req, err := http.NewRequest(http.MethodPut, to.String(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("push a blob: %v, %v", resp, err)
	}
	resp.Body.Close()
	return d
}

// gateway is a device that fetches modules into a store on disk.
type gateway struct {
	t     *testing.T
	dir   string
	opts  store.Options
	store *store.Store
	pull  *fleetsync.Puller
}

func newGateway(t *testing.T, dir, ref string) *gateway {
	g := &gateway{t: t, dir: dir, opts: fetchStore()}
	g.start(ref)
	t.Cleanup(g.stop)
	return g
}

func (g *gateway) start(ref string) {
	g.t.Helper()
	var err error
	if g.store, err = store.Open(g.dir, g.opts); err != nil {
		g.t.Fatal(err)
	}
	reg, err := fleetsync.NewRegistry(ref, fleetsync.RegistryOptions{Retries: 1, Idle: 800 * time.Millisecond})
	if err != nil {
		g.t.Fatal(err)
	}
	g.pull = fleetsync.NewPuller(reg, g.store, &runner{}, device(), fleetsync.PullerOptions{Log: g.opts.Log})
}

func (g *gateway) stop() {
	if err := g.store.Close(); err != nil {
		g.t.Error(err)
	}
}

// bring fetches the module, by patches if there are some.
func (g *gateway) bring(module []byte, patches ...fleetsync.AppPatch) error {
	d := digestOf(module)
	fn := agent.Function{Name: "overheat/f", Digest: d, Size: int64(len(module))}
	return g.pull.Bring(g.t.Context(), []agent.Function{fn}, map[agent.Digest][]fleetsync.AppPatch{d: patches})
}

// want holds that the module is there, whole.
func (g *gateway) want(module []byte) {
	g.t.Helper()
	if got, err := g.store.Blob(digestOf(module)); err != nil || !bytes.Equal(got, module) {
		g.t.Fatalf("the module is not there: %d bytes, %v", len(got), err)
	}
}

// nothing holds that neither the module nor a part of it is there.
func (g *gateway) nothing() {
	g.t.Helper()
	blobs, err := g.store.Blobs()
	begun, err2 := g.store.Unfinished()
	if len(blobs)+len(begun) > 0 || err != nil || err2 != nil {
		g.t.Fatalf("it holds %v and %v of others: %v, %v", blobs, begun, err, err2)
	}
}

func startLine(t *testing.T) (*testbed.Registry, *line) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{})
	return reg, newLine(t, reg.Addr())
}
