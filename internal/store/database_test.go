package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// Badger opens an empty database and deletes the tables when its list of them
// is lost.
func TestLostManifestIsMadeAnew(t *testing.T) {
	for _, what := range []string{"removed", "emptied", "cut"} {
		dir := t.TempDir()
		s := open(t, dir, store.Options{})
		commit(t, s, agent.Frame{Writes: []agent.Write{write("a", "1")}})
		closed(t, s)
		path := filepath.Join(dir, "badger", "MANIFEST")
		switch what {
		case "removed":
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		case "emptied":
			change(t, path, func([]byte) []byte { return nil })
		case "cut":
			change(t, path, func(b []byte) []byte { return b[:len(b)-9] })
		}
		s = open(t, dir, store.Options{})
		if err := s.Scrub(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, "a"); got != "1" || s.Status().Gaps != 0 {
			t.Errorf("%s: a = %s, %d gaps", what, got, s.Status().Gaps)
		}
		if _, err := os.Stat(filepath.Join(dir, "damaged", "badger-MANIFEST-0")); err != nil && what != "removed" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDamagedValueIsAnError(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	commit(t, s, agent.Frame{Writes: []agent.Write{write("a", "1"), write("b", "2")}})
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s, store.StateKey("state/a/f", "a"), []byte("rubbish, not what was written"))
	for range 2 { // it is counted once
		if v, err := s.Get("state/a/f", "a"); err == nil {
			t.Errorf("a damaged value is read as %q", v)
		}
	}
	if get(t, s, "b") != "2" || s.Status().Gaps != 1 {
		t.Errorf("b = %s, %d gaps", get(t, s, "b"), s.Status().Gaps)
	}
}

// A table that is damaged goes aside; what the journal still holds comes back.
func TestDamagedTable(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	commit(t, s, agent.Frame{Writes: []agent.Write{write("a", "a rather long value"), write("b", "2")}})
	closed(t, s)
	tables, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %q, %v", tables, err)
	}
	for _, path := range tables {
		change(t, path, func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("rather long"), []byte("rather LONG"))
		})
	}
	s = open(t, dir, store.Options{})
	if a, b := get(t, s, "a"), get(t, s, "b"); a != "a rather long value" || b != "2" {
		t.Errorf("a = %q, b = %q", a, b)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "damaged", "badger-*")); err != nil || len(kept) == 0 {
		t.Errorf("nothing was kept: %v", err)
	}
}

// Keys that Badger has lost without a word show when they are counted.
func TestLostKeysAreCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	var f agent.Frame
	for i := range 100 {
		f.Writes = append(f.Writes, write(fmt.Sprint("k", i), "v"))
	}
	commit(t, s, f)
	commit(t, s, agent.Frame{Writes: []agent.Write{{Scope: "state/a/f", Key: "k7"}, write("k8", "again")}})
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	scrub := func(want int64) {
		t.Helper()
		if err := s.Scrub(t.Context()); err != nil || s.Status().Gaps != want {
			t.Errorf("%d gaps, %v; want %d", s.Status().Gaps, err, want)
		}
	}
	scrub(0)
	err := s.DB().Update(func(txn *badger.Txn) error {
		return errors.Join(txn.Delete(store.StateKey("state/a/f", "k1")), txn.Delete(store.StateKey("state/a/f", "k2")))
	})
	if err != nil {
		t.Fatal(err)
	}
	scrub(2)
	scrub(2) // told once
	closed(t, s)
	s = open(t, dir, store.Options{})
	scrub(0)
}
