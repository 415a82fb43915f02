package trust

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Limits in bytes, and of the rotations that one look follows.
const (
	maxRoot      = 64 << 10
	maxTimestamp = 16 << 10
	maxMetadata  = 1 << 20 // snapshot, targets, fleet
	maxDocument  = 1 << 20
	maxRotations = 256
)

var limits = map[Role]int64{
	RoleRoot: maxRoot, RoleTargets: maxMetadata, RoleFleet: maxMetadata, RoleSnapshot: maxMetadata, RoleTimestamp: maxTimestamp,
}

// round is one look at a repository. go-tuf decides what is signed; round decides
// what is asked for, and what is older than what was kept. go-tuf's time stays at
// zero: expiry is judged at the end, when all else is known to hold.
type round struct {
	files   Files
	kept    State
	trusted *trustedmetadata.TrustedMetadata
	factory string // name of the factory root
	state   State  // to be kept
}

// start trusts the newest root there is: the kept one, if it was reached from this
// factory root.
func start(factory []byte, kept State, files Files) (*round, error) {
	trusted, err := trust("the factory root", factory)
	if err != nil {
		return nil, err
	}
	r := &round{
		files: files, kept: kept, trusted: trusted, factory: numbered(trusted.Root.Signed.Version, RoleRoot),
		state: State{Factory: digest(factory), Root: factory},
	}
	if kept.Factory != r.state.Factory {
		return r, nil
	}
	newer, err := trust("the kept root", kept.Root)
	if err == nil && newer.Root.Signed.Version > trusted.Root.Signed.Version {
		r.trusted, r.state.Root = newer, kept.Root
	}
	return r, nil
}

func trust(file string, root []byte) (trusted *trustedmetadata.TrustedMetadata, err error) {
	err = guarded(file, func() error {
		trusted, err = trustedmetadata.New(root)
		return err
	})
	if err != nil {
		return nil, err
	}
	trusted.RefTime = time.Time{}
	return trusted, nil
}

// fetch returns a file of at most limit bytes.
func fetch(ctx context.Context, files Files, name string, limit int64) ([]byte, error) {
	data, err := files.File(ctx, name, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, refuse(name, ErrTooLarge, "more than %d bytes", limit)
	}
	return data, nil
}

// walk follows the rotations of the root since the one that is trusted.
func (r *round) walk(ctx context.Context) error {
	for range maxRotations {
		name := numbered(r.trusted.Root.Signed.Version+1, RoleRoot)
		data, err := fetch(ctx, r.files, name, maxRoot)
		if errors.Is(err, ErrAbsent) {
			return r.consistent()
		}
		if err != nil {
			return err
		}
		err = guarded(name, func() error { _, err := r.trusted.UpdateRoot(data); return err })
		if err != nil {
			return r.stranger(ctx, name, err)
		}
		r.state.Root = data
	}
	return refuse("the root", ErrTooLarge, "more than %d rotations since the last look", maxRotations)
}

func (r *round) consistent() error {
	if root := r.trusted.Root.Signed; !root.ConsistentSnapshot {
		return refuse(numbered(root.Version, RoleRoot), ErrInvalid, "consistent_snapshot must be true")
	}
	return nil
}

// stranger says so if what is not signed by this fleet's keys is another fleet's.
func (r *round) stranger(ctx context.Context, name string, err error) error {
	if !errors.Is(err, ErrUnsigned) {
		return err
	}
	theirs, absent := fetch(ctx, r.files, r.factory, maxRoot)
	if absent != nil || digest(theirs) == r.state.Factory {
		return err
	}
	if _, garbled := trust(r.factory, theirs); garbled != nil {
		return err
	}
	return fmt.Errorf("%w: it is signed by keys of another fleet, whose %s has the fingerprint %.12s…, and here it is %.12s…",
		err, r.factory, digest(theirs), r.state.Factory)
}

// timestamp reads the newest timestamp.
func (r *round) timestamp(ctx context.Context) error {
	const name = "timestamp.json"
	data, err := fetch(ctx, r.files, name, maxTimestamp)
	if err != nil {
		return err
	}
	err = guarded(name, func() error { _, err := r.trusted.UpdateTimestamp(data); return err })
	if err != nil {
		return r.stranger(ctx, name, err)
	}
	got := r.trusted.Timestamp.Signed
	if got.Meta["snapshot.json"] == nil {
		return refuse(name, ErrInvalid, "it lists no snapshot")
	}
	if kept := usable[metadata.TimestampType](r.trusted.Root, RoleTimestamp, r.kept.Timestamp); kept != nil {
		if got.Version < kept.Version {
			return older(name, got.Version, kept.Version)
		}
		if err := notOlder(name, kept.Meta, got.Meta); err != nil {
			return err
		}
	}
	r.state.Timestamp = data
	return nil
}

// snapshot reads the snapshot that the timestamp lists.
func (r *round) snapshot(ctx context.Context) error {
	meta := r.trusted.Timestamp.Signed.Meta["snapshot.json"]
	kept := usable[metadata.SnapshotType](r.trusted.Root, RoleSnapshot, r.kept.Snapshot)
	if kept != nil && meta.Version < kept.Version {
		return older("snapshot.json", meta.Version, kept.Version)
	}
	name, data, err := r.listed(ctx, RoleSnapshot, meta, r.kept.Snapshot)
	if err != nil {
		return err
	}
	err = guarded(name, func() error { _, err := r.trusted.UpdateSnapshot(data, false); return err })
	if err != nil {
		return otherPublication[metadata.SnapshotType](r.trusted.Root, RoleSnapshot, data, err)
	}
	if kept != nil {
		if err := notOlder(name, kept.Meta, r.trusted.Snapshot.Signed.Meta); err != nil {
			return err
		}
	}
	r.state.Snapshot = data
	return nil
}

// targets reads the signatures over the apps.
func (r *round) targets(ctx context.Context) error {
	data, err := signedDocuments(ctx, r, r.trusted.Root, RoleTargets, RoleRoot, r.kept.Targets)
	r.state.Targets = data
	return err
}

// fleet reads the signatures over the fleet document, by whom targets names.
func (r *round) fleet(ctx context.Context) error {
	targets := r.trusted.Targets[string(RoleTargets)]
	name := numbered(targets.Signed.Version, RoleTargets)
	if !delegates(targets.Signed.Delegations) {
		return refuse(name, ErrInvalid, "it lets nobody sign fleet.json")
	}
	data, err := signedDocuments(ctx, r, targets, RoleFleet, RoleTargets, r.kept.Fleet)
	r.state.Fleet = data
	return err
}

// signedDocuments reads targets or fleet, which delegator signs for.
func signedDocuments[T metadata.Roles](ctx context.Context, r *round, delegator *metadata.Metadata[T], role, by Role, kept []byte) ([]byte, error) {
	file := string(role) + ".json"
	meta := r.trusted.Snapshot.Signed.Meta[file]
	if meta == nil {
		return nil, refuse(numbered(r.trusted.Snapshot.Signed.Version, RoleSnapshot), ErrInvalid, "it does not list %s", file)
	}
	before := usable[metadata.TargetsType](delegator, role, kept)
	if before != nil && meta.Version < before.Version {
		return nil, older(file, meta.Version, before.Version)
	}
	name, data, err := r.listed(ctx, role, meta, kept)
	if err != nil {
		return nil, err
	}
	err = guarded(name, func() error {
		_, err := r.trusted.UpdateDelegatedTargets(data, string(role), string(by))
		return err
	})
	if err != nil {
		return nil, otherPublication[metadata.TargetsType](delegator, role, data, err)
	}
	return data, nil
}

// listed returns the file that meta is about, and its name: the kept one if that
// is it.
func (r *round) listed(ctx context.Context, role Role, meta *metadata.MetaFiles, kept []byte) (string, []byte, error) {
	name := numbered(meta.Version, role)
	if len(meta.Hashes) > 0 && meta.VerifyLengthHashes(kept) == nil {
		return name, kept, nil
	}
	data, err := fetch(ctx, r.files, name, maxMetadata)
	if errors.Is(err, ErrAbsent) {
		return name, nil, refuse(name, ErrMixed, "it is listed and not there")
	}
	return name, data, err
}

func numbered(version int64, role Role) string {
	return strconv.FormatInt(version, 10) + "." + string(role) + ".json"
}
