package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

func big(queue string) agent.Frame {
	f := body(strings.Repeat("x", 4000))
	f.Add[0].Queue = queue
	return f
}

func TestQuota(t *testing.T) {
	dir := t.TempDir()
	opts := store.Options{Quota: 512 << 10, SegmentSize: 64 << 10}
	s := open(t, dir, opts)
	n := 0
	for ; ; n++ {
		f := big("q")
		err := s.Commit(t.Context(), &f)
		if errors.Is(err, agent.ErrFull) {
			break
		}
		if err != nil || n > 1000 {
			t.Fatalf("commit %d: %v", n, err)
		}
	}
	if st := s.Status(); n < 60 || st.JournalBytes > opts.Quota || st.Records != n {
		t.Errorf("full after %d records: %+v", n, st)
	}
	closed(t, s)
	s = open(t, dir, opts)
	for _, stub := range s.Pending("q") { // draining works although it is full
		commit(t, s, agent.Frame{Done: []uint64{stub.Seq}, Writes: []agent.Write{write("n", fmt.Sprint(stub.Seq))}})
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Records != 0 || st.JournalBytes > 128<<10 {
		t.Errorf("drained: %+v", st)
	}
	commit(t, s, big("q"))
}

func TestOldRecordsMoveForwardAndKeepSeq(t *testing.T) {
	dir := t.TempDir()
	opts := store.Options{Quota: 2 << 20, SegmentSize: 64 << 10}
	s := open(t, dir, opts)
	old := commit(t, s, agent.Frame{Add: []agent.Record{record("dead", 1), record("dead", 2)}})
	commit(t, s, agent.Frame{Touch: []agent.Touch{{Seq: old[0].Seq, Attempts: 7}}})
	var last uint64
	for range 300 { // much more than the quota passes through
		f := commit(t, s, big("q"))
		last = f[0].Seq
		commit(t, s, agent.Frame{Done: []uint64{last}})
		if last%40 == 0 {
			if err := s.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func() {
		t.Helper()
		stubs := s.Pending("dead")
		if len(stubs) != 2 || stubs[0].Seq != old[0].Seq || stubs[1].Seq != old[1].Seq || stubs[0].Attempts != 7 {
			t.Fatalf("pending %+v", stubs)
		}
		rec, err := s.Record(old[0].Seq)
		if err != nil || rec.Attempts != 7 || rec.Event.ID != old[0].Event.ID {
			t.Errorf("moved record: %+v, %v", rec, err)
		}
		if st := s.Status(); st.JournalBytes > 10*64<<10 || st.Gaps != 0 || st.Dead != 2 {
			t.Errorf("status %+v", st)
		}
	}
	check()
	closed(t, s)
	s = open(t, dir, opts)
	check()
	commit(t, s, agent.Frame{Done: []uint64{old[0].Seq, old[1].Seq}})
	closed(t, s)
	s = open(t, dir, opts)
	if n := s.Status().Records; n != 0 {
		t.Errorf("%d records came back", n)
	}
	if next := commit(t, s, big("q")); next[0].Seq <= last {
		t.Errorf("sequence %d is used again, there was %d", next[0].Seq, last)
	}
}

func TestRunGivesSegmentsBack(t *testing.T) {
	opts := store.Options{Quota: 512 << 10, SegmentSize: 64 << 10, Overlay: 32 << 10}
	s := open(t, t.TempDir(), opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	want := map[string]string{}
	for i := range 1000 { // 4 MB of values through a journal of 512 KiB
		key, value := fmt.Sprint(i%100), fmt.Sprint(i, strings.Repeat("v", 4000))
		for {
			f := agent.Frame{Writes: []agent.Write{write(key, value)}}
			if err := s.Commit(t.Context(), &f); err == nil {
				break
			} else if !errors.Is(err, agent.ErrFull) {
				t.Fatal(err)
			}
		}
		want[key] = value
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for key, value := range want {
		if get(t, s, key) != value {
			t.Errorf("value of %s is wrong", key)
		}
	}
}

func TestFullDiskIsErrFull(t *testing.T) {
	s, g := gated(t, t.TempDir())
	commit(t, s, body("before"))
	g.set(func() { g.failAt = syscall.ENOSPC })
	f := body("x")
	if err := s.Commit(t.Context(), &f); !errors.Is(err, agent.ErrFull) {
		t.Errorf("commit on a full disk: %v", err)
	}
	g.set(func() { g.failAt = nil })
	commit(t, s, body("after"))
	if got := bodies(t, s, "q"); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("got %q", got)
	}
}

func TestAddingStopsBeforeTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	added := commit(t, s, body("before"))
	closed(t, s)
	free := int64(100 << 10)
	opts := store.WithFree(store.Options{}, func() int64 { return free })
	if err := os.RemoveAll(filepath.Join(dir, "ballast")); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(dir, quiet(opts))
	if !errors.Is(err, agent.ErrFull) || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("open on a full disk: %v", err)
	}
	free = 16 << 20 // half of what adding needs
	s = open(t, dir, opts)
	f := body("x")
	if err := s.Commit(t.Context(), &f); !errors.Is(err, agent.ErrFull) {
		t.Errorf("adding: %v", err)
	}
	if said := s.Status().Error; !strings.Contains(said, "free on the disk") {
		t.Errorf("the status says %q", said)
	}
	commit(t, s, agent.Frame{Done: []uint64{added[0].Seq}})
}

// A segment that only an unsynced Lazy frame has emptied is still needed: a
// crash takes that frame back.
func TestLazyFramesAreSyncedBeforeASegmentGoes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{SegmentSize: 64 << 10})
	const n = 20 // more than one segment
	move := agent.Frame{Lazy: true, Add: []agent.Record{{Queue: "moved"}}}
	for range n {
		move.Done = append(move.Done, commit(t, s, big("q"))[0].Seq)
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, move)
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	s = open(t, copyDir(t, dir), store.Options{})
	if old, moved := s.Queue("q").Len(), s.Queue("moved").Len(); (old != n || moved != 0) && (old != 0 || moved != 1) {
		t.Errorf("after a crash %d records are where they were and %d moved", old, moved)
	}
}
