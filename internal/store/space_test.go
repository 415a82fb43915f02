package store_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
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

// TestFullDiskInTheMiddleOfABlob fills the disk while a blob comes: what came
// before stays, and commits still have room.
func TestFullDiskInTheMiddleOfABlob(t *testing.T) {
	d := newFullDisk(t, true)
	d.start()
	b := pattern(3 << 20)
	sum := digest(b)
	var foreign string
	var began int64
	put := func() error {
		return d.s.PutBlob(t.Context(), sum, int64(len(b)), func(from int64, w io.Writer) error {
			began = from
			if foreign == "" {
				if _, err := io.WriteString(w, b[:1<<20]); err != nil {
					return err
				}
				from, foreign = 1<<20, d.fill()
			}
			_, err := io.WriteString(w, b[from:])
			return err
		})
	}
	if err := put(); !errors.Is(err, agent.ErrFull) || d.s.HasBlob(sum) {
		t.Fatalf("a blob on a full disk: %v", err)
	}
	if room, err := d.s.Room(0); room != 0 || err != nil {
		t.Errorf("room on a full disk: %d, %v", room, err)
	}
	d.stop()
	d.start()
	if kept := unfinished(t, d.s)[sum]; kept != 1<<20 {
		t.Errorf("%d bytes are kept", kept)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 30*time.Second, "there is room again", put)
	if got, err := d.s.Blob(sum); err != nil || string(got) != b || began != 1<<20 {
		t.Errorf("it went on at %d: %v", began, err)
	}
	d.stop()
}

func TestRoomLeavesTheJournalItsShare(t *testing.T) {
	const mib = int64(1 << 20)
	free := 100 * mib
	s := open(t, t.TempDir(), store.WithFree(store.Options{Quota: 40 * mib, SegmentSize: 2 * mib, Reserve: 8 * mib}, func() int64 { return free }))
	for _, tt := range []struct{ free, room int64 }{
		{100 * mib, 50 * mib}, // less reserve, segment and quota
		{50 * mib, 20 * mib},  // of 40 MiB the journal may grow by all: half each
		{10 * mib, 0},
		{5 * mib, 0},
	} {
		free = tt.free
		if room, err := s.Room(0); err != nil || room > tt.room || room < tt.room-2*mib {
			t.Errorf("with %d MiB free there is room for %d bytes, want about %d MiB: %v", tt.free/mib, room, tt.room/mib, err)
		}
	}
}

// TestRoomGivesBackWhatWasDeleted updates modules until much of the disk holds what
// was deleted, and wants all the room there may be then.
func TestRoomGivesBackWhatWasDeleted(t *testing.T) {
	const size = 3 << 20
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	var kept []agent.Digest // the last two
	src := rand.NewChaCha8([32]byte{7})
	for i := 0; tables(t, dir) < 7*size; i++ {
		if i == 100 {
			t.Fatalf("after 100 updates the tables have %d bytes: what is to be given back?", tables(t, dir))
		}
		data := make([]byte, size)
		_, _ = src.Read(data) // never fails
		b := string(data)
		if err := s.PutBlob(t.Context(), digest(b), size, allOf(b)); err != nil {
			t.Fatal(err)
		}
		if kept = append(kept, digest(b)); len(kept) > 2 {
			if err := s.DeleteBlob(kept[0]); err != nil {
				t.Fatal(err)
			}
			kept = kept[1:]
		}
	}
	if _, err := s.Room(1 << 50); err != nil {
		t.Fatal(err)
	}
	if after := tables(t, dir); after > 4*size { // one more may lie in what is not a table yet
		t.Errorf("the tables for 2 modules of 3 MiB take %d bytes", after)
	}
	for _, d := range kept {
		if _, err := s.Blob(d); err != nil {
			t.Error(err)
		}
	}
}

// tables is the size of the database's tables.
func tables(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "badger", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil { // it may be gone by now
			bytes += info.Size()
		}
	}
	return bytes
}
