package fleetsim

import (
	"context"
	"fmt"
	"slices"
	"time"

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

	// Registry is a scratch repository to rehearse in, as oci://host/repository[:tag];
	// "" for one in this process. Nothing may be published there yet.
	Registry string

	Told   func(now Step)       // while it goes on, and after each step; may be nil
	Report func([]Report) error // what devices say of themselves after each step; may be nil
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

// Report is what a device would leave at the fleet's broker.
type Report struct {
	fleetsync.Report
	Online bool
}

// FleetName is the name of the fleet that is rehearsed with.
const FleetName = "rehearsal"

// Rehearse rolls a version out to simulated devices, step by step.
func Rehearse(ctx context.Context, opts Options) ([]Step, error) {
	w, plan, err := prepare(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer w.close()
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

// refresh is how often somebody is told while a step goes on, in real time.
const refresh = 100 * time.Millisecond

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
	tell := w.opts.Told
	if tell == nil {
		tell = func(Step) {}
	}
	shown := time.Now()
	err := w.pass(ctx, w.opts.Hold, func() {
		if time.Since(shown) >= refresh { // counting asks every device
			tell(w.count(name, percent, began))
			shown = time.Now()
		}
	})
	if err != nil {
		return Step{}, err
	}
	if w.opts.Report != nil {
		if err := w.opts.Report(w.reports()); err != nil {
			return Step{}, err
		}
	}
	s := w.count(name, percent, began)
	s.Done = true
	tell(s)
	return s, nil
}

// reports are what all devices say now.
func (w *world) reports() []Report {
	var out []Report
	for _, d := range w.devices {
		r := fleetsync.ReportOf(d.id, d.pull.Status())
		r.Labels, r.Time, r.ClockSure, r.Agent, r.Started = d.labels, w.now(), true, "simulated", w.start
		r.Arch, r.Engine = w.is.Arch, "compiler"
		out = append(out, Report{Report: r, Online: !d.isAway()})
	}
	return out
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
