package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// TestSpaceTellsHowFullTheJournalIs fills a store until it refuses.
func TestSpaceTellsHowFullTheJournalIs(t *testing.T) {
	s, err := store.Open(t.TempDir(), quiet(store.Options{Quota: 1 << 20, SegmentSize: 128 << 10, NoSync: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := s.Space()
	if before.Quota != 1<<20 || before.Room < before.Quota*3/4 || before.Live != 0 || before.Most != before.Quota/2 {
		t.Errorf("an empty store says %+v", before)
	}
	for err == nil {
		f := body(strings.Repeat("x", 3000))
		err = s.Commit(t.Context(), &f)
		now := s.Space()
		if now.Room > before.Room || err == nil && now.Live < before.Live+3000 {
			t.Fatalf("with a record more it says %+v, before %+v", now, before)
		}
		before = now
	}
	if !errors.Is(err, agent.ErrFull) || before.Room > 4000 {
		t.Errorf("it refuses with %d bytes of room: %v", before.Room, err)
	}
	select {
	case <-s.Full():
	default:
		t.Error("Full does not tell of that")
	}
}
