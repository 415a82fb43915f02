package fleetsync

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

const (
	pinName   = "deployment"
	pinFormat = 1
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
	Apps     []json.RawMessage  `json:"apps"`     // documents of the chosen versions
	Blobs    []agent.Digest     `json:"blobs"`    // modules of the chosen versions
	Previous []agent.Digest     `json:"previous"` // modules of the set before
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

func (p *pinned) write(cache Cache) error {
	data, err := json.Marshal(p)
	if err == nil {
		err = cache.Pin(pinName, data)
	}
	if err != nil {
		return fmt.Errorf("keep the deployment for the next start: %w", err)
	}
	return nil
}

// apps parses the kept documents.
func (p *pinned) apps(checks Checks) ([]*App, error) {
	var apps []*App
	for i, data := range p.Apps {
		if i >= len(p.Chosen) {
			break
		}
		app, err := parsePublished(appFile(p.Chosen[i]), data, checks)
		if err != nil {
			return nil, fmt.Errorf("kept deployment: %w", err)
		}
		apps = append(apps, app)
	}
	return apps, nil
}

// document is the kept document of a version, nil if it is not kept.
func (p *pinned) document(v agent.AppVersion) []byte {
	if i := slices.Index(p.Chosen, v); i >= 0 && i < len(p.Apps) {
		return p.Apps[i]
	}
	return nil
}

func (p *pinned) running() map[string]string {
	out := map[string]string{}
	for _, v := range p.Chosen {
		out[v.Name] = v.Version
	}
	return out
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
