package fleetsync_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// smallDisk gives a folder on a disk of 24 MiB, "" if this user may not mount one.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Logf("no small disk can be mounted, the same is tested in memory: %v", err)
		return ""
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk has somebody else take all but so many bytes.
func fillDisk(t *testing.T, dir string, leave int64) (file string) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "foreign")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*int64(st.Bsize)-leave); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return file
}

// TestAFullDisk looks before the first byte whether there is room, meets a disk that
// fills meanwhile, and goes on by itself without fetching anything twice.
func TestAFullDisk(t *testing.T) {
	reg, l := startLine(t)
	dir := smallDisk(t)
	if dir == "" {
		return
	}
	one, two := module(1, 2<<20), module(2, 3<<20)
	pushBlob(t, reg.Addr(), one)
	pushBlob(t, reg.Addr(), two)
	g := newGateway(t, filepath.Join(dir, "data"), l.ref())
	if err := g.bring(one); err != nil {
		t.Fatal(err)
	}
	l.set(nil)
	foreign := fillDisk(t, dir, 4<<20)
	err := g.bring(two)
	wantErr(t, err, "fleet plant revision 7 needs 3.0 MiB on the disk", "may be used: free some space", "by itself")
	if !errors.Is(err, agent.ErrFull) || l.asked.Load() > 0 {
		t.Errorf("%d requests for what there is no room for: %v", l.asked.Load(), err)
	}
	g.want(one)
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	l.set(func(a *answer) {
		if a.ask == 1 {
			a.cut = 1 << 20
		} else if a.ask == 2 {
			foreign = fillDisk(t, dir, 1<<20)
		}
	})
	if err := g.bring(two); !errors.Is(err, agent.ErrFull) {
		t.Fatalf("a disk that fills meanwhile: %v", err)
	}
	g.want(one)
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	came := l.bytes.Load()
	testbed.Eventually(t, 30*time.Second, "there is room again", func() error { return g.bring(two) })
	g.want(two)
	g.want(one)
	if got := l.bytes.Load() - came; got > 2<<20 {
		t.Errorf("%d bytes came once there was room, 2 MiB were missing", got)
	}
}

// TestForWantOfRoomOnlyTheSparesGo holds what is deleted to make room, and what never.
func TestForWantOfRoomOnlyTheSparesGo(t *testing.T) {
	reg, l := startLine(t)
	cache := newMemory()
	r, err := fleetsync.NewRegistry(l.ref(), fleetsync.RegistryOptions{Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	p := fleetsync.NewPuller(r, cache, &runner{}, device(), fleetsync.PullerOptions{})
	var versions [][]byte
	bring := func(i uint64) error {
		m := module(i, 5000)
		pushBlob(t, reg.Addr(), m)
		versions = append(versions, m)
		return p.Bring(t.Context(), []agent.Function{{Name: "overheat/f", Digest: digestOf(m), Size: 5000}}, nil)
	}
	for i := range uint64(4) {
		if err := bring(i); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(want ...bool) {
		t.Helper()
		for i, m := range versions {
			if got := cache.HasBlob(digestOf(m)); got != want[i] {
				t.Errorf("version %d is there: %v", i, got)
			}
		}
	}
	holds(false, true, true, true) // keepVersions of the test is 3
	cache.room = 4999
	wantErr(t, bring(4), "needs 4.9 KiB on the disk", "4.9 KiB may be used")
	holds(false, false, false, true, false) // what runs
	cache.room = 5000
	if err := bring(5); err != nil {
		t.Error(err)
	}
	holds(false, false, false, true, false, true)
}

// slowDisk takes longer to keep what came than a line may be silent.
type slowDisk struct{ *memory }

func (c slowDisk) PutBlob(ctx context.Context, d agent.Digest, size int64, fill func(int64, io.Writer) error) error {
	return c.memory.PutBlob(ctx, d, size, func(from int64, w io.Writer) error { return fill(from, slowWriter{w}) })
}

type slowWriter struct{ io.Writer }

func (w slowWriter) Write(p []byte) (int, error) {
	<-time.After(200 * time.Millisecond)
	return w.Writer.Write(p)
}

// TestASlowDiskIsNoSilentLine: the line was given up while the disk took its time.
func TestASlowDiskIsNoSilentLine(t *testing.T) {
	reg, l := startLine(t)
	m := module(1, 200_000)
	pushBlob(t, reg.Addr(), m)
	r, err := fleetsync.NewRegistry(l.ref(), fleetsync.RegistryOptions{Retries: -1, Idle: 150 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p := fleetsync.NewPuller(r, slowDisk{newMemory()}, &runner{}, device(), fleetsync.PullerOptions{})
	if err := p.Bring(t.Context(), []agent.Function{{Name: "overheat/f", Digest: digestOf(m), Size: 200_000}}, nil); err != nil || l.asked.Load() > 2 {
		t.Errorf("asked %d times: %v", l.asked.Load(), err)
	}
}
