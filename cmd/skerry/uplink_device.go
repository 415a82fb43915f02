package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// control is the uplink of a device that runs, as people steer it.
type control struct {
	*device
	kept backlog
}

func (d *device) control() control { return control{d, backlog{d.store, d.clock}} }

// UplinkStatus implements admin.Uplink.
func (c control) UplinkStatus() (agent.UplinkStatus, error) { return c.uplinkStatus(), nil }

// Waiting implements admin.Uplink.
func (c control) Waiting(_ context.Context, target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	if err := c.known(target); err != nil {
		return nil, err
	}
	return c.kept.waiting(target, f)
}

// Drop implements admin.Uplink.
func (c control) Drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error) {
	if err := c.known(target); err != nil {
		return 0, err
	}
	if o := c.outbox(target); o != nil {
		n, err := o.Drop(ctx, f)
		return n, gone(target, err)
	}
	return c.kept.drop(ctx, target, f)
}

// Retry implements admin.Uplink.
func (c control) Retry(_ context.Context, target string) error {
	return c.steer(target, func(o *uplink.Outbox) error { o.Retry(); return nil })
}

// Pause implements admin.Uplink.
func (c control) Pause(ctx context.Context, target string) error {
	return c.steer(target, func(o *uplink.Outbox) error { return o.Pause(ctx) })
}

// Resume implements admin.Uplink.
func (c control) Resume(ctx context.Context, target string) error {
	return c.steer(target, func(o *uplink.Outbox) error { return o.Resume(ctx) })
}

// steer does something to the outbox of a target.
func (c control) steer(target string, do func(*uplink.Outbox) error) error {
	o := c.outbox(target)
	if err := c.known(target); err != nil {
		return err
	}
	if o == nil {
		return fmt.Errorf("%s is not in the configuration any more, so nothing is sent there: skerry uplink drop %s --all removes what waits for it", target, target)
	}
	return do(o)
}

// outbox is that of a target, nil if the configuration does not name it.
func (c control) outbox(target string) *uplink.Outbox {
	for i, o := range c.targets {
		if c.cfg.Targets[i].Name == target {
			return o
		}
	}
	return nil
}

// known refuses the name of a target that there is not and nothing waits for.
func (c control) known(target string) error {
	var names []string
	for _, t := range c.targetStatus() {
		if t.Name == target {
			return nil
		}
		names = append(names, t.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no target %s: none is configured", target)
	}
	return fmt.Errorf("there is no target %s: there are %s", target, strings.Join(names, ", "))
}
