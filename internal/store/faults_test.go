package store_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/skerry-edge/skerry/internal/store"
)

// faultyDisk is a disk in memory. What was not synced may be gone, out of
// order, or garbage after a crash, but bytes beside it keep their value; operations fail when they are told to. All
// it does follows from its random numbers.
type faultyDisk struct {
	r     *rand.Rand
	files map[string]*faultyFile
	fails int   // percent of operations
	err   error // that they fail with
}

const sector = 512

// faultyFile is a file, as it is read and as a crash would leave it.
type faultyFile struct {
	d       *faultyDisk
	now     []byte
	durable []byte
	dirty   map[int][2]int // by sector: the bytes from, to written since the last sync
	fresh   bool           // never synced: its size may be lost
}

func newFaultyDisk(r *rand.Rand) *faultyDisk {
	return &faultyDisk{r: r, files: map[string]*faultyFile{}}
}

// fault tells whether the next operation fails.
func (d *faultyDisk) fault() error {
	if d.fails > 0 && d.r.IntN(100) < d.fails {
		return d.err
	}
	return nil
}

func (d *faultyDisk) List(dir string) ([]string, error) {
	var paths []string
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		if filepath.Dir(path) == dir {
			paths = append(paths, path)
		}
	}
	return paths, d.fault()
}

func (d *faultyDisk) Create(path string, size int64) (store.File, error) {
	if err := d.fault(); err != nil {
		return nil, err
	}
	if d.files[path] != nil {
		return nil, fmt.Errorf("%s: %w", path, os.ErrExist)
	}
	f := &faultyFile{d: d, now: make([]byte, size), durable: make([]byte, size), dirty: map[int][2]int{}, fresh: true}
	d.files[path] = f
	return f, nil
}

func (d *faultyDisk) Open(path string) (store.File, error) {
	f := d.files[path]
	if f == nil {
		return nil, fmt.Errorf("%s: %w", path, os.ErrNotExist)
	}
	return f, d.fault()
}

func (d *faultyDisk) Remove(path string) error {
	if err := d.fault(); err != nil {
		return err
	}
	delete(d.files, path)
	return nil
}

func (d *faultyDisk) Replace(path string, b []byte) error {
	if err := d.fault(); err != nil {
		return err
	}
	d.files[path] = &faultyFile{d: d, now: slices.Clone(b), durable: slices.Clone(b), dirty: map[int][2]int{}}
	return nil
}

func (d *faultyDisk) Free(string) (int64, error) { return 1 << 40, nil }

// crash stops the machine: each sector that was not synced is new, old or garbage.
func (d *faultyDisk) crash() {
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[path]
		if f.fresh && d.r.IntN(4) == 0 {
			f.durable = nil
		} else {
			f.spill(true)
		}
		f.now, f.fresh = slices.Clone(f.durable), false
		clear(f.dirty)
	}
}

// spill writes some of the dirty sectors.
func (f *faultyFile) spill(garbage bool) {
	keep := f.d.r.IntN(3) // nothing, everything, some
	for _, at := range slices.Sorted(maps.Keys(f.dirty)) {
		from, to := f.dirty[at][0], min(f.dirty[at][1], len(f.now), len(f.durable))
		switch n := f.d.r.IntN(12); {
		case from >= to || keep == 0:
		case keep == 2 && n < 5:
		case garbage && n == 11:
			for i := from; i < to; i++ {
				f.durable[i] = byte(f.d.r.Uint32())
			}
		default:
			copy(f.durable[from:to], f.now[from:to])
		}
	}
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.now)) {
		return 0, io.EOF
	}
	n := copy(p, f.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	err := f.d.fault()
	if err != nil {
		p = p[:f.d.r.IntN(len(p)+1)]
	}
	if missing := int(off) + len(p) - len(f.now); missing > 0 {
		f.now = append(f.now, make([]byte, missing)...)
		f.durable = append(f.durable, make([]byte, missing)...)
	}
	n := copy(f.now[off:], p)
	for from := int(off); from < int(off)+n; {
		at := from / sector
		to := min((at+1)*sector, int(off)+n)
		if was, ok := f.dirty[at]; ok {
			f.dirty[at] = [2]int{min(was[0], from), max(was[1], to)}
		} else {
			f.dirty[at] = [2]int{from, to}
		}
		from = to
	}
	return n, err
}

// Sync fails as Linux does: what was not written then is never written.
func (f *faultyFile) Sync() error {
	err := f.d.fault()
	if err != nil {
		f.spill(false)
	} else {
		copy(f.durable, f.now)
		f.fresh = false
	}
	clear(f.dirty)
	return err
}

func (f *faultyFile) Size() (int64, error) { return int64(len(f.now)), nil }

func (f *faultyFile) Truncate(size int64) error {
	if err := f.d.fault(); err != nil {
		return err
	}
	resize := func(b []byte) []byte {
		return append(b[:min(int(size), len(b))], make([]byte, max(0, int(size)-len(b)))...)
	}
	f.now, f.durable = resize(slices.Clone(f.now)), resize(slices.Clone(f.durable))
	maps.DeleteFunc(f.dirty, func(at int, _ [2]int) bool { return at*sector >= int(size) })
	return f.Sync()
}

func (f *faultyFile) Close() error { return nil }

var diskErrors = []error{syscall.EIO, syscall.ENOSPC, errors.New("the disk went away")}
