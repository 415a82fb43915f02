package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/skerry-edge/skerry/agent"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// codeKey names compiled code: the memory limit is part of it because wazero
// knows limits per runtime, not per instance.
type codeKey struct {
	digest agent.Digest
	pages  uint32
}

// code is a compiled module in a wazero runtime of its own.
type code struct {
	key  codeKey
	refs int // guarded by Runtime.mu

	once sync.Once // builds what follows
	err  error
	info Info
	rt   wazero.Runtime
	wasm wazero.CompiledModule

	closing sync.Once
}

const (
	pageBytes = 64 << 10
	maxPages  = 65536
)

// pagesFor is the number of whole pages in n bytes, at least one.
func pagesFor(n int64) uint32 {
	return uint32(min(max(n/pageBytes, 1), maxPages))
}

// pageSize is pages as people write them.
func pageSize(pages uint32) string {
	kib := uint64(pages) * pageBytes >> 10
	if kib%1024 == 0 {
		return fmt.Sprintf("%d MiB", kib/1024)
	}
	return fmt.Sprintf("%d KiB", kib)
}

// compile makes c ready in a runtime on top of the given compilation cache.
func (c *code) compile(ctx context.Context, comp wazero.CompilationCache, bin []byte) error {
	rt := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(c.key.pages, comp))
	compiled, err := link(ctx, rt, c.info, bin)
	if err != nil {
		return errors.Join(err, rt.Close(ctx))
	}
	c.rt, c.wasm = rt, compiled
	return nil
}

func runtimeConfig(pages uint32, comp wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(pages).
		WithCloseOnContextDone(true).
		WithDebugInfoEnabled(false). // DWARF is not read: it costs more memory than the code
		WithCompilationCache(comp)
}

// link gives rt the host modules that info imports, and compiles the guest.
func link(ctx context.Context, rt wazero.Runtime, info Info, bin []byte) (wazero.CompiledModule, error) {
	if info.importsFrom(wasiModule) {
		if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
			return nil, fmt.Errorf("link %s: %w", wasiModule, err)
		}
	}
	if info.importsFrom(hostModule) {
		if err := linkHost(ctx, rt); err != nil {
			return nil, err
		}
	}
	compiled, err := rt.CompileModule(ctx, bin)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return compiled, nil
}

// close frees the code. Closing the runtime closes every instance in it.
func (c *code) close(ctx context.Context) (err error) {
	c.closing.Do(func() {
		if c.rt != nil {
			err = errors.Join(c.rt.Close(ctx), c.wasm.Close(ctx))
		}
	})
	return err
}
