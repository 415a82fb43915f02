package trust

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Signers are the keys that sign for a role, by name, and how many of them must.
type Signers struct {
	Keys      []string // names of key files, without ".pem"
	Threshold int      // 0 means 1
}

type signerSet struct {
	keys      []signer
	threshold int
}

type signer struct {
	id, name string
	public   *metadata.Key
}

// signers looks keys up by name.
func (k *Keyring) signers(s Signers) (signerSet, error) {
	set := signerSet{threshold: cmp.Or(s.Threshold, 1)}
	seen := map[string]bool{}
	for _, name := range s.Keys {
		key := k.named(name)
		if key == nil {
			return signerSet{}, fmt.Errorf("there is no key file %s.pem in %s", name, k.dir)
		}
		if seen[key.ID] {
			return signerSet{}, fmt.Errorf("key %s is named twice, or two files hold the same key", name)
		}
		seen[key.ID] = true
		public, err := metadata.KeyFromPublicKey(key.public)
		if err != nil {
			return signerSet{}, fmt.Errorf("key %s: %w", name, err)
		}
		set.keys = append(set.keys, signer{id: key.ID, name: name, public: public})
	}
	if set.threshold < 1 || set.threshold > len(set.keys) {
		return signerSet{}, fmt.Errorf("%d signatures of %d keys cannot be had: name more keys or a lower threshold", set.threshold, len(set.keys))
	}
	return set, nil
}

// namesField of a role gives the names of its keys' files, in the order of its
// keyids, so that a missing one can be asked for by its name.
const namesField = "x-names"

func (s signerSet) ids() []string {
	ids := make([]string, len(s.keys))
	for i, k := range s.keys {
		ids[i] = k.id
	}
	return ids
}

func (s signerSet) names() map[string]any {
	names := make([]any, len(s.keys))
	for i, k := range s.keys {
		names[i] = k.name
	}
	return map[string]any{namesField: names}
}

func (s signerSet) publicKeys(into map[string]*metadata.Key) map[string]*metadata.Key {
	for _, k := range s.keys {
		into[k.id] = k.public
	}
	return into
}

// suffices names the files of the keys that ring lacks for as many signatures as it takes.
func (s signerSet) suffices(ring *Keyring) error {
	var lacks []string
	for _, k := range s.keys {
		if ring.byID(k.id) == nil {
			lacks = append(lacks, fmt.Sprintf("%s.pem (key %.8s…)", k.name, k.id))
		}
	}
	if have := len(s.keys) - len(lacks); have < s.threshold {
		return fmt.Errorf("%d of %d signatures cannot be made, because %s lacks %s", s.threshold-have, s.threshold, ring.dir, strings.Join(lacks, ", "))
	}
	return nil
}

// signersOf reads from signed files who signs for each role.
func signersOf(s State) (map[Role]signerSet, error) {
	root, err := new(metadata.Metadata[metadata.RootType]).FromBytes(s.Root)
	if err != nil {
		return nil, translate("the root", err)
	}
	targets, err := new(metadata.Metadata[metadata.TargetsType]).FromBytes(s.Targets)
	if err != nil {
		return nil, translate("targets.json", err)
	}
	sets := map[Role]signerSet{}
	for _, name := range Roles {
		if role := root.Signed.Roles[string(name)]; role != nil {
			sets[name] = readSigners(role.KeyIDs, role.Threshold, role.UnrecognizedFields, root.Signed.Keys)
		}
	}
	for _, role := range targets.Signed.Delegations.Roles {
		if role.Name == string(RoleFleet) {
			sets[RoleFleet] = readSigners(role.KeyIDs, role.Threshold, role.UnrecognizedFields, targets.Signed.Delegations.Keys)
		}
	}
	return sets, nil
}

func readSigners(ids []string, threshold int, extra map[string]any, keys map[string]*metadata.Key) signerSet {
	names, _ := extra[namesField].([]any)
	set := signerSet{threshold: threshold}
	for i, id := range ids {
		s := signer{id: id, name: fmt.Sprintf("%.8s", id), public: keys[id]}
		if i < len(names) {
			if name, ok := names[i].(string); ok && keyName.MatchString(name) {
				s.name = name
			}
		}
		set.keys = append(set.keys, s)
	}
	return set
}
