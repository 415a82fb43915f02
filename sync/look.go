package fleetsync

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Share is what a fleet document gives one device.
type Share struct {
	Fleet      string
	Revision   int64
	Deployment agent.Deployment
	Held       []string // sentences: apps that cannot run on the device, and why

	Root            int64     // version of the fleet's root of keys
	Issued, Expires time.Time // of the signatures
}

// Look asks what the registry has for a device, which trusts opts.Root at
// opts.Now. It fetches documents, no modules, and changes nothing; what the device
// accepted before is not known to it. Assignments that are paused are left out,
// since what they keep is known to the device only. Errors wrap those of trust.
func (r *Registry) Look(ctx context.Context, device Device, opts PullerOptions) (Share, error) {
	opts.fill()
	if len(opts.Root) == 0 {
		return Share{}, errNoRoot
	}
	m, err := r.store.manifest(ctx, "")
	if err != nil {
		return Share{}, err
	}
	files, err := readArtefact(r.store, m)
	if err != nil {
		return Share{}, err
	}
	signed, err := trust.Verify(ctx, opts.Root, trust.State{}, files, opts.Now())
	if err != nil {
		return Share{}, r.advise(err)
	}
	return (&publication{files, signed}).share(ctx, &device, opts.Checks)
}

func (n *publication) share(ctx context.Context, device *Device, checks Checks) (Share, error) {
	fleet, err := n.fleet(ctx)
	if err != nil {
		return Share{}, err
	}
	var chosen []candidate
	for _, v := range choose(fleet, device, nil) {
		data, err := n.app(ctx, v)
		if err != nil {
			return Share{}, err
		}
		chosen = append(chosen, parseCandidate(v, data, checks))
	}
	var share pinned
	chosen = share.hold(chosen, nil, device.fits, checks)
	s := Share{
		Fleet: fleet.Metadata.Name, Revision: fleet.Metadata.Revision,
		Root: n.signed.Root, Issued: n.signed.Issued, Expires: n.signed.Expires,
	}
	for _, h := range share.Held {
		s.Held = append(s.Held, h.Reason)
	}
	if s.Deployment, _, err = bind(s.Revision, share.Chosen, apps(chosen), device); err != nil {
		return Share{}, fmt.Errorf("fleet %s revision %d: %w", s.Fleet, s.Revision, err)
	}
	return s, nil
}
