package store_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// frames of a segment file, as README.md describes them.
func frameOffsets(b []byte) (offs []int) {
	for off := 1024; off+24 <= len(b); {
		n := int(binary.LittleEndian.Uint32(b[off:]))
		if n == 0 {
			break
		}
		offs = append(offs, off)
		off += 24 + (n+7)&^7
	}
	return offs
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "journal", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func change(t testing.TB, path string, f func(b []byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

// running fills a store with n frames and returns a copy of its directory as
// a power cut would leave it.
func running(t *testing.T, n int) (dir string) {
	dir = t.TempDir()
	s := open(t, dir, store.Options{SegmentSize: 64 << 10})
	for i := range n {
		f := body(fmt.Sprint("body ", i))
		f.Writes = []agent.Write{write(fmt.Sprint(i), "v")}
		commit(t, s, f)
	}
	crashed := copyDir(t, dir)
	closed(t, s)
	return crashed
}

func TestTornTail(t *testing.T) {
	const n = 6
	base := running(t, n)
	path := segments(t, base)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	offs := frameOffsets(whole)
	if len(offs) != n {
		t.Fatalf("%d frames, want %d", len(offs), n)
	}
	end := offs[n-1] + 24 + int(binary.LittleEndian.Uint32(whole[offs[n-1]:]))
	for cut := offs[n-2]; cut <= end; cut++ {
		b := slices.Clone(whole)
		clear(b[cut:])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		want := n - 2
		if cut > offs[n-2] && intact(whole, b, offs[n-2], offs[n-1]) {
			want++
		}
		if intact(whole, b, offs[n-1], end) {
			want++
		}
		s := open(t, base, store.Options{SegmentSize: 64 << 10})
		if got, st := len(s.Pending("q")), s.Status(); got != want || st.Gaps != 0 || get(t, s, "0") != "v" {
			t.Fatalf("cut at %d: %d records and %d gaps, want %d and 0", cut, got, st.Gaps, want)
		}
		commit(t, s, body("after"))
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		discard(t, s, base, path)
	}
}

func intact(a, b []byte, from, to int) bool { return bytes.Equal(a[from:to], b[from:to]) }

// discard closes a store and removes what it added, so that path is the whole
// journal again.
func discard(t *testing.T, s *store.Store, dir, path string) {
	t.Helper()
	closed(t, s)
	for _, p := range append(segments(t, dir), filepath.Join(dir, "checkpoint")) {
		if p != path {
			os.Remove(p) // may not be there
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "badger")); err != nil {
		t.Fatal(err)
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	const n = 40
	base := running(t, n)
	path := segments(t, base)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	offs := frameOffsets(whole)
	for _, tt := range []struct {
		name   string
		damage func(b []byte)
		lost   []int
	}{
		{"payload bit", func(b []byte) { b[offs[5]+30] ^= 4 }, []int{5}},
		{"length", func(b []byte) { b[offs[7]] ^= 0x80 }, []int{7}},
		{"huge length", func(b []byte) { b[offs[7]+3] = 0xff }, []int{7}},
		{"sequence", func(b []byte) { b[offs[9]+8] ^= 1 }, []int{9}},
		{"zeros over two", func(b []byte) { clear(b[offs[20]+8 : offs[22]]) }, []int{20, 21}},
		{"first frame", func(b []byte) { b[offs[0]+4] ^= 1 }, []int{0}},
		{"three places", func(b []byte) { b[offs[1]+25] ^= 1; b[offs[3]+25] ^= 1; b[offs[30]+25] ^= 1 }, []int{1, 3, 30}},
		{"one header copy", func(b []byte) { b[20] ^= 1 }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := slices.Clone(whole)
			tt.damage(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, base, store.Options{SegmentSize: 64 << 10})
			var want []string
			for i := range n {
				if !slices.Contains(tt.lost, i) {
					want = append(want, fmt.Sprint("body ", i))
				}
			}
			if got := bodies(t, s, "q"); !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
			if st := s.Status(); st.Gaps != int64(len(tt.lost)) {
				t.Errorf("%d gaps, want %d", st.Gaps, len(tt.lost))
			}
			_, err := os.Stat(filepath.Join(base, "damaged", filepath.Base(path)))
			if (err == nil) != (len(tt.lost) > 0) {
				t.Errorf("copy of the damaged segment: %v", err)
			}
			discard(t, s, base, path)
			if err := os.RemoveAll(filepath.Join(base, "damaged")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDamagedHeaders(t *testing.T) {
	dir := running(t, 1500) // more than one segment
	list := segments(t, dir)
	if len(list) < 2 {
		t.Fatalf("%d segments", len(list))
	}
	first := list[0]
	change(t, first, func(b []byte) []byte { b[20] ^= 1; b[512+20] ^= 1; return b })
	s := open(t, copyDir(t, dir), store.Options{}) // a third copy is at the end
	if got := len(s.Pending("q")); got != 1500 || s.Status().Gaps != 0 {
		t.Errorf("with one header left: %d records, %d gaps", got, s.Status().Gaps)
	}
	closed(t, s)
	change(t, first, func(b []byte) []byte { b[len(b)-20] ^= 1; return b })
	s = open(t, dir, store.Options{})
	if got := len(s.Pending("q")); got == 0 || got >= 1500 || s.Status().Gaps == 0 {
		t.Errorf("%d records, %d gaps", got, s.Status().Gaps)
	}
	if _, err := os.Stat(filepath.Join(dir, "damaged", filepath.Base(first))); err != nil {
		t.Error(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	dir := running(t, 3)
	change(t, segments(t, dir)[0], func(b []byte) []byte {
		for _, at := range []int{0, 512} {
			b[at+8] = 9
			binary.LittleEndian.PutUint32(b[at+60:], crc(b[at:at+60]))
		}
		return b
	})
	_, err := store.Open(dir, quiet(store.Options{}))
	if err == nil || !strings.Contains(err.Error(), "format 9 and this release reads format 1") {
		t.Errorf("open: %v", err)
	}
}

func TestDamagedRecordIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	for i := range 3 {
		commit(t, s, body(fmt.Sprint("body ", i)))
	}
	f, err := os.OpenFile(segments(t, dir)[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("body 1"))
	if _, err := f.WriteAt([]byte("BODY"), int64(at)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Record(s.Pending("q")[1].Seq); err == nil {
		t.Error("a damaged record is read")
	}
	recs, err := s.Queue("q").Next(t.Context(), 0, 10)
	if err != nil || len(recs) != 2 || string(recs[1].Event.Data) != "body 2" || s.Status().Gaps == 0 {
		t.Errorf("%d records, %v, %d gaps", len(recs), err, s.Status().Gaps)
	}
}

func TestWordSizeRule(t *testing.T) {
	const good = 4<<20 + 4<<10
	for _, tt := range []struct {
		table, mem        int64
		multiplier, stall int
		bits              int
		ok                bool
	}{
		{good, 2 << 20, 1, 3, 32, true},
		{4 << 20, 2 << 20, 1, 3, 32, false}, // chunks of blobs take more
		{good, 4 << 20, 1, 3, 32, false},
		{good, 2 << 20, 2, 3, 32, false},
		{good, 2 << 20, 1, 4, 32, false},
		{2 << 20, 8 << 20, 2, 4, 64, true},
	} {
		o := badger.Options{BaseTableSize: tt.table, MemTableSize: tt.mem, TableSizeMultiplier: tt.multiplier, NumLevelZeroTablesStall: tt.stall}
		if err := store.CheckWordSize(o, tt.bits); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
