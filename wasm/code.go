package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/codecache"
	"github.com/tetratelabs/wazero"
)

// code is a module as it is compiled, shared by all instances of it.
type code struct {
	digest agent.Digest
	refs   int // guarded by Runtime.mu

	built chan struct{} // closed when what follows is there
	err   error
	prepared
	rt     wazero.Runtime
	wasm   wazero.CompiledModule
	script *script // of JavaScript: what runs is the engine
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

// acquire returns the code of a module, compiled if nobody did; each acquire
// that succeeds is paired with a release.
func (r *Runtime) acquire(ctx context.Context, digest agent.Digest) (*code, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed
	}
	c := r.code[digest]
	if c == nil {
		c = &code{digest: digest, built: make(chan struct{})}
		r.code[digest] = c
		// For all who wait, not for this caller alone, who may give up.
		r.builds.Go(func() {
			c.err = r.build(r.ctx, c)
			close(c.built)
		})
	}
	c.refs++
	r.mu.Unlock()

	select {
	case <-c.built:
	case <-ctx.Done():
		r.builds.Go(func() {
			<-c.built
			if err := r.release(r.ctx, c); err != nil {
				r.log.Warn("cannot free compiled code", "module", digest, "err", err)
			}
		})
		return nil, ctx.Err()
	}
	if c.err != nil {
		return nil, errors.Join(c.err, r.release(ctx, c))
	}
	return c, nil
}

// release gives back what acquire gave; the last one frees the code.
func (r *Runtime) release(ctx context.Context, c *code) error {
	r.mu.Lock()
	c.refs--
	last := c.refs == 0
	if last && r.code[c.digest] == c {
		delete(r.code, c.digest)
	}
	r.mu.Unlock()
	switch {
	case !last || c.entry == nil:
		return nil
	case c.script != nil:
		return r.release(ctx, c.script.engine)
	}
	defer c.entry.Close()
	if c.wasm == nil {
		return nil
	}
	return c.wasm.Close(ctx)
}

// build fetches, checks and compiles a module.
func (r *Runtime) build(ctx context.Context, c *code) error {
	bin, info, err := r.read(c.digest)
	if err != nil {
		return err
	}
	if info.ABI == JavaScript {
		return r.buildScript(ctx, c, bin)
	}
	if c.prepared, err = r.prepare(ctx, c.digest, info, bin); err != nil {
		return err
	}
	if r.slow {
		r.interpreting.Lock()
		defer r.interpreting.Unlock()
	}
	c.rt, c.wasm, err = r.engine.compile(ctx, r.codes, r.slow, &c.prepared)
	if err != nil && c.entry.Compiled {
		// What the cache holds may be damaged in a way that only wazero sees.
		c.entry.Close()
		r.codes.Forget(string(c.digest))
		if c.prepared, err = r.prepare(ctx, c.digest, info, bin); err != nil {
			return err
		}
		c.rt, c.wasm, err = r.engine.compile(ctx, r.codes, r.slow, &c.prepared)
	}
	if err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	c.entry.Module = nil // the runtime has its own
	return nil
}

// prepared is a module that was checked and rewritten.
type prepared struct {
	info  Info
	entry *codecache.Entry
}

// prepare has a module rewritten, and compiled where there is a compiler.
func (r *Runtime) prepare(ctx context.Context, digest agent.Digest, info Info, bin []byte) (prepared, error) {
	entry, err := r.codes.Prepare(ctx, string(digest), func() ([]byte, error) { return bin, nil })
	return prepared{info, entry}, err
}

// check is what there is to load before the first event where modules are
// interpreted.
func (r *Runtime) check(ctx context.Context, digest agent.Digest) (Info, error) {
	bin, info, err := r.read(digest)
	if err == nil && info.ABI == JavaScript {
		bin, info, err = r.read(engineDigest())
		digest = engineDigest()
	}
	if err != nil {
		return Info{}, err
	}
	p, err := r.prepare(ctx, digest, info, bin)
	if err != nil {
		return Info{}, err
	}
	p.entry.Close()
	return info, nil
}

// read fetches a module and looks at what it declares.
func (r *Runtime) read(digest agent.Digest) ([]byte, Info, error) {
	if digest == engineDigest() {
		return readEngine()
	}
	bin, err := r.blob(digest)
	if err != nil {
		return nil, Info{}, err
	}
	if n := int64(len(bin)); n > r.largest {
		return nil, Info{}, fmt.Errorf("module has %d bytes, this device takes at most %d; build it smaller, or raise limits.module in skerry.yaml", n, r.largest)
	}
	info, err := Describe(bin)
	return bin, info, err
}

// blob reads a module, and believes its digest alone.
func (r *Runtime) blob(digest agent.Digest) ([]byte, error) {
	bin, err := r.modules.Blob(digest)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", digest, err)
	}
	if got := digestOf(bin); got != digest {
		return nil, fmt.Errorf("module is %s, not %s as the app says; it was not run", got, digest)
	}
	return bin, nil
}

func digestOf(bin []byte) agent.Digest {
	sum := sha256.Sum256(bin)
	return agent.Digest("sha256:" + hex.EncodeToString(sum[:]))
}
