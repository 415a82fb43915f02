package uplink_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// flood is a store with very many records of priority 0, made when they are read.
type flood struct {
	*store
	n, size int
}

var low = agent.QueueTarget("central", 0, false)

func (f *flood) Page(at int, after uint64, limit, bytes int) (out []agent.Record, err error) {
	if f.names[at] != low {
		return f.store.Page(at, after, limit, bytes)
	}
	for seq := after + 1; seq <= uint64(f.n) && len(out) < limit && bytes > 0; seq++ {
		rec := leveled(seq, fmt.Sprint(seq%1000), 0)
		rec.Event.Data = make([]byte, f.size)
		out = append(out, rec)
		bytes -= f.size
	}
	return out, nil
}

func (f *flood) Has(seq uint64) bool { return seq <= uint64(f.n) || f.store.Has(seq) }

// A record of the highest priority waits for what is in flight when it comes,
// however many of lower priority wait, and whether they fill the memory or not.
func TestHighPriorityOvertakesAMillion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1_000_000
		s := &flood{newLevels(), n, 1000}
		var begun, before atomic.Int64
		arrived := int64(-1)
		far := sendFunc(func(rec agent.Record) error {
			at := begun.Add(1)
			<-time.After(time.Millisecond)
			if rec.Priority == 9 {
				arrived = at - before.Load()
			}
			return nil
		})
		defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 4, MaxHeld: 64 << 10, Log: quiet}))()
		for i := range 20 {
			pass(17 * time.Millisecond)
			before.Store(begun.Load())
			s.add(leveled(uint64(n+i+1), "k", 9))
			pass(10 * time.Millisecond)
			if arrived < 0 || arrived > 4 {
				t.Fatalf("round %d: %d others began to be sent before it, 4 were in flight", i, arrived)
			}
			arrived = -1
		}
	})
}

// What is in memory is bounded for all levels together, also when each has more
// than enough and the target is away.
func TestMemoryOfAllLevelsIsBounded(t *testing.T) {
	var recs []agent.Record
	data := make([]byte, 64<<10)
	for i := range 1000 { // lowest first: each level finds the memory full of those below
		rec := leveled(uint64(i+1), fmt.Sprint(i), uint8(i/100))
		rec.Event.Data = data
		recs = append(recs, rec)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &copying{store: newLevels()}
		o := uplink.NewOutbox(s, s, sendFunc(func(agent.Record) error { return errors.New("away") }), uplink.Options{Log: quiet})
		defer run(t, o)()
		for at := 0; at < len(recs); at += 100 {
			s.add(recs[at : at+100]...)
			pass(time.Minute)
		}
		runtime.GC()
		runtime.GC()
		if held := s.held.Load(); held > 6<<20 {
			t.Errorf("%d bytes are held, 4 MiB may be", held)
		}
	})
}

// copying counts the bytes of the records it gave out that are still in use.
type copying struct {
	*store
	held atomic.Int64
}

func (s *copying) Page(at int, after uint64, limit, bytes int) ([]agent.Record, error) {
	recs, err := s.store.Page(at, after, limit, bytes)
	for i := range recs {
		data := slices.Clone(recs[i].Event.Data)
		n := int64(len(data))
		s.held.Add(n)
		runtime.AddCleanup(&data[0], func(n int64) { s.held.Add(-n) }, n)
		recs[i].Event.Data = data
	}
	return recs, err
}

// Records that have left the queue since they were read are never sent, and do
// not hold back those behind them.
func TestWhatIsGoneIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "a", 5), leveled(2, "a", 5), leveled(3, "b", 5), leveled(4, "b", 5))
		poison := &uplink.Error{Class: uplink.Retry, Reason: "answered 500"}
		far := &target{say: func(rec agent.Record) error {
			if rec.Seq == 1 {
				return poison
			}
			return nil
		}}
		o := uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 1, MaxBackoff: time.Hour, Log: quiet})
		if err := o.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer run(t, o)()
		pass(time.Second) // all of them are in memory
		gone(t, s, 3)
		if err := o.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 { // the target is well
			s.add(leveled(uint64(10+i), "c", 5))
			pass(time.Second)
		}
		if got := far.ids(); got[0] != "b-4" || slices.Contains(got, "a-2") {
			t.Fatalf("delivered %v", got)
		}
		gone(t, s, 1) // it holds back its key by a long pause now
		pass(6 * time.Second)
		if got := far.ids(); got[len(got)-1] != "a-2" || slices.Contains(got, "b-3") || s.left() != 0 {
			t.Errorf("delivered %v", got)
		}
	})
}

func gone(t *testing.T, s *store, seqs ...uint64) {
	t.Helper()
	if err := s.Commit(t.Context(), &agent.Frame{Done: seqs}); err != nil {
		t.Error(err)
	}
}

// The two queues of one priority take turns: neither starves the other.
func TestLatestAndOthersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 100 {
			rec := leveled(uint64(i+1), fmt.Sprint("k", i), 5)
			if i >= 50 {
				rec.Latest, rec.Queue = true, agent.QueueTarget("central", 5, true)
			}
			s.add(rec)
		}
		far := &target{}
		defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 1, Log: quiet}))()
		pass(time.Minute)
		latest := 0
		for _, id := range far.ids()[:20] {
			if strings.Compare(id[strings.IndexByte(id, '-')+1:], "50") > 0 && len(id) > 5 {
				latest++
			}
		}
		if latest < 9 || latest > 11 || len(far.ids()) != 100 {
			t.Errorf("%d of the first 20 were latest ones: %v", latest, far.ids()[:20])
		}
	})
}

// One record of the highest priority that always fails is no reason to try
// nothing else: it does not stand for the whole target.
func TestPoisonOfHighPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "p", 9))
		for i := range 50 {
			s.add(leveled(uint64(i+2), fmt.Sprint(i), 3))
		}
		far := &target{say: func(rec agent.Record) error {
			if rec.Seq == 1 {
				return &uplink.Error{Class: uplink.Retry, Reason: "answered 500"}
			}
			return nil
		}}
		defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 1, Log: quiet}))()
		pass(time.Minute)
		if len(far.ids()) != 50 {
			t.Errorf("%d of 50 were delivered", len(far.ids()))
		}
	})
}

// several is a Batcher that notes its batches.
type several struct {
	target
	batches [][]uint64
}

func (b *several) SendBatch(_ context.Context, recs []agent.Record) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var seqs []uint64
	for _, rec := range recs {
		seqs = append(seqs, rec.Seq)
	}
	b.batches = append(b.batches, seqs)
	return make([]error, len(recs))
}

// A Batcher gets several at once, in order, of one priority, not more than it
// wants, and not more data than one send may have.
func TestBatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 25 {
			rec := leveled(uint64(i+1), "k", uint8(5+i%2))
			rec.Event.Data = make([]byte, 100)
			s.add(rec)
		}
		far := &several{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Batch: 5, BatchBytes: 400, Log: quiet})
		defer run(t, o)()
		pass(time.Second)
		if s.left() != 0 || len(far.batches) != 7 {
			t.Fatalf("%d left, batches %v", s.left(), far.batches)
		}
		for _, b := range far.batches {
			if len(b) > 4 || !slices.IsSorted(b) || b[0]%2 != b[len(b)-1]%2 {
				t.Errorf("batch %v", b)
			}
		}
	})
}
