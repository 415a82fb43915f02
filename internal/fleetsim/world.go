package fleetsim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// registryRef is what devices call a repository in this process; no such host is asked.
const registryRef = "oci://rehearsal.invalid/fleet:latest"

// slot is how far time goes on at least: what is due within one happens together.
const slot = 5 * time.Second

// world is all devices, and the time they live in.
type world struct {
	opts     Options
	server   *server
	pool     pool
	root     []byte
	is       fleetsync.Device // what every device has
	app      string           // whose rollout is rehearsed
	version  string           // its new version
	target   string           // the version that the step brings
	revision int64            // of the fleet document that the step published
	devices  []*device
	start    time.Time
	clock    atomic.Int64 // nanoseconds since start
	salt     uint64       // of who is away when
}

// close ends what the world runs.
func (w *world) close() {
	for _, d := range w.devices {
		d.link.drop()
	}
	if w.server != nil {
		w.server.close()
	}
}

// now is the time of the simulation.
func (w *world) now() time.Time { return w.start.Add(time.Duration(w.clock.Load())) }

// labels draws a device's labels.
func (w *world) labels() map[string]string {
	out := map[string]string{}
	for _, l := range w.opts.Labels {
		at := rand.Float64() * 100
		for _, share := range l.Shares {
			if at -= share.Percent; at < 0 {
				out[l.Name] = share.Value
				break
			}
		}
	}
	return out
}

// populate makes the devices; each has its first look within a poll interval.
func (w *world) populate() error {
	for n := range w.opts.Devices {
		d, err := w.newDevice(n)
		if err != nil {
			return fmt.Errorf("make device %d: %w", n+1, err)
		}
		d.due = w.now().Add(rand.N(w.opts.Poll))
		w.devices = append(w.devices, d)
	}
	return nil
}

// wake has the devices that are there look soon, as a hint does.
func (w *world) wake() {
	for _, d := range w.devices {
		soon := w.now().Add(rand.N(w.opts.Jitter + 1))
		if !d.isAway() && soon.Before(d.due) {
			d.due = soon
		}
	}
}

// pass lets time go by, and everybody do what is due in it. Each is called after
// every slot.
func (w *world) pass(ctx context.Context, d time.Duration, each func()) error {
	for end := w.now().Add(d); w.now().Before(end); {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := end
		for _, d := range w.devices {
			if at := d.next(); at.Before(next) {
				next = at
			}
		}
		w.clock.Add(int64(min(max(next.Sub(w.now()), slot), end.Sub(w.now()))))
		g := errgroup.Group{}
		g.SetLimit(8 * runtime.GOMAXPROCS(0))
		for _, d := range w.devices {
			if !d.next().After(w.now()) {
				g.Go(func() error {
					d.act(ctx)
					return nil
				})
			}
		}
		_ = g.Wait() // none of them fails
		each()
	}
	return nil
}
