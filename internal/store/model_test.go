package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// model is what a store should hold.
type model struct {
	state   map[string]string
	records map[uint64]string // queue and body
	tries   map[uint64]int
}

func newModel() *model {
	return &model{state: map[string]string{}, records: map[uint64]string{}, tries: map[uint64]int{}}
}

func (m *model) clone() *model {
	return &model{state: maps.Clone(m.state), records: maps.Clone(m.records), tries: maps.Clone(m.tries)}
}

// diff tells where got is different.
func (m *model) diff(got *model) string {
	return differ("records", m.records, got.records) + differ("values", m.state, got.state) + differ("tries", m.tries, got.tries)
}

func differ[K cmp.Ordered, V comparable](what string, want, got map[K]V) (s string) {
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			s += fmt.Sprintf(" %s %v is %.30q (%v), want %.30q", what, k, fmt.Sprint(g), ok, fmt.Sprint(v))
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			s += fmt.Sprintf(" %s %v is %.30q, want none", what, k, fmt.Sprint(g))
		}
	}
	return s
}

func (m *model) equal(o *model) bool {
	return maps.Equal(m.state, o.state) && maps.Equal(m.records, o.records) && maps.Equal(m.tries, o.tries)
}

func (m *model) frame(r *rand.Rand) (f agent.Frame, apply func()) {
	f.Lazy = r.IntN(3) == 0
	for range r.IntN(4) {
		f.Add = append(f.Add, agent.Record{
			Queue: fmt.Sprint("q", r.IntN(3)),
			Event: agent.Event{Data: []byte(fmt.Sprint(r.Uint64(), strings.Repeat("x", r.IntN(2000))))},
		})
	}
	for _, seq := range slices.Sorted(maps.Keys(m.records)) {
		switch r.IntN(8) {
		case 0, 1:
			f.Done = append(f.Done, seq)
		case 2:
			f.Touch = append(f.Touch, agent.Touch{Seq: seq, Attempts: r.IntN(9)})
		}
		if len(f.Done) > 3 {
			break
		}
	}
	for range r.IntN(4) {
		w := write(fmt.Sprint("k", r.IntN(30)), fmt.Sprint(r.Uint64()))
		if r.IntN(4) == 0 {
			w.Value = nil
		}
		f.Writes = append(f.Writes, w)
	}
	return f, func() { m.apply(&f) }
}

func (m *model) apply(f *agent.Frame) {
	for _, rec := range f.Add {
		m.records[rec.Seq] = rec.Queue + " " + string(rec.Event.Data)
		if rec.Attempts > 0 {
			m.tries[rec.Seq] = rec.Attempts
		}
	}
	for _, seq := range f.Done {
		delete(m.records, seq)
		delete(m.tries, seq)
	}
	for _, touch := range f.Touch {
		if m.tries[touch.Seq] = touch.Attempts; touch.Attempts == 0 {
			delete(m.tries, touch.Seq)
		}
	}
	for _, w := range f.Writes {
		if w.Value == nil {
			delete(m.state, w.Key)
		} else {
			m.state[w.Key] = string(w.Value)
		}
	}
}

func (m *model) check(t *testing.T, s *store.Store) {
	t.Helper()
	keys, err := s.Keys("state/a/f", "", 1000)
	if err != nil || !slices.Equal(keys, slices.Sorted(maps.Keys(m.state))) {
		t.Errorf("keys %q, %v; want %q", keys, err, slices.Sorted(maps.Keys(m.state)))
	}
	for i := range 30 {
		key := fmt.Sprint("k", i)
		want, ok := m.state[key]
		if !ok {
			want = "<none>"
		}
		if got := get(t, s, key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	n := 0
	for _, q := range s.Queues() {
		recs, err := s.Queue(q).Next(t.Context(), 0, 1<<20)
		if err != nil || len(recs) != s.Queue(q).Len() {
			t.Errorf("%s: %d records of %d, %v", q, len(recs), s.Queue(q).Len(), err)
		}
		var last uint64
		for _, rec := range recs {
			n++
			if got := q + " " + string(rec.Event.Data); got != m.records[rec.Seq] || rec.Attempts != m.tries[rec.Seq] || rec.Seq <= last {
				t.Errorf("record %d after %d: %.40s, %d tries; want %.40s, %d", rec.Seq, last, got, rec.Attempts, m.records[rec.Seq], m.tries[rec.Seq])
			}
			last = rec.Seq
		}
	}
	if n != len(m.records) {
		t.Errorf("%d records, want %d", n, len(m.records))
	}
	m.checkLevels(t, s)
}

// checkLevels compares what a reader of several queues is told.
func (m *model) checkLevels(t *testing.T, s *store.Store) {
	t.Helper()
	l := s.Levels("q0", "q1", "q2")
	var newest uint64
	for seq := range m.records {
		newest = max(newest, seq)
		if !l.Has(seq) {
			t.Errorf("record %d is said not to wait", seq)
		}
	}
	if l.Has(newest+1) || l.Has(0) {
		t.Error("a record that never was is said to wait")
	}
	for at, name := range l.Names() {
		var size int64
		stubs := s.Pending(name)
		for i, stub := range stubs {
			size += stub.Size
			if n := l.Older(at, stub.Seq); n != i {
				t.Errorf("%s: %d records are said to be before the one at %d", name, n, i)
			}
		}
		if n := l.Bytes(at); len(stubs) != l.Len(at) || n < size*7/10-2000 || n > size*13/10+2000 || len(stubs) == 0 && n != 0 {
			t.Errorf("%s: %d bytes of %d records, want about %d", name, n, len(stubs), size)
		}
		page, err := l.Page(at, 0, 1<<20, 3000)
		for i, rec := range page {
			if rec.Seq != stubs[i].Seq {
				t.Errorf("%s: record %d of a page is %d, want %d", name, i, rec.Seq, stubs[i].Seq)
			}
		}
		if err != nil || len(page) == 0 && len(stubs) > 0 {
			t.Errorf("%s: a page of %d, %v", name, len(page), err)
		}
	}
	if newest > 0 {
		if upto, err := l.Wait(t.Context(), []int{0, 1, 2}, newest-1); err != nil || upto < newest {
			t.Errorf("news up to %d, %v; want %d", upto, err, newest)
		}
	}
}

// A reader of several queues is woken by a record in any of those it asked for,
// and by no other.
func TestWaitForLevels(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	l := s.Levels("a", "b", "c")
	commit(t, s, agent.Frame{Add: []agent.Record{record("a", 1), record("b", 2)}})
	upto, err := l.Wait(t.Context(), []int{0, 1}, 0)
	if err != nil || upto != 2 {
		t.Fatalf("upto %d, %v", upto, err)
	}
	woken := make(chan uint64)
	go func() {
		upto, _ := l.Wait(t.Context(), []int{0, 2}, upto)
		woken <- upto
	}()
	commit(t, s, agent.Frame{Add: []agent.Record{record("b", 3)}})
	commit(t, s, agent.Frame{Add: []agent.Record{record("c", 4)}, Lazy: true})
	if upto := <-woken; upto != 4 {
		t.Errorf("woken by %d, want 4", upto)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Wait(ctx, []int{0, 1, 2}, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A page ends with the record that fills it.
func TestPageEndsByBytes(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	for range 10 {
		commit(t, s, agent.Frame{Add: []agent.Record{{Queue: "q", Event: agent.Event{Data: make([]byte, 1000)}}}})
	}
	for bytes, want := range map[int]int{0: 1, 1: 1, 1000: 1, 2500: 3, 1 << 20: 10} {
		if page, err := s.Queue("q").Page(0, 100, bytes); len(page) != want || err != nil {
			t.Errorf("%d bytes: %d records, %v; want %d", bytes, len(page), err, want)
		}
	}
}

// How much waits in a queue is known after a restart, also of queues whose
// records are of different size, and when some of them have gone.
func TestBytesAfterRestart(t *testing.T) {
	dir := t.TempDir()
	opts := store.Options{SegmentSize: 64 << 10, NoSync: true}
	s := open(t, dir, opts)
	for i := range 200 {
		f := agent.Frame{Add: []agent.Record{{Queue: "small", Event: agent.Event{Data: make([]byte, 100)}}, {Queue: "large", Event: agent.Event{Data: make([]byte, 5000)}}}}
		commit(t, s, f)
		if i%2 == 0 {
			commit(t, s, agent.Frame{Done: []uint64{uint64(2*i + 1), uint64(2*i + 2)}})
		}
	}
	check := func() {
		t.Helper()
		for name, want := range map[string]int64{"small": 100 * 150, "large": 100 * 5050} {
			if n := s.Queue(name).Bytes(); n < want*9/10 || n > want*11/10 {
				t.Errorf("%s has %d bytes, want about %d", name, n, want)
			}
		}
	}
	check()
	closed(t, s)
	s = open(t, dir, opts)
	check()
	var f agent.Frame
	for _, q := range s.Queues() {
		for _, stub := range s.Pending(q) {
			f.Done = append(f.Done, stub.Seq)
		}
	}
	commit(t, s, f)
	if n := s.Queue("small").Bytes() + s.Queue("large").Bytes(); n != 0 {
		t.Errorf("%d bytes of no records", n)
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			opts := store.Options{SegmentSize: 64 << 10, Quota: 4 << 20, Overlay: 16 << 10}
			s, g := gatedWith(t, dir, opts)
			m := newModel()
			broken := errors.New("broken")
			for range 400 {
				switch n := r.IntN(60); {
				case n == 0:
					m.check(t, s)
					closed(t, s)
					s, g = gatedWith(t, dir, opts)
					m.check(t, s)
				case n < 4:
					if err := s.Checkpoint(); err != nil {
						t.Fatal(err)
					}
				case n < 6:
					g.set(func() { g.failSync = broken })
					f, _ := m.frame(r)
					f.Lazy = false
					if err := s.Commit(context.Background(), &f); !f.Empty() && !errors.Is(err, broken) {
						t.Fatalf("with a broken disk: %v", err)
					}
					g.set(func() { g.failSync = nil })
				default:
					f, apply := m.frame(r)
					if err := s.Commit(t.Context(), &f); err != nil {
						t.Fatal(err)
					}
					apply()
				}
			}
			m.check(t, s)
			if n := s.Status().Gaps; n != 0 {
				t.Errorf("%d gaps", n)
			}
		})
	}
}

// TestRealSizes is the one that shows a corrupting database on 32-bit machines.
func TestRealSizes(t *testing.T) {
	const n = 20_000
	dir := t.TempDir()
	s := open(t, dir, store.Options{NoSync: true})
	value := func(i int) string { return fmt.Sprint(i, strings.Repeat("v", 250+i%250)) }
	for from := 0; from < n; from += 50 {
		var f agent.Frame
		for i := from; i < from+50; i++ {
			rec := record("target/erp", i)
			rec.Event.Data = []byte(value(i))
			f.Add = append(f.Add, rec)
			f.Writes = append(f.Writes, write(fmt.Sprintf("key-%06d", i), value(i)))
		}
		commit(t, s, f)
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if err := s.DB().Flatten(2); err != nil {
		t.Fatal(err)
	}
	closed(t, s)
	s = open(t, dir, store.Options{})
	for i := range n {
		if got := get(t, s, fmt.Sprintf("key-%06d", i)); got != value(i) {
			t.Fatalf("key %d reads %.20q", i, got)
		}
	}
	keys, err := s.Keys("state/a/f", "key-", 2*n)
	if err != nil || len(keys) != n {
		t.Errorf("%d keys, %v", len(keys), err)
	}
	recs, err := s.Queue("target/erp").Next(t.Context(), 0, 2*n)
	if err != nil || len(recs) != n || s.Status().Gaps != 0 {
		t.Fatalf("%d records, %v, %d gaps", len(recs), err, s.Status().Gaps)
	}
	for i, rec := range recs {
		if string(rec.Event.Data) != value(i) {
			t.Fatalf("record %d holds %.20q", i, rec.Event.Data)
		}
	}
}
