package wasm_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// blobs is a module cache in memory.
type blobs map[agent.Digest][]byte

// adding guards all blobs: a runtime may still read when a test adds more.
var adding sync.RWMutex

func (b blobs) Blob(d agent.Digest) ([]byte, error) {
	adding.RLock()
	defer adding.RUnlock()
	if bin, ok := b[d]; ok {
		return bin, nil
	}
	return nil, fmt.Errorf("%s: %w", d, agent.ErrNotFound)
}

func (b blobs) add(bin []byte) agent.Digest {
	d := agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(bin)))
	adding.Lock()
	defer adding.Unlock()
	b[d] = bin
	return d
}

// view is committed state by key; the scope is left out, tests have one function.
type view map[string][]byte

func (v view) Get(_, key string) ([]byte, error) { return v[key], nil }

func (v view) Keys(_, prefix string, limit int) ([]string, error) {
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(v)) {
		if strings.HasPrefix(k, prefix) && len(keys) < limit {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func fixture(t testing.TB, path string) []byte {
	t.Helper()
	bin, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// bench is a runtime with the modules of testdata.
type bench struct {
	t  testing.TB
	rt *wasm.Runtime
	b  blobs
}

func newBench(t testing.TB, opts wasm.Options) *bench {
	t.Helper()
	if opts.Log == nil {
		opts.Log = quiet()
	}
	b := blobs{}
	rt := wasm.NewRuntime(b, opts)
	t.Cleanup(func() {
		if err := rt.Close(context.Background()); err != nil {
			t.Errorf("close the runtime: %v", err)
		}
	})
	return &bench{t, rt, b}
}

// function is testdata/<name>.wasm as a function with small limits.
func (s *bench) function(name string) agent.Function {
	s.t.Helper()
	path := "testdata/" + name + ".wasm"
	if strings.Contains(name, "/") {
		path = name
	}
	bin := fixture(s.t, path)
	limits := agent.DefaultLimits
	limits.Memory = 1 << 20
	limits.Timeout = 5 * time.Second
	return agent.Function{Name: "test/" + strings.TrimSuffix(filepath.Base(name), ".wasm"), Digest: s.b.add(bin), Limits: limits}
}

func (s *bench) load(fn agent.Function) agent.Module {
	s.t.Helper()
	m, err := s.rt.Load(context.Background(), fn)
	if err != nil {
		s.t.Fatalf("load %s: %v", fn.Name, err)
	}
	s.t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			s.t.Errorf("close %s: %v", fn.Name, err)
		}
	})
	return m
}

// start tells why a function does not start: Load does, or where modules are
// interpreted their first event.
func (s *bench) start(fn agent.Function) error {
	s.t.Helper()
	m, err := s.rt.Load(context.Background(), fn)
	if err != nil {
		return err
	}
	if wasm.Interpreted() {
		_, err = invoke(m, &fn, view{}, "")
	}
	return errors.Join(err, m.Close(context.Background()))
}

// invoke runs m for an event with data and returns the invocation.
func invoke(m agent.Module, fn *agent.Function, v view, data string) (*agent.Invocation, error) {
	inv := agent.NewInvocation(fn, v, agent.Outside{Secrets: func(name string) (string, bool) { return "of " + name, name == "pager-token" }})
	inv.Begin(event(data), "test/trigger", 1)
	return inv, m.Invoke(context.Background(), inv)
}

func event(data string) *agent.Event {
	return &agent.Event{
		ID: "ev1", Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt", Subject: "sensors/l1/s1/temperature",
		Time: time.UnixMilli(1700000000123), ContentType: "application/json", Data: []byte(data),
	}
}
