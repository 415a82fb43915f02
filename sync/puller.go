package fleetsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Cache keeps modules by digest, and pinned values by name.
type Cache interface {
	HasBlob(agent.Digest) bool
	Blob(agent.Digest) ([]byte, error)
	// PutBlob reads r to its end and keeps it, unless r fails, or size or
	// digest are not what they should be.
	PutBlob(ctx context.Context, d agent.Digest, size int64, r io.Reader) error
	DeleteBlob(agent.Digest) error
	Blobs() ([]agent.Digest, error)
	Pin(name string, value []byte) error
	Pinned(name string) ([]byte, error) // agent.ErrNotFound when absent
}

// Applier runs a deployment, all of it or nothing: on error the old one runs on.
type Applier interface {
	Apply(ctx context.Context, d agent.Deployment) error
}

// PullerOptions may be left zero.
type PullerOptions struct {
	Poll   time.Duration // between rounds; 0 means 5 min. The fleet's sync.pollInterval wins
	Jitter time.Duration // at most this is added at random; 0 means a tenth of Poll. The fleet's sync.jitter wins
	Checks Checks
	Log    *slog.Logger // nil for slog.Default
}

var (
	// ErrNothingCached reports that this device never had a deployment.
	ErrNothingCached = errors.New("no deployment is kept on this device")
	// ErrRollback reports a fleet document older than one this device has run.
	ErrRollback = errors.New("older than the revision this device runs")
)

const (
	firstAgain  = 5 * time.Second // after a failed round; doubled up to the poll interval
	roundWithin = 6 * time.Hour   // a module may come over a slow line
)

// Puller brings this device's share of the fleet here and applies it. Whatever
// fails, what runs keeps running.
type Puller struct {
	reg    *Registry
	cache  Cache
	apply  Applier
	device Device
	opts   PullerOptions

	turn    chan struct{} // one round at a time; guards the next six, and writing held
	loaded  bool
	now     *pinned   // what runs, or ran last
	runs    *pinned   // what was applied last since the start; nil before
	current bool      // what runs is the share of the manifest in now
	fetched *artefact // the newest seen, if it is not what runs, or is tried again
	retries retries

	mu     sync.Mutex
	status agent.SyncStatus
	sync   FleetSync
	cause  string     // of the last failed round; "" after a good one
	held   []heldBack // does not run, since the device lacks something
	good   bool       // the last round since the start was
	paused bool       // says the newest fleet document
}

// NewPuller starts nothing.
func NewPuller(reg *Registry, cache Cache, apply Applier, device Device, opts PullerOptions) *Puller {
	opts.Poll = cmp.Or(opts.Poll, 5*time.Minute)
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	return &Puller{
		reg: reg, cache: cache, apply: apply, device: device, opts: opts,
		turn:    make(chan struct{}, 1),
		retries: retries{},
		status:  agent.SyncStatus{Registry: reg.String(), Unsigned: true},
	}
}

// Status tells where the documents come from, how the last round went and, in
// the same line, which apps are held back and why.
// Unsigned is always true: signatures are not checked.
func (p *Puller) Status() agent.SyncStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := p.status
	if held := reasons(p.held); !strings.Contains(status.Error, held) {
		status.Error = strings.TrimPrefix(status.Error+"; "+held, "; ")
	}
	return status
}

// Settled tells that what runs is all that the fleet wants here, as far as the
// registry's last answer goes: it was good, nothing is held back, nothing is paused.
func (p *Puller) Settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.good && !p.paused && len(p.held) == 0
}

// Restore applies the deployment that ran last, without any network. An app
// that does not fit the device any more, or does not start, is left out; it is
// an error if none is left. ErrNothingCached if there never was a deployment.
func (p *Puller) Restore(ctx context.Context) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	kept, err := readPinned(p.cache)
	if err != nil {
		return err
	}
	if kept == nil {
		return ErrNothingCached
	}
	p.loaded, p.now = true, kept
	chosen, err := kept.candidates(p.opts.Checks)
	if err != nil {
		return err
	}
	for refused := (refusals{}); ; {
		run, err := p.rerun(ctx, kept, chosen, refused)
		if err == nil {
			p.current = kept.Device == p.device.print() && len(run.Chosen) == len(kept.Chosen) && !unstarted(kept.Held)
			return nil
		}
		if ctx.Err() != nil || run == nil || !refused.learn(err, run.Chosen) {
			return err
		}
	}
}

// rerun applies what runs again of kept. Of an error in applying it, it gives
// what was applied.
func (p *Puller) rerun(ctx context.Context, kept *pinned, chosen []candidate, refused refusals) (*pinned, error) {
	run, chosen := p.restorable(kept, chosen, refused)
	p.tellHeld(run.Held)
	if len(chosen) == 0 && len(kept.Chosen) > 0 {
		return nil, fmt.Errorf("restore the kept deployment: %s", reasons(run.Held))
	}
	deployment, warnings, err := bind(run.Revision, run.Chosen, apps(chosen), &p.device)
	if err != nil {
		return nil, fmt.Errorf("restore the kept deployment: %w", err)
	}
	for _, fn := range withModules(deployment.Functions) {
		if !p.cache.HasBlob(fn.Digest) {
			return nil, fmt.Errorf("restore the kept deployment: module %s of %s is not in the cache; it is fetched when the registry answers", fn.Digest.Short(), fn.Name)
		}
	}
	if err := p.apply.Apply(ctx, deployment); err != nil {
		return run, fmt.Errorf("apply the kept deployment: %w", err)
	}
	p.applied(run, warnings)
	return run, nil
}

// restorable is the part of kept that fits the device. The pin itself stays as
// it is: once the device has what it lacks, Restore runs all of it again.
func (p *Puller) restorable(kept *pinned, chosen []candidate, refused refusals) (*pinned, []candidate) {
	run := *kept
	run.Held = slices.Clone(kept.Held)
	if kept.Device != p.device.print() {
		for i := range run.Held {
			run.Held[i].Reason += "; the device was changed since, and it is tried again when the registry answers"
		}
	}
	chosen = run.hold(chosen, nil, refused.and(p.device.fits), p.opts.Checks)
	return &run, chosen
}

// Run does a round at once and then one per poll interval, sooner after a
// failed one and when an app that did not start is to be tried again. It
// returns nil when ctx ends.
func (p *Puller) Run(ctx context.Context) error {
	failed := 0
	for ctx.Err() == nil {
		if p.Check(ctx) != nil { // Check has logged it and kept it in Status
			failed++
		} else {
			failed = 0
		}
		wait(ctx, p.pause(failed))
	}
	return nil
}

// pause is how long to wait after so many failed rounds in a row.
func (p *Puller) pause(failed int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	poll := cmp.Or(time.Duration(p.sync.PollInterval), p.opts.Poll)
	jitter := cmp.Or(time.Duration(p.sync.Jitter), p.opts.Jitter, poll/10)
	if failed > 0 {
		if again := firstAgain << min(failed-1, 16); again < poll {
			poll, jitter = again, again
		}
	}
	pause := poll + rand.N(jitter+1)
	if retry := time.Until(p.status.RetryAt); retry > 0 { // else it waits for what failed, or is paused
		pause = min(pause, retry)
	}
	return pause
}

// Check does one round: fetch, verify, keep the modules, apply, pin, delete
// what is not needed. Its error is also logged (once per change of cause) and
// kept in Status; what ran before runs on. An app that is held back is no
// error of the round; Status tells it.
func (p *Puller) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	err := p.round(ctx)
	if ctx.Err() == nil || err == nil {
		p.report(err)
	}
	return err
}

func (p *Puller) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Puller) give() { <-p.turn }

var varying = regexp.MustCompile(`[0-9]+`)

// report keeps the outcome of a round, and logs it when the cause is new;
// numbers such as ports do not make it new.
func (p *Puller) report(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good = err == nil
	if p.good {
		if p.cause != "" {
			p.opts.Log.Info("fleet sync works again", "registry", p.status.Registry)
		}
		p.cause, p.status.Error = "", ""
		return
	}
	p.status.Error = oneLine(err)
	if cause := varying.ReplaceAllString(p.status.Error, "#"); cause != p.cause {
		p.cause = cause
		p.opts.Log.Warn("fleet sync failed, what runs keeps running", "registry", p.status.Registry, "err", p.status.Error)
	}
}

// applied keeps what runs now, and what does not.
func (p *Puller) applied(now *pinned, warnings []string) {
	for _, w := range warnings {
		p.opts.Log.Warn("deployment runs differently than written", "reason", w)
	}
	p.runs = now
	p.tellHeld(now.Held)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Fleet, p.status.Revision = now.Fleet, now.Revision
}
