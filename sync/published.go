package fleetsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// publication is the artefact that a tag points at, and what it says once its
// signatures were checked.
type publication struct {
	*artefact
	signed *trust.Verified
}

// fleet is the fleet's document; ErrNothingPublished if there is none yet.
func (n *publication) fleet(ctx context.Context) (*Fleet, error) {
	data, err := n.signed.Document(ctx, fleetFile)
	if errors.Is(err, trust.ErrAbsent) {
		return nil, ErrNothingPublished
	}
	if err != nil {
		return nil, err
	}
	return parsePublishedFleet(data)
}

// app is the document of an app version, not read yet.
func (n *publication) app(ctx context.Context, v agent.AppVersion) ([]byte, error) {
	data, err := n.signed.Document(ctx, appFile(v))
	if string(data) == revokedDocument {
		return nil, fmt.Errorf("the fleet assigns %s@%s, which is revoked: assign another version", v.Name, v.Version)
	}
	if errors.Is(err, trust.ErrAbsent) {
		return nil, fmt.Errorf("the fleet assigns %s@%s, which is not published: publish that version", v.Name, v.Version)
	}
	return data, err
}
