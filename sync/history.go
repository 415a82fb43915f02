package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// HistoryEntry is something that was published.
type HistoryEntry struct {
	Publication int64        `json:"publication"`
	Issued      time.Time    `json:"issued"`
	Manifest    agent.Digest `json:"manifest"`
	Revision    int64        `json:"revision"` // of the fleet document; 0 if there was none
	Fleet       *Fleet       `json:"fleet,omitempty"`
	Changes     []Change     `json:"changes,omitempty"` // to the one before it; none if that is not kept
}

// History lists the last n publications, the newest first. Each was signed by the
// fleet's keys of its time, else it is an error: a rollback signs them again.
func (r *FleetRepo) History(ctx context.Context, n int) ([]HistoryEntry, error) {
	var out []HistoryEntry
	var newer published
	at := r.live
	for number := r.Publication(); number > 0 && len(out) <= n; number-- {
		if number < r.Publication() {
			m, err := r.to.at(publicationTag(r.ref.tag, number)).manifest(ctx, "")
			if errors.Is(err, ErrNothingPublished) {
				break // the registry keeps no more
			}
			if err == nil {
				at, err = readArtefact(r.to, m)
			}
			if err != nil {
				return nil, fmt.Errorf("read publication %d: %w", number, err)
			}
		}
		entry, docs, err := r.publication(ctx, at, number)
		if err != nil {
			return nil, fmt.Errorf("read publication %d: %w", number, err)
		}
		if len(out) > 0 {
			out[len(out)-1].Changes = published{docs, entry.Fleet}.changes(newer)
		}
		out, newer = append(out, entry), published{docs, entry.Fleet}
	}
	return out[:min(n, len(out))], nil
}

// publication verifies and reads a manifest. Its signatures may have expired since.
func (r *FleetRepo) publication(ctx context.Context, at *artefact, number int64) (HistoryEntry, documents, error) {
	entry := HistoryEntry{Publication: number, Manifest: at.digest}
	signed, err := trust.Verify(ctx, r.keys.root, trust.State{}, at, r.access.now())
	if err != nil && !errors.Is(err, trust.ErrExpired) {
		return entry, nil, err
	}
	if signed.Version != number {
		return entry, nil, fmt.Errorf("its tag names publication %d: somebody moved it", signed.Version)
	}
	entry.Issued = signed.Issued
	docs := documents{}
	for file := range signed.Documents {
		if docs[file], err = signed.Document(ctx, file); err != nil {
			return entry, nil, err
		}
	}
	if data, there := docs[fleetFile]; there {
		if entry.Fleet, err = parsePublishedFleet(data); err != nil {
			return entry, nil, err
		}
		entry.Revision = entry.Fleet.Metadata.Revision
	}
	return entry, docs, nil
}
