package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// instance is a module that lives: memory, globals, and the counters that the
// rewriting added.
type instance struct {
	mod     api.Module
	mem     api.Memory
	fuel    api.MutableGlobal
	stack   api.MutableGlobal
	globals []api.MutableGlobal
	pages   uint32 // when it had started
	started int64  // fuel that this took
	born    instant
	runs    int
	image   *image       // of the initialised instance; nil when warm
	handle  api.Function // for the ABI: looking functions up costs more than calling them
	result  [1]uint64
}

// newInstance instantiates c. Its start function runs, under r.
func newInstance(c *code, r *run, config wazero.ModuleConfig) (*instance, error) {
	guest := &guestContext{r}
	r.slice = firstSlice // each page of its memory is touched for the first time
	memory := &reserve{limit: uint64(r.guard.pages) * pageBytes}
	mod, err := c.rt.InstantiateModule(experimental.WithMemoryAllocator(guest, memory), c.wasm, config)
	if err != nil {
		memory.free()
		return nil, err
	}
	in := &instance{mod: mod, mem: mod.Memory()}
	in.fuel, _ = mod.ExportedGlobal(instrument.FuelGlobal).(api.MutableGlobal)
	in.stack, _ = mod.ExportedGlobal(instrument.StackGlobal).(api.MutableGlobal)
	for _, name := range c.entry.Globals {
		g, ok := mod.ExportedGlobal(name).(api.MutableGlobal)
		if !ok {
			return nil, errors.Join(fmt.Errorf("global %s is missing from the rewritten module", name), mod.Close(guest))
		}
		in.globals = append(in.globals, g)
	}
	if in.fuel == nil || in.stack == nil {
		return nil, errors.Join(errors.New("the module was not rewritten"), mod.Close(guest))
	}
	return in, nil
}

// call calls a function of the guest under the run of ctx.
func (in *instance) call(ctx *guestContext, f api.Function, stack []uint64) error {
	r := ctx.run
	next, s := r.grant(in.used(r))
	if s != nil {
		r.reason = s
		return s
	}
	in.fuel.Set(uint64(next))
	in.stack.Set(uint64(r.stack))
	r.stacked = true
	return f.CallWithStack(ctx, stack)
}

// used is the fuel that r has used in in.
func (in *instance) used(r *run) int64 {
	if r.granted == 0 {
		return 0 // what is left is of an earlier run
	}
	return r.granted - int64(in.fuel.Get())
}

// image is memory and globals of an instance, as they are given back to it
// before each run.
type image struct {
	memory  []byte // up to the last byte that is not zero
	globals []uint64
}

func (in *instance) snapshot() *image {
	mem, _ := in.mem.Read(0, in.mem.Size())
	img := &image{memory: bytes.Clone(bytes.TrimRight(mem, "\x00"))}
	for _, g := range in.globals {
		img.globals = append(img.globals, g.Get())
	}
	return img
}

const compared = 4 << 10 // bytes

var zeros [compared]byte

// restore gives the instance the state of its image. Pages that did not change
// are not written, so that what nobody touched takes no memory.
func (in *instance) restore() {
	mem, _ := in.mem.Read(0, in.mem.Size())
	for at := 0; at < len(mem); at += compared {
		page := mem[at:min(at+compared, len(mem))]
		kept := in.image.memory[min(at, len(in.image.memory)):min(at+compared, len(in.image.memory))]
		if !bytes.Equal(page[:len(kept)], kept) {
			copy(page, kept)
		}
		if rest := page[len(kept):]; !bytes.Equal(rest, zeros[:len(rest)]) {
			clear(rest)
		}
	}
	for i, g := range in.globals {
		g.Set(in.image.globals[i])
	}
}

func (in *instance) close(ctx context.Context) error { return in.mod.Close(ctx) }
