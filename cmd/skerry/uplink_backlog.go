package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/uplink"
)

// noKind is the kind of targets and brokers that are not configured any more.
const noKind = "none"

// backlog is what waits for targets in a store, configured or not.
type backlog struct {
	store *store.Store
	clock *agent.Clock // nil: no agent runs, and nobody knows what has expired
}

// queues are those of a target, in the order in which they go.
func (b backlog) queues(target string) *store.Levels {
	return b.store.Levels(uplink.Levels(target)...)
}

// targets are the names of those that something waits for, sorted.
func (b backlog) targets() []string {
	var names []string
	for _, q := range b.store.Queues() {
		if t, _, _, ok := agent.SplitTarget(q); ok {
			names = append(names, t)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// record reads a record that waits for a target.
func (b backlog) record(target string, id uint64) (rec agent.Record, err error) {
	for rec, err = range uplink.Waiting(b.queues(target), agent.WaitingFilter{IDs: []uint64{id}}) {
		break
	}
	return rec, gone(target, err)
}

// gone says in full that a record does not wait any more.
func gone(target string, err error) error {
	if errors.Is(err, agent.ErrNotFound) {
		return fmt.Errorf("%w: it does not wait for %s; it went, was dropped or given up: see skerry uplink show %s, and skerry deadletter list", err, target, target)
	}
	return err
}

// waiting gives what f chooses, with the data if f names ids.
func (b backlog) waiting(target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	list := []agent.Waiting{}
	for rec, err := range uplink.Waiting(b.queues(target), f) {
		if err != nil {
			return nil, gone(target, err)
		}
		w := agent.NewWaiting(&rec, b.clock)
		if len(f.IDs) > 0 {
			w.Data = rec.Event.Data
		}
		list = append(list, w)
	}
	return list, nil
}

// drop removes what f chooses, and tells how many. On error some may be gone.
func (b backlog) drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error) {
	n, err := uplink.DropWaiting(ctx, b.queues(target), b.store, f)
	return n, gone(target, err)
}

// status is what the store knows of a target.
func (b backlog) status(target string) agent.TargetStatus {
	s := agent.TargetStatus{Name: target, Kind: noKind}
	for _, queue := range uplink.Levels(target) {
		q := b.store.Queue(queue)
		_, priority, _, _ := agent.SplitTarget(queue)
		s.Waiting += q.Len()
		s.ByPriority[priority] += q.Len()
		s.WaitingBytes += q.Bytes()
		if oldest, err := q.Page(0, 1, 1); err == nil && len(oldest) > 0 {
			if at := oldest[0].Event.Time; s.Oldest.IsZero() || at.Before(s.Oldest) {
				s.Oldest = at
			}
		}
	}
	return s
}
