package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const smallDisk = 24 << 20

// limited is the real disk with a quota: for who may not mount a small one.
type limited struct {
	store.FileSystem
	dir  string
	size int64
}

func (l *limited) Free(string) (int64, error) {
	var used int64
	err := filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && unix.Stat(path, &st) == nil {
			used += st.Blocks * 512
		}
		return nil
	})
	return max(l.size-used, 0), err
}

func (l *limited) Create(path string, size int64) (store.File, error) {
	if free, err := l.Free(""); err != nil || free < size {
		return nil, errors.Join(err, syscall.ENOSPC)
	}
	return l.FileSystem.Create(path, size)
}

// fullDisk is a store on a disk of 24 MiB that somebody else fills.
type fullDisk struct {
	t       *testing.T
	dir     string
	opts    store.Options
	fake    *limited
	s       *store.Store
	stop    func()
	kept    map[uint64]string
	state   map[string]string
	commits int
}

func newFullDisk(t *testing.T, mounted bool) *fullDisk {
	d := &fullDisk{t: t, dir: t.TempDir(), kept: map[uint64]string{}, state: map[string]string{}}
	d.opts = store.Options{Quota: 6 << 20, SegmentSize: 1 << 20, Reserve: 2 << 20, Overlay: 256 << 10}
	if mounted {
		if err := unix.Mount("none", d.dir, "tmpfs", 0, fmt.Sprint("size=", smallDisk)); err == nil {
			t.Cleanup(func() {
				if err := unix.Unmount(d.dir, 0); err != nil {
					t.Error(err)
				}
			})
			return d
		}
	}
	d.fake = &limited{store.RealDisk, d.dir, smallDisk}
	d.opts = store.WithDisk(d.opts, d.fake, nil)
	return d
}

func (d *fullDisk) start() {
	s, err := store.Open(filepath.Join(d.dir, "data"), quiet(d.opts))
	if err != nil {
		d.t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	d.s = s
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
		s.Close() // fails while the disk is full
	}
}

// commit adds a record and a value, and keeps in mind what was acknowledged.
func (d *fullDisk) commit() error {
	d.commits++
	text := fmt.Sprint(d.commits, strings.Repeat("x", 3000))
	f := body(text)
	key := fmt.Sprint("k", d.commits%200)
	f.Writes = []agent.Write{write(key, text)}
	err := d.s.Commit(d.t.Context(), &f)
	if err == nil {
		d.kept[f.Add[0].Seq], d.state[key] = text, text
	} else if !errors.Is(err, agent.ErrFull) {
		d.t.Fatalf("commit: %v", err)
	}
	return err
}

func (d *fullDisk) check(when string) {
	d.t.Helper()
	for seq, text := range d.kept {
		if rec, err := d.s.Record(seq); err != nil || string(rec.Event.Data) != text {
			d.t.Fatalf("%s: record %d: %v", when, seq, err)
		}
	}
	for key, text := range d.state {
		if got := get(d.t, d.s, key); got != text {
			d.t.Fatalf("%s: %s is %.10q, want %.10q", when, key, got, text)
		}
	}
	if st := d.s.Status(); st.Records != len(d.kept) || st.Gaps != 0 {
		d.t.Errorf("%s: %d records of %d, %d gaps", when, st.Records, len(d.kept), st.Gaps)
	}
}

// fill has somebody else take all that is left.
func (d *fullDisk) fill() (path string) {
	path = filepath.Join(d.dir, "foreign")
	f, err := os.Create(path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 16<<10); ; {
		if d.fake != nil {
			if free, _ := d.fake.Free(""); free < int64(len(chunk)) {
				return path
			}
		}
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return path
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, mounted := range []bool{true, false} {
		t.Run(fmt.Sprintf("mounted=%v", mounted), func(t *testing.T) {
			d := newFullDisk(t, mounted)
			d.start()
			for range 300 {
				if err := d.commit(); err != nil {
					t.Fatal(err)
				}
			}
			foreign := d.fill()
			for range 2000 {
				_ = d.commit() // kept or refused
			}
			if d.commit() == nil {
				t.Error("a full disk takes everything")
			}
			d.check("full")
			for range 2 {
				d.stop()
				d.start()
				d.check("restarted while full")
				_ = d.commit()
			}
			if err := os.Remove(foreign); err != nil {
				t.Fatal(err)
			}
			testbed.Eventually(t, 30*time.Second, "it works again", d.commit)
			d.check("with space again")
			d.stop()
			d.start()
			d.check("in the end")
			d.stop()
		})
	}
}
