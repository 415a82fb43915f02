package wasm

import (
	"context"
	"fmt"
	"sync"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// script is a function in JavaScript. All of them share the engine's code, a
// skerry_v1 guest that asks for its source when it starts.
type script struct {
	source []byte
	engine *code
}

var engineDigest = sync.OnceValue(func() agent.Digest { return digestOf(javascript.Engine()) })

// readEngine is read for the engine, which no app brings.
func readEngine() ([]byte, Info, error) {
	bin := javascript.Engine()
	info, err := readModule(bin)
	if err != nil {
		return nil, Info{}, fmt.Errorf("the JavaScript engine: %w", err)
	}
	info.ABI = SkerryV1
	return bin, info, nil
}

// buildScript makes c the engine with a source.
func (r *Runtime) buildScript(ctx context.Context, c *code, source []byte) error {
	engine, err := r.acquire(ctx, engineDigest())
	if err != nil {
		return fmt.Errorf("the JavaScript engine: %w", err)
	}
	c.prepared, c.rt, c.wasm = engine.prepared, engine.rt, engine.wasm
	c.info.ABI, c.script = JavaScript, &script{source, engine}
	return nil
}

// linkJavaScript gives the engine its source and its limits.
func linkJavaScript(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(javascript.Module)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		stack[0] = uint64(uint32(give(mod.Memory(), stack, runOf(ctx).script.source)))
	}), []api.ValueType{i32, i32}, []api.ValueType{i32}).Export(javascript.SourceGet)
	b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		stack[0] = uint64(limitOf(runOf(ctx), uint32(stack[0])))
	}), []api.ValueType{i32}, []api.ValueType{i64}).Export(javascript.LimitGet)
	_, err := b.Instantiate(ctx)
	return err
}

func limitOf(r *run, which uint32) int64 {
	switch which {
	case javascript.LimitTimeout:
		return r.inv.Function.Limits.Timeout.Milliseconds()
	case javascript.LimitMemory:
		return r.inv.Function.Limits.Memory
	}
	return 0
}
