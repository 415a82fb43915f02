package fleetsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

const (
	patchTries  = 3        // rounds that bring nothing of a patch
	patchMemory = 64 << 20 // bytes that 3 times a module may have: itself, what it is patched from and some
)

// route is how a module comes here: by a patch, or whole.
type route struct {
	fn    agent.Function
	patch AppPatch // zero: whole
	left  int64    // bytes to fetch
	write int64    // bytes that the cache will hold more
}

// withModules leaves rules out.
func withModules(functions []agent.Function) []agent.Function {
	return slices.DeleteFunc(slices.Clone(functions), func(fn agent.Function) bool { return fn.Rule })
}

// patchesOf are the patches of the modules of apps, by the digest of the module.
func patchesOf(chosen []candidate) map[agent.Digest][]AppPatch {
	out := map[agent.Digest][]AppPatch{}
	for _, c := range chosen {
		for _, fn := range c.app.Functions {
			d := agent.Digest(fn.Module.Digest)
			out[d] = append(out[d], fn.Module.Patches...)
		}
	}
	return out
}

// modules puts what is missing into the cache, after making room.
func (p *Puller) modules(ctx context.Context, chosen []candidate, functions []agent.Function, next *pinned) error {
	functions = withModules(functions)
	for _, fn := range functions {
		if !slices.Contains(next.Blobs, fn.Digest) {
			next.Blobs = append(next.Blobs, fn.Digest)
		}
	}
	keep := append(next.wanted(), p.keptModules()...)
	patches := patchesOf(chosen)
	for _, fn := range functions {
		if !p.cache.HasBlob(fn.Digest) {
			for _, patch := range patches[fn.Digest] {
				keep = append(keep, agent.Digest(patch.Digest))
			}
		}
	}
	if err := p.sweep(keep); err != nil {
		return err
	}
	maps.DeleteFunc(p.badPatches, func(d agent.Digest, _ int) bool { return !slices.Contains(next.Blobs, d) })
	routes, err := p.routes(functions, patches)
	if err != nil || len(routes) == 0 {
		return err
	}
	if err := p.roomFor(routes, next); err != nil {
		return err
	}
	ctx, stop := p.watch(ctx, next)
	defer stop()
	for _, w := range routes {
		if err := p.fetchModule(ctx, &w); err != nil {
			if why := context.Cause(ctx); errors.Is(why, errSuperseded) {
				return why
			}
			return err
		}
		p.opts.Log.Info("module fetched", "function", w.fn.Name, "digest", w.fn.Digest.Short(), "bytes", w.fn.Size, "fetched", w.left)
	}
	return nil
}

// keptModules are those that must stay whatever comes: of what runs, and of the
// set that ran before it.
func (p *Puller) keptModules() []agent.Digest {
	if p.now == nil {
		return nil
	}
	return p.now.wanted()
}

// routes are the shortest for each module that is missing.
func (p *Puller) routes(functions []agent.Function, patches map[agent.Digest][]AppPatch) ([]route, error) {
	begun, err := p.cache.Unfinished()
	if err != nil {
		return nil, err
	}
	var out []route
	for _, fn := range functions {
		if p.cache.HasBlob(fn.Digest) || slices.ContainsFunc(out, func(w route) bool { return w.fn.Digest == fn.Digest }) {
			continue
		}
		whole := fn.Size - begun[fn.Digest]
		w := route{fn: fn, left: whole, write: whole}
		for _, patch := range patches[fn.Digest] {
			d := agent.Digest(patch.Digest)
			left := patch.Size - begun[d]
			if p.cache.HasBlob(d) {
				left = 0
			}
			if left < w.left && p.usable(&fn, &patch) {
				w.patch, w.left, w.write = patch, left, whole+left
			}
		}
		out = append(out, w)
	}
	return out, nil
}

// usable tells whether a patch leads to the module here, and did not fail before.
func (p *Puller) usable(fn *agent.Function, patch *AppPatch) bool {
	if patch.Format != patchFormat || p.badPatches[fn.Digest] >= patchTries {
		return false
	}
	memory := int64(patchMemory)
	if p.device.Memory > 0 {
		memory = min(memory, p.device.Memory/4)
	}
	return patch.From == fromNothing || 3*fn.Size <= memory && p.cache.HasBlob(agent.Digest(patch.From))
}

// fetchModule brings one module. A patch that does not lead to it is not tried again.
func (p *Puller) fetchModule(ctx context.Context, w *route) error {
	if w.patch.Digest != "" {
		err := p.fetchPatched(ctx, w)
		if err == nil || ctx.Err() != nil || errors.Is(err, agent.ErrFull) || errors.As(err, new(*busyError)) {
			return err
		}
		if !errors.Is(err, errAbsent) && !errors.Is(err, ErrDamaged) && !errors.Is(err, errPatch) {
			// The line or the login: the module would meet it as well.
			if begun, unread := p.cache.Unfinished(); unread != nil || w.patch.Size-begun[agent.Digest(w.patch.Digest)] >= w.left {
				p.badPatches[w.fn.Digest]++
			}
			return err
		}
		p.badPatches[w.fn.Digest] = patchTries
		p.opts.Log.Warn("a patch is of no use, the whole module is fetched", "function", w.fn.Name, "patch", agent.Digest(w.patch.Digest).Short(), "err", oneLine(err))
		if err := p.cache.DeleteBlob(agent.Digest(w.patch.Digest)); err != nil {
			return fmt.Errorf("delete a patch: %w", err)
		}
		if errors.Is(err, errPatch) { // what it has made of the module is nothing to go on with
			if err := p.cache.DeleteBlob(w.fn.Digest); err != nil {
				return fmt.Errorf("delete what a patch made: %w", err)
			}
		}
		w.left += w.fn.Size
	}
	d := ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(w.fn.Digest), Size: w.fn.Size}
	return fetchInto(ctx, p.reg.store, "module of "+w.fn.Name, d, p.cache)
}

// fetchPatched brings a module by its patch, which is gone then.
func (p *Puller) fetchPatched(ctx context.Context, w *route) error {
	sum := agent.Digest(w.patch.Digest)
	if !p.cache.HasBlob(sum) {
		d := ocispec.Descriptor{MediaType: typePatchLayer, Digest: digest.Digest(sum), Size: w.patch.Size}
		if err := fetchInto(ctx, p.reg.store, "patch for the module of "+w.fn.Name, d, p.cache); err != nil {
			return err
		}
	}
	err := p.patch(ctx, w)
	if errors.Is(err, agent.ErrInvalid) {
		err = fmt.Errorf("%w: %w", errPatch, err)
	}
	if err != nil {
		return fmt.Errorf("patch the module of %s: %w", w.fn.Name, err)
	}
	if err := p.cache.DeleteBlob(sum); err != nil {
		return fmt.Errorf("delete a patch: %w", err)
	}
	return nil
}

// patch makes the module. Against another one it takes the memory of both; what is
// only compressed is written as it is read.
func (p *Puller) patch(ctx context.Context, w *route) error {
	patch, err := p.cache.Blob(agent.Digest(w.patch.Digest))
	if err != nil {
		return fmt.Errorf("%w: %w", errPatch, err)
	}
	put := func(from int64, to io.Writer) error {
		return inflate(bytes.NewReader(patch), w.fn.Size, from, to)
	}
	if w.patch.From != fromNothing {
		old, err := p.cache.Blob(agent.Digest(w.patch.From))
		if err != nil {
			return fmt.Errorf("%w: %w", errPatch, err)
		}
		module, err := applyPatch(patch, old, w.fn.Size)
		if err != nil {
			return err
		}
		put = func(from int64, to io.Writer) error {
			_, err := to.Write(module[from:])
			return err
		}
	}
	return p.cache.PutBlob(ctx, w.fn.Digest, w.fn.Size, put)
}

// sweep deletes the modules, and the beginnings of some, that are not to be kept.
func (p *Puller) sweep(keep []agent.Digest) error {
	blobs, err := p.cache.Blobs()
	if err != nil {
		return fmt.Errorf("list the cached modules: %w", err)
	}
	begun, err := p.cache.Unfinished()
	if err != nil {
		return fmt.Errorf("list the modules that were begun: %w", err)
	}
	for d := range begun {
		blobs = append(blobs, d)
	}
	for _, d := range blobs {
		if slices.Contains(keep, d) {
			continue
		}
		if err := p.cache.DeleteBlob(d); err != nil {
			return fmt.Errorf("delete module %s from the cache: %w", d.Short(), err)
		}
	}
	return nil
}
