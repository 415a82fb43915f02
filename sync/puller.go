package fleetsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Cache keeps modules by digest, and pinned values by name.
type Cache interface {
	HasBlob(agent.Digest) bool
	Blob(agent.Digest) ([]byte, error)
	// PutBlob keeps a blob once it is whole. fill writes its bytes to w, beginning at
	// from: those before are there from a call that ended early. If fill fails, what
	// it wrote stays for the next call; bytes that do not have size and digest are
	// dropped, and the error wraps agent.ErrInvalid.
	PutBlob(ctx context.Context, d agent.Digest, size int64, fill func(from int64, w io.Writer) error) error
	DeleteBlob(agent.Digest) error // what is unfinished of it, too
	Blobs() ([]agent.Digest, error)
	Unfinished() (map[agent.Digest]int64, error) // bytes kept of blobs that are not whole
	// Room tells how many bytes blobs may still take. If that is less than want, what
	// was deleted is given back to the disk first.
	Room(want int64) (int64, error)
	Pin(name string, value []byte) error
	Pinned(name string) ([]byte, error) // agent.ErrNotFound when absent
}

// Applier runs a deployment, all of it or nothing: on error the old one runs on.
type Applier interface {
	Apply(ctx context.Context, d agent.Deployment) error
}

// PullerOptions may be left zero but for Root.
type PullerOptions struct {
	// Root is the fleet's first root of keys, as skerry fleet init wrote it. Without
	// one no round is done.
	Root   []byte
	Poll   time.Duration // between rounds; 0 means 5 min. The fleet's sync.pollInterval wins
	Jitter time.Duration // at most this is added at random; 0 means a tenth of Poll. The fleet's sync.jitter wins
	Checks Checks
	Log    *slog.Logger // nil for slog.Default
	// Health tells what the functions do that run, for the health gates of new
	// versions; nil: there are none.
	Health func() []agent.FunctionStatus
	// Now is the latest time that is known to have come, which signatures must
	// outlive; nil for time.Now. Time is what pauses are measured by, with a
	// monotonic reading; nil for time.Now.
	Now, Time func() time.Time
	// Sure tells whether Time is right, for what is written down of it; nil: it is.
	Sure func() bool
}

// ErrNothingCached reports that this device never had a deployment.
var ErrNothingCached = errors.New("no deployment is kept on this device")

const roundWithin = 6 * time.Hour // a module may come over a slow line

// Puller brings this device's share of the fleet here and applies it. Whatever
// fails, what runs keeps running.
type Puller struct {
	home   *Registry
	cache  Cache
	apply  Applier
	device Device
	opts   PullerOptions

	woken   chan struct{}
	probed  chan struct{} // what is on probation changed
	favours chan func()   // to be done by who has the turn

	turn    chan struct{} // one round at a time; guards the next ten, and writing held
	reg     *Registry     // home, or another that this round is from
	loaded  bool
	kept    trust.State     // accepted last
	signed  *trust.Verified // what kept says; nil if nothing was accepted with Root
	now     *pinned         // what runs, or ran last
	runs    *pinned         // what was applied last since the start; nil before
	current bool            // what runs is the share of the manifest in now
	fetched *publication    // the newest seen, if it is not what runs, or is tried again
	retries retries
	// badPatches counts, by the digest of the module, how often its patch failed.
	badPatches map[agent.Digest]int

	mu     sync.Mutex
	status agent.SyncStatus
	sync   FleetSync
	cause  string     // of the last failed round; "" after a good one
	held   []heldBack // does not run, since the device lacks something
	good   bool       // the last round since the start was
	paused bool       // says the newest fleet document
	failed int        // rounds in a row that asking again soon may mend
	begun  time.Time  // the last round
	stop   func()     // ends it
	busy   time.Time  // the registry wants no request before
	probes []*probe   // of what runs and is on probation
	apps   []agent.AppStatus
	backTo []string // apps that a person may take back
	urgent int      // who waits for the turn and does not wait for modules to come

	interrupt context.CancelCauseFunc // of fetching modules; nil: none are

	diary diary
}

func (o *PullerOptions) fill() {
	o.Poll = cmp.Or(o.Poll, 5*time.Minute)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Time == nil {
		o.Time = time.Now
	}
	if o.Sure == nil {
		o.Sure = func() bool { return true }
	}
}

// NewPuller starts nothing.
func NewPuller(reg *Registry, cache Cache, apply Applier, device Device, opts PullerOptions) *Puller {
	opts.fill()
	return &Puller{
		home: reg, reg: reg, cache: cache, apply: apply, device: device, opts: opts,
		woken:   make(chan struct{}, 1),
		probed:  make(chan struct{}, 1),
		favours: make(chan func()),
		turn:    make(chan struct{}, 1),
		retries: retries{}, badPatches: map[agent.Digest]int{},
		status: agent.SyncStatus{Registry: reg.String()},
		diary:  diary{cache: cache, log: opts.Log},
	}
}

// Status tells where the documents come from and who signed them, how the last
// round went and, in the same line, which apps are held back and why.
func (p *Puller) Status() agent.SyncStatus {
	now := p.opts.Now()
	var health []agent.FunctionStatus
	if p.nextLook() != 0 {
		health = p.opts.Health()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status := p.status
	if held := reasons(p.held); !strings.Contains(status.Error, held) {
		status.Error = strings.TrimPrefix(status.Error+"; "+held, "; ")
	}
	status.Apps = p.appStatus(health)
	if note := lateNote(&status, now); note != "" {
		status.Notes = append(slices.Clip(status.Notes), note)
	}
	return status
}

// lateNote warns from half of the time on that signatures are good for.
func lateNote(s *agent.SyncStatus, now time.Time) string {
	switch {
	case s.Expires.IsZero() || s.Issued.IsZero() || now.Before(s.Issued.Add(s.Expires.Sub(s.Issued)/2)):
		return ""
	case now.Before(s.Expires):
		return fmt.Sprintf("the fleet's signatures end on %s: publish again, which renews them", day(s.Expires))
	}
	return fmt.Sprintf("the fleet's signatures ended on %s: what runs runs on, and nothing new is taken until it is published again", day(s.Expires))
}

// Settled tells that what runs is all that the fleet wants here, as far as the
// registry's last answer goes: it was good, nothing is held back, on probation or paused.
func (p *Puller) Settled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	waits := slices.ContainsFunc(p.held, func(h heldBack) bool { return !h.Refused })
	return p.good && !p.paused && !waits && len(p.probes) == 0
}

// Restore applies the deployment that ran last, without any network. An app
// that does not fit the device any more, or does not start, or was revoked, is
// left out; it is an error if none is left. ErrNothingCached if there never was a deployment.
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
	p.recall()
	p.loaded, p.now = true, kept
	p.restarted()
	return p.resume(ctx)
}

// resume applies what was kept, without any network.
func (p *Puller) resume(ctx context.Context) error {
	kept := p.now
	chosen, err := kept.candidates(p.opts.Checks)
	if err != nil {
		return err
	}
	refused := p.unfetched(chosen)
	if p.retreat(refused.lack) {
		return p.resume(ctx)
	}
	for {
		run, err := p.rerun(ctx, kept, chosen, refused)
		if err == nil {
			p.current = kept.Device == p.device.print() && len(run.Chosen) == len(kept.Chosen) && !unstarted(kept.Held)
			return nil
		}
		if ctx.Err() != nil || !refused.learn(err, run.Chosen) {
			return err
		}
		if p.retreat(refused.lack) {
			return p.resume(ctx)
		}
	}
}

// rerun applies what runs again of kept, which it gives.
func (p *Puller) rerun(ctx context.Context, kept *pinned, chosen []candidate, refused refusals) (*pinned, error) {
	run, chosen := p.restorable(kept, chosen, refused)
	p.tellHeld(run.Held)
	if len(chosen) == 0 && len(kept.Chosen) > 0 && p.runs == nil { // see bring
		p.chronicle(nil)
		return run, fmt.Errorf("run the kept deployment: %s", reasons(run.Held))
	}
	warnings, err := p.start(ctx, run, chosen, nil)
	if err != nil {
		return run, fmt.Errorf("run the kept deployment: %w", err)
	}
	p.applied(run, warnings)
	return run, nil
}

// unfetched are the versions of which the cache lost a module.
func (p *Puller) unfetched(chosen []candidate) refusals {
	lost := refusals{}
	for _, c := range chosen {
		if c.wrong != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(c.app.Functions)) {
			if d := agent.Digest(c.app.Functions[name].Module.Digest); !p.cache.HasBlob(d) {
				lost[c.version] = &startError{fmt.Sprintf("module %s of function %s is not in the cache; it is fetched when the registry answers", d.Short(), name), true}
			}
		}
	}
	return lost
}

// start applies a choice. Keep is a Deployment's.
func (p *Puller) start(ctx context.Context, run *pinned, chosen []candidate, keep func() error) (warnings []string, err error) {
	deployment, warnings, err := bind(run.Revision, run.Chosen, apps(chosen), &p.device)
	if err != nil {
		return nil, err
	}
	run.place(&deployment)
	deployment.Keep = keep
	return warnings, p.apply.Apply(ctx, deployment)
}

// restorable is the part of kept that fits the device. The pin itself stays as
// it is: once the device has what it lacks, Restore runs all of it again.
func (p *Puller) restorable(kept *pinned, chosen []candidate, refused refusals) (*pinned, []candidate) {
	run := *kept
	run.Held = slices.Clone(kept.Held)
	if kept.Device != p.device.print() {
		for i := range run.Held {
			if run.Held[i].Refused {
				continue
			}
			run.Held[i].Reason += "; the device was changed since, and it is tried again when the registry answers"
		}
	}
	chosen = run.hold(chosen, nil, refused.and(p.fits), p.opts.Checks)
	return &run, chosen
}

// applied keeps what runs now, and what does not.
func (p *Puller) applied(now *pinned, warnings []string) {
	for _, w := range warnings {
		p.opts.Log.Warn("deployment runs differently than written", "reason", w)
	}
	was := p.runs
	p.runs = now
	p.tellHeld(now.Held)
	p.probing()
	p.mu.Lock()
	p.status.Fleet, p.status.Revision = now.Fleet, now.Revision
	p.tellApps(now)
	p.mu.Unlock()
	p.chronicle(was)
}
