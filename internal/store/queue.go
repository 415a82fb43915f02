package store

import (
	"context"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Queue is the records that wait under one name, oldest first.
type Queue struct {
	s      *Store
	name   string
	id     uint32
	live   int           // that wait
	notify chan struct{} // closed when something new may be read; nil while nobody waits
}

// Len is how many records wait.
func (q *Queue) Len() int {
	q.s.mu.RLock()
	defer q.s.mu.RUnlock()
	return q.live
}

// wake lets waiting readers look again.
func (q *Queue) wake() {
	if q.notify != nil {
		close(q.notify)
		q.notify = nil
	}
}

// Next returns at most limit (at least one) waiting records whose Seq is above after, oldest
// first. It waits until there is at least one, or ctx ends. Records stay until
// a frame names them in Done. A record that was damaged on disk is counted as
// a gap and passed over.
func (q *Queue) Next(ctx context.Context, after uint64, limit int) ([]agent.Record, error) {
	for {
		seqs, more, err := q.after(after, limit)
		if err != nil {
			return nil, err
		}
		recs, err := q.s.read(seqs)
		if len(recs) > 0 || err != nil {
			return recs, err
		}
		if more == nil {
			continue // all of them went while they were read
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// after lists waiting records; if there is none it returns what to wait for.
// Records behind a frame that is still being synced are held back, for it may
// bring records with lower sequences, which a reader would then never see.
func (q *Queue) after(after uint64, limit int) ([]uint64, <-chan struct{}, error) {
	s := q.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed
	}
	below, limit := s.settledBelow(), max(limit, 1)
	var seqs []uint64
	s.ix.each(q.id, after+1, func(at located) bool {
		if at.seq < below {
			seqs = append(seqs, at.seq)
		}
		return at.seq < below && len(seqs) < limit
	})
	if len(seqs) > 0 {
		return seqs, nil, nil
	}
	if q.notify == nil {
		q.notify = make(chan struct{})
	}
	return nil, q.notify, nil
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
