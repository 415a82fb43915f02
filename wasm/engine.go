package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/skerry-edge/skerry/wasm/codecache"
	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
)

// engine is what all functions share: a wazero runtime with the host modules
// that some of them import. Memory limits are kept by guard and by the allocator
// of each instance, not by the runtime.
type engine struct {
	mu     sync.Mutex
	kept   linked // for code that is on disk
	unkept linked // for code that is not: wazero fails where it cannot write
}

// linked is a wazero runtime, nil until the first module, with its host modules.
type linked struct {
	rt    wazero.Runtime
	hosts map[string]bool
}

// hostModules are what guests may import, by module name.
var hostModules = map[string]func(context.Context, wazero.Runtime) error{
	hostModule:        linkHost,
	extismModule:      linkExtism,
	javascript.Module: linkJavaScript,
	instrument.Module: linkGuard,
	wasiModule:        linkWASI,
}

// compile compiles a prepared module and links what it imports.
func (e *engine) compile(ctx context.Context, codes *codecache.Store, interpret bool, p *prepared) (wazero.Runtime, wazero.CompiledModule, error) {
	rt, err := e.link(ctx, codes, interpret, p)
	if err != nil {
		return nil, nil, err
	}
	compiled, err := compile(ctx, rt, p.entry.Module)
	return rt, compiled, err
}

// link gives the runtime for p, with the host modules that p imports.
func (e *engine) link(ctx context.Context, codes *codecache.Store, interpret bool, p *prepared) (wazero.Runtime, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	config, l := codecache.RuntimeConfig(interpret), &e.unkept
	if p.entry.Compiled {
		config, l = config.WithCompilationCache(codes.Cache()), &e.kept
	}
	if l.rt == nil {
		l.rt, l.hosts = wazero.NewRuntimeWithConfig(ctx, config), map[string]bool{}
	}
	for _, name := range append(p.info.modules(), instrument.Module) {
		if l.hosts[name] {
			continue
		}
		if err := hostModules[name](ctx, l.rt); err != nil {
			return nil, fmt.Errorf("link %s: %w", name, err)
		}
		l.hosts[name] = true
	}
	return l.rt, nil
}

// compile is rt.CompileModule for bytes of strangers: wazero 1.12.0 panics on
// some of them.
func compile(ctx context.Context, rt wazero.Runtime, bin []byte) (compiled wazero.CompiledModule, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the module is broken in a way that its reader did not expect: %v", p)
		}
	}()
	return rt.CompileModule(ctx, bin)
}

func (e *engine) close(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, l := range []linked{e.kept, e.unkept} {
		if l.rt != nil {
			errs = append(errs, l.rt.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
