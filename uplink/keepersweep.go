package uplink

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// sweep remembers what is known of when the records of a queue expire, so that
// each is read once, and again only when something near it has expired.
type sweep struct {
	upto   uint64 // records up to here were read
	blocks []block
}

// block is neighbours of which at least one expires.
type block struct {
	from, to uint64    // Seq
	next     time.Time // when the first of them expires
}

const (
	sweepRecords = 1024 // in a block
	sweepBytes   = 1 << 20
	sweepPages   = 8 // read at once, if nothing presses
)

// sweep drops what has expired, and reads on where records are new: to the end
// if all is set, else a bounded number.
func (k *Keeper) sweep(ctx context.Context, queues []*shelf, all bool) error {
	pages := sweepPages
	for _, q := range queues {
		sw := k.sweeps[q.name]
		if sw == nil {
			sw = &sweep{}
			k.sweeps[q.name] = sw
		}
		if err := k.again(ctx, q, sw); err != nil {
			return err
		}
		for ; pages > 0 || all; pages-- {
			b, last, err := k.read(ctx, q, sw.upto, ^uint64(0))
			if err != nil {
				return err
			}
			if last == 0 {
				break
			}
			sw.upto = last
			if !b.next.IsZero() {
				sw.blocks = append(sw.blocks, b)
			}
		}
	}
	return nil
}

// again reads the blocks in which something has expired.
func (k *Keeper) again(ctx context.Context, q *shelf, sw *sweep) error {
	kept := sw.blocks[:0]
	for i, b := range sw.blocks {
		if k.opts.Left(b.next) <= 0 {
			read, _, err := k.read(ctx, q, b.from-1, b.to)
			if err != nil {
				sw.blocks = append(kept, sw.blocks[i:]...)
				return err
			}
			b = read
		}
		if !b.next.IsZero() {
			kept = append(kept, b)
		}
	}
	sw.blocks = kept
	return nil
}

// read reads a block of what waits behind after, up to the sequence to, and
// drops what has expired of it. last is the end of it, 0 if nothing is there.
func (k *Keeper) read(ctx context.Context, q *shelf, after, to uint64) (b block, last uint64, err error) {
	recs, err := q.Page(after, sweepRecords, sweepBytes)
	if err != nil {
		return block{}, 0, fmt.Errorf("read %s: %w", q.name, err)
	}
	var gone []agent.Record
	for i := range recs {
		r := &recs[i]
		if r.Seq > to {
			break
		}
		last = r.Seq
		switch {
		case r.Expires.IsZero():
		case k.opts.Left(r.Expires) <= 0:
			gone = append(gone, *r)
		default:
			if b.from == 0 {
				b.from = r.Seq
			}
			if b.to = r.Seq; b.next.IsZero() || k.opts.Left(r.Expires) < k.opts.Left(b.next) {
				b.next = r.Expires
			}
		}
	}
	return b, last, k.drop(ctx, gone, expiredOnDisk)
}
