package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// modules is a folder of modules by digest.
type modules string

func (m modules) path(d agent.Digest) string { return filepath.Join(string(m), d.Short()) }

func (m modules) Blob(d agent.Digest) ([]byte, error) { return os.ReadFile(m.path(d)) }

func (m modules) add(bin []byte) (agent.Digest, error) {
	d := digest(bin)
	return d, os.WriteFile(m.path(d), bin, 0o600)
}

func digest(bin []byte) agent.Digest {
	return agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(bin)))
}

// noState is a store with nothing in it.
type noState struct{}

func (noState) Get(string, string) ([]byte, error)         { return nil, nil }
func (noState) Keys(string, string, int) ([]string, error) { return nil, nil }

// host is the agent's runtime with a folder for modules and compiled code.
type host struct {
	rt      *wasm.Runtime
	modules modules
	dir     string
}

// newTempHost is newHost in a folder of its own, until remove.
func newTempHost() (*host, error) {
	dir, err := os.MkdirTemp("", "benchwasm-")
	if err != nil {
		return nil, err
	}
	h, err := newHost(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return h, nil
}

func (h *host) remove() { os.RemoveAll(h.dir) }

// newHost keeps modules and compiled code in dir, as an agent does.
func newHost(dir string) (*host, error) {
	blobs := modules(filepath.Join(dir, "modules"))
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(dir, "cache")
	if err := errors.Join(os.MkdirAll(string(blobs), 0o700), os.MkdirAll(cache, 0o700)); err != nil {
		return nil, err
	}
	return &host{wasm.NewRuntime(blobs, wasm.Options{
		CacheDir: cache, Key: make([]byte, 32), Compiler: []string{self, compileModule},
		Log: slog.New(slog.DiscardHandler),
	}), blobs, dir}, nil
}

// peer is what runs one event.
type peer func() error

// load makes g ready. Each call of the peer is the whole way of an event through
// the runtime; what it decides is dropped.
func (h *host) load(ctx context.Context, g *guest) (agent.Module, peer, error) {
	if _, err := h.modules.add(g.bin); err != nil {
		return nil, nil, err
	}
	fn := g.function()
	m, err := h.rt.Load(ctx, fn)
	if err != nil {
		return nil, nil, err
	}
	inv := agent.NewInvocation(&fn, noState{}, agent.Outside{})
	ev := &agent.Event{
		ID: "ev1", Source: "/gw/mqtt/bench", Type: "io.skerry.mqtt", Subject: "plant/l1/s1",
		Time: time.UnixMilli(1_700_000_000_123), ContentType: "application/json", Data: []byte(g.event),
	}
	return m, func() error {
		inv.Begin(ev, "bench/trigger", 1)
		if err := m.Invoke(ctx, inv); err != nil {
			return err
		}
		if len(inv.Effects.Followups) == 0 && inv.Effects.Result == nil {
			return errors.New("the event raised no alarm")
		}
		return nil
	}, nil
}
