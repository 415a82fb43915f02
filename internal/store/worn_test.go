package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/skerry-edge/skerry/internal/store"
)

// wornDisk is the real disk, but one page of one file cannot be read any more.
type wornDisk struct {
	store.FileSystem
	path string
	page int64
}

func (d wornDisk) Open(path string) (store.File, error) {
	f, err := d.FileSystem.Open(path)
	if err == nil && path == d.path {
		f = wornFile{f, d.page * 4096}
	}
	return f, err
}

type wornFile struct {
	store.File
	at int64
}

func (f wornFile) ReadAt(b []byte, off int64) (int, error) {
	if off < f.at+4096 && off+int64(len(b)) > f.at {
		return 0, &os.PathError{Op: "read", Path: "segment", Err: syscall.EIO}
	}
	return f.File.ReadAt(b, off)
}

// TestWornSector: whatever page of the journal the disk cannot read, the store
// opens, has what lies around it, says that something is lost, and goes on.
func TestWornSector(t *testing.T) {
	const n = 60
	base := running(t, n) // unsealed, as a power cut leaves it
	path := segments(t, base)[0]
	journal, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	offs := frameOffsets(journal)
	for page := range int64(offs[n-1]/4096) + 1 {
		dir := copyDir(t, base)
		opts := store.Options{SegmentSize: 64 << 10}
		worn := wornDisk{store.RealDisk, filepath.Join(dir, "journal", filepath.Base(path)), page}
		s := open(t, dir, store.WithDisk(opts, worn, nil))
		got, lost := len(s.Pending("q")), 0
		for i, at := range offs {
			if end := append(offs, len(journal))[i+1]; int64(end) > worn.page*4096 && int64(at) < (worn.page+1)*4096 && i < n-1 {
				lost++
			}
		}
		if got < n-lost-1 || got == n || s.Status().Gaps == 0 {
			t.Errorf("page %d: %d of %d records and %d gaps; %d frames lie there", page, got, n, s.Status().Gaps, lost)
		}
		commit(t, s, body("after"))
		closed(t, s)
		again := open(t, dir, store.WithDisk(opts, worn, nil))
		if now := len(again.Pending("q")); now != got+1 {
			t.Errorf("page %d: %d records after one more and another start, want %d", page, now, got+1)
		}
		closed(t, again)
	}
}

// TestWornRecord: a record that cannot be read while the store runs does not
// hold up those behind it.
func TestWornRecord(t *testing.T) {
	dir := t.TempDir()
	disk := &wornLater{FileSystem: store.RealDisk}
	s := open(t, dir, store.WithDisk(store.Options{SegmentSize: 64 << 10}, disk, nil))
	for i := range 3 {
		f := body(fmt.Sprint("body ", i))
		f.Add[0].Event.Data = append(f.Add[0].Event.Data, make([]byte, 8<<10)...)
		commit(t, s, f)
	}
	disk.worn = true
	recs, err := s.Queue("q").Next(t.Context(), 0, 10)
	if err != nil || len(recs) != 2 || s.Status().Gaps == 0 {
		t.Errorf("%d records, %v, %d gaps; want 2 and one gap", len(recs), err, s.Status().Gaps)
	}
}

// wornLater is the real disk; of every new file the fourth page goes bad.
type wornLater struct {
	store.FileSystem
	worn bool
}

func (d *wornLater) Create(path string, size int64) (store.File, error) {
	f, err := d.FileSystem.Create(path, size)
	return wornLaterFile{f, d}, err
}

type wornLaterFile struct {
	store.File
	d *wornLater
}

func (f wornLaterFile) ReadAt(b []byte, off int64) (int, error) {
	if f.d.worn {
		return wornFile{f.File, 3 * 4096}.ReadAt(b, off)
	}
	return f.File.ReadAt(b, off)
}
