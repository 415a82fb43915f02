package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// battery is a data directory with something of everything, and what it holds.
type battery struct {
	dir   string
	kept  map[uint64]string
	state map[string]string
	blobs map[agent.Digest]string
	pins  map[string]string
}

// newBattery fills a store; what is damaged later is its directory after a
// clean stop, or as it was while it ran.
func newBattery(t *testing.T, clean bool) *battery {
	b := &battery{kept: map[uint64]string{}, state: map[string]string{}, blobs: map[agent.Digest]string{}, pins: map[string]string{}}
	dir := t.TempDir()
	s := open(t, dir, store.Options{SegmentSize: 128 << 10, Quota: 16 << 20})
	fill := func(n int) {
		for i := range n {
			f := agent.Frame{Add: []agent.Record{record(fmt.Sprint("q", i%3), i), record("away", i)}}
			for k := range 4 {
				key, value := fmt.Sprint("k", (i*4+k)%3000), fmt.Sprint(len(b.kept), " ", i, strings.Repeat("v", 200+i%200))
				f.Writes = append(f.Writes, write(key, value))
				b.state[key] = value
			}
			added := commit(t, s, f)
			b.kept[added[0].Seq], b.kept[added[1].Seq] = text(&added[0]), text(&added[1])
			if i%2 == 0 {
				commit(t, s, agent.Frame{Done: []uint64{added[0].Seq}})
				delete(b.kept, added[0].Seq)
			}
		}
	}
	for i := range 3 {
		data := pattern(200_000 + i*100_000)
		if err := s.PutBlob(t.Context(), digest(data), int64(len(data)), allOf(data)); err != nil {
			t.Fatal(err)
		}
		b.blobs[digest(data)] = data
		for v := range 3 {
			name := fmt.Sprint("pin", i)
			b.pins[name] = fmt.Sprint("version ", v)
			if err := s.Pin(name, []byte(b.pins[name])); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 4 {
		fill(500)
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DB().Flatten(1); err != nil {
		t.Fatal(err)
	}
	fill(100)
	if clean {
		closed(t, s)
		b.dir = dir
		return b
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	b.dir = t.TempDir()
	copySparse(t, dir, b.dir)
	closed(t, s)
	return b
}

func text(rec *agent.Record) string {
	return rec.Queue + " " + rec.Event.ID + " " + string(rec.Event.Data)
}

// copySparse copies a directory and leaves out the zeros.
func copySparse(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(to, rel))
		if err != nil {
			return err
		}
		defer f.Close()
		for off := 0; off < len(b); off += 4096 {
			if page := b[off:min(off+4096, len(b))]; len(bytes.Trim(page, "\x00")) > 0 {
				if _, err := f.WriteAt(page, int64(off)); err != nil {
					return err
				}
			}
		}
		return f.Truncate(int64(len(b)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// harm damages a file at a place that is in use.
func harm(t *testing.T, r *rand.Rand, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(b, "\x00"))
	if used == 0 {
		return "nothing in it"
	}
	at := r.IntN(used)
	what := ""
	switch r.IntN(3) {
	case 0:
		b[at] ^= 1 << r.IntN(8)
		what = fmt.Sprint("bit flipped at ", at)
	case 1:
		b = b[:at]
		what = fmt.Sprint("cut at ", at)
	case 2:
		from := at &^ 4095
		clear(b[from:min(from+4096, len(b))])
		what = fmt.Sprint("block of zeros at ", from)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return what
}

// losses counts what is not as it was. A wrong value is an error, one of
// before is a loss.
func (b *battery) losses(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	for seq, want := range b.kept {
		rec, err := s.Record(seq)
		if err != nil {
			n++
		} else if got := text(&rec); got != want {
			t.Errorf("record %d is %.60q, want %.60q", seq, got, want)
		}
	}
	for key, want := range b.state {
		if got, err := s.Get("state/a/f", key); err != nil || string(got) != want {
			n++
		}
	}
	for d, want := range b.blobs {
		got, err := s.Blob(d)
		if err != nil {
			n++
		} else if string(got) != want {
			t.Errorf("blob %s is wrong", d)
		}
	}
	for name, want := range b.pins {
		if got, err := s.Pinned(name); err != nil || string(got) != want {
			t.Errorf("pin %s is %q, %v", name, got, err)
		}
	}
	return n
}

// trial damages one file and looks what is left.
func (b *battery) trial(t *testing.T, r *rand.Rand, kind string) {
	dir, err := os.MkdirTemp("", "battery")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	copySparse(t, b.dir, dir)
	paths, err := filepath.Glob(filepath.Join(dir, kind))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s", kind)
	}
	path := paths[r.IntN(len(paths))]
	what := fmt.Sprintf("%s: %s", strings.TrimPrefix(path, dir), harm(t, r, path))
	began := time.Now()
	s, err := store.Open(dir, quiet(store.Options{SegmentSize: 128 << 10, Quota: 16 << 20}))
	if err != nil {
		t.Errorf("%s: open: %v", what, err)
		return
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("%s: opened after %v", what, took)
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Errorf("%s: scrub: %v", what, err)
	}
	gaps := s.Status().Gaps
	if lost := b.losses(t, s); lost > 0 && gaps == 0 {
		t.Errorf("%s: %d are lost and no gap was counted", what, lost)
	} else if testing.Verbose() {
		t.Logf("%s: %d lost, %d gaps", what, lost, gaps)
	}
	f := body("new")
	f.Writes = []agent.Write{write("new", "new")}
	if err := s.Commit(context.Background(), &f); err != nil {
		t.Errorf("%s: commit: %v", what, err)
	}
	if err := errors.Join(s.Checkpoint(), s.DB().Flatten(1), s.Close()); err != nil {
		t.Errorf("%s: checkpoint and close: %v", what, err)
	}
	s = open(t, dir, store.Options{SegmentSize: 128 << 10, Quota: 16 << 20})
	if got := get(t, s, "new"); got != "new" || s.Queue("q").Len() != 1 {
		t.Errorf("%s: after that new = %q", what, got)
	}
	closed(t, s)
}

// TestBattery damages every kind of file, at TEST_PLACES places of each.
func TestBattery(t *testing.T) {
	places := 1
	if n, err := strconv.Atoi(os.Getenv("TEST_PLACES")); err == nil {
		places = n
	}
	for _, clean := range []bool{true, false} {
		b := newBattery(t, clean)
		kinds := []string{"journal/*.seg", "badger/*.sst", "badger/*.vlog", "badger/MANIFEST", "badger/KEYREGISTRY", "badger/DISCARD", "checkpoint", "pins/*", "ballast"}
		if !clean {
			kinds = append(kinds, "badger/*.mem")
		}
		for _, kind := range kinds {
			t.Run(fmt.Sprintf("clean=%v/%s", clean, strings.ReplaceAll(kind, "/", " ")), func(t *testing.T) {
				for i := range places {
					b.trial(t, rand.New(rand.NewPCG(uint64(i), 3)), kind)
				}
			})
		}
	}
}
