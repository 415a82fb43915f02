package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Role is who signs what.
type Role string

// The roles of a fleet. Root names the keys of the others but Fleet's, which
// Targets names.
const (
	RoleRoot      Role = metadata.ROOT
	RoleTargets   Role = metadata.TARGETS   // apps/**
	RoleFleet     Role = "fleet"            // fleet.json
	RoleSnapshot  Role = metadata.SNAPSHOT  // which versions belong together
	RoleTimestamp Role = metadata.TIMESTAMP // which snapshot is the newest, and since when
)

// Roles are all of them.
var Roles = []Role{RoleRoot, RoleTargets, RoleFleet, RoleSnapshot, RoleTimestamp}

// NewOptions says who signs a new repository.
type NewOptions struct {
	Root    Signers // no keys: "root"
	Release Signers // targets; no keys: "release"
	Rollout Signers // fleet, snapshot and timestamp; no keys: as Release
}

// Repository is the publisher's side: documents and the files that sign them. It
// is for one goroutine.
type Repository struct {
	// Lifetimes are how long a signature holds, by role; none means 10 years for
	// root, 1 year for the others. They apply to what is signed next.
	Lifetimes map[Role]time.Duration

	documents map[string][]byte
	signers   map[Role]signerSet // as they will sign next
	roots     [][]byte           // from the first
	state     State              // what was signed last
	renew     time.Time          // by the next Sign: what expires before
	renewed   []Role             // of these; of all, if there is none
}

// New makes an empty repository; Sign then signs its first files, root included.
func New(ring *Keyring, opts NewOptions) (*Repository, error) {
	if len(opts.Root.Keys) == 0 {
		opts.Root.Keys = []string{"root"}
	}
	if len(opts.Release.Keys) == 0 {
		opts.Release.Keys = []string{"release"}
	}
	if len(opts.Rollout.Keys) == 0 {
		opts.Rollout = opts.Release
	}
	r := &Repository{documents: map[string][]byte{}, signers: map[Role]signerSet{}}
	err := errors.Join(
		r.Rotate(ring, opts.Root, RoleRoot),
		r.Rotate(ring, opts.Release, RoleTargets),
		r.Rotate(ring, opts.Rollout, RoleFleet, RoleSnapshot, RoleTimestamp),
	)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Load reads a repository to publish to, as a device would (errors as of Verify),
// with all its documents and all roots since the first. One that has expired is
// loaded as well, to be signed anew. root is the fleet's factory root, kept the
// State of the publisher's last look.
func Load(ctx context.Context, files Files, root []byte, kept State, now time.Time) (*Repository, error) {
	v, err := Verify(ctx, root, kept, files, now)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	r := &Repository{documents: map[string][]byte{}, state: v.State}
	if r.signers, err = signersOf(v.State); err != nil {
		return nil, err
	}
	if r.roots, err = history(ctx, files, v); err != nil {
		return nil, err
	}
	for name := range v.Documents {
		if r.documents[name], err = v.Document(ctx, name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// history reads every root since the first: devices that were made with an old one
// need them all.
func history(ctx context.Context, files Files, v *Verified) ([][]byte, error) {
	var (
		roots   [][]byte
		trusted *trustedmetadata.TrustedMetadata
	)
	for n := range v.Root {
		name := numbered(n+1, RoleRoot)
		data, err := fetch(ctx, files, name, maxRoot)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			trusted, err = trust(name, data)
		} else {
			err = guarded(name, func() error { _, err := trusted.UpdateRoot(data); return err })
		}
		if err != nil {
			return nil, err
		}
		roots = append(roots, data)
	}
	if digest(roots[len(roots)-1]) != digest(v.State.Root) {
		return nil, refuse(numbered(v.Root, RoleRoot), ErrMixed, "it is not the root that was reached from the factory root")
	}
	return roots, nil
}

// Documents are the documents by name, as they will be signed.
func (r *Repository) Documents() map[string][]byte { return maps.Clone(r.documents) }

// Put adds or replaces a document. ErrInvalid for a name other than "fleet.json"
// and "apps/<name>/<version>.json", ErrTooLarge.
func (r *Repository) Put(name string, data []byte) error {
	if name != fleetDocument && !appDocument.MatchString(name) {
		return refuse(name, ErrInvalid, "a document is called fleet.json or apps/NAME/VERSION.json")
	}
	if len(data) > maxDocument {
		return refuse(name, ErrTooLarge, "%d bytes, at most %d", len(data), maxDocument)
	}
	r.documents[name] = bytes.Clone(data)
	return nil
}

// Delete takes a document away, which revokes it.
func (r *Repository) Delete(name string) { delete(r.documents, name) }

// Signers tells who signs for a role.
func (r *Repository) Signers(role Role) Signers {
	set := r.signers[role]
	s := Signers{Threshold: set.threshold}
	for _, k := range set.keys {
		s.Keys = append(s.Keys, k.name)
	}
	return s
}

// CanSign names the key files that ring lacks to sign for a role as it is signed now.
func (r *Repository) CanSign(ring *Keyring, role Role) error {
	return r.signers[role].suffices(ring)
}

// Rotate hands roles over to other signers, whose keys must be in ring. Devices
// forget what was signed by keys that a role has no more.
func (r *Repository) Rotate(ring *Keyring, to Signers, roles ...Role) error {
	set, err := ring.signers(to)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("there is no role %q: it is one of %v", role, Roles)
		}
		r.signers[role] = set
	}
	return nil
}

// Extend has the next Sign renew every file that expires before that time: of the
// roles, or of all if none is named.
func (r *Repository) Extend(before time.Time, roles ...Role) { r.renew, r.renewed = before, roles }

// Files are all files of the repository by name: the roots from the first,
// timestamp, snapshot, targets, fleet and the documents.
func (r *Repository) Files() map[string][]byte {
	files := maps.Clone(r.documents)
	for i, root := range r.roots {
		files[numbered(int64(i+1), RoleRoot)] = root
	}
	for _, role := range Roles[1:] {
		if data := r.state.file(role); data != nil {
			files[fileName(role, headOf(data).Version)] = data
		}
	}
	return files
}

// State is what a device that accepted this repository keeps.
func (r *Repository) State() State { return r.state }

// Version is the timestamp's, 0 before the first Sign.
func (r *Repository) Version() int64 { return headOf(r.state.Timestamp).Version }

// Expires tells the first of the files to expire; "" before the first Sign.
func (r *Repository) Expires() (file string, at time.Time) {
	for _, role := range Roles {
		head := headOf(r.state.file(role))
		if head.Version > 0 && (file == "" || head.Expires.Before(at)) {
			file, at = fileName(role, head.Version), head.Expires
		}
	}
	return file, at
}

// file is what was signed for a role.
func (s *State) file(role Role) []byte {
	switch role {
	case RoleRoot:
		return s.Root
	case RoleTargets:
		return s.Targets
	case RoleFleet:
		return s.Fleet
	case RoleSnapshot:
		return s.Snapshot
	default:
		return s.Timestamp
	}
}

func fileName(role Role, version int64) string {
	if role == RoleTimestamp {
		return "timestamp.json"
	}
	return numbered(version, role)
}
