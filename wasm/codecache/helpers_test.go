package codecache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// childCommand makes this test binary the compiling process.
const childCommand = "compile-module"

// parentCommand makes it an agent whose compiling process never ends.
const parentCommand = "prepare-module"

func TestMain(m *testing.M) {
	command := ""
	if len(os.Args) > 1 {
		command = os.Args[1]
	}
	switch command {
	case childCommand:
		// Not os.Exit, in which the race detector sleeps for a second.
		syscall.Exit(codecache.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	case parentCommand:
		s := codecache.Open(codecache.Options{Child: shell("exec sleep 600")})
		_, err := s.Prepare(context.Background(), "", func() ([]byte, error) { return nil, nil })
		slog.Error("no process was there to be ended", "err", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var key = []byte("a key of 32 bytes for tests only")

// bench is a store, and what it logged.
type bench struct {
	*codecache.Store
	t    testing.TB
	logs *logs
}

// logs collects log lines of several goroutines.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

// open opens a store whose compiling process is this test binary.
func open(t testing.TB, opts codecache.Options) *bench {
	t.Helper()
	l := &logs{}
	opts.Log = slog.New(slog.NewTextHandler(l, nil))
	if opts.Key == nil {
		opts.Key = key
	}
	if opts.Child == nil {
		opts.Child = []string{"/proc/self/exe", childCommand}
	}
	b := &bench{codecache.Open(opts), t, l}
	t.Cleanup(b.stop)
	return b
}

func (b *bench) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		b.t.Errorf("close: %v", err)
	}
}

// prepare prepares a module that must work, and tells whether it was made now.
func (b *bench) prepare(module []byte) (e *codecache.Entry, made bool) {
	b.t.Helper()
	e, err := b.Prepare(b.t.Context(), digestOf(module), func() ([]byte, error) {
		made = true
		return module, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(e.Close)
	return e, made
}

func digestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// example returns an example function of this repository.
func example(t testing.TB, name string) []byte {
	t.Helper()
	bin, err := os.ReadFile(filepath.Join("..", "..", "examples", name, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// temporary lists the folders of what is being made.
func temporary(t testing.TB, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}
