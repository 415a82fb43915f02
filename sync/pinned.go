package fleetsync

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

const (
	pinName   = "deployment"
	pinFormat = 2 // 1 was of documents that nobody signed
)

// pinned is what runs, as the cache keeps it: enough to run it again without
// any network, and to know what is older.
type pinned struct {
	Format   int                `json:"format"`
	Manifest agent.Digest       `json:"manifest"`
	ETag     string             `json:"etag"`
	Fleet    string             `json:"fleet"`
	Revision int64              `json:"revision"`
	Device   string             `json:"device"` // print of what the choice depended on
	Chosen   []agent.AppVersion `json:"chosen"`
	Apps     []json.RawMessage  `json:"apps"` // documents of the chosen versions
	Held     []heldBack         `json:"held,omitempty"`
	// Standings are how the apps stand, also those that are gone.
	Standings []standing       `json:"standings,omitempty"`
	Blobs     []agent.Digest   `json:"blobs"`    // modules of the chosen versions, of those that ran and are held back, and of those to go back to
	Previous  [][]agent.Digest `json:"previous"` // modules of the sets before, the newest first
}

// readPinned returns nil when nothing is pinned.
func readPinned(cache Cache) (*pinned, error) {
	data, err := cache.Pinned(pinName)
	if errors.Is(err, agent.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kept deployment: %w", err)
	}
	var p pinned
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("the kept deployment is not readable: %w", err)
	}
	if p.Format != pinFormat {
		return nil, fmt.Errorf("the kept deployment has format %d, this release reads %d: let it fetch the fleet again", p.Format, pinFormat)
	}
	return &p, nil
}

// write keeps p for the next start; what is kept already costs no write.
func (p *pinned) write(cache Cache) error {
	data, err := json.Marshal(p)
	if err == nil {
		if kept, unread := cache.Pinned(pinName); unread == nil && bytes.Equal(kept, data) {
			return nil
		}
		err = cache.Pin(pinName, data)
	}
	if err != nil {
		return fmt.Errorf("keep the deployment for the next start: %w", err)
	}
	return nil
}

// candidates parses the kept documents.
func (p *pinned) candidates(checks Checks) ([]candidate, error) {
	if len(p.Apps) != len(p.Chosen) {
		return nil, fmt.Errorf("kept deployment: it has %d documents for %d apps; it is fetched again when the registry answers", len(p.Apps), len(p.Chosen))
	}
	var out []candidate
	for i, data := range p.Apps {
		out = append(out, parseCandidate(p.Chosen[i], data, checks))
	}
	return out, nil
}

// last is the version of an app that runs, or ran before it was held back, and
// its document; nil if there is none. The receiver may be nil.
func (p *pinned) last(app string) (agent.AppVersion, []byte) {
	if p == nil {
		return agent.AppVersion{}, nil
	}
	for i, v := range p.Chosen {
		if v.Name == app && i < len(p.Apps) {
			return v, p.Apps[i]
		}
	}
	for _, h := range p.Held {
		if h.Want.Name == app && h.Ran != "" {
			return agent.AppVersion{Name: app, Version: h.Ran}, h.App
		}
	}
	return agent.AppVersion{}, nil
}

// document is the kept document of a version, nil if it is not kept.
func (p *pinned) document(v agent.AppVersion) []byte {
	if last, data := p.last(v.Name); last == v {
		return data
	}
	return nil
}

// running is the last version of each app, for paused assignments to keep.
func (p *pinned) running() map[string]string {
	out := map[string]string{}
	for _, h := range p.Held {
		if h.Ran != "" {
			out[h.Want.Name] = h.Ran
		}
	}
	for _, v := range p.Chosen {
		out[v.Name] = v.Version
	}
	return out
}

// before are the modules of the sets that ran before that of now, at most keep of
// them. The receiver may be nil.
func (p *pinned) before(now []agent.Digest, keep int) [][]agent.Digest {
	if p == nil {
		return nil
	}
	sets := append([][]agent.Digest{p.Blobs}, p.Previous...)
	sets = slices.DeleteFunc(sets, func(set []agent.Digest) bool { return sameSet(set, now) })
	return sets[:min(keep, len(sets))]
}

func sameSet(a, b []agent.Digest) bool {
	missing := func(in []agent.Digest) func(agent.Digest) bool {
		return func(d agent.Digest) bool { return !slices.Contains(in, d) }
	}
	return !slices.ContainsFunc(a, missing(b)) && !slices.ContainsFunc(b, missing(a))
}

// wanted are the modules to keep.
func (p *pinned) wanted() []agent.Digest {
	return slices.Concat(append(slices.Clone(p.Previous), p.Blobs)...)
}

// names is "overheat@1.1.0 rollup@1.0.0", for the log. The receiver may be nil.
func (p *pinned) names() string {
	if p == nil {
		return ""
	}
	names := make([]string, len(p.Chosen))
	for i, v := range p.Chosen {
		names[i] = v.Name + "@" + v.Version
	}
	return strings.Join(names, " ")
}

// print changes when the device is configured anew, so that the next round
// chooses again though the registry did not change.
func (d *Device) print() string {
	data, err := json.Marshal(d) // maps come sorted; nothing in a Device can fail
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
