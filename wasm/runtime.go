package wasm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/skerry-edge/skerry/agent"
)

// Modules gives the bytes of a module by its digest.
type Modules interface {
	Blob(agent.Digest) ([]byte, error)
}

// Options may be left zero.
type Options struct {
	CacheDir string       // where compiled code is kept; "" keeps none. It must belong to the agent alone: it holds native code
	Log      *slog.Logger // nil means slog.Default
}

// Runtime compiles modules and makes instances of them. It is safe for
// concurrent use.
type Runtime struct {
	modules Modules
	log     *slog.Logger
	cache   *cache

	mu     sync.Mutex
	codes  map[codeKey]*code
	closed bool
}

var errClosed = errors.New("the runtime is closed")

var _ agent.Loader = (*Runtime)(nil)

// NewRuntime prepares a Runtime; nothing is read or compiled before Load.
func NewRuntime(modules Modules, opts Options) *Runtime {
	log := cmp.Or(opts.Log, slog.Default())
	return &Runtime{
		modules: modules,
		log:     log,
		cache:   newCache(opts.CacheDir, log),
		codes:   map[codeKey]*code{},
	}
}

// Load returns one instance of fn, to be used by one worker at a time. Code is
// compiled once per digest and memory limit and shared between instances.
// Close the module to release it.
func (r *Runtime) Load(ctx context.Context, fn agent.Function) (agent.Module, error) {
	fn.Limits = withDefaults(fn.Limits)
	c, err := r.acquire(ctx, &fn)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", fn.Name, err)
	}
	if c.info.ABI == WASICommand {
		return newCommand(r, c, fn), nil
	}
	m := newReactor(r, c, fn)
	if err := m.start(ctx); err != nil {
		return nil, fmt.Errorf("load %s: %w", fn.Name, errors.Join(err, m.Close(ctx)))
	}
	return m, nil
}

// Close releases all compiled code; instances still open fail from now on.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	codes := r.codes
	r.codes = map[codeKey]*code{}
	r.mu.Unlock()
	var errs []error
	for _, c := range codes {
		c.once.Do(func() { c.err = errClosed }) // waits for who is building it
		errs = append(errs, c.close(ctx))
	}
	return errors.Join(append(errs, r.cache.close(ctx))...)
}

// withDefaults fills the limits this package enforces.
func withDefaults(l agent.Limits) agent.Limits {
	d := agent.DefaultLimits
	l.Memory = cmp.Or(l.Memory, d.Memory)
	l.Timeout = cmp.Or(l.Timeout, d.Timeout)
	l.Output = cmp.Or(l.Output, d.Output)
	l.Outputs = cmp.Or(l.Outputs, d.Outputs)
	return l
}

// acquire returns the compiled code of fn, compiling it if nobody did; each
// acquire that succeeds is paired with a release.
func (r *Runtime) acquire(ctx context.Context, fn *agent.Function) (*code, error) {
	key := codeKey{fn.Digest, pagesFor(fn.Limits.Memory)}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed
	}
	c := r.codes[key]
	if c == nil {
		c = &code{key: key}
		r.codes[key] = c
	}
	c.refs++
	r.mu.Unlock()

	c.once.Do(func() { c.err = r.build(ctx, c) })
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
	if last && r.codes[c.key] == c {
		delete(r.codes, c.key)
	}
	r.mu.Unlock()
	if !last {
		return nil
	}
	return c.close(ctx)
}

// build fetches, checks and compiles a module.
func (r *Runtime) build(ctx context.Context, c *code) error {
	bin, err := r.modules.Blob(c.key.digest)
	if err != nil {
		return fmt.Errorf("read module %s: %w", c.key.digest, err)
	}
	if got := digestOf(bin); got != c.key.digest {
		return fmt.Errorf("module is %s, not %s as the app says; it was not run", got, c.key.digest)
	}
	if c.info, err = inspect(bin); err != nil {
		return err
	}
	if c.info.MemoryMin > c.key.pages {
		return fmt.Errorf("module needs %s of memory to start, its limit is %s; raise limits.memory of the function",
			pageSize(c.info.MemoryMin), pageSize(c.key.pages))
	}
	return r.cache.compile(ctx, c, bin)
}

func digestOf(bin []byte) agent.Digest {
	sum := sha256.Sum256(bin)
	return agent.Digest("sha256:" + hex.EncodeToString(sum[:]))
}
