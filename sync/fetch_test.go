package fleetsync_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

const moduleBytes = 1_300_000

// TestBadLines fetches a module over lines that are bad in every way that was
// thought of: in the end it is there, and no byte was served twice without need.
func TestBadLines(t *testing.T) {
	reg, l := startLine(t)
	m := module(1, moduleBytes)
	pushBlob(t, reg.Addr(), m)
	for _, tt := range []struct {
		name  string
		treat func(a *answer)
		most  float64 // bytes served, of those of the module
	}{
		{"good", nil, 1},
		{"cut every 100 kB", func(a *answer) { a.cut = 100_000 }, 1.01},
		{"silent in the middle", func(a *answer) { a.cut, a.stall = 700_000, a.ask == 1 }, 1.01},
		{"ranges are ignored", func(a *answer) {
			a.whole(l.to)
			a.cut = int(500_000 * a.ask)
		}, 2.2},
		{"ranges are refused", func(a *answer) {
			if a.ranged() > 0 {
				a.plainly(http.StatusRequestedRangeNotSatisfiable, "Content-Range", "bytes */1300000")
				return
			}
			a.cut = int(500_000 * a.ask)
		}, 1.4},
		{"busy for a second", func(a *answer) {
			if a.ask == 1 {
				a.plainly(http.StatusTooManyRequests, "Retry-After", "1")
			}
		}, 1},
		{"errors between", func(a *answer) {
			if a.ask%2 == 1 {
				a.plainly(http.StatusBadGateway)
			}
			a.cut = 500_000
		}, 1.01},
		{"ends early without a word", func(a *answer) {
			a.header.Del("Content-Length")
			a.body = a.body[:min(len(a.body), 400_000)]
		}, 1.01},
		{"says nothing of its length", func(a *answer) { a.header.Del("Content-Length") }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, t.TempDir(), l.ref())
			l.set(tt.treat)
			if err := g.bring(m); err != nil {
				t.Fatal(err)
			}
			g.want(m)
			if got := float64(l.bytes.Load()) / moduleBytes; got > tt.most {
				t.Errorf("%.3f times the module was served, want at most %.2f", got, tt.most)
			}
		})
	}
}

// TestLinesThatLie holds that nothing but the module gets in, and that it does
// once the line is honest.
func TestLinesThatLie(t *testing.T) {
	reg, l := startLine(t)
	m := module(1, moduleBytes)
	pushBlob(t, reg.Addr(), m)
	for _, tt := range []struct {
		name  string
		treat func(a *answer)
		want  string
		is    error
		kept  int64 // bytes that are not fetched again
	}{
		{"a bit is flipped", func(a *answer) { a.body[len(a.body)/2] ^= 1 }, "not " + string(digestOf(m)), fleetsync.ErrDamaged, 0},
		{"a bit is flipped, and it is cut", func(a *answer) { a.body[100] ^= 1; a.cut = 500_000 }, "not " + string(digestOf(m)), fleetsync.ErrDamaged, 0},
		{"endless", func(a *answer) {
			a.header.Del("Content-Length")
			a.body = bytes.Repeat([]byte("endless "), 1<<20)
		}, "not " + string(digestOf(m)), fleetsync.ErrDamaged, 0},
		{"it is shorter in the registry", func(a *answer) {
			if a.cut = 700_000; a.ask > 1 {
				a.header.Set("Content-Range", "bytes 700000-899999/900000")
				a.header.Set("Content-Length", "200000")
				a.body = a.body[:200_000]
			}
		}, "registry has 900000 bytes, the document says 1300000", fleetsync.ErrDamaged, 700_000},
		{"another part is sent", func(a *answer) {
			if a.cut = 300_000; a.ask > 1 {
				a.header.Set("Content-Range", "bytes 0-1299999/1300000")
			}
		}, `registry sent "bytes 0-1299999", asked from byte 300000`, nil, 300_000},
		{"gone", func(a *answer) { a.plainly(http.StatusNotFound) }, "not in the registry", nil, 0},
		{"busy for an hour", func(a *answer) {
			if a.cut = 900_000; a.ask > 1 {
				a.plainly(http.StatusTooManyRequests, "Retry-After", "3600")
			}
		}, "no request for", nil, 900_000},
		{"forbidden", func(a *answer) { a.plainly(http.StatusForbidden) }, "docker login", nil, 0},
		{"silent always", func(a *answer) { a.cut, a.stall = -1, true }, "nothing came for 800ms", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t, t.TempDir(), l.ref())
			l.set(tt.treat)
			err := g.bring(m)
			wantErr(t, err, "overheat/f", tt.want)
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if tt.kept == 0 {
				g.nothing()
			}
			if g.store.HasBlob(digestOf(m)) {
				t.Fatal("the module is there")
			}
			l.set(nil)
			if err := g.bring(m); err != nil {
				t.Fatal(err)
			}
			g.want(m)
			if most := moduleBytes - tt.kept + moduleBytes/100; l.bytes.Load() > most {
				t.Errorf("%d bytes were served then, want at most %d", l.bytes.Load(), most)
			}
		})
	}
}

// TestARestartCostsNothingTwice stops the device again and again while the line
// is cut, and the registry too.
func TestARestartCostsNothingTwice(t *testing.T) {
	reg, l := startLine(t)
	m := module(1, moduleBytes)
	pushBlob(t, reg.Addr(), m)
	g := newGateway(t, t.TempDir(), l.ref())
	for life := int64(1); ; life++ {
		lives := l.asked.Load()
		l.treat = func(a *answer) {
			if a.cut = 100_000; a.ask > lives+1 {
				a.plainly(http.StatusForbidden) // ends the round, not the retries of this test
			}
		}
		if err := g.bring(m); err == nil {
			break
		}
		if life > 20 {
			t.Fatal("it does not get on")
		}
		g.stop()
		if life%4 == 0 {
			reg.Restart()
		}
		g.start(l.ref())
	}
	g.want(m)
	if got := float64(l.bytes.Load()) / moduleBytes; got > 1.01 {
		t.Errorf("%.3f times the module was served", got)
	}
}

// TestDamageOnTheRegistrysDisk is found by the device, and heals with the registry.
func TestDamageOnTheRegistrysDisk(t *testing.T) {
	reg, l := startLine(t)
	m := module(1, moduleBytes)
	hex := strings.TrimPrefix(string(pushBlob(t, reg.Addr(), m)), "sha256:")
	file := filepath.Join(reg.Dir, "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
	bent := bytes.Clone(m)
	bent[len(bent)/3] ^= 0x10
	g := newGateway(t, t.TempDir(), l.ref())
	for _, tt := range []struct {
		data []byte
		want string
	}{
		{bent, "not " + string(digestOf(m))},
		{m[:600_000], "registry has 600000 bytes"},
		{nil, "registry has 0 bytes"},
	} {
		if err := os.WriteFile(file, tt.data, 0o600); err != nil {
			t.Fatal(err)
		}
		err := g.bring(m)
		wantErr(t, err, "overheat/f", tt.want)
		if !errors.Is(err, fleetsync.ErrDamaged) {
			t.Errorf("not ErrDamaged: %v", err)
		}
		g.nothing()
	}
	if err := os.WriteFile(file, m, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.bring(m); err != nil {
		t.Fatal(err)
	}
	g.want(m)
}

// drip gives a byte every 20 s, so that the line is never silent.
type drip struct{ done <-chan struct{} }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.done:
		return 0, io.ErrUnexpectedEOF
	case <-time.After(20 * time.Second):
		p[0] = 'x'
		return 1, nil
	}
}

func (drip) Close() error { return nil }

// TestADripEndsSomeday holds that a line that is never silent and never done does
// not hold a round up for ever, and that what came stays.
func TestADripEndsSomeday(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newMemory()
		fn := agent.Function{Name: "overheat/f", Digest: digestOf([]byte("?")), Size: 1 << 20}
		began := time.Now()
		open := func(ctx context.Context, _ int64) (io.ReadCloser, error) { return drip{ctx.Done()}, nil }
		err := fleetsync.FetchInto(t.Context(), open, fn, cache)
		wantErr(t, err, "module of overheat/f", "of 1048576 bytes", "it took longer than 22m4s")
		if took := time.Since(began); took > 23*time.Minute {
			t.Errorf("it took %s", took)
		}
		if begun, _ := cache.Unfinished(); begun[fn.Digest] < 60 {
			t.Errorf("kept: %v", begun)
		}
	})
}
