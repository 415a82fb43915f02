package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

func pattern(n int) string {
	return strings.Repeat("0123456789abcdef-", n/17+1)[:n]
}

func digest(b string) agent.Digest {
	return agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(b))))
}

// overwrite changes a value behind the store's back.
func overwrite(t *testing.T, s *store.Store, key, value []byte) {
	t.Helper()
	if err := s.DB().Update(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		t.Fatal(err)
	}
}

func TestPins(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	if _, err := s.Pinned("root.json"); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("never pinned: %v", err)
	}
	for _, name := range []string{"", "../x", "a/b", ".hidden", strings.Repeat("n", 101)} {
		if err := s.Pin(name, nil); !errors.Is(err, agent.ErrInvalid) {
			t.Errorf("pin %q: %v", name, err)
		}
	}
	for i := range 5 {
		if err := s.Pin("root.json", []byte(fmt.Sprint("v", i))); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := s.Pinned("root.json"); err != nil || string(v) != "v4" {
		t.Errorf("pinned %q, %v", v, err)
	}
	closed(t, s)
	s = open(t, dir, store.Options{})
	if v, err := s.Pinned("root.json"); err != nil || string(v) != "v4" {
		t.Errorf("reopened: %q, %v", v, err)
	}
}

func TestPinsSurviveDamage(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for _, tt := range []struct {
		name   string
		files  [2]func([]byte) []byte // for the older and the newer file
		values bool                   // the copy in the database is damaged too
		want   string                 // "" is an error other than not found
	}{
		{"older file", [2]func([]byte) []byte{flip, nil}, false, "new"},
		{"newer file", [2]func([]byte) []byte{nil, flip}, false, "new"},
		{"both files", [2]func([]byte) []byte{cut, cut}, false, "new"},
		{"database", [2]func([]byte) []byte{}, true, "new"},
		{"database and newer file", [2]func([]byte) []byte{nil, cut}, true, "old"},
		{"everything", [2]func([]byte) []byte{flip, cut}, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, store.Options{})
			for _, v := range []string{"old", "new"} { // versions 1 and 2
				if err := s.Pin("trust", []byte(v)); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			for i, damage := range tt.files {
				if damage != nil {
					change(t, filepath.Join(dir, "pins", fmt.Sprintf("trust.%d", 1-i)), damage)
				}
			}
			if tt.values {
				overwrite(t, s, store.StateKey("pin", "trust"), []byte("rubbish"))
			}
			v, err := s.Pinned("trust")
			if tt.want == "" {
				if err == nil || errors.Is(err, agent.ErrNotFound) {
					t.Errorf("got %q, %v", v, err)
				}
				return
			}
			if err != nil || string(v) != tt.want {
				t.Errorf("got %q, %v, want %q", v, err, tt.want)
			}
			if err := s.Pin("trust", []byte("newest")); err != nil {
				t.Fatal(err)
			}
			if v, err := s.Pinned("trust"); err != nil || string(v) != "newest" {
				t.Errorf("pinned again: %q, %v", v, err)
			}
		})
	}
}

func TestDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open(t, dir, store.Options{})
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}
