package fleetsim

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// Options say what is rehearsed.
type Options struct {
	Devices int           // 1 to 100,000
	Loss    float64       // of requests, 0 to 1
	Away    float64       // of devices at a time, 0 to 1
	AwayFor time.Duration // spans that a device is away for
	App     string        // file of the version that is rolled out
	Was     string        // file of the version that runs before; "": the same app as version 0.0.0
	Fleet   string        // file whose assignments of that version get the percentages; "": every device
	Steps   []float64     // percent
	Hold    time.Duration // from one step to the next
	Errors  float64       // of the new version's runs, 0 to 1
	Rate    float64       // runs of a function per minute
	Labels  []Label
	Poll    time.Duration
	Jitter  time.Duration // after a hint
	Hint    bool          // devices are told of what is published
	Dir     string        // for the throw-away repository and its keys
	Checks  fleetsync.Checks

	Told func(now Step) // while it goes on, and after each step; may be nil
}

// Label is a label that devices have, with shares of its values.
type Label struct {
	Name   string
	Shares []Share
}

// Share is the part of the devices that have a value; what is left of 100 percent
// has no such label.
type Share struct {
	Value   string
	Percent float64
}

// Step is how a step of the rollout went.
type Step struct {
	Name       string         `json:"name"` // "install", or "10 %"
	Percent    float64        `json:"percent"`
	After      time.Duration  `json:"after_ns"` // since it was published
	Done       bool           `json:"done"`
	Devices    int            `json:"devices"`
	Versions   map[string]int `json:"versions"`    // devices by the version they run; "" for none
	Probation  int            `json:"probation"`   // devices whose new version is on probation
	RolledBack int            `json:"rolled_back"` // devices that went back
	Away       int            `json:"away"`        // devices whose link is away now
	Behind     int            `json:"behind"`      // devices that have not seen it yet
	Flapped    int            `json:"flapped"`     // devices that changed more often than to the new version and back
	HalfAfter  time.Duration  `json:"half_after_ns"`
	MostAfter  time.Duration  `json:"most_after_ns"` // 95 percent of those that came to run it
	BytesDown  int64          `json:"bytes_down"`    // of HTTP, all devices
	BytesUp    int64          `json:"bytes_up"`
	Requests   int64          `json:"requests"`
}

// Rehearse rolls a version out to simulated devices, step by step.
func Rehearse(ctx context.Context, opts Options) ([]Step, error) {
	w, plan, err := prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer w.server.close()
	steps := append([]float64{0}, opts.Steps...)
	var out []Step
	for i, percent := range steps {
		name := "install"
		if i > 0 {
			name = fmt.Sprintf("%g %%", percent)
		}
		if w.revision, err = plan.publish(ctx, i, percent); err != nil {
			return out, fmt.Errorf("publish step %s: %w", name, err)
		}
		step, err := w.step(ctx, name, percent, plan.target(i))
		if err != nil {
			return out, err
		}
		out = append(out, step)
	}
	return out, nil
}

// step waits for what was published to take effect.
func (w *world) step(ctx context.Context, name string, percent float64, target string) (Step, error) {
	began := w.now()
	w.target = target
	for _, d := range w.devices {
		d.begin()
	}
	if w.opts.Hint {
		w.wake()
	}
	look := func(done bool) Step {
		s := w.count(name, percent, began)
		s.Done = done
		if w.opts.Told != nil {
			w.opts.Told(s)
		}
		return s
	}
	err := w.pass(ctx, w.opts.Hold, func() { look(false) })
	return look(true), err
}

// count is how the step goes now.
func (w *world) count(name string, percent float64, began time.Time) Step {
	s := Step{Name: name, Percent: percent, After: w.now().Sub(began), Devices: len(w.devices), Versions: map[string]int{}}
	var took []time.Duration
	for _, d := range w.devices {
		d.mu.Lock()
		s.Versions[d.runs[w.app].version]++
		if d.changes > 2 {
			s.Flapped++
		}
		if !d.arrived.IsZero() {
			took = append(took, d.arrived.Sub(began))
		}
		d.mu.Unlock()
		status := d.pull.Status()
		for _, app := range status.Apps {
			switch {
			case app.Name != w.app:
			case app.State == "probation":
				s.Probation++
			case app.State == "quarantined":
				s.RolledBack++
			}
		}
		if status.Revision < w.revision {
			s.Behind++
		}
		if d.isAway() {
			s.Away++
		}
		s.BytesDown += d.link.down.Load()
		s.BytesUp += d.link.up.Load()
		s.Requests += d.link.requests.Load()
	}
	if slices.Sort(took); len(took) > 0 {
		s.HalfAfter, s.MostAfter = took[len(took)/2], took[len(took)*95/100]
	}
	return s
}

// begin has the device count anew.
func (d *device) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes, d.arrived = 0, time.Time{}
	d.link.down.Store(0)
	d.link.up.Store(0)
	d.link.requests.Store(0)
}

// rollout is what is published, step by step.
type rollout struct {
	opts   Options
	access fleetsync.Access
	app    *fleetsync.App
	was    *fleetsync.App
	wasAt  string // its file
	fleet  *fleetsync.Fleet
}

// prepare makes the repository and the devices.
func prepare(ctx context.Context, opts Options) (*world, *rollout, error) {
	r := &rollout{opts: opts, access: fleetsync.Access{Ref: "oci-layout:" + filepath.Join(opts.Dir, "registry"), Keys: filepath.Join(opts.Dir, "keys")}}
	if err := r.read(); err != nil {
		return nil, nil, err
	}
	made, err := fleetsync.InitFleet(ctx, fleetsync.InitOptions{Access: r.access, Name: "rehearsal"})
	if err != nil {
		return nil, nil, fmt.Errorf("make a repository to rehearse in: %w", err)
	}
	w := &world{
		opts: opts, pool: pool{bytes: map[agent.Digest][]byte{}}, root: made.Root, start: time.Now().Round(0), salt: rand.Uint64(),
		app: r.app.Metadata.Name, version: r.app.Metadata.Version,
		is: fleetsync.Device{Brokers: []string{"broker"}, HTTP: true, Arch: "arm64"},
	}
	w.is.Give(r.app)
	w.is.Give(r.was)
	w.server = newServer(filepath.Join(opts.Dir, "registry"))
	return w, r, w.populate()
}

// read reads the documents, and writes the one of the version before.
func (r *rollout) read() error {
	data, err := os.ReadFile(r.opts.App)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if r.app, err = fleetsync.ParseApp(r.opts.App, data, r.opts.Checks); err != nil {
		return err
	}
	r.wasAt = r.opts.Was
	if r.wasAt == "" {
		if r.wasAt, err = r.earlier(data); err != nil {
			return err
		}
	}
	if data, err = os.ReadFile(r.wasAt); err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if r.was, err = fleetsync.ParseApp(r.wasAt, data, r.opts.Checks); err != nil {
		return err
	}
	if r.was.Metadata.Name != r.app.Metadata.Name || r.was.Metadata.Version == r.app.Metadata.Version {
		return fmt.Errorf("%s is %s@%s, %s is %s@%s: a rollout goes from one version of an app to another",
			r.wasAt, r.was.Metadata.Name, r.was.Metadata.Version, r.opts.App, r.app.Metadata.Name, r.app.Metadata.Version)
	}
	return r.readFleet()
}

// earlier writes the same app as version 0.0.0.
func (r *rollout) earlier(data []byte) (string, error) {
	app, err := fleetsync.ParseApp(r.opts.App, data, r.opts.Checks)
	if err != nil {
		return "", err
	}
	app.Metadata.Version = "0.0.0"
	for name, fn := range app.Functions {
		if path := fn.Module.Path; path != "" && !filepath.IsAbs(path) {
			if fn.Module.Path, err = filepath.Abs(filepath.Join(filepath.Dir(r.opts.App), path)); err != nil {
				return "", err
			}
			app.Functions[name] = fn
		}
	}
	text, err := json.Marshal(app)
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.opts.Dir, "before.json")
	return path, os.WriteFile(path, text, 0o600)
}

func (r *rollout) readFleet() error {
	v := r.app.Metadata
	if r.opts.Fleet == "" {
		r.fleet = &fleetsync.Fleet{Assignments: []fleetsync.Assignment{{App: v.Name, Version: v.Version}}}
		return nil
	}
	data, err := os.ReadFile(r.opts.Fleet)
	if err != nil {
		return fmt.Errorf("read fleet: %w", err)
	}
	if r.fleet, err = fleetsync.ParseFleet(r.opts.Fleet, data); err != nil {
		return err
	}
	r.fleet.Assignments = slices.DeleteFunc(r.fleet.Assignments, func(a fleetsync.Assignment) bool { return a.App != v.Name })
	if !slices.ContainsFunc(r.fleet.Assignments, r.isNew) {
		return fmt.Errorf("%s assigns %s@%s nowhere: name that version there, or rehearse without a fleet document", r.opts.Fleet, v.Name, v.Version)
	}
	return nil
}

func (r *rollout) isNew(a fleetsync.Assignment) bool { return a.Version == r.app.Metadata.Version }

// target is the version that step i brings.
func (r *rollout) target(i int) string {
	if i == 0 {
		return r.was.Metadata.Version
	}
	return r.app.Metadata.Version
}

// publish publishes step i: 0 installs the version before everywhere. It gives the
// fleet document's revision.
func (r *rollout) publish(ctx context.Context, i int, percent float64) (revision int64, err error) {
	files := []string{r.wasAt, r.opts.App}
	if i < 2 {
		if _, err := fleetsync.Publish(ctx, fleetsync.PublishOptions{Access: r.access, AppFile: files[i], Checks: r.opts.Checks}); err != nil {
			return 0, err
		}
	}
	repo, err := fleetsync.OpenFleet(ctx, r.access)
	if err != nil {
		return 0, err
	}
	plan, err := repo.Edit(func(f *fleetsync.Fleet) error {
		f.Sync = r.fleet.Sync
		f.Assignments = nil
		for _, a := range r.fleet.Assignments {
			if r.isNew(a) {
				if i == 0 {
					continue
				}
				a.Percent = &percent
			}
			f.Assignments = append(f.Assignments, a)
		}
		f.Assignments = append(f.Assignments, fleetsync.Assignment{App: r.was.Metadata.Name, Version: r.was.Metadata.Version})
		return nil
	})
	if err != nil {
		return 0, err
	}
	_, err = repo.Push(ctx, plan, nil)
	return plan.Revision(), err
}
