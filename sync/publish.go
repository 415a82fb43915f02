package fleetsync

import "context"

// PublishOptions say what to publish where. One of the files may be absent.
type PublishOptions struct {
	Access
	AppFile   string
	FleetFile string
	Checks    Checks
	Progress  Progress
}

// Publish puts an app and a fleet document into the registry: OpenFleet, Plan and
// Push. The devices see all of it or nothing. ErrMoved if somebody else published
// meanwhile, ErrNoKeys without the fleet's keys.
func Publish(ctx context.Context, opts PublishOptions) (PublishResult, error) {
	r, err := OpenFleet(ctx, opts.Access)
	if err != nil {
		return PublishResult{}, err
	}
	p, err := r.Plan(opts.AppFile, opts.FleetFile, opts.Checks)
	if err != nil {
		return PublishResult{}, err
	}
	return r.Push(ctx, p, opts.Progress)
}
