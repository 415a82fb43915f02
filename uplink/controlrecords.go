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

// Records yields what waits and f chooses, in the order in which it goes; it
// is read by the page. An error is the last that is yielded.
func (o *Outbox) Records(f agent.WaitingFilter) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		left := f.Limit
		for rec, err := range o.all(f.Priority) {
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

// all yields everything that waits, of one priority or of any.
func (o *Outbox) all(priority *uint8) iter.Seq2[agent.Record, error] {
	return func(yield func(agent.Record, error) bool) {
		for at, name := range o.queues.Names() {
			if priority != nil && *priority != priorityOf(name) {
				continue
			}
			for after := uint64(0); ; {
				recs, err := o.queues.Page(at, after, pageRecords, pageBytes)
				if err != nil {
					yield(agent.Record{}, fmt.Errorf("read what waits for %s: %w", o.opts.Name, err))
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

func chosen(f *agent.WaitingFilter, rec *agent.Record) bool {
	return (len(f.IDs) == 0 || slices.Contains(f.IDs, rec.Seq)) &&
		(f.Function == "" || f.Function == rec.Function) &&
		(f.Older == 0 || time.Since(rec.Event.Time) > f.Older)
}

// Drop removes for good what f chooses, and tells how many that were. What is
// under way may arrive all the same. On error some may be gone.
func (o *Outbox) Drop(ctx context.Context, f agent.WaitingFilter) (n int, err error) {
	var seqs []uint64
	flush := func() error {
		seqs = slices.DeleteFunc(seqs, func(seq uint64) bool { return !o.queues.Has(seq) })
		if len(seqs) == 0 {
			return nil
		}
		if err := o.commit.Commit(ctx, &agent.Frame{Done: seqs}); err != nil {
			return fmt.Errorf("drop what waits for %s: %w", o.opts.Name, err)
		}
		n += len(seqs)
		o.with(func() { o.counts.Drops.Dropped += int64(len(seqs)) })
		seqs = nil
		return nil
	}
	for rec, err := range o.Records(f) {
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
	err = flush()
	o.with(func() {
		if o.pump != nil {
			o.pump.sweepAt = time.Time{}
			o.pump.kick()
		}
	})
	return n, err
}
