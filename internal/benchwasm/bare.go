package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// bare is a guest in wazero alone: the host functions it imports do the least
// that makes it raise its alarm.
type bare struct {
	g       *guest
	rt      wazero.Runtime
	handle  api.Function
	fuel    api.MutableGlobal // nil if the module was not rewritten
	stack   api.MutableGlobal
	result  [1]uint64
	decided bool
	plug    plugMemory
}

const (
	slice      = 32 << 10 // fuel at a time, as in package wasm
	stackBytes = 1 << 20
)

// newBare makes a peer of the module bin, which is that of g as it was compiled
// or rewritten.
func newBare(ctx context.Context, g *guest, bin []byte) (*bare, peer, error) {
	b := &bare{g: g, rt: wazero.NewRuntime(ctx)}
	compiled, err := b.rt.CompileModule(ctx, bin)
	if err != nil {
		return nil, nil, err
	}
	if err := b.link(ctx, compiled); err != nil {
		return nil, nil, err
	}
	if _, ok := compiled.ExportedFunctions()["_start"]; ok {
		return b, func() error { return b.command(ctx, compiled) }, nil
	}
	mod, err := b.rt.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime())
	if err != nil {
		return nil, nil, err
	}
	b.fuel, _ = mod.ExportedGlobal(instrument.FuelGlobal).(api.MutableGlobal)
	b.stack, _ = mod.ExportedGlobal(instrument.StackGlobal).(api.MutableGlobal)
	if f := mod.ExportedFunction("skerry_init"); f != nil {
		b.refill()
		if res, err := f.Call(ctx); err != nil || uint32(res[0]) != 0 {
			return nil, nil, fmt.Errorf("skerry_init answers %v, %w", res, err)
		}
	}
	for _, name := range []string{"skerry_handle", "alarm"} {
		if b.handle == nil {
			b.handle = mod.ExportedFunction(name)
		}
	}
	return b, func() error { return b.event(ctx) }, nil
}

func (b *bare) refill() {
	if b.fuel != nil {
		b.fuel.Set(slice)
		b.stack.Set(stackBytes)
	}
}

func (b *bare) event(ctx context.Context) error {
	b.refill()
	b.plug.begin(b.g)
	b.decided = false
	if err := b.handle.CallWithStack(ctx, b.result[:]); err != nil {
		return err
	}
	if uint32(b.result[0]) != 0 || !b.decided && b.g != &counting {
		return fmt.Errorf("the guest returned %d and decided nothing", int32(b.result[0]))
	}
	return nil
}

// command runs a WASI command in an instance of its own.
func (b *bare) command(ctx context.Context, compiled wazero.CompiledModule) error {
	b.decided = false
	config := wazero.NewModuleConfig().WithName("").WithStdin(strings.NewReader(b.g.event))
	for k, v := range b.g.env {
		config = config.WithEnv(k, v)
	}
	mod, err := b.rt.InstantiateModule(ctx, compiled, config)
	if err != nil {
		return err
	}
	if !b.decided {
		err = errors.New("the command decided nothing")
	}
	return errors.Join(err, mod.Close(ctx))
}

// link gives what the module imports.
func (b *bare) link(ctx context.Context, compiled wazero.CompiledModule) error {
	builders := map[string]wazero.HostModuleBuilder{}
	for _, def := range compiled.ImportedFunctions() {
		module, name, _ := def.Import()
		if module == wasi_snapshot_preview1.ModuleName {
			continue
		}
		if builders[module] == nil {
			builders[module] = b.rt.NewHostModuleBuilder(module)
		}
		builders[module].NewFunctionBuilder().
			WithGoModuleFunction(b.function(module, name), def.ParamTypes(), def.ResultTypes()).Export(name)
	}
	for _, builder := range builders {
		if _, err := builder.Instantiate(ctx); err != nil {
			return err
		}
	}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, b.rt)
	return err
}

func (b *bare) function(module, name string) api.GoModuleFunc {
	switch module {
	case instrument.Module:
		return guard(name)
	case "extism:host/env":
		return b.plug.function(name, &b.decided)
	}
	return func(_ context.Context, mod api.Module, stack []uint64) {
		switch name {
		case "event_get":
			stack[0] = give(mod, stack[1:], b.field(uint32(stack[0])))
		case "config_get":
			stack[0] = give(mod, stack[2:], b.g.env["threshold"])
		case "source_get":
			stack[0] = give(mod, stack, string(b.g.bin))
		case "limit_get":
			stack[0] = map[uint64]uint64{javascript.LimitTimeout: 1000, javascript.LimitMemory: 32 << 20}[stack[0]]
		case "followup", "result_set":
			b.decided, stack[0] = true, 0
		default:
			stack[0] = 0
		}
	}
}

// field is what event_get answers.
func (b *bare) field(n uint32) string {
	switch n {
	case 0:
		return b.g.event
	case 2:
		return "application/json"
	case 5: // its time
		return "1700000000123"
	case 9: // attempt
		return "1"
	}
	return "bench/alarm"
}

// give copies s to a pair of pointer and capacity.
func give(mod api.Module, to []uint64, s string) uint64 {
	if len(s) <= int(uint32(to[1])) {
		mod.Memory().WriteString(uint32(to[0]), s)
	}
	return uint64(len(s))
}

// guard is what a rewritten module calls, without any limit.
func guard(name string) api.GoModuleFunc {
	return func(_ context.Context, mod api.Module, stack []uint64) {
		switch name {
		case "tick":
			stack[0] = slice
		case "deep":
			stack[0] = uint64(uint32(stack[0]) + stackBytes)
		case "grow":
			had, ok := mod.Memory().Grow(uint32(stack[0]))
			if !ok {
				had = 0xffff_ffff
			}
			stack[0] = uint64(had)
		}
	}
}
