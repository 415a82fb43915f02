package fleetsync_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// TestPatchingTakesTheMemoryOfBothModules, and what is only compressed a window.
func TestPatchingTakesTheMemoryOfBothModules(t *testing.T) {
	const size = 12 << 20
	old := text(size)
	m := edited(old)
	patch := packed(t, m, old, zstd.WithWindowSize(64<<20))
	plain := packed(t, m, nil)
	taken := func(do func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	got := taken(func() {
		if out, err := fleetsync.ApplyPatch(patch, old, size); err != nil || !bytes.Equal(out, m) {
			t.Errorf("patch: %d bytes, %v", len(out), err)
		}
	})
	if got > size+2<<20 {
		t.Errorf("a patch takes %d bytes beside the old module, the module has %d", got, size)
	}
	got = taken(func() {
		if err := fleetsync.Inflate(bytes.NewReader(plain), size, 0, io.Discard); err != nil {
			t.Error(err)
		}
	})
	if got > 10<<20 {
		t.Errorf("decompressing takes %d bytes", got)
	}
	bomb := packed(t, make([]byte, 64<<20), nil, zstd.WithWindowSize(64<<20))
	got = taken(func() {
		if err := fleetsync.Inflate(bytes.NewReader(bomb), size, 0, io.Discard); err == nil {
			t.Error("a bomb is no error")
		}
	})
	if got > 1<<20 {
		t.Errorf("refusing a bomb takes %d bytes", got)
	}
}

func TestInflateGoesOnInTheMiddle(t *testing.T) {
	m := text(100_000)
	plain := packed(t, m, nil)
	for _, from := range []int64{0, 1, 50_000, int64(len(m)) - 1} {
		var out bytes.Buffer
		if err := fleetsync.Inflate(bytes.NewReader(plain), int64(len(m)), from, &out); err != nil || !bytes.Equal(out.Bytes(), m[from:]) {
			t.Errorf("from %d: %d bytes, %v", from, out.Len(), err)
		}
	}
	full := errors.New("the disk is full")
	if err := fleetsync.Inflate(bytes.NewReader(plain), int64(len(m)), 0, failing{full}); !errors.Is(err, full) {
		t.Errorf("a cache that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzPatch gives frames of strangers to both ways of making a module: they give
// that many bytes or an error, and take no more memory than that.
func FuzzPatch(f *testing.F) {
	old := text(4000)
	m := edited(old)
	f.Add(packed(f, m, old), len(m))
	f.Add(packed(f, m, nil), len(m))
	f.Add(packed(f, m, nil), len(m)-1)
	f.Add(append(packed(f, m, nil), packed(f, m, nil)...), len(m))
	f.Add(packed(f, make([]byte, 1<<20), nil), 100)
	f.Fuzz(func(t *testing.T, patch []byte, size int) {
		size &= 1<<16 - 1
		out, err := fleetsync.ApplyPatch(patch, old, int64(size))
		if err == nil && len(out) != size {
			t.Errorf("%d bytes of %d", len(out), size)
		}
		var w bytes.Buffer
		err = fleetsync.Inflate(bytes.NewReader(patch), int64(size), 0, &w)
		if err == nil && w.Len() != size || w.Len() > size+1 {
			t.Errorf("decompressed: %d bytes of %d, %v", w.Len(), size, err)
		}
	})
}
