package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// round is one Check, in its turn.
func (p *Puller) round(ctx context.Context) error {
	p.load()
	if p.retries.due(time.Now()) {
		p.current = false
	}
	news, err := p.look(ctx)
	if err != nil || news == nil {
		return err
	}
	p.fetched, p.current = news, false
	fleet, _, err := news.fleet(ctx)
	if err != nil {
		return err
	}
	if p.now != nil && fleet.Metadata.Revision < p.now.Revision {
		return fmt.Errorf("fleet revision %d is refused, revision %d ran here: %w; publish a higher revision", fleet.Metadata.Revision, p.now.Revision, ErrRollback)
	}
	p.mu.Lock()
	p.sync, p.paused = fleet.Sync, fleet.Paused
	p.mu.Unlock()
	if fleet.Paused {
		return nil // looked at again each round, without a byte from the registry
	}
	return p.update(ctx, news, fleet)
}

// load reads what ran last, for the case that Restore was not called. What is
// unreadable must not keep the device from getting well again.
func (p *Puller) load() {
	if p.loaded {
		return
	}
	p.loaded = true
	kept, err := readPinned(p.cache)
	if err != nil {
		p.opts.Log.Warn("kept deployment is ignored, an older fleet revision would be accepted once", "err", err)
		return
	}
	p.now = kept
}

// look asks the registry; nil means that what runs is what is there.
func (p *Puller) look(ctx context.Context) (*artefact, error) {
	etag := ""
	switch {
	case p.current:
		etag = p.now.ETag
	case p.fetched != nil:
		etag = p.fetched.etag
	}
	m, err := p.reg.store.manifest(ctx, etag)
	unchanged := errors.Is(err, errUnchanged)
	if err != nil && !unchanged {
		return nil, err
	}
	p.mu.Lock()
	p.status.Checked = time.Now()
	p.mu.Unlock()
	switch {
	case p.current && (unchanged || m.digest == p.now.Manifest):
		return nil, nil
	case unchanged:
		return p.fetched, nil
	}
	return readArtefact(p.reg.store, m)
}

// update brings the share of a new fleet here and switches to it. An app that
// cannot run on this device, or does not start, is held back alone.
func (p *Puller) update(ctx context.Context, news *artefact, fleet *Fleet) error {
	running := map[string]string{}
	if p.now != nil {
		running = p.now.running()
	}
	wanted, err := p.documents(ctx, news, choose(fleet, &p.device, running))
	if err != nil {
		return err
	}
	for refused := p.retries.waiting(time.Now()); ; {
		next := &pinned{
			Format: pinFormat, Manifest: news.digest, ETag: news.etag,
			Fleet: fleet.Metadata.Name, Revision: fleet.Metadata.Revision, Device: p.device.print(),
		}
		if p.now != nil {
			next.Previous = p.now.Blobs
		}
		deployment, warnings, err := p.share(ctx, next, wanted, refused)
		if err != nil {
			return err
		}
		if p.now != nil && p.now.Manifest == next.Manifest {
			next.Previous = p.now.Previous // the same set again: keep what was before it
		}
		deployment.Keep = func() error { return next.write(p.cache) }
		if err = p.apply.Apply(ctx, deployment); err == nil {
			p.retries.keep(next.Held)
			return p.settle(next, warnings)
		}
		if ctx.Err() != nil || !refused.learn(err, next.Chosen) {
			return fmt.Errorf("apply fleet %s revision %d: %w", next.Fleet, next.Revision, err)
		}
		p.retries.note(refused, time.Now())
	}
}

// share is what next runs of the wanted apps, with its modules in the cache.
func (p *Puller) share(ctx context.Context, next *pinned, wanted []candidate, refused refusals) (deployment agent.Deployment, warnings []string, err error) {
	// What the device lacks is known without the modules: those are not fetched.
	for _, fits := range []func(*App) error{p.device.fits, p.runnable} {
		wanted = next.hold(wanted, p.now, refused.and(fits), p.opts.Checks)
		if deployment, warnings, err = p.bring(ctx, next, wanted); err != nil {
			return agent.Deployment{}, nil, err
		}
	}
	return deployment, warnings, nil
}

// bring binds what is chosen, and fetches its modules.
func (p *Puller) bring(ctx context.Context, next *pinned, chosen []candidate) (agent.Deployment, []string, error) {
	if len(chosen) == 0 && len(next.Held) > 0 && p.now != nil && p.runs == nil {
		// Restore could start nothing either. To apply an empty deployment would
		// open the sources, and events would be acknowledged that nothing handles.
		p.tellHeld(next.Held)
		return agent.Deployment{}, nil, fmt.Errorf("fleet %s revision %d: nothing is started: %s", next.Fleet, next.Revision, reasons(next.Held))
	}
	deployment, warnings, err := bind(next.Revision, next.Chosen, apps(chosen), &p.device)
	if err != nil {
		return agent.Deployment{}, nil, fmt.Errorf("fleet %s revision %d does not fit this device: %w", next.Fleet, next.Revision, err)
	}
	return deployment, warnings, p.modules(ctx, deployment.Functions, next)
}

// documents reads the chosen apps. A version that a paused assignment holds may
// be gone from the registry.
func (p *Puller) documents(ctx context.Context, news *artefact, chosen []agent.AppVersion) ([]candidate, error) {
	var out []candidate
	for _, v := range chosen {
		data := p.now.document(v)
		if _, there := news.layers[appFile(v)]; there || data == nil {
			var err error
			if data, err = news.app(ctx, v); err != nil {
				return nil, err
			}
		}
		out = append(out, parseCandidate(v, data, p.opts.Checks))
	}
	return out, nil
}

// withModules leaves rules out.
func withModules(functions []agent.Function) []agent.Function {
	return slices.DeleteFunc(slices.Clone(functions), func(fn agent.Function) bool { return fn.Rule })
}

// modules puts what is missing into the cache, after making room.
func (p *Puller) modules(ctx context.Context, functions []agent.Function, next *pinned) error {
	functions = withModules(functions)
	for _, fn := range functions {
		if !slices.Contains(next.Blobs, fn.Digest) {
			next.Blobs = append(next.Blobs, fn.Digest)
		}
	}
	keep := slices.Concat(next.Blobs, next.Previous)
	if p.now != nil {
		keep = append(keep, p.now.Previous...)
	}
	if err := p.sweep(keep); err != nil {
		return err
	}
	for _, fn := range functions {
		if p.cache.HasBlob(fn.Digest) {
			continue
		}
		d := ocispec.Descriptor{MediaType: typeWasm, Digest: digest.Digest(fn.Digest), Size: fn.Size}
		if err := fetchInto(ctx, p.reg.store, "module of "+fn.Name, d, p.cache); err != nil {
			return err
		}
		p.opts.Log.Info("module fetched", "function", fn.Name, "digest", fn.Digest.Short(), "bytes", fn.Size)
	}
	return nil
}

// settle makes next what runs, here and after a restart.
func (p *Puller) settle(next *pinned, warnings []string) error {
	if p.runs != nil && p.runs.Manifest == next.Manifest && p.runs.names() == next.names() {
		warnings = nil // all was told
	} else {
		p.opts.Log.Info("fleet applied", "fleet", next.Fleet, "revision", next.Revision, "apps", next.names(), "was", p.runs.names())
	}
	p.now = next
	p.applied(next, warnings)
	if p.current = true; len(p.retries) == 0 {
		p.fetched = nil // else it is needed to try again
	}
	return p.sweep(slices.Concat(next.Blobs, next.Previous))
}

// sweep deletes the modules that are not to be kept.
func (p *Puller) sweep(keep []agent.Digest) error {
	blobs, err := p.cache.Blobs()
	if err != nil {
		return fmt.Errorf("list the cached modules: %w", err)
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
