package fleetsync

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

// spareVersions of each app stay published though no assignment names them, so
// that a fleet document can go back to them.
const spareVersions = 4

// documents are the files of the artefact.
type documents map[string][]byte

// merge makes the new fleet and the new set of documents.
func (p *publishing) merge() error {
	if err := p.addApp(); err != nil {
		return err
	}
	if err := p.nextFleet(); err != nil {
		return err
	}
	data, err := json.Marshal(p.fleet)
	if err != nil {
		return err
	}
	p.docs[fleetFile] = data
	if p.app != nil {
		p.result.Unassigned = !slices.ContainsFunc(p.fleet.Assignments, func(a Assignment) bool {
			return a.App == p.app.Metadata.Name && a.Version == p.app.Metadata.Version
		})
	}
	p.prune()
	return p.complete()
}

// addApp adds the app's document. A version is published once: the same again
// is no change, and another under the same number is refused.
func (p *publishing) addApp() error {
	if p.app == nil {
		return nil
	}
	m := p.app.Metadata
	file := appFile(agent.AppVersion{Name: m.Name, Version: m.Version})
	old, there := p.docs[file]
	if !there {
		p.docs[file] = p.mine
		return nil
	}
	was, err := ParseApp(file, old, Checks{})
	if err != nil {
		return fmt.Errorf("read what is published: %w", err)
	}
	before, err := json.Marshal(withoutRefs(was))
	if err != nil {
		return err
	}
	after, err := json.Marshal(withoutRefs(p.app))
	if err != nil {
		return err
	}
	if string(before) != string(after) {
		return fmt.Errorf("%s@%s is published already, with other content: bump metadata.version in %s", m.Name, m.Version, p.opts.AppFile)
	}
	return nil
}

// withoutRefs is app without what depends on the name the registry was reached by.
func withoutRefs(app *App) *App {
	out := *app
	out.Functions = maps.Clone(app.Functions)
	for name, fn := range out.Functions {
		fn.Module.Ref = ""
		out.Functions[name] = fn
	}
	return &out
}

// nextFleet makes the fleet document to be: the file's, or the live one with
// the app's version moved, or a first one. An app that the live one never named
// is given to every device.
func (p *publishing) nextFleet() error {
	switch {
	case p.fleetFile != nil:
		return p.replaceFleet()
	case p.fleet == nil:
		p.fleet = &Fleet{
			APIVersion: apiVersion, Kind: "Fleet", Metadata: FleetMetadata{Name: p.ref.name(), Revision: 1},
			Assignments: []Assignment{{App: p.app.Metadata.Name, Version: p.app.Metadata.Version}},
		}
		return nil
	}
	if !slices.ContainsFunc(p.fleet.Assignments, p.isApp) {
		p.fleet.Assignments = append(p.fleet.Assignments,
			Assignment{App: p.app.Metadata.Name, Version: p.app.Metadata.Version})
		p.fleet.Metadata.Revision++
		return nil
	}
	if a := p.onlyAssignment(); a != nil && a.Version != p.app.Metadata.Version {
		a.Version = p.app.Metadata.Version
		p.fleet.Metadata.Revision++
	}
	return nil
}

func (p *publishing) isApp(a Assignment) bool { return a.App == p.app.Metadata.Name }

// onlyAssignment is the assignment of the app, if there is one only and it is
// for every device; whatever is finer is a person's decision.
func (p *publishing) onlyAssignment() *Assignment {
	var found *Assignment
	for i := range p.fleet.Assignments {
		a := &p.fleet.Assignments[i]
		if a.App != p.app.Metadata.Name {
			continue
		}
		if found != nil {
			return nil
		}
		found = a
	}
	if found == nil || !found.forAll() || found.Version == versionNone {
		return nil
	}
	return found
}

func (p *publishing) replaceFleet() error {
	next := p.fleetFile
	live := int64(0)
	if p.fleet != nil {
		live = p.fleet.Metadata.Revision
		if p.fleet.Metadata.Name != next.Metadata.Name {
			return fmt.Errorf("%s holds the fleet %q, %s is about %q: write metadata.name: %[2]s in %[3]s, or publish to another reference",
				p.ref, p.fleet.Metadata.Name, p.opts.FleetFile, next.Metadata.Name)
		}
	}
	if next.Metadata.Revision == 0 {
		next.Metadata.Revision = live + 1
	}
	if next.Metadata.Revision <= live {
		return fmt.Errorf("%s has revision %d, published is %d: raise metadata.revision above it, or leave it out", p.opts.FleetFile, next.Metadata.Revision, live)
	}
	p.fleet = next
	p.result.Warnings = append(p.result.Warnings, next.Warnings()...)
	return nil
}

// prune drops app versions that no assignment names, but for the newest few.
func (p *publishing) prune() {
	spare := map[string][]string{}
	for file := range p.docs {
		name, version, ok := splitAppFile(file)
		named := slices.ContainsFunc(p.fleet.Assignments, func(a Assignment) bool { return a.App == name && a.Version == version })
		mine := p.app != nil && p.app.Metadata.Name == name && p.app.Metadata.Version == version
		if ok && !named && !mine {
			spare[name] = append(spare[name], version)
		}
	}
	for name, versions := range spare {
		slices.SortFunc(versions, compareVersions)
		for _, v := range versions[:max(len(versions)-spareVersions, 0)] {
			delete(p.docs, appFile(agent.AppVersion{Name: name, Version: v}))
		}
	}
}

func splitAppFile(file string) (name, version string, ok bool) {
	rest, ok := strings.CutPrefix(file, "apps/")
	name, version, ok2 := strings.Cut(strings.TrimSuffix(rest, ".json"), "/")
	return name, version, ok && ok2
}

// complete refuses a fleet that assigns what is not published.
func (p *publishing) complete() error {
	for i, a := range p.fleet.Assignments {
		file := appFile(agent.AppVersion{Name: a.App, Version: a.Version})
		if _, there := p.docs[file]; !there && a.Version != versionNone {
			return &DocumentError{
				File: cmp.Or(p.opts.FleetFile, fleetFile), Path: fmt.Sprintf("assignments[%d].version", i),
				Reason: fmt.Sprintf("%s@%s is not published: publish its app file first, or together", a.App, a.Version),
			}
		}
	}
	return nil
}

// manifest is the artefact's manifest with the blobs it lists. Small documents
// travel in the manifest as well, so that one request brings all.
func (docs documents) manifest() (ocispec.Descriptor, []byte, []blob, error) {
	config := ocispec.DescriptorEmptyJSON
	blobs := []blob{{ocispec.Descriptor{MediaType: config.MediaType, Digest: config.Digest, Size: config.Size}, config.Data}}
	var layers []ocispec.Descriptor
	inlined := 0
	for _, file := range docs.inOrder() {
		data := docs[file]
		mediaType := typeAppDocument
		if file == fleetFile {
			mediaType = typeFleetDocument
		}
		d := describe(mediaType, file, data)
		blobs = append(blobs, blob{d, data})
		if len(data) <= maxInline && inlined+len(data) <= maxInlined {
			d.Data = data
			inlined += len(data)
		}
		layers = append(layers, d)
	}
	desc, data, err := manifestOf(typeFleetArtefact, config, layers)
	return desc, data, blobs, err
}

// inOrder puts the fleet first, so that it is inlined before all else.
func (docs documents) inOrder() []string {
	files := slices.Sorted(maps.Keys(docs))
	if i := slices.Index(files, fleetFile); i > 0 {
		files = slices.Insert(slices.Delete(files, i, i+1), 0, fleetFile)
	}
	return files
}
