package wasm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// maxVectors bounds the buffers of one fd_read or fd_write, as IOV_MAX does, and
// the subscriptions of one poll_oneoff: a million takes wazero a long time.
const maxVectors = 1024

// Errors of WASI.
const (
	wasiBadFile = 8
	wasiInvalid = 28
)

// linkWASI gives WASI preview 1. What a guest prints, draws and sleeps comes to
// the run, and every call to it, so that a run keeps to its deadline.
func linkWASI(ctx context.Context, rt wazero.Runtime) error {
	wasi, err := wasi_snapshot_preview1.NewBuilder(rt).Compile(ctx)
	if err != nil {
		return err
	}
	b := rt.NewHostModuleBuilder(wasiModule)
	for name, def := range wasi.ExportedFunctions() {
		f, ok := def.GoFunction().(api.GoModuleFunction)
		if !ok {
			return fmt.Errorf("%s of wazero is a %T", name, def.GoFunction())
		}
		b.NewFunctionBuilder().WithGoModuleFunction(checked(name, f), def.ParamTypes(), def.ResultTypes()).Export(name)
	}
	_, err = b.Instantiate(ctx)
	return errors.Join(err, wasi.Close(ctx))
}

// checked is f for runs that have time left. There are no files, so that no path
// leads anywhere (wazero would read it first, however long), and what a guest
// prints to and reads from stays open, for the next event.
func checked(name string, f api.GoModuleFunction) api.GoModuleFunc {
	switch {
	case strings.HasPrefix(name, "path_"):
		return func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = wasiBadFile }
	case name == "fd_close" || name == "fd_renumber":
		return func(_ context.Context, _ api.Module, stack []uint64) {
			if open := uint32(stack[0]) <= 2; open {
				stack[0] = 0
			} else {
				stack[0] = wasiBadFile
			}
		}
	}
	vectors := -1 // index of the parameter that counts them
	switch name {
	case "fd_read", "fd_write", "fd_pread", "fd_pwrite", "poll_oneoff":
		vectors = 2
	}
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		runOf(ctx).check()
		if vectors >= 0 && uint32(stack[vectors]) > maxVectors {
			stack[0] = wasiInvalid
			return
		}
		f.Call(ctx, mod, stack)
	}
}
