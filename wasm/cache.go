package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/tetratelabs/wazero"
)

// cache keeps compiled code between runs of the agent. wazero reads its files
// as trusted input and refuses a module for ever once its file is damaged, so
// files are checked when the cache is opened (seals.go) and the cache is
// emptied when compiling fails because of it. An agent that cannot use its
// cache compiles instead: slower, never stopped.
type cache struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	disk   wazero.CompilationCache // nil until opened, and when there is none
	memory wazero.CompilationCache // what is compiled without the disk
	opened bool
}

func newCache(dir string, log *slog.Logger) *cache { return &cache{dir: dir, log: log} }

// open prepares both caches once.
func (k *cache) open() (disk, memory wazero.CompilationCache) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.opened {
		return k.disk, k.memory
	}
	k.opened = true
	k.memory = wazero.NewCompilationCache()
	if k.dir == "" {
		return nil, k.memory
	}
	var err error
	if err = scrub(k.dir); err == nil {
		k.disk, err = wazero.NewCompilationCacheWithDir(k.dir)
	}
	if err != nil {
		k.disk = nil
		k.log.Warn("compiled code is not kept", "dir", k.dir, "err", err)
	}
	return k.disk, k.memory
}

// compile compiles c through the disk cache. If that fails but compiling
// without it works, the cache was at fault: it is emptied and filled again.
func (k *cache) compile(ctx context.Context, c *code, bin []byte) error {
	disk, memory := k.open()
	if disk == nil {
		return c.compile(ctx, memory, bin)
	}
	err := c.compile(ctx, disk, bin)
	if err == nil {
		k.seal()
		return nil
	}
	if c.compile(ctx, memory, bin) != nil {
		return err // the module itself is bad
	}
	k.log.Warn("compiled code on disk is damaged or cannot be written; compiling again", "dir", k.dir, "err", err)
	return k.heal(ctx, c, disk, bin)
}

// heal empties the cache and compiles c into it; c keeps the code compiled
// without the disk if that fails too.
func (k *cache) heal(ctx context.Context, c *code, disk wazero.CompilationCache, bin []byte) error {
	if err := k.purge(); err != nil {
		k.log.Warn("cannot empty the cache of compiled code", "dir", k.dir, "err", err)
		return nil
	}
	healed := &code{key: c.key, info: c.info}
	if err := healed.compile(ctx, disk, bin); err != nil {
		k.log.Warn("compiled code is not kept", "dir", k.dir, "err", err)
		return nil
	}
	old := &code{rt: c.rt, wasm: c.wasm}
	c.rt, c.wasm = healed.rt, healed.wasm
	k.seal()
	return old.close(ctx)
}

// seal writes checksums for new files; a file without one is compiled again
// after the next start, so failing is no error of the function.
func (k *cache) seal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := seal(k.dir); err != nil {
		k.log.Warn("cannot seal compiled code", "dir", k.dir, "err", err)
	}
}

func (k *cache) purge() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return purge(k.dir)
}

func (k *cache) close(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened = true // a closed cache is not opened again
	var errs []error
	for _, c := range []wazero.CompilationCache{k.disk, k.memory} {
		if c != nil {
			errs = append(errs, c.Close(ctx))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close compiled code: %w", err)
	}
	return nil
}
