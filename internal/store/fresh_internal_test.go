package store

import (
	"log/slog"
	"testing"
)

// TestANewStoreMissesNothing looks over a store that nothing was written to yet:
// there is no count of its keys, and none is missing.
func TestANewStoreMissesNothing(t *testing.T) {
	s, err := Open(t.TempDir(), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.scanKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gaps := s.Status().Gaps; gaps != 0 {
		t.Errorf("%d gaps in a new store", gaps)
	}
}
