package fleetsync

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Access says where a fleet is published, and with whose keys.
type Access struct {
	Ref  string // oci://host/repository[:tag] or oci-layout:/path[:tag]; "" for the one that Keys notes
	Keys string // the fleet's folder of keys, see InitFleet
	// Passphrase is asked for an encrypted key when it is first used, with the
	// path of its file; nil if nobody can be asked.
	Passphrase func(file string) ([]byte, error)
	PlainHTTP  bool
	TLS        *tls.Config
	Now        func() time.Time // nil for time.Now
}

func (a *Access) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

// FleetRepo is a fleet as it is published, and the way to publish more. What it
// says was verified; it is not looked at again before Push.
type FleetRepo struct {
	access Access
	keys   *keysFolder
	ref    reference
	to     publisher
	meter  *sendMeter

	live   *artefact
	raw    []byte            // its manifest
	signed *trust.Repository // what it holds; never changed
	docs   documents
	fleet  *Fleet // nil before the first publish, and if it cannot be read
	unread error  // why it cannot
}

// publisher is a carrier that can be written to.
type publisher interface {
	carrier
	has(ctx context.Context, d ocispec.Descriptor) (bool, error)
	push(ctx context.Context, d ocispec.Descriptor, data []byte) error
	// resolve is what a tag points at, "" if there is no such tag.
	resolve(ctx context.Context, tag string) (agent.Digest, error)
	// tagManifest stores a manifest under a tag that points at was; ErrMoved
	// if it points elsewhere by now.
	tagManifest(ctx context.Context, d ocispec.Descriptor, data []byte, tag string, was agent.Digest) error
	// at is the same place seen by another tag.
	at(tag string) publisher
}

func (l *layout) at(tag string) publisher {
	other := *l
	other.tag = tag
	return &other
}

func (s *remoteStore) at(tag string) publisher {
	other := *s
	other.ref.tag = tag
	return &other
}

// connect opens nothing yet.
func (a *Access) connect(meter *sendMeter) (reference, publisher, error) {
	ref, err := parseReference(a.Ref)
	if err != nil {
		return reference{}, nil, err
	}
	if ref.dir != "" {
		return ref, &layout{dir: ref.dir, tag: ref.tag, sent: meter.add}, nil
	}
	remote, err := newRemote(ref, RegistryOptions{PlainHTTP: a.PlainHTTP, TLS: a.TLS, Retries: 6, Idle: 30 * time.Second}, meter.add)
	return ref, remote, err
}

// OpenFleet reads what is published and verifies it, with the root that the keys
// folder holds and against the newest that was seen from there. Private keys are
// not needed before Push. Errors wrap trust's, ErrNothingPublished or ErrNoKeys.
func OpenFleet(ctx context.Context, access Access) (*FleetRepo, error) {
	keys, err := openKeys(access.Keys)
	if err != nil {
		return nil, err
	}
	access.Ref = cmp.Or(access.Ref, keys.note.Ref)
	r := &FleetRepo{access: access, keys: keys, meter: &sendMeter{}}
	if r.ref, r.to, err = access.connect(r.meter); err != nil {
		return nil, err
	}
	unlock, err := keys.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	if err := keys.remember(r.signed.State()); err != nil && !readOnly(err) {
		return nil, err
	}
	return r, nil
}

// read brings what is published now.
func (r *FleetRepo) read(ctx context.Context) error {
	m, err := r.to.manifest(ctx, "")
	if errors.Is(err, ErrNothingPublished) {
		return fmt.Errorf("%s holds nothing, though the keys in %s are of fleet %s: name the reference where it is, or put a backup or an export of it back there",
			r.ref, r.keys.dir, r.keys.note.Name)
	}
	if err != nil {
		return err
	}
	live, err := readArtefact(r.to, m)
	if err != nil {
		return err
	}
	signed, err := trust.Load(ctx, live, r.keys.root, r.keys.seen, r.access.now())
	if err != nil {
		return fmt.Errorf("%s: %w%s", r.ref, err, advice(err))
	}
	return r.adopt(live, m.data, signed)
}

// advice goes on after the reason for which published documents are refused.
func advice(err error) string {
	switch {
	case errors.Is(err, trust.ErrRollback):
		return "; somebody put old documents back, or the registry lost the newest: restore them there before anything else is published"
	case errors.Is(err, trust.ErrUnsigned):
		return "; what is there was signed by others: look who may write there, or use the keys of that fleet"
	}
	return ""
}

// adopt makes live what is published.
func (r *FleetRepo) adopt(live *artefact, raw []byte, signed *trust.Repository) error {
	docs := documents(signed.Documents())
	var fleet *Fleet
	r.unread = nil
	if data, there := docs[fleetFile]; there {
		// A thief of its key may have written it: that must not keep its owner out.
		var err error
		if fleet, err = parsePublishedFleet(data); err == nil {
			r.keys.note.Name = fleet.Metadata.Name
		} else {
			r.unread = fmt.Errorf("the fleet document that is published cannot be read, so publish a whole one: skerry publish fleet.yaml (%w)", err)
		}
	}
	r.live, r.raw, r.signed, r.docs, r.fleet = live, raw, signed, docs, fleet
	return nil
}

// Ref is where it is published, in full.
func (r *FleetRepo) Ref() string { return r.ref.String() }

// Name is the fleet's.
func (r *FleetRepo) Name() string { return r.keys.note.Name }

// Unread is why the published fleet document cannot be read; nil if it can. It cannot
// be edited then, only replaced.
func (r *FleetRepo) Unread() error { return r.unread }

// Fleet is a copy of the published fleet document; before the first publish, and if
// it cannot be read, one of revision 0 without assignments.
func (r *FleetRepo) Fleet() *Fleet {
	if r.fleet == nil {
		return &Fleet{APIVersion: apiVersion, Kind: "Fleet", Metadata: FleetMetadata{Name: r.Name()}, Assignments: []Assignment{}}
	}
	return r.fleet.clone()
}

// Apps are the published versions, by name, the newest of each first.
func (r *FleetRepo) Apps() []agent.AppVersion { return r.docs.apps() }

// App is the document of a published version.
func (r *FleetRepo) App(v agent.AppVersion) (*App, error) { return r.docs.app(v) }

// Publication counts what was published here; it grows each time.
func (r *FleetRepo) Publication() int64 { return r.signed.Version() }

// Fingerprint is of the first root, which devices are given: 64 hex digits.
func (r *FleetRepo) Fingerprint() (string, error) { return trust.Fingerprint(r.keys.root) }

// Manifest is the digest of what the tag points at.
func (r *FleetRepo) Manifest() agent.Digest { return r.live.digest }

// Expires is when devices begin to refuse what is published, unless something is
// published before, and the file that says so.
func (r *FleetRepo) Expires() (file string, at time.Time) { return r.signed.Expires() }

// documents are the fleet's and the apps' documents, by file name.
type documents map[string][]byte

func (docs documents) apps() []agent.AppVersion {
	var out []agent.AppVersion
	for file := range docs {
		if name, version, ok := splitAppFile(file); ok && !docs.revoked(file) {
			out = append(out, agent.AppVersion{Name: name, Version: version})
		}
	}
	slices.SortFunc(out, func(a, b agent.AppVersion) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), -compareVersions(a.Version, b.Version))
	})
	return out
}

// has tells whether a version is published, and not revoked.
func (docs documents) has(v agent.AppVersion) bool {
	_, there := docs[appFile(v)]
	return there && !docs.revoked(appFile(v))
}

func (docs documents) revoked(file string) bool { return string(docs[file]) == revokedDocument }

func (docs documents) app(v agent.AppVersion) (*App, error) {
	data, there := docs[appFile(v)]
	if docs.revoked(appFile(v)) {
		return nil, fmt.Errorf("%s@%s was revoked%s", v.Name, v.Version, docs.others(v.Name))
	}
	if !there {
		return nil, fmt.Errorf("%s@%s is not published%s", v.Name, v.Version, docs.others(v.Name))
	}
	return parsePublished(v, data, Checks{})
}

// others says which versions of an app there are: "; 1.1.0 and 1.0.0 are".
func (docs documents) others(app string) string {
	out := ""
	for _, v := range docs.apps() {
		if v.Name == app {
			out += ", " + v.Version
		}
	}
	if out == "" {
		return "; publish its app file"
	}
	return "; published of it: " + out[2:]
}

func (docs documents) clone() documents { return maps.Clone(docs) }
