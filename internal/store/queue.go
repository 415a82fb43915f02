package store

import (
	"context"
	"math"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Queue is the records that wait under one name, oldest first.
type Queue struct {
	s      *Store
	name   string
	id     uint32
	live   int             // that wait
	bytes  int64           // of them, about
	newest uint64          // Seq of the last one that was added
	bells  []chan struct{} // of readers that wait for more
}

// Len is how many records wait.
func (q *Queue) Len() int {
	q.s.mu.RLock()
	defer q.s.mu.RUnlock()
	return q.live
}

// Bytes is about what the waiting records take on disk, 0 if there are none.
// What has left counts as the average of its segment and queue.
func (q *Queue) Bytes() int64 {
	q.s.mu.RLock()
	defer q.s.mu.RUnlock()
	return q.bytes
}

// ring lets waiting readers look again.
func (q *Queue) ring() {
	for _, bell := range q.bells {
		signal(bell)
	}
}

func without(bells []chan struct{}, bell chan struct{}) []chan struct{} {
	return slices.DeleteFunc(bells, func(b chan struct{}) bool { return b == bell })
}

// Next returns at most limit (at least one) waiting records whose Seq is above after, oldest
// first. It waits until there is at least one, or ctx ends. Records stay until
// a frame names them in Done. A record that was damaged on disk is counted as
// a gap and passed over.
func (q *Queue) Next(ctx context.Context, after uint64, limit int) ([]agent.Record, error) {
	for {
		recs, err := q.Page(after, limit, math.MaxInt)
		if len(recs) > 0 || err != nil {
			return recs, err
		}
		if _, err := q.s.wait(ctx, []*Queue{q}, after); err != nil {
			return nil, err
		}
	}
}

// Page returns what Next does, without waiting: nothing if nothing is there. It
// ends with the record that makes them bytes long on disk.
func (q *Queue) Page(after uint64, limit, bytes int) ([]agent.Record, error) {
	for {
		seqs, err := q.after(after, limit)
		if err != nil || len(seqs) == 0 {
			return nil, err
		}
		recs, err := q.s.read(seqs, bytes)
		if len(recs) > 0 || err != nil {
			return recs, err
		} // all of them went while they were read
	}
}

// after lists waiting records. Those behind a frame that is still being synced
// are held back, for it may bring records with lower sequences, which a reader
// would then never see.
func (q *Queue) after(after uint64, limit int) ([]uint64, error) {
	s := q.s
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	if q.live == 0 {
		return nil, nil
	}
	below, limit := s.settledBelow(), max(limit, 1)
	var seqs []uint64
	s.ix.each(q.id, after+1, func(at located) bool {
		if at.seq < below {
			seqs = append(seqs, at.seq)
		}
		return at.seq < below && len(seqs) < limit
	})
	return seqs, nil
}

// older counts the waiting records before a sequence.
func (q *Queue) older(seq uint64) (n int) {
	q.s.mu.RLock()
	defer q.s.mu.RUnlock()
	q.s.ix.each(q.id, 0, func(at located) bool {
		if at.seq < seq {
			n++
		}
		return at.seq < seq
	})
	return n
}

// firstBetween is the first waiting record from a sequence on and below
// another, 0 if there is none. The store's lock is held.
func (q *Queue) firstBetween(from, below uint64) (seq uint64) {
	if q.live == 0 || q.newest < from {
		return 0
	}
	q.s.ix.each(q.id, from, func(at located) bool {
		if at.seq < below {
			seq = at.seq
		}
		return false
	})
	return seq
}

// Queue returns the queue of that name; there is one for every name.
func (s *Store) Queue(name string) *Queue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ix.queue(name)
}

// Queues names the queues in which records wait, sorted.
func (s *Store) Queues() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for _, q := range s.ix.queues {
		if q.live > 0 {
			names = append(names, q.name)
		}
	}
	slices.Sort(names)
	return names
}
