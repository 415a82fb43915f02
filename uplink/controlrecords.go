package uplink

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// pageRecords and pageBytes are how much is read, or dropped, at a time.
const (
	pageRecords = 256
	pageBytes   = 1 << 20
)

// Drop removes for good what f chooses, and tells how many that were. What is
// under way may arrive all the same. On error some may be gone.
func (o *Outbox) Drop(ctx context.Context, f agent.WaitingFilter) (n int, err error) {
	n, err = DropWaiting(ctx, o.queues, o.commit, f)
	o.with(func() {
		o.counts.Drops.Dropped += int64(n)
		if o.pump != nil {
			o.pump.sweepAt = time.Time{}
			o.pump.kick()
		}
	})
	return n, err
}

// Waiting yields what waits in some queues and f chooses, in the order in which
// it goes; it is read by the page. An ID that does not wait there is
// agent.ErrNotFound. An error is the last that is yielded.
func Waiting(q Queues, f agent.WaitingFilter) iter.Seq2[agent.Record, error] {
	from := everything(q, f.Priority)
	if len(f.IDs) > 0 {
		from = named(q, f.IDs)
	}
	return func(yield func(agent.Record, error) bool) {
		left := f.Limit
		for rec, err := range from {
			if err == nil && !chosen(&f, &rec) {
				continue
			}
			if !yield(rec, err) || err != nil {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// everything yields all that waits, of one priority or of any.
func everything(q Queues, priority *uint8) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		for at, name := range q.Names() {
			if priority != nil && *priority != priorityOf(name) {
				continue
			}
			for after := uint64(0); ; {
				recs, err := q.Page(at, after, pageRecords, pageBytes)
				if err != nil {
					yield(agent.Record{}, fmt.Errorf("read %s: %w", name, err))
					return
				}
				if len(recs) == 0 {
					break
				}
				for _, rec := range recs {
					if after = rec.Seq; !yield(rec, nil) {
						return
					}
				}
			}
		}
	}
}

// named yields records by their Seq.
func named(q Queues, ids []uint64) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		for _, id := range ids {
			if _, rec, err := find(q, id); !yield(rec, err) {
				return
			}
		}
	}
}

// find reads a waiting record, and tells which queue it is in.
func find(q Queues, id uint64) (at int, rec agent.Record, err error) {
	for at, name := range q.Names() {
		recs, err := q.Page(at, id-1, 1, 1)
		if err != nil {
			return 0, rec, fmt.Errorf("read %s: %w", name, err)
		}
		if len(recs) > 0 && recs[0].Seq == id {
			return at, recs[0], nil
		}
	}
	return 0, rec, fmt.Errorf("record %d: %w", id, agent.ErrNotFound)
}

func chosen(f *agent.WaitingFilter, rec *agent.Record) bool {
	return (f.Priority == nil || *f.Priority == rec.Priority) &&
		(f.Function == "" || f.Function == rec.Function) &&
		(f.Older == 0 || time.Since(rec.Event.Time) > f.Older)
}

// DropWaiting removes for good what f chooses in some queues, and tells how many
// that were. On error some may be gone.
func DropWaiting(ctx context.Context, q Queues, c Committer, f agent.WaitingFilter) (n int, err error) {
	var seqs []uint64
	flush := func() error {
		seqs = slices.DeleteFunc(seqs, func(seq uint64) bool { return !q.Has(seq) })
		if len(seqs) == 0 {
			return nil
		}
		if err := c.Commit(ctx, &agent.Frame{Done: seqs}); err != nil {
			return fmt.Errorf("drop what waits: %w", err)
		}
		n += len(seqs)
		seqs = nil
		return nil
	}
	for rec, err := range Waiting(q, f) {
		if err != nil {
			return n, err
		}
		if seqs = append(seqs, rec.Seq); len(seqs) < pageRecords {
			continue
		}
		if err := flush(); err != nil {
			return n, err
		}
	}
	return n, flush()
}
