package wasm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/codecache"
)

// Modules gives the bytes of a module by its digest.
type Modules interface {
	Blob(agent.Digest) ([]byte, error)
}

// Options may be left zero.
type Options struct {
	CacheDir   string           // where compiled code is kept; "" keeps none. It must belong to the agent alone: it holds native code
	Key        []byte           // of this device, seals what CacheDir holds; at least 32 bytes
	CacheSize  int64            // bytes in CacheDir at most; 0 means 256 MiB
	Compiler   []string         // command that runs codecache.Main in a process of its own; nil compiles in this one
	ModuleSize int64            // bytes of a module at most; 0 means DefaultModuleSize
	Interpret  bool             // interpret even where there is a compiler
	Wall       func() time.Time // what functions are told is the time; nil means time.Now
	Log        *slog.Logger     // nil means slog.Default
}

// Runtime prepares functions and runs them. It is safe for concurrent use.
type Runtime struct {
	modules Modules
	log     *slog.Logger
	codes   *codecache.Store
	engine  engine
	slow    bool             // functions are interpreted
	largest int64            // module, bytes
	wall    func() time.Time // nil: the real one

	interpreting sync.Mutex // one module at a time is prepared for the interpreter

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	builds sync.WaitGroup // what is compiled now

	mu     sync.Mutex
	code   map[agent.Digest]*code
	live   map[*module]struct{}
	closed bool
	wake   chan struct{} // an instance was started: it may have to be closed later
	done   chan struct{}
}

var errClosed = errors.New("the runtime is closed")

var _ agent.Loader = (*Runtime)(nil)

// Interpreted tells whether functions are interpreted on this platform: 30 to
// 170 times slower than compiled.
func Interpreted() bool { return runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" }

// NewRuntime prepares a Runtime; nothing is read or compiled before Load.
func NewRuntime(modules Modules, opts Options) *Runtime {
	log := cmp.Or(opts.Log, slog.Default())
	r := &Runtime{
		modules: modules,
		log:     log,
		slow:    opts.Interpret || Interpreted(),
		largest: cmp.Or(opts.ModuleSize, DefaultModuleSize),
		wall:    opts.Wall,
		codes: codecache.Open(codecache.Options{
			Dir: opts.CacheDir, Key: opts.Key, Size: opts.CacheSize, Child: opts.Compiler, Interpret: opts.Interpret, Log: log,
		}),
		code: map[agent.Digest]*code{},
		live: map[*module]struct{}{},
		wake: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	go r.closeIdle()
	return r
}

// Load returns fn ready to run, to be used by one worker at a time. Its first
// instance has started. Close the module to release it.
func (r *Runtime) Load(ctx context.Context, fn agent.Function) (agent.Module, error) {
	fn.Limits = withDefaults(fn.Limits)
	m := newModule(r, fn)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, fmt.Errorf("load %s: %w", fn.Name, errClosed)
	}
	r.live[m] = struct{}{}
	r.mu.Unlock()
	if err := m.load(ctx); err != nil {
		return nil, fmt.Errorf("load %s: %w", fn.Name, errors.Join(err, m.Close(ctx)))
	}
	return m, nil
}

// Close ends what runs, by its deadline at the latest, and releases all of it.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	live := slices.Collect(maps.Keys(r.live))
	r.mu.Unlock()
	if closed {
		return nil
	}
	close(r.done)
	r.cancel()
	var errs []error
	for _, m := range live {
		errs = append(errs, m.Close(ctx))
	}
	r.builds.Wait()
	return errors.Join(append(errs, r.engine.close(ctx), r.codes.Close(ctx))...)
}

// forget ends the Runtime's interest in m.
func (r *Runtime) forget(m *module) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, m)
}

// withDefaults fills the limits this package enforces.
func withDefaults(l agent.Limits) agent.Limits {
	d := agent.DefaultLimits
	l.Memory = cmp.Or(l.Memory, d.Memory)
	l.Timeout = cmp.Or(l.Timeout, d.Timeout)
	l.Output = cmp.Or(l.Output, d.Output)
	l.Outputs = cmp.Or(l.Outputs, d.Outputs)
	l.Calls = cmp.Or(l.Calls, d.Calls)
	return l
}

// idleAfter is when an unused instance is closed, unless its function says otherwise.
const idleAfter = 5 * time.Minute

// closeIdle closes instances that nobody used for long enough. While there is
// none, it sleeps.
func (r *Runtime) closeIdle() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-r.wake:
		case <-timer.C:
		}
		r.mu.Lock()
		live := slices.Collect(maps.Keys(r.live))
		r.mu.Unlock()
		next := time.Hour
		for _, m := range live {
			if wait, ok := m.closeIfIdle(now()); ok {
				next = min(next, wait)
			}
		}
		timer.Reset(next)
	}
}

// started tells closeIdle that there is something to close one day.
func (r *Runtime) started() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
