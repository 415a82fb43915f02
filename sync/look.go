package fleetsync

import (
	"context"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// Share is what a fleet document gives one device.
type Share struct {
	Fleet      string
	Revision   int64
	Deployment agent.Deployment
	Held       []string // sentences: apps that cannot run on the device, and why
}

// Look asks what the registry has for a device. It fetches documents, no
// modules, and changes nothing. Assignments that are paused are left out, since
// what they keep is known to the device only.
func (r *Registry) Look(ctx context.Context, device Device, checks Checks) (Share, error) {
	m, err := r.store.manifest(ctx, "")
	if err != nil {
		return Share{}, err
	}
	news, err := readArtefact(r.store, m)
	if err != nil {
		return Share{}, err
	}
	fleet, _, err := news.fleet(ctx)
	if err != nil {
		return Share{}, err
	}
	var chosen []candidate
	for _, v := range choose(fleet, &device, nil) {
		data, err := news.app(ctx, v)
		if err != nil {
			return Share{}, err
		}
		chosen = append(chosen, parseCandidate(v, data, checks))
	}
	var share pinned
	chosen = share.hold(chosen, nil, device.fits, checks)
	s := Share{Fleet: fleet.Metadata.Name, Revision: fleet.Metadata.Revision}
	for _, h := range share.Held {
		s.Held = append(s.Held, h.Reason)
	}
	if s.Deployment, _, err = bind(s.Revision, share.Chosen, apps(chosen), &device); err != nil {
		return Share{}, fmt.Errorf("fleet %s revision %d: %w", s.Fleet, s.Revision, err)
	}
	return s, nil
}
