package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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

// levels are the queues of a target in which something waits, in the order in
// which they go.
func (b backlog) levels(target string) []string {
	return slices.DeleteFunc(uplink.Levels(target), func(queue string) bool { return b.store.Queue(queue).Len() == 0 })
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

// How much is read at a time.
const (
	page      = 512
	pageBytes = 4 << 20
)

// each calls f with the records of a target that the filter chooses, in the
// order in which they go, until f says no more.
func (b backlog) each(target string, f *agent.WaitingFilter, do func(*agent.Record) bool) error {
	now, n := time.Now(), 0 // the device's clock set the times of its events
	if len(f.IDs) > 0 {
		return b.eachID(target, f, now, do)
	}
	for _, queue := range b.levels(target) {
		if _, priority, _, _ := agent.SplitTarget(queue); f.Priority != nil && *f.Priority != priority {
			continue
		}
		for after := uint64(0); ; {
			records, err := b.store.Queue(queue).Page(after, page, pageBytes)
			if err != nil {
				return fmt.Errorf("read what waits for %s: %w", target, err)
			}
			if len(records) == 0 {
				break
			}
			for i := range records {
				r := &records[i]
				after = r.Seq
				if !chosenBy(f, r, now) {
					continue
				}
				if n++; !do(r) || n == f.Limit {
					return nil
				}
			}
		}
	}
	return nil
}

func chosenBy(f *agent.WaitingFilter, r *agent.Record, now time.Time) bool {
	return (f.Priority == nil || *f.Priority == r.Priority) &&
		(f.Function == "" || f.Function == r.Function) && (f.Older == 0 || now.Sub(r.Event.Time) > f.Older)
}

// eachID reads records by their ids; one that does not wait there is an error.
func (b backlog) eachID(target string, f *agent.WaitingFilter, now time.Time, do func(*agent.Record) bool) error {
	for _, id := range f.IDs {
		r, err := b.record(target, id)
		if err != nil {
			return err
		}
		if chosenBy(f, &r, now) && !do(&r) {
			break
		}
	}
	return nil
}

func (b backlog) record(target string, id uint64) (agent.Record, error) {
	r, err := b.store.Record(id)
	if t, _, _, ok := agent.SplitTarget(r.Queue); errors.Is(err, agent.ErrNotFound) || err == nil && (!ok || t != target) {
		return r, fmt.Errorf("record %d does not wait for %s: it went, was dropped or given up; see skerry uplink show %s, and skerry deadletter list: %w",
			id, target, target, agent.ErrNotFound)
	}
	if err != nil {
		return r, fmt.Errorf("read record %d: %w", id, err)
	}
	return r, nil
}

// waiting gives what f chooses, with the data if f names ids.
func (b backlog) waiting(target string, f agent.WaitingFilter) ([]agent.Waiting, error) {
	list := []agent.Waiting{}
	err := b.each(target, &f, func(r *agent.Record) bool {
		w := agent.NewWaiting(r, b.clock)
		if len(f.IDs) > 0 {
			w.Data = r.Event.Data
		}
		list = append(list, w)
		return true
	})
	return list, err
}

// drop removes what f chooses, and tells how many. On error some may be gone.
func (b backlog) drop(ctx context.Context, target string, f agent.WaitingFilter) (int, error) {
	var seqs []uint64
	err := b.each(target, &f, func(r *agent.Record) bool {
		seqs = append(seqs, r.Seq)
		return true
	})
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	if err := b.store.Commit(ctx, &agent.Frame{Done: seqs}); err != nil {
		return 0, fmt.Errorf("drop what waits for %s: %w", target, err)
	}
	return len(seqs), nil
}

// status is what the store knows of a target.
func (b backlog) status(target string) agent.TargetStatus {
	s := agent.TargetStatus{Name: target, Kind: noKind}
	for _, queue := range b.levels(target) {
		q := b.store.Queue(queue)
		_, priority, _, _ := agent.SplitTarget(queue)
		s.Waiting += q.Len()
		s.ByPriority[priority] += q.Len()
		s.WaitingBytes += q.Bytes()
		if oldest, err := q.Page(0, 1, pageBytes); err == nil && len(oldest) > 0 {
			if at := oldest[0].Event.Time; s.Oldest.IsZero() || at.Before(s.Oldest) {
				s.Oldest = at
			}
		}
	}
	return s
}
