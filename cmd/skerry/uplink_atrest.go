package main

import (
	"context"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// atRest is the uplink of a data directory that no agent runs on.
type atRest struct{ backlog }

// UplinkStatus implements admin.Uplink.
func (a atRest) UplinkStatus() (agent.UplinkStatus, error) {
	s := agent.UplinkStatus{Targets: []agent.TargetStatus{}, Links: []agent.LinkStatus{}, Flash: agent.FlashStatus{Written: -1}}
	for _, name := range a.targets() {
		t := a.status(name)
		t.Kind = "" // only an agent knows what is configured
		s.Targets = append(s.Targets, t)
	}
	return s, nil
}

// Waiting implements admin.Uplink.
func (a atRest) Waiting(_ context.Context, target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	return a.waiting(target, f)
}

// Drop implements admin.Uplink.
func (a atRest) Drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error) {
	return a.drop(ctx, target, f)
}

// Why implements admin.Uplink.
func (a atRest) Why(target string, id uint64) ([]string, error) {
	return nil, needsAgent("why")
}

// Retry implements admin.Uplink.
func (a atRest) Retry(context.Context, string) error { return needsAgent("retry") }

// Pause implements admin.Uplink.
func (a atRest) Pause(context.Context, string) error { return needsAgent("pause") }

// Resume implements admin.Uplink.
func (a atRest) Resume(context.Context, string) error { return needsAgent("resume") }

func needsAgent(what string) error {
	return fmt.Errorf("no agent runs, and %s is for a running one: start it with skerry run; list, show and drop work without", what)
}
