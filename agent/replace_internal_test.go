package agent

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
)

// manyRecords is a store that knows which records wait, and nothing else.
type manyRecords struct {
	*modelDisk
	live map[uint64]bool
	last uint64
}

func (s *manyRecords) Has(seq uint64) bool { return s.live[seq] }

func (s *manyRecords) Commit(_ context.Context, f *Frame) error {
	for i := range f.Add {
		s.last++
		f.Add[i].Seq, s.live[s.last] = s.last, true
	}
	for _, seq := range f.Done {
		delete(s.live, seq)
	}
	return nil
}

// TestKeysOfLatestAreBounded has more keys wait than are kept in mind: those beyond
// wait all, and there is room again once they are gone.
func TestKeysOfLatestAreBounded(t *testing.T) {
	s := &manyRecords{modelDisk: newModelDisk(nil), live: map[uint64]bool{}}
	x := newReplacer(s, slog.New(slog.DiscardHandler))
	send := func(from, to int) {
		f := &Frame{}
		for i := from; i < to; i++ {
			f.Add = append(f.Add, Record{Queue: QueueTarget("faas", 1, true), Key: strconv.Itoa(i), Latest: true})
		}
		if err := x.commit(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	const over = 1000
	send(0, maxLatest+over)
	send(0, maxLatest+over)
	if len(x.keys) != maxLatest || len(s.live) != maxLatest+2*over {
		t.Errorf("%d keys are known, %d records wait", len(x.keys), len(s.live))
	}
	clear(s.live)
	for i := 0; len(x.keys) >= maxLatest && i < maxLatest; i += over {
		send(maxLatest+i, maxLatest+i+over)
	}
	if len(x.keys) > maxLatest/2 {
		t.Errorf("%d keys are known, of which hardly any waits", len(x.keys))
	}
}
