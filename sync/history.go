package fleetsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
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

// History lists the last n publications, the newest first. They are for people:
// all but the newest, which OpenFleet verified, are told as the registry has them.
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
		entry, docs, err := readPublication(ctx, at)
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

// readPublication reads the documents of a manifest, without verifying them.
func readPublication(ctx context.Context, at *artefact) (HistoryEntry, documents, error) {
	entry := HistoryEntry{Manifest: at.digest}
	data, err := at.File(ctx, "timestamp.json", maxDocument)
	if err != nil {
		return entry, nil, err
	}
	var stamp struct {
		Signed struct {
			Version int64     `json:"version"`
			Issued  time.Time `json:"x-issued"`
		} `json:"signed"`
	}
	if err := json.Unmarshal(data, &stamp); err != nil {
		return entry, nil, fmt.Errorf("timestamp.json: %w", err)
	}
	entry.Publication, entry.Issued = stamp.Signed.Version, stamp.Signed.Issued
	docs := documents{}
	for file := range at.layers {
		if _, _, app := splitAppFile(file); app || file == fleetFile {
			if docs[file], err = at.File(ctx, file, maxDocument); err != nil {
				return entry, nil, err
			}
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
