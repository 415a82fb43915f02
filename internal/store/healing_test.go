package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

func TestDamagedBlobCanBePutAgain(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	data := bytes.Repeat([]byte("wasm"), 1000)
	d := agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
	put := func() {
		t.Helper()
		if err := s.PutBlob(t.Context(), d, int64(len(data)), allOf(string(data))); err != nil {
			t.Fatal(err)
		}
	}
	put()
	rot := func(txn *badger.Txn) error { return txn.Set(store.ChunkKey(d, 0), []byte("rot rot rot rot rot")) }
	if err := s.DB().Update(rot); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Blob(d); err == nil {
		t.Error("a damaged blob was read")
	}
	if s.HasBlob(d) {
		t.Error("a damaged blob still counts as there, so nobody would fetch it again")
	}
	put()
	if got, err := s.Blob(d); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read again: %d bytes, %v", len(got), err)
	}
}

// A full journal must not keep a queue from getting past what can never be
// delivered: then nothing behind it would be delivered either.
func TestFullJournalStillTakesDeadLetters(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{Quota: 4 << 20, SegmentSize: 1 << 20})
	var full error
	for i := 0; full == nil; i++ {
		full = s.Commit(t.Context(), &agent.Frame{Add: []agent.Record{record("target/t", i)}})
	}
	if !errors.Is(full, agent.ErrFull) {
		t.Fatal(full)
	}
	for _, stub := range s.Pending("target/t")[:100] {
		rec, err := s.Record(stub.Seq)
		if err != nil {
			t.Fatal(err)
		}
		rec.Queue, rec.Kind = agent.QueueDead, agent.KindDead
		commit(t, s, agent.Frame{Done: []uint64{stub.Seq}, Add: []agent.Record{rec}})
	}
	if n := len(s.Pending(agent.QueueDead)); n != 100 {
		t.Errorf("%d dead letters, want 100", n)
	}
	if err := s.Commit(t.Context(), &agent.Frame{Add: []agent.Record{record("target/t", 0)}}); !errors.Is(err, agent.ErrFull) {
		t.Errorf("a new record in a full journal: %v", err)
	}
}

// Records that wait long lie far apart among those that come and go.
func TestFewWaitingAmongManyCostLittleMemory(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{Quota: 64 << 20, NoSync: true})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const waiting = 1000
	for range waiting {
		f := agent.Frame{Add: []agent.Record{{Queue: "away"}}}
		for range 255 {
			f.Add = append(f.Add, agent.Record{Queue: "fast"})
		}
		done := agent.Frame{}
		for _, rec := range commit(t, s, f)[1:] {
			done.Done = append(done.Done, rec.Seq)
		}
		commit(t, s, done)
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if each := (heap() - before) / waiting; each > 2000 {
		t.Errorf("%d bytes of memory for each waiting record", each)
	}
	runtime.KeepAlive(s)
}

// However a journal came to be full, what only leaves must find a way.
func TestFullJournalCanAlwaysBeDrained(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{Quota: 4 << 20, SegmentSize: 1 << 20, Overlay: 64 << 20, NoSync: true})
	fill := func(frame func(i int) *agent.Frame) {
		t.Helper()
		for i := range 1_000_000 {
			err := s.Commit(t.Context(), frame(i))
			if errors.Is(err, agent.ErrFull) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Fatal("the journal is never full")
	}
	fill(func(i int) *agent.Frame { return &agent.Frame{Add: []agent.Record{record("target/t", i)}} })
	fill(func(i int) *agent.Frame { return &agent.Frame{Writes: []agent.Write{write(fmt.Sprint(i), "state")}} })
	for _, stub := range s.Pending("target/t") {
		if err := s.Commit(t.Context(), &agent.Frame{Done: []uint64{stub.Seq}}); err != nil {
			t.Fatalf("a delivery cannot be recorded: %v", err)
		}
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, agent.Frame{Add: []agent.Record{record("target/t", 0)}})
}
