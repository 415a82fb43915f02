package store_test

import (
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

var errLine = errors.New("the line broke")

// allOf writes the bytes of a blob as they are asked for.
func allOf(data string) func(int64, io.Writer) error {
	return func(from int64, w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader(data[from:]))
		return err
	}
}

// cut writes up to byte end and fails then; it tells where it was asked to begin.
func cut(data string, end int, began *int64) func(int64, io.Writer) error {
	return func(from int64, w io.Writer) error {
		*began = from
		if _, err := io.WriteString(w, data[from:end]); err != nil {
			return err
		}
		return errLine
	}
}

func TestBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	for _, size := range []int{0, 1, 256 << 10, 700_000} {
		b := pattern(size)
		d := digest(b)
		if err := s.PutBlob(t.Context(), d, int64(size), allOf(b)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Blob(d); err != nil || string(got) != b || !s.HasBlob(d) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	b := pattern(300_000)
	d, wrong := digest(b), digest("something else")
	for _, tt := range []struct {
		d    agent.Digest
		size int64
		want string
		is   error
	}{
		{wrong, 300_000, string(d) + ", not " + string(wrong), agent.ErrInvalid},
		{d, 299_999, "more than the 299999 bytes", agent.ErrInvalid},
		{d, 300_001, "ends after 300000 bytes of 300001", io.ErrUnexpectedEOF},
		{"sha256:12", 1, "64 hex digits", agent.ErrInvalid},
	} {
		err := s.PutBlob(t.Context(), tt.d, tt.size, allOf(b))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.is) || s.HasBlob(tt.d) {
			t.Errorf("put %s of %d bytes: %v, want %q", tt.d, tt.size, err, tt.want)
		}
	}
	if _, err := s.Blob(d); !errors.Is(err, agent.ErrNotFound) {
		t.Errorf("blob that is not there: %v", err)
	}
	closed(t, s)
	s = open(t, dir, store.Options{})
	list, err := s.Blobs()
	if err != nil || len(list) != 4 || !slices.IsSorted(list) {
		t.Fatalf("blobs %q, %v", list, err)
	}
	for _, d := range list {
		if err := s.DeleteBlob(d); err != nil || s.HasBlob(d) {
			t.Errorf("delete %s: %v", d, err)
		}
	}
	if err := s.DeleteBlob(d); err != nil {
		t.Errorf("delete what is not there: %v", err)
	}
}

func TestDamagedBlobIsAnError(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	b := pattern(600_000)
	d := digest(b)
	if err := s.PutBlob(t.Context(), d, int64(len(b)), allOf(b)); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s, store.ChunkKey(d, 1), []byte("not what was written"))
	if _, err := s.Blob(d); err == nil || s.Status().Gaps != 1 {
		t.Errorf("damaged chunk: %v, %d gaps", err, s.Status().Gaps)
	}
	if err := s.DeleteBlob(d); err != nil {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, int64(len(b)), allOf(b)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blob(d); err != nil || string(got) != b {
		t.Errorf("stored again: %v", err)
	}
}

// unfinished is what a store keeps of blobs that are not whole.
func unfinished(t *testing.T, s *store.Store) map[agent.Digest]int64 {
	t.Helper()
	kept, err := s.Unfinished()
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

// stored is how many bytes of the chunks of a blob were written to the
// database, those that were replaced or deleted included.
func stored(t *testing.T, s *store.Store, d agent.Digest) (bytes int64) {
	t.Helper()
	err := s.DB().View(func(txn *badger.Txn) error {
		prefix := store.ChunkKey(d, 0)
		it := txn.NewIterator(badger.IteratorOptions{AllVersions: true, Prefix: prefix[:len(prefix)-4]})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if !it.Item().IsDeletedOrExpired() {
				bytes += it.Item().ValueSize() - store.ValueHeader
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestBlobGoesOnAfterARestart holds that what came is neither asked for nor
// written again, and that nothing is seen of a blob before it is whole.
func TestBlobGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b := pattern(900_000)
	d := digest(b)
	want := int64(0)
	for _, end := range []int{300_000, 300_100, 600_000, 899_999} {
		s := open(t, dir, store.Options{})
		var began int64
		err := s.PutBlob(t.Context(), d, int64(len(b)), cut(b, end, &began))
		if !errors.Is(err, errLine) || began != want {
			t.Fatalf("until %d: began at %d, want %d: %v", end, began, want, err)
		}
		if want = int64(end); end == 300_100 {
			want = 300_000 // 100 bytes are not worth a chunk
		}
		if got := unfinished(t, s); got[d] != want || len(got) != 1 {
			t.Errorf("unfinished: %v, want %d bytes", got, want)
		}
		list, err := s.Blobs()
		if _, read := s.Blob(d); s.HasBlob(d) || len(list) > 0 || err != nil || !errors.Is(read, agent.ErrNotFound) {
			t.Errorf("a blob that is not whole is seen: %v, %v, %v", list, err, read)
		}
		closed(t, s)
	}
	s := open(t, dir, store.Options{})
	if err := s.PutBlob(t.Context(), d, int64(len(b)), allOf(b)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Blob(d); err != nil || string(got) != b || len(unfinished(t, s)) > 0 {
		t.Errorf("in the end: %d bytes, %v", len(got), err)
	}
	if n := stored(t, s, d); n != int64(len(b)) {
		t.Errorf("%d bytes were written for a blob of %d", n, len(b))
	}
}

func TestKilledWithinAChunk(t *testing.T) {
	dir := t.TempDir()
	b := pattern(900_000)
	d := digest(b)
	s := open(t, dir, store.Options{})
	var copied string
	err := s.PutBlob(t.Context(), d, int64(len(b)), func(_ int64, w io.Writer) error {
		_, err := io.WriteString(w, b[:600_000])
		copied = copyDir(t, dir)
		return errors.Join(err, errLine)
	})
	if !errors.Is(err, errLine) {
		t.Fatal(err)
	}
	s = open(t, copied, store.Options{})
	var began int64
	if err := s.PutBlob(t.Context(), d, int64(len(b)), cut(b, 900_000, &began)); !errors.Is(err, errLine) || began != 512<<10 {
		t.Errorf("after a kill at 600000 it begins at %d: %v", began, err)
	}
	// All of it is there, and only the last word was not said.
	asked := false
	err = s.PutBlob(t.Context(), d, int64(len(b)), func(int64, io.Writer) error { asked = true; return nil })
	if got, read := s.Blob(d); err != nil || asked || read != nil || string(got) != b {
		t.Errorf("whole without asking: asked %v, %v, %v", asked, err, read)
	}
}

func TestWhatIsDamagedOfAnUnfinishedBlobIsDropped(t *testing.T) {
	b := pattern(900_000)
	d := digest(b)
	for _, tt := range []struct {
		name  string
		hurt  func(t *testing.T, s *store.Store)
		size  int64
		began int64
	}{
		{"second chunk damaged", func(t *testing.T, s *store.Store) {
			overwrite(t, s, store.ChunkKey(d, 1), []byte("not what was written"))
		}, 900_000, 256 << 10},
		{"first chunk gone", func(t *testing.T, s *store.Store) {
			err := s.DB().Update(func(txn *badger.Txn) error { return txn.Delete(store.ChunkKey(d, 0)) })
			if err != nil {
				t.Fatal(err)
			}
		}, 900_000, 0},
		{"another size is stated", func(*testing.T, *store.Store) {}, 300_000, 256 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, t.TempDir(), store.Options{})
			var began int64
			if err := s.PutBlob(t.Context(), d, 900_000, cut(b, 800_000, &began)); !errors.Is(err, errLine) {
				t.Fatal(err)
			}
			tt.hurt(t, s)
			err := s.PutBlob(t.Context(), d, tt.size, cut(b, int(tt.began), &began))
			if !errors.Is(err, errLine) || began != tt.began || unfinished(t, s)[d] != tt.began {
				t.Errorf("goes on at %d, want %d, keeps %v: %v", began, tt.began, unfinished(t, s), err)
			}
			if tt.size != 900_000 {
				return
			}
			if err := s.PutBlob(t.Context(), d, 900_000, allOf(b)); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Blob(d); err != nil || string(got) != b {
				t.Errorf("in the end: %v", err)
			}
		})
	}
}

func TestWrongBytesLeaveNothing(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	b := pattern(900_000)
	d := digest(b)
	var began int64
	bent := b[:400_000] + "!" + b[400_001:]
	if err := s.PutBlob(t.Context(), d, 900_000, cut(bent, 500_000, &began)); !errors.Is(err, errLine) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 900_000, allOf(b)); !errors.Is(err, agent.ErrInvalid) || len(unfinished(t, s)) > 0 {
		t.Errorf("bytes with another digest: %v, %v is kept", err, unfinished(t, s))
	}
	if err := s.PutBlob(t.Context(), d, 900_000, cut(b, 500_000, &began)); !errors.Is(err, errLine) {
		t.Fatal(err)
	}
	if err := s.DeleteBlob(d); err != nil || len(unfinished(t, s)) > 0 {
		t.Errorf("deleted, %v is kept: %v", unfinished(t, s), err)
	}
	if err := s.Scrub(t.Context()); err != nil || s.Status().Gaps != 0 {
		t.Errorf("the keys do not add up: %d gaps, %v", s.Status().Gaps, err)
	}
}

// TestUnfinishedBlobsAreListed tells each one for itself, and whole ones not at all.
func TestUnfinishedBlobsAreListed(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	want := map[agent.Digest]int64{}
	for i := range 3 {
		b := strings.Repeat(string(rune('a'+i)), 400_000)
		var began int64
		if err := s.PutBlob(t.Context(), digest(b), int64(len(b)), cut(b, 300_000+i*10_000, &began)); !errors.Is(err, errLine) {
			t.Fatal(err)
		}
		want[digest(b)] = int64(300_000 + i*10_000)
	}
	whole := strings.Repeat("x", 400_000)
	if err := s.PutBlob(t.Context(), digest(whole), int64(len(whole)), allOf(whole)); err != nil {
		t.Fatal(err)
	}
	if got := unfinished(t, s); !maps.Equal(got, want) {
		t.Errorf("unfinished: %v, want %v", got, want)
	}
}
