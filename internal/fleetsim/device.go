package fleetsim

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// device is one gateway: the product's puller over a link, and functions that
// only count.
type device struct {
	id     string
	labels map[string]string
	world  *world
	link   *link
	pull   *fleetsync.Puller
	due    time.Time // of its next turn
	look   time.Time // at what is on probation; zero: nothing is

	mu      sync.Mutex
	runs    map[string]running // by app
	changes int                // of the rehearsed app's version since the step began
	arrived time.Time          // when it came to run the step's version; zero: not in this step
}

// running is a version of an app that runs here.
type running struct {
	version   string
	functions []string // their full names
	since     time.Time
}

// newDevice starts nothing; n is its number.
func (w *world) newDevice(n int) (*device, error) {
	d := &device{id: fmt.Sprintf("gw-%05d", n+1), labels: w.labels(), world: w, runs: map[string]running{}}
	d.link = &link{to: w.server, loss: w.opts.Loss}
	reg, err := fleetsync.NewRegistry(cmp.Or(w.opts.Registry, registryRef), fleetsync.RegistryOptions{
		PlainHTTP: w.opts.Registry == "", Retries: -1, Dial: d.link.dial,
	})
	if err != nil {
		return nil, err
	}
	is := w.is
	is.ID, is.Labels = d.id, d.labels
	d.pull = fleetsync.NewPuller(reg, newCache(&w.pool), d, is, fleetsync.PullerOptions{
		Root: w.root, Poll: w.opts.Poll, Time: w.now, Now: w.now, Health: d.health,
		Log: slog.New(slog.DiscardHandler),
	})
	return d, nil
}

// Apply implements fleetsync.Applier.
func (d *device) Apply(_ context.Context, next agent.Deployment) error {
	if next.Keep != nil {
		if err := next.Keep(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	runs := map[string]running{}
	for _, v := range next.Apps {
		old := d.runs[v.Name]
		if old.version == v.Version {
			runs[v.Name] = old
			continue
		}
		r := running{version: v.Version, since: d.world.now()}
		for _, fn := range next.Functions {
			if strings.HasPrefix(fn.Name, v.Name+"/") {
				r.functions = append(r.functions, fn.Name)
			}
		}
		runs[v.Name] = r
	}
	if was, is := d.runs[d.world.app].version, runs[d.world.app].version; was != is {
		d.changes++
		if is == d.world.target && d.arrived.IsZero() {
			d.arrived = d.world.now()
		}
	}
	d.runs = runs
	return nil
}

// health counts what the functions would have done since they were started.
func (d *device) health() []agent.FunctionStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []agent.FunctionStatus
	for app, r := range d.runs {
		n := int64(d.world.now().Sub(r.since).Minutes() * d.world.opts.Rate)
		failures := int64(0)
		if app == d.world.app && r.version == d.world.version {
			failures = int64(float64(n) * d.world.opts.Errors)
		}
		for _, name := range r.functions {
			out = append(out, agent.FunctionStatus{
				Name: name, Invocations: n, Failures: failures,
				Release: agent.ReleaseCounts{Invocations: n, Failures: failures},
			})
		}
	}
	return out
}

// act does what is due now: one of the puller's turns, with the link as it is now,
// or a look at what is on probation.
func (d *device) act(ctx context.Context) {
	now := d.world.now()
	if !d.due.After(now) {
		d.link.away.Store(d.isAway())
		d.due = now.Add(d.pull.Turn(ctx))
	}
	d.look = time.Time{}
	if soon := d.pull.Judge(ctx); soon > 0 {
		d.look = now.Add(soon)
	}
}

// next is when something is due.
func (d *device) next() time.Time {
	if !d.look.IsZero() && d.look.Before(d.due) {
		return d.look
	}
	return d.due
}

// isAway draws for each device and each span of time anew.
func (d *device) isAway() bool {
	h := fnv.New64a()
	span := d.world.now().Unix() / int64(d.world.opts.AwayFor.Seconds())
	_, _ = fmt.Fprintf(h, "%s %d %d", d.id, d.world.salt, span) // a hash takes everything
	return float64(h.Sum64()%1_000_000)/1_000_000 < d.world.opts.Away
}
