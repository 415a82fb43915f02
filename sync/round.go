package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// round is one Check, in its turn.
func (p *Puller) round(ctx context.Context) error {
	if len(p.opts.Root) == 0 {
		return errNoRoot
	}
	p.load()
	if p.retries.due(p.opts.Time()) || p.signed == nil {
		p.current = false
	}
	news, err := p.look(ctx)
	if err != nil {
		return err
	}
	if news == nil {
		return errors.Join(p.still(), p.sweep(p.keptModules()))
	}
	p.fetched, p.current = news, false
	err = p.verify(ctx, news)
	stop := p.withdraw(ctx)
	if err != nil {
		return errors.Join(err, stop)
	}
	fleet, err := news.fleet(ctx)
	if err != nil {
		return errors.Join(err, stop)
	}
	p.mu.Lock()
	p.sync, p.paused = fleet.Sync, fleet.Paused
	p.mu.Unlock()
	if fleet.Paused {
		return stop // looked at again each round, without a byte from the registry
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
	p.recall()
	kept, err := readPinned(p.cache)
	if err != nil {
		p.opts.Log.Warn("kept deployment is ignored", "err", err)
		return
	}
	p.now = kept
}

// look asks the registry; nil means that what runs is what is there.
func (p *Puller) look(ctx context.Context) (*publication, error) {
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
	p.status.Checked = p.opts.Time()
	p.mu.Unlock()
	switch {
	case p.current && (unchanged || m.digest == p.now.Manifest):
		return nil, nil
	case unchanged:
		return p.fetched, nil
	}
	a, err := readArtefact(p.reg.store, m)
	if err != nil {
		return nil, err
	}
	return &publication{artefact: a}, nil
}

// withdraw stops what runs here and was revoked, before anything is fetched in
// its place, and also in a fleet that is paused.
func (p *Puller) withdraw(ctx context.Context) error {
	if p.runs == nil || !slices.ContainsFunc(p.runs.Chosen, p.revoked) {
		return nil
	}
	p.retreat(func(v agent.AppVersion) error {
		if p.revoked(v) {
			return errRevoked
		}
		return nil
	})
	return p.resume(ctx)
}

// update brings the share of a new fleet here and switches to it. An app that
// cannot run on this device, or does not start, is held back alone.
func (p *Puller) update(ctx context.Context, news *publication, fleet *Fleet) error {
	running := map[string]string{}
	if p.now != nil {
		running = p.now.running()
	}
	wanted, err := p.documents(ctx, news, choose(fleet, &p.device, running))
	if err != nil {
		return err
	}
	for refused := p.retries.waiting(p.opts.Time()); ; {
		next := &pinned{
			Format: pinFormat, Manifest: news.digest, ETag: news.etag,
			Fleet: fleet.Metadata.Name, Revision: fleet.Metadata.Revision, Device: p.device.print(),
		}
		deployment, warnings, err := p.share(ctx, next, wanted, refused)
		if err != nil {
			return err
		}
		p.plan(next, fleet)
		next.place(&deployment)
		next.Previous = p.now.before(next.Blobs, fleet.Sync.keep()-1)
		deployment.Keep = func() error { return next.write(p.cache) }
		if err = p.apply.Apply(ctx, deployment); err == nil {
			p.retries.keep(next.Held)
			err = p.settle(next, warnings)
			p.fetchBack(ctx)
			return err
		}
		if ctx.Err() != nil || !refused.learn(err, next.Chosen) {
			return fmt.Errorf("apply fleet %s revision %d: %w", next.Fleet, next.Revision, err)
		}
		p.retries.note(refused, p.opts.Time())
	}
}

// share is what next runs of the wanted apps, with its modules in the cache.
func (p *Puller) share(ctx context.Context, next *pinned, wanted []candidate, refused refusals) (deployment agent.Deployment, warnings []string, err error) {
	failed := p.now.refusals(wanted)
	// What the device lacks is known without the modules: those are not fetched.
	for _, fits := range []func(*App) error{p.fits, p.runnable} {
		wanted = next.hold(wanted, p.now, refused.and(failed.and(fits)), p.opts.Checks)
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
		p.chronicle(nil)
		return agent.Deployment{}, nil, fmt.Errorf("fleet %s revision %d: nothing is started: %s", next.Fleet, next.Revision, reasons(next.Held))
	}
	deployment, warnings, err := bind(next.Revision, next.Chosen, apps(chosen), &p.device)
	if err != nil {
		return agent.Deployment{}, nil, fmt.Errorf("fleet %s revision %d does not fit this device: %w", next.Fleet, next.Revision, err)
	}
	return deployment, warnings, p.modules(ctx, chosen, deployment.Functions, next)
}

// documents reads the chosen apps. A version that a paused assignment holds may
// be published no more, or revoked: then it is held back.
func (p *Puller) documents(ctx context.Context, news *publication, chosen []agent.AppVersion) ([]candidate, error) {
	var out []candidate
	for _, v := range chosen {
		data := p.now.document(v)
		if _, there := news.signed.Documents[appFile(v)]; there && !p.revoked(v) || data == nil {
			var err error
			if data, err = news.app(ctx, v); err != nil {
				return nil, err
			}
		}
		out = append(out, parseCandidate(v, data, p.opts.Checks))
	}
	return out, nil
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
	return p.sweep(next.wanted())
}
