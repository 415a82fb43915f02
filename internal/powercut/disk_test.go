package powercut

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestADiskLosesWhatWasNotFlushed and nothing else.
func TestADiskLosesWhatWasNotFlushed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, 8*sector), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDisk(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	put := func(c byte, at int64) error { return d.write(bytes.Repeat([]byte{c}, sector), at*sector) }
	holds := func(want string) {
		t.Helper()
		image, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if got := image[i*sector]; got != want[i] {
				t.Errorf("sector %d holds %q, want %q", i, got, want[i])
			}
		}
	}
	for at := range int64(4) {
		if err := put('a', at); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.flush(); err != nil {
		t.Fatal(err)
	}

	blown := d.CutAt(3, 1)
	for _, c := range []byte("bcd") {
		err = put(c, 1)
	}
	if err == nil {
		t.Error("the write that met the cut was acknowledged")
	}
	<-blown
	if put('e', 0) == nil || d.flush() == nil {
		t.Error("a disk without power writes")
	}
	holds("aaaa")

	d.PowerOn()
	d.CutAt(2, 0)
	if err := put('f', 2); err != nil {
		t.Fatal(err)
	}
	put('g', 3)
	holds("aafg") // written though not flushed: a cut may spare it
	if s := d.Stats(); s.Lost != 1 || s.Flushes != 1 {
		t.Errorf("stats = %+v", s)
	}
}
