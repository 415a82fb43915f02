package store

import (
	"context"

	"github.com/skerry-edge/skerry/agent"
)

// Levels are several queues that one reader empties, in the order in which it
// does. They are named by their place in it.
type Levels struct {
	s      *Store
	queues []*Queue
}

// Levels gives the queues of these names.
func (s *Store) Levels(names ...string) *Levels {
	l := &Levels{s: s}
	for _, name := range names {
		l.queues = append(l.queues, s.Queue(name))
	}
	return l
}

// Names are those of the queues.
func (l *Levels) Names() []string {
	names := make([]string, len(l.queues))
	for i, q := range l.queues {
		names[i] = q.name
	}
	return names
}

// Len is how many records wait in a queue.
func (l *Levels) Len(at int) int { return l.queues[at].Len() }

// Bytes is about what the records that wait in a queue take on disk.
func (l *Levels) Bytes(at int) int64 { return l.queues[at].Bytes() }

// Has tells whether a record waits.
func (l *Levels) Has(seq uint64) bool { return l.s.Has(seq) }

// Page reads a queue, see Queue.Page.
func (l *Levels) Page(at int, after uint64, limit, bytes int) ([]agent.Record, error) {
	return l.queues[at].Page(after, limit, bytes)
}

// Older is how many records that wait in a queue are before that one.
func (l *Levels) Older(at int, seq uint64) int { return l.queues[at].older(seq) }

// Wait waits until a record whose Seq is above after waits in one of the queues
// in, and returns the Seq up to which no other will turn up from now on: the
// next call goes on from there. It ends with ctx.
func (l *Levels) Wait(ctx context.Context, in []int, after uint64) (upto uint64, err error) {
	queues := make([]*Queue, len(in))
	for i, at := range in {
		queues[i] = l.queues[at]
	}
	return l.s.wait(ctx, queues, after)
}

func (s *Store) wait(ctx context.Context, queues []*Queue, after uint64) (upto uint64, err error) {
	bell := make(chan struct{}, 1)
	for {
		upto, err := s.listen(queues, after, bell)
		if upto > after || err != nil {
			return upto, err
		}
		select {
		case <-bell:
		case <-ctx.Done():
			s.hangUp(queues, bell)
			return 0, ctx.Err()
		}
		s.hangUp(queues, bell)
	}
}

// listen has bell ring for news of any queue, unless there is some.
func (s *Store) listen(queues []*Queue, after uint64, bell chan struct{}) (upto uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	below := s.settledBelow()
	for _, q := range queues {
		if q.firstBetween(after+1, below) > 0 {
			return below - 1, nil
		}
	}
	for _, q := range queues {
		q.bells = append(q.bells, bell)
	}
	return 0, nil
}

func (s *Store) hangUp(queues []*Queue, bell chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range queues {
		q.bells = without(q.bells, bell)
	}
}
