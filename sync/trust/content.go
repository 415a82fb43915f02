package trust

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

func (r *Repository) rootContent() metadata.RootType {
	root := metadata.RootType{
		Type: metadata.ROOT, SpecVersion: metadata.SPECIFICATION_VERSION, ConsistentSnapshot: true,
		Keys: map[string]*metadata.Key{}, Roles: map[string]*metadata.Role{},
	}
	for role, set := range r.signers {
		if role != RoleFleet {
			root.Roles[string(role)] = &metadata.Role{KeyIDs: set.ids(), Threshold: set.threshold, UnrecognizedFields: set.names()}
			set.publicKeys(root.Keys)
		}
	}
	return root
}

func (r *Repository) targetsContent() metadata.TargetsType {
	set := r.signers[RoleFleet]
	content := targetsOf(r.documents, func(name string) bool { return name != fleetDocument })
	content.Delegations = &metadata.Delegations{
		Keys: set.publicKeys(map[string]*metadata.Key{}),
		Roles: []metadata.DelegatedRole{{
			Name: string(RoleFleet), KeyIDs: set.ids(), Threshold: set.threshold,
			Terminating: true, Paths: []string{fleetDocument}, UnrecognizedFields: set.names(),
		}},
	}
	return content
}

func (r *Repository) fleetContent() metadata.TargetsType {
	return targetsOf(r.documents, func(name string) bool { return name == fleetDocument })
}

func targetsOf(documents map[string][]byte, belongs func(name string) bool) metadata.TargetsType {
	targets := map[string]*metadata.TargetFiles{}
	for name, data := range documents {
		if belongs(name) {
			targets[name] = &metadata.TargetFiles{Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sha(data)}}
		}
	}
	return metadata.TargetsType{Type: metadata.TARGETS, SpecVersion: metadata.SPECIFICATION_VERSION, Targets: targets}
}

func snapshotContent(next State) metadata.SnapshotType {
	return metadata.SnapshotType{
		Type: metadata.SNAPSHOT, SpecVersion: metadata.SPECIFICATION_VERSION,
		Meta: map[string]*metadata.MetaFiles{"targets.json": entry(next.Targets), "fleet.json": entry(next.Fleet)},
	}
}

func timestampContent(next State, now time.Time) metadata.TimestampType {
	return metadata.TimestampType{
		Type: metadata.TIMESTAMP, SpecVersion: metadata.SPECIFICATION_VERSION,
		Meta:               map[string]*metadata.MetaFiles{"snapshot.json": entry(next.Snapshot)},
		UnrecognizedFields: map[string]any{issuedField: now.Format(time.RFC3339)},
	}
}

func entry(file []byte) *metadata.MetaFiles {
	return &metadata.MetaFiles{Version: headOf(file).Version, Length: int64(len(file)), Hashes: metadata.Hashes{"sha256": sha(file)}}
}

// head is what all signed files begin with.
type head struct {
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	raw     map[string]any
}

// headOf reads a file that was verified or signed here; zero for none.
func headOf(file []byte) head {
	var f struct {
		Signed json.RawMessage `json:"signed"`
	}
	var h head
	if json.Unmarshal(file, &f) == nil && json.Unmarshal(f.Signed, &h) == nil {
		h.raw, _ = fields(f.Signed)
	}
	return h
}

// fields is JSON as a map, numbers as they are written.
func fields(content any) (map[string]any, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return m, d.Decode(&m)
}

// substance is what a file says, without when it says it.
func substance(signed map[string]any) map[string]any {
	m := maps.Clone(signed)
	for _, name := range []string{"version", "expires", issuedField, "spec_version"} {
		delete(m, name)
	}
	return m
}
