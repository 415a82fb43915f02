package trust

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	year = 365 * 24 * time.Hour
	// maxVersion is more than honest counting reaches: one publication a second
	// for a century.
	maxVersion = 1 << 32
	// maxBehind is how far a publisher's clock may be behind the last publisher's.
	maxBehind = 24 * time.Hour
)

// Sign signs what changed since the last Sign or Load: new versions of the files
// concerned and of those that list them. If nothing did, it does nothing. A
// missing key is named by its file, and nothing is signed. A new root is signed by
// the old root's keys and its own.
func (r *Repository) Sign(ring *Keyring, now time.Time) error {
	s, err := r.signing(ring, now)
	if err != nil {
		return err
	}
	next := State{Factory: r.state.Factory}
	if next.Root, err = signFile(s, RoleRoot, r.state.Root, r.rootContent()); err != nil {
		return err
	}
	if next.Targets, err = signFile(s, RoleTargets, r.state.Targets, r.targetsContent()); err != nil {
		return err
	}
	if next.Fleet, err = signFile(s, RoleFleet, r.state.Fleet, r.fleetContent()); err != nil {
		return err
	}
	if next.Snapshot, err = signFile(s, RoleSnapshot, r.state.Snapshot, snapshotContent(next)); err != nil {
		return err
	}
	if next.Timestamp, err = signFile(s, RoleTimestamp, r.state.Timestamp, timestampContent(next, s.now)); err != nil {
		return err
	}
	if !bytes.Equal(next.Root, r.state.Root) {
		r.roots = append(r.roots, next.Root)
	}
	if next.Factory == "" {
		next.Factory = digest(next.Root)
	}
	r.state, r.renew, r.renewed = next, time.Time{}, nil
	return nil
}

// signing is one Sign.
type signing struct {
	r       *Repository
	ring    *Keyring
	now     time.Time
	current map[Role]bool // its last file counts with its signers of now
	changed bool          // some file did
	oldRoot signerSet     // who signed the last root; none before the first
}

func (r *Repository) signing(ring *Keyring, now time.Time) (*signing, error) {
	s := &signing{r: r, ring: ring, now: now.UTC().Truncate(time.Second)}
	if r.state.Root != nil {
		before, err := signersOf(r.state)
		if err != nil {
			return nil, err
		}
		s.oldRoot = before[RoleRoot]
	}
	all := r.rootContent()
	for role, set := range r.signers {
		all.Roles[string(role)] = &metadata.Role{KeyIDs: set.ids(), Threshold: set.threshold}
		set.publicKeys(all.Keys)
	}
	by := &metadata.Metadata[metadata.RootType]{Signed: all}
	timestamp := usable[metadata.TimestampType](by, RoleTimestamp, r.state.Timestamp)
	s.current = map[Role]bool{
		RoleRoot:      usable[metadata.RootType](by, RoleRoot, r.state.Root) != nil,
		RoleTargets:   usable[metadata.TargetsType](by, RoleTargets, r.state.Targets) != nil,
		RoleFleet:     usable[metadata.TargetsType](by, RoleFleet, r.state.Fleet) != nil,
		RoleSnapshot:  usable[metadata.SnapshotType](by, RoleSnapshot, r.state.Snapshot) != nil,
		RoleTimestamp: timestamp != nil,
	}
	if last := issued(timestamp); last.After(s.now) {
		if last.Sub(s.now) > maxBehind {
			return nil, fmt.Errorf("this computer's clock says %s, and the last publication was signed at %s: set the clock (if that publication is the one that is wrong, rotate the timestamp's key)",
				s.now.Format(time.RFC3339), last.Format(time.RFC3339))
		}
		s.now = last.UTC()
	}
	return s, nil
}

// signFile returns old if it says what content says, counts and holds long enough;
// else the next version, signed. A timestamp is renewed with any other file, so
// that its version tells publications apart.
func signFile[T metadata.Roles](s *signing, role Role, old []byte, content T) ([]byte, error) {
	signed, err := fields(content)
	if err != nil {
		return nil, err
	}
	head := headOf(old)
	ends := head.Expires.Before(s.r.renew) && (len(s.r.renewed) == 0 || slices.Contains(s.r.renewed, role))
	if s.current[role] && reflect.DeepEqual(substance(head.raw), substance(signed)) && !ends && !(role == RoleTimestamp && s.changed) {
		return old, nil
	}
	s.changed = true
	if signed["version"], err = s.next(role, head.Version); err != nil {
		return nil, err
	}
	lifetime := s.r.Lifetimes[role]
	switch {
	case lifetime > 0:
	case role == RoleRoot:
		lifetime = 10 * year
	default:
		lifetime = year
	}
	signed["expires"] = s.now.Add(lifetime).Truncate(time.Second).Format(time.RFC3339)
	return s.seal(role, signed)
}

// next is the version after the last. One that was driven up on purpose starts
// again, which devices accept once the keys are rotated that signed it and what
// listed it.
func (s *signing) next(role Role, last int64) (int64, error) {
	if last < maxVersion || role == RoleRoot {
		return last + 1, nil
	}
	lister := map[Role]Role{RoleTargets: RoleSnapshot, RoleFleet: RoleSnapshot, RoleSnapshot: RoleTimestamp, RoleTimestamp: RoleTimestamp}[role]
	for _, stolen := range []Role{role, lister} {
		if s.current[stolen] {
			return 0, fmt.Errorf("%s is at version %d: somebody with its key counted it up; rotate the key of %s first", role, last, stolen)
		}
	}
	return 1, nil
}

// seal signs a file.
func (s *signing) seal(role Role, signed map[string]any) ([]byte, error) {
	payload, err := cjson.EncodeCanonical(signed)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", role, err)
	}
	signatures, err := s.signatures(role, payload)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", role, err)
	}
	data, err := json.Marshal(map[string]any{"signed": signed, "signatures": signatures})
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", role, err)
	}
	if limit := limits[role]; int64(len(data)) > limit {
		return nil, refuse(string(role)+".json", ErrTooLarge, "%d bytes, at most %d: delete what no device runs any more", len(data), limit)
	}
	return data, nil
}

// signatures are by as many keys as the role takes, and for a root by as many as
// its predecessor takes too.
func (s *signing) signatures(role Role, payload []byte) ([]metadata.Signature, error) {
	sets := []signerSet{s.r.signers[role]}
	if role == RoleRoot {
		sets = append(sets, s.oldRoot)
	}
	var list []metadata.Signature
	done := map[string]bool{}
	for _, set := range sets {
		if err := set.suffices(s.ring); err != nil {
			return nil, err
		}
		have := 0
		for _, k := range set.keys {
			key := s.ring.byID(k.id)
			if key == nil || have == set.threshold {
				continue
			}
			have++
			if done[k.id] {
				continue
			}
			sig, err := s.ring.sign(key, payload)
			if err != nil {
				return nil, err
			}
			done[k.id] = true
			list = append(list, metadata.Signature{KeyID: k.id, Signature: sig})
		}
	}
	return list, nil
}
