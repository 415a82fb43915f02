package fleetsync

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// spareVersions of each app stay published though no assignment names them, so
// that a fleet document, and a device, can go back to them.
const spareVersions = 10

// Plan is what a Push would publish. It changed nothing yet.
type Plan struct {
	from       agent.Digest // manifest that it was made against
	base       documents    // of that
	app        *App         // as written, with its modules' digests; nil if none is published
	appFile    string
	modules    []moduleFile
	fleet      *Fleet // to be; nil if there is none yet
	fleetFile  string
	docs       documents // to be, but for the patches of app
	rekey      func(*trust.Repository) error
	rekeyed    string // what rekey does, for people
	wasPaused  bool   // the fleet, before
	unassigned bool
	warnings   []string
}

// Warnings are things that work otherwise than written, or soon no more.
func (p *Plan) Warnings() []string { return slices.Concat(p.paused(), p.warnings) }

// paused tells who goes on to run what he has, though something else is published.
func (p *Plan) paused() []string {
	switch {
	case p.fleet == nil || p.rekey != nil || p.Unchanged():
		return nil
	case p.fleet.Paused && p.wasPaused:
		return []string{"the fleet is paused: every device keeps the versions it runs, unless revoked, until skerry fleet resume"}
	case p.app != nil && p.fleet.holds(p.app.Metadata.Name):
		return []string{fmt.Sprintf("%s is paused: its devices keep the version they run until skerry fleet resume %[1]s", p.app.Metadata.Name)}
	}
	return nil
}

// App is the version that it publishes, zero if none.
func (p *Plan) App() agent.AppVersion {
	if p.app == nil {
		return agent.AppVersion{}
	}
	return p.app.version()
}

// Revision is the fleet document's, once the plan is pushed.
func (p *Plan) Revision() int64 {
	if p.fleet == nil {
		return 0
	}
	return p.fleet.Metadata.Revision
}

// Unchanged tells that all of it is published already.
func (p *Plan) Unchanged() bool {
	return p.rekey == nil && maps.EqualFunc(p.docs, p.base, func(a, b []byte) bool { return string(a) == string(b) })
}

// plan is one that changes nothing yet.
func (r *FleetRepo) plan() *Plan {
	p := &Plan{from: r.live.digest, base: r.docs, docs: r.docs.clone()}
	if r.fleet != nil {
		p.fleet, p.wasPaused = r.fleet.clone(), r.fleet.Paused
	}
	return p
}

// Plan reads and checks the documents to publish, either of which may be "", and
// works out what follows. An app's modules are read and checked too.
func (r *FleetRepo) Plan(appFile, fleetFile string, checks Checks) (*Plan, error) {
	if appFile == "" && fleetFile == "" {
		return nil, errors.New("nothing to publish: name an app.yaml or a fleet.yaml")
	}
	p := r.plan()
	p.appFile, p.fleetFile = appFile, fleetFile
	if appFile != "" {
		if err := p.readApp(r.ref, &checks); err != nil {
			return nil, err
		}
		if err := p.addApp(); err != nil {
			return nil, err
		}
	}
	if err := p.nextFleet(r); err != nil {
		return nil, err
	}
	if p.app != nil {
		p.unassigned = !p.fleet.assigns(p.app.version())
	}
	p.prune()
	return p, p.complete()
}

func (p *Plan) readApp(ref reference, checks *Checks) error {
	data, err := os.ReadFile(p.appFile)
	if err != nil {
		return fmt.Errorf("read app: %w", err)
	}
	if p.app, err = ParseApp(p.appFile, data, *checks); err != nil {
		return err
	}
	var warnings []string
	if p.modules, warnings, err = readModules(p.appFile, p.app, checks); err != nil {
		return err
	}
	p.warnings = append(p.app.Warnings(), warnings...)
	if needs := p.app.needs(); needs != "" {
		p.warnings = append(p.warnings, "devices need: "+needs)
	}
	for i := range p.modules {
		mod := &p.modules[i]
		fn := p.app.Functions[mod.function]
		fn.Module = AppModule{Ref: ref.module(mod.tag), Digest: string(mod.layer.Digest), Size: mod.layer.Size}
		p.app.Functions[mod.function] = fn
	}
	return nil
}

// addApp adds the app's document. A version is published once: the same again
// is no change, and another under the same number is refused.
func (p *Plan) addApp() error {
	v := p.app.version()
	if p.docs.revoked(appFile(v)) {
		return p.taken("was revoked")
	}
	if p.docs.has(v) {
		was, err := p.docs.app(v)
		if err != nil {
			return fmt.Errorf("read what is published: %w", err)
		}
		if !sameApp(was, p.app) {
			return p.taken("is published already, with other content")
		}
		return nil
	}
	data, err := json.Marshal(p.app)
	p.docs[appFile(v)] = data
	return err
}

// taken refuses a version that cannot be published.
func (p *Plan) taken(why string) error {
	m := p.app.Metadata
	return &DocumentError{File: p.appFile, Path: "metadata.version", Reason: fmt.Sprintf("%s@%s %s: bump it", m.Name, m.Version, why)}
}

// sameApp compares two documents but for what publishing makes of them.
func sameApp(a, b *App) bool {
	before, err := json.Marshal(a.asWritten())
	after, err2 := json.Marshal(b.asWritten())
	return errors.Join(err, err2) == nil && string(before) == string(after)
}

// asWritten is the app without what depends on the name the registry was reached
// by, and without the patches.
func (a *App) asWritten() *App {
	out := *a
	out.Functions = maps.Clone(a.Functions)
	for name, fn := range out.Functions {
		fn.Module.Ref, fn.Module.Patches = "", nil
		out.Functions[name] = fn
	}
	return &out
}

func (a *App) version() agent.AppVersion {
	return agent.AppVersion{Name: a.Metadata.Name, Version: a.Metadata.Version}
}

// nextFleet makes the fleet document to be: the file's, or the live one with
// the app's version moved, or a first one. An app that the live one never named
// is given to every device.
func (p *Plan) nextFleet(r *FleetRepo) error {
	if p.fleetFile != "" {
		return p.replaceFleet(r)
	}
	if r.unread != nil {
		return r.unread
	}
	m := p.app.Metadata
	if p.fleet == nil {
		p.fleet = r.Fleet()
	}
	a := p.fleet.only(m.Name)
	switch {
	case !p.fleet.names(m.Name):
		p.fleet.Assignments = append(p.fleet.Assignments, Assignment{App: m.Name, Version: m.Version})
	case a != nil && a.Version != m.Version:
		a.Version = m.Version
	default:
		return nil
	}
	return p.setFleet(r.Fleet().Metadata.Revision + 1)
}

// setFleet puts the fleet document among the others.
func (p *Plan) setFleet(revision int64) error {
	if revision > maxRevision {
		return fmt.Errorf("the fleet is at revision %d and none comes after it: begin another fleet, with skerry fleet init", revision-1)
	}
	p.fleet.Metadata.Revision = revision
	data, err := json.Marshal(p.fleet)
	p.docs[fleetFile] = data
	return err
}

func (p *Plan) replaceFleet(r *FleetRepo) error {
	data, err := os.ReadFile(p.fleetFile)
	if err != nil {
		return fmt.Errorf("read fleet: %w", err)
	}
	next, err := ParseFleet(p.fleetFile, data)
	if err != nil {
		return err
	}
	live := r.Fleet().Metadata
	if live.Name != next.Metadata.Name {
		return fmt.Errorf("%s holds the fleet %q, %s is about %q: write metadata.name: %[2]s in %[3]s, or publish to another reference",
			r.ref, live.Name, p.fleetFile, next.Metadata.Name)
	}
	revision := cmp.Or(next.Metadata.Revision, live.Revision+1)
	if revision <= live.Revision {
		return fmt.Errorf("%s has revision %d, published is %d: raise metadata.revision above it, or leave it out", p.fleetFile, revision, live.Revision)
	}
	p.fleet = next
	p.warnings = append(p.warnings, next.Warnings()...)
	return p.setFleet(revision)
}

// prune drops app versions that no assignment names, but for the newest few. It
// drops none of an app whose devices were told to keep what they run.
func (p *Plan) prune() {
	if p.fleet == nil || p.fleet.Paused {
		return
	}
	spare := map[string]int{}
	for _, v := range p.docs.apps() { // the newest of each app first
		mine := p.app != nil && p.app.version() == v
		if mine || p.fleet.assigns(v) || p.fleet.holds(v.Name) {
			continue
		}
		if spare[v.Name]++; spare[v.Name] > spareVersions {
			delete(p.docs, appFile(v))
		}
	}
}

// complete refuses a fleet that assigns what is not published.
func (p *Plan) complete() error {
	if p.fleet == nil {
		return nil
	}
	for i, a := range p.fleet.Assignments {
		v := agent.AppVersion{Name: a.App, Version: a.Version}
		if p.docs.has(v) || a.Version == versionNone {
			continue
		}
		why := "is not published: publish its app file first, or together"
		if p.docs.revoked(appFile(v)) {
			why = "was revoked: name another version"
		}
		return &DocumentError{
			File: cmp.Or(p.fleetFile, fleetFile), Path: fmt.Sprintf("assignments[%d].version", i),
			Reason: fmt.Sprintf("%s@%s %s", a.App, a.Version, why),
		}
	}
	return nil
}

func splitAppFile(file string) (name, version string, ok bool) {
	rest, ok := strings.CutPrefix(file, "apps/")
	name, version, ok2 := strings.Cut(strings.TrimSuffix(rest, ".json"), "/")
	return name, version, ok && ok2
}
