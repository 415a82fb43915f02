package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

var _ agent.Store = (*store.Store)(nil)

func quiet(o store.Options) store.Options {
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	return o
}

func open(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(dir, quiet(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func closed(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func commit(t testing.TB, s *store.Store, f agent.Frame) []agent.Record {
	t.Helper()
	if err := s.Commit(t.Context(), &f); err != nil {
		t.Fatalf("commit: %v", err)
	}
	return f.Add
}

// record is one of real size with every field set.
func record(queue string, i int) agent.Record {
	return agent.Record{
		Queue: queue, Kind: agent.KindFollowup, Key: fmt.Sprint("key", i%7), Function: "plant/alarm",
		Trigger: "plant/hot", Priority: uint8(i % 10), Latest: i%3 == 0, Shed: i%2 == 1, Expires: time.Unix(4e9, 5).UTC(), Attempts: i % 3,
		NotBefore: time.Unix(3e9, 7).UTC(), Reason: "trap", Origin: "inbox/plant/alarm", Retain: i%2 == 0,
		Event: agent.Event{
			ID: fmt.Sprintf("gw7/1/%d", i), Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt",
			Subject: "site/7/temp", Time: time.Unix(1763689000, 123).UTC(), ContentType: "application/json",
			Data: []byte(fmt.Sprintf(`{"id":"s%03d","seq":%d,"temperature":95.25,"pad":"%s"}`, i%50, i, strings.Repeat("x", i%120))),
			Via:  "plant", QoS: 1, Retained: true, Unsure: true, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			Origin: agent.Origin{Slot: "plant/17", Hash: 1<<63 + uint64(i), Redelivered: true},
		},
	}
}

func body(s string) agent.Frame {
	return agent.Frame{Add: []agent.Record{{Queue: "q", Kind: agent.KindEvent, Event: agent.Event{Data: []byte(s)}}}}
}

func bodies(t testing.TB, s *store.Store, queue string) []string {
	t.Helper()
	var all []string
	for _, stub := range s.Pending(queue) {
		rec, err := s.Record(stub.Seq)
		if err != nil {
			t.Fatalf("record %d: %v", stub.Seq, err)
		}
		all = append(all, string(rec.Event.Data))
	}
	return all
}

func get(t testing.TB, s *store.Store, key string) string {
	t.Helper()
	v, err := s.Get("state/a/f", key)
	if err != nil {
		t.Fatal(err)
	}
	if v == nil {
		return "<none>"
	}
	return string(v)
}

func write(key, value string) agent.Write {
	return agent.Write{Scope: "state/a/f", Key: key, Value: []byte(value)}
}

func TestRoundTripAndReplay(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		dir := t.TempDir()
		s := open(t, dir, store.Options{})
		added := commit(t, s, agent.Frame{
			Add:    []agent.Record{record("target/erp", 1), record("target/erp", 2), record("dead", 3)},
			Writes: []agent.Write{write("a", "1"), write("empty", ""), write("gone", "x")}, Lazy: lazy,
		})
		retry := time.Unix(5e9, 9).UTC()
		commit(t, s, agent.Frame{
			Done: []uint64{added[0].Seq}, Touch: []agent.Touch{{Seq: added[1].Seq, Attempts: 9, NotBefore: retry}},
			Writes: []agent.Write{{Scope: "state/a/f", Key: "gone"}}, Lazy: lazy,
		})
		added[1].Attempts, added[1].NotBefore = 9, retry
		check := func(when string) {
			t.Helper()
			for _, want := range added[1:] {
				got, err := s.Record(want.Seq)
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: record %d = %+v, %v\nwant %+v", when, want.Seq, got, err, want)
				}
			}
			if _, err := s.Record(added[0].Seq); !errors.Is(err, agent.ErrNotFound) {
				t.Errorf("%s: done record: %v", when, err)
			}
			if a, e, g := get(t, s, "a"), get(t, s, "empty"), get(t, s, "gone"); a != "1" || e != "" || g != "<none>" {
				t.Errorf("%s: a=%q empty=%q gone=%q", when, a, e, g)
			}
			if q := s.Queues(); !slices.Equal(q, []string{"dead", "target/erp"}) {
				t.Errorf("%s: queues %q", when, q)
			}
			keys, err := s.Keys("state/a/f", "", 10)
			if err != nil || !slices.Equal(keys, []string{"a", "empty"}) {
				t.Errorf("%s: keys %q, %v", when, keys, err)
			}
			if st := s.Status(); st.Records != 1 || st.Dead != 1 || st.Gaps != 0 || st.Error != "" {
				t.Errorf("%s: status %+v", when, st)
			}
		}
		check("fresh")
		closed(t, s)
		s = open(t, dir, store.Options{})
		check("reopened")
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		check("check-pointed")
		if next := commit(t, s, body("new")); next[0].Seq <= added[2].Seq {
			t.Errorf("sequence %d is used again after %d", next[0].Seq, added[2].Seq)
		}
		closed(t, s)
	}
}

func TestGroupCommitSharesSyncs(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	const producers, each = 32, 50
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				f := body(fmt.Sprint(p, "/", i))
				if err := s.Commit(t.Context(), &f); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := s.Status()
	if st.Records != producers*each || st.Syncs > producers*each/3 {
		t.Errorf("%d records with %d syncs; want %d with at most a third of that", st.Records, st.Syncs, producers*each)
	}
	t.Logf("%d commits, %d syncs", producers*each, st.Syncs)
}

func TestNextWaitsAndWakes(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	q := s.Queue("q")
	got := make(chan []agent.Record)
	go func() {
		recs, err := q.Next(t.Context(), 0, 10)
		if err != nil {
			t.Error(err)
		}
		got <- recs
	}()
	commit(t, s, agent.Frame{Add: []agent.Record{{Queue: "other"}}})
	added := commit(t, s, body("one"))
	if recs := <-got; len(recs) != 1 || recs[0].Seq != added[0].Seq || string(recs[0].Event.Data) != "one" {
		t.Errorf("got %+v", recs)
	}
	commit(t, s, agent.Frame{Add: []agent.Record{{Queue: "q"}, {Queue: "q"}, {Queue: "q"}}, Lazy: true})
	recs, err := q.Next(t.Context(), added[0].Seq, 2)
	if err != nil || len(recs) != 2 || recs[0].Seq >= recs[1].Seq || q.Len() != 4 {
		t.Errorf("got %+v, %v, len %d", recs, err, q.Len())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Next(ctx, 1<<40, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// gate holds back syncs until it is opened, or makes them fail.
type gate struct {
	mu               sync.Mutex
	failSync, failAt error
	hold             chan struct{}
	held             chan struct{}
}

func (b *bound) Sync() error {
	g := b.gate
	g.mu.Lock()
	err, hold := g.failSync, g.hold
	g.mu.Unlock()
	if hold != nil {
		g.held <- struct{}{}
		<-hold
	}
	if err != nil {
		return err
	}
	return b.File.Sync()
}

func (b *bound) WriteAt(p []byte, off int64) (int, error) {
	b.gate.mu.Lock()
	defer b.gate.mu.Unlock()
	if b.gate.failAt != nil {
		n, _ := b.File.WriteAt(p[:len(p)/2], off) // half of it arrives
		return n, b.gate.failAt
	}
	return b.File.WriteAt(p, off)
}

func (g *gate) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// gated opens a store whose segments all obey one gate.
func gated(t *testing.T, dir string) (*store.Store, *gate) {
	return gatedWith(t, dir, store.Options{})
}

func gatedWith(t *testing.T, dir string, o store.Options) (*store.Store, *gate) {
	g := &gate{held: make(chan struct{}, 100)}
	return open(t, dir, store.WithFiles(o, func(f store.File) store.File {
		return &bound{f, g}
	})), g
}

// bound is one segment behind the gate.
type bound struct {
	store.File
	gate *gate
}

// A reader that has seen a record must later not miss one with a lower
// sequence whose sync took longer.
func TestNextKeepsOrderAcrossSyncs(t *testing.T) {
	s, g := gated(t, t.TempDir())
	commit(t, s, body("first"))
	hold := make(chan struct{})
	g.set(func() { g.hold = hold })
	slow := make(chan error)
	go func() {
		f := body("slow")
		slow <- s.Commit(t.Context(), &f)
	}()
	<-g.held
	lazy := body("lazy")
	lazy.Lazy = true
	commit(t, s, lazy)
	if st := s.Status(); st.Records != 2 {
		t.Errorf("%d records, want the first and the lazy one", st.Records)
	}
	recs, err := s.Queue("q").Next(t.Context(), 0, 10)
	if err != nil || len(recs) != 1 {
		t.Fatalf("while the sync runs: %+v, %v", recs, err)
	}
	g.set(func() { g.hold = nil })
	close(hold)
	if err := <-slow; err != nil {
		t.Fatal(err)
	}
	recs, err = s.Queue("q").Next(t.Context(), recs[0].Seq, 10)
	if err != nil || len(recs) != 2 || string(recs[0].Event.Data) != "slow" || string(recs[1].Event.Data) != "lazy" {
		t.Errorf("after the sync: %+v, %v", recs, err)
	}
}

func TestFailedSyncKeepsNothing(t *testing.T) {
	for _, what := range []string{"sync", "write"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s, g := gated(t, dir)
			commit(t, s, body("before"))
			lazy := body("lazy")
			lazy.Lazy = true
			lazy.Writes = []agent.Write{write("k", "lazy")}
			commit(t, s, lazy)
			broken := errors.New("input/output error")
			g.set(func() {
				if what == "sync" {
					g.failSync = broken
				} else {
					g.failAt = broken
				}
			})
			for range 3 {
				f := body("failed")
				f.Writes = []agent.Write{write("x", "failed")}
				if err := s.Commit(t.Context(), &f); !errors.Is(err, broken) {
					t.Fatalf("commit: %v", err)
				}
			}
			if st := s.Status(); st.Error == "" {
				t.Error("status tells no error")
			}
			g.set(func() { g.failSync, g.failAt = nil, nil })
			if got := bodies(t, s, "q"); !slices.Equal(got, []string{"before", "lazy"}) || get(t, s, "x") != "<none>" {
				t.Errorf("after the failure: %q, x=%s", got, get(t, s, "x"))
			}
			commit(t, s, body("after"))
			want := []string{"before", "lazy", "after"}
			if st := s.Status(); st.Error != "" {
				t.Errorf("status still tells %s", st.Error)
			}
			if got := bodies(t, s, "q"); !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
			crashed := copyDir(t, dir) // as a power cut would leave it
			closed(t, s)
			for _, dir := range []string{dir, crashed} {
				s = open(t, dir, store.Options{})
				if got := bodies(t, s, "q"); !slices.Equal(got, want) || get(t, s, "x") != "<none>" || get(t, s, "k") != "lazy" {
					t.Errorf("reopened: %q, x=%s, k=%s", got, get(t, s, "x"), get(t, s, "k"))
				}
				if st := s.Status(); st.Gaps != 0 {
					t.Errorf("%d gaps", st.Gaps)
				}
				closed(t, s)
			}
		})
	}
}

func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, store.Options{})
	if _, err := store.Open(dir, quiet(store.Options{})); err == nil || !strings.Contains(err.Error(), "in use by another") {
		t.Errorf("second open: %v", err)
	}
}

func TestLazySyncsSoon(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{LazySync: 5 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	f := body("lazy")
	f.Lazy = true
	commit(t, s, f)
	testbed.Eventually(t, 5*time.Second, "the lazy frame is synced", func() error {
		if s.Status().Syncs == 0 {
			return errors.New("no sync yet")
		}
		return nil
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	soon := time.Now().Add(300 * time.Millisecond)
	commit(t, s, agent.Frame{Writes: []agent.Write{
		{Scope: "state/a/f", Key: "brief", Value: []byte("x"), Expires: soon},
		{Scope: "state/a/f", Key: "past", Value: []byte("x"), Expires: time.Unix(1, 0)},
		{Scope: "state/a/f", Key: "long", Value: []byte("x"), Expires: time.Now().Add(time.Hour)},
	}})
	if get(t, s, "past") != "<none>" || get(t, s, "long") != "x" {
		t.Error("expiry is not honoured in memory")
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 5*time.Second, "the value expires", func() error {
		if get(t, s, "brief") != "<none>" {
			return errors.New("still there")
		}
		return nil
	})
	keys, err := s.Keys("state/a/f", "", 10)
	if err != nil || !slices.Equal(keys, []string{"long"}) {
		t.Errorf("keys %q, %v", keys, err)
	}
	commit(t, s, agent.Frame{Writes: []agent.Write{write("other", "1")}})
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, dir, store.Options{})
	if get(t, s, "brief") != "<none>" || get(t, s, "long") != "x" {
		t.Error("expiry is not honoured after reopening")
	}
}

func TestInvalidFrames(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	for _, w := range []agent.Write{
		{Scope: "", Key: "k"},
		{Scope: "pin", Key: "k"},
		{Scope: "a\x00b", Key: "k"},
		{Scope: "s", Key: strings.Repeat("k", 5000)},
		{Scope: "s", Key: "k", Value: make([]byte, 257<<10)},
	} {
		if err := s.Commit(t.Context(), &agent.Frame{Writes: []agent.Write{w}}); err == nil {
			t.Errorf("scope %q with key of %d and value of %d bytes is accepted", w.Scope, len(w.Key), len(w.Value))
		}
	}
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	q := s.Queue("q")
	waiting := make(chan error)
	go func() {
		_, err := q.Next(t.Context(), 0, 1)
		waiting <- err
	}()
	closed(t, s)
	if <-waiting == nil {
		t.Error("Next goes on after Close")
	}
	f := body("x")
	_, getErr := s.Get("a", "b")
	_, pinErr := s.Pinned("x")
	_, blobErr := s.Blobs()
	for _, err := range []error{s.Commit(t.Context(), &f), getErr, pinErr, blobErr} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("after Close: %v", err)
		}
	}
	closed(t, s)
}
