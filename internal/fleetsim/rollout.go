package fleetsim

import (
	"cmp"
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
	layout := filepath.Join(opts.Dir, "registry")
	r := &rollout{opts: opts, access: fleetsync.Access{Ref: cmp.Or(opts.Registry, "oci-layout:"+layout), Keys: filepath.Join(opts.Dir, "keys")}}
	if err := r.read(); err != nil {
		return nil, nil, err
	}
	made, err := fleetsync.InitFleet(ctx, fleetsync.InitOptions{Access: r.access, Name: FleetName})
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
	if opts.Registry == "" {
		w.server = newServer(layout)
	}
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
	for i := range r.fleet.Assignments { // of other versions there is no module: one stands for them
		if a := &r.fleet.Assignments[i]; !r.isNew(*a) && a.Version != "none" {
			a.Version = r.was.Metadata.Version
		}
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
