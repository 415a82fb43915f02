package uplink_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// store is queues in memory that obey the frames committed to them.
type store struct {
	names   []string // of the queues
	mu      sync.Mutex
	recs    []agent.Record
	lens    map[string]int // of the queues
	dead    []agent.Record
	frames  []agent.Frame
	values  map[string][]byte
	fail    int // commits to refuse
	read    int // records, by Page
	changed chan struct{}
}

// newStore has one queue, or those of a target if recs say so.
func newStore(recs ...agent.Record) *store {
	s := &store{names: []string{"target/central"}, lens: map[string]int{}, values: map[string][]byte{}, changed: make(chan struct{})}
	s.add(recs...)
	return s
}

func newLevels(recs ...agent.Record) *store {
	s := newStore(recs...)
	s.names = uplink.Levels("central")
	return s
}

func (s *store) add(recs ...agent.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recs = append(s.recs, recs...)
	for i := range recs {
		s.lens[recs[i].Queue]++
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *store) Names() []string { return s.names }

// in calls f with what waits in a queue behind after, until f says no more.
func (s *store) in(at int, after uint64, f func(agent.Record) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from, _ := slices.BinarySearchFunc(s.recs, after+1, func(r agent.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	for _, r := range s.recs[from:] {
		if r.Queue == s.names[at] && !f(r) {
			return
		}
	}
}

func (s *store) Page(at int, after uint64, limit, bytes int) (out []agent.Record, err error) {
	s.in(at, after, func(r agent.Record) bool {
		out = append(out, r)
		bytes -= len(r.Event.Data)
		s.read++
		return len(out) < limit && bytes > 0
	})
	return out, nil
}

func (s *store) Wait(ctx context.Context, in []int, after uint64) (upto uint64, err error) {
	for {
		s.mu.Lock()
		for _, r := range s.recs {
			if r.Seq > after && slices.ContainsFunc(in, func(at int) bool { return s.names[at] == r.Queue }) {
				upto = s.recs[len(s.recs)-1].Seq
			}
		}
		changed := s.changed
		s.mu.Unlock()
		if upto > 0 {
			return upto, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

func (s *store) Has(seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := slices.BinarySearchFunc(s.recs, seq, func(r agent.Record, seq uint64) int { return cmp.Compare(r.Seq, seq) })
	return ok
}

func (s *store) Len(at int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lens[s.names[at]]
}

// remove takes records away; the lock is held.
func (s *store) remove(seqs ...uint64) {
	s.recs = slices.DeleteFunc(s.recs, func(r agent.Record) bool {
		gone := slices.Contains(seqs, r.Seq)
		if gone {
			s.lens[r.Queue]--
		}
		return gone
	})
}

func (s *store) Bytes(at int) (n int64) {
	s.in(at, 0, func(r agent.Record) bool { n += int64(len(r.Event.Data)); return true })
	return n
}

func (s *store) Older(at int, seq uint64) (n int) {
	s.in(at, 0, func(r agent.Record) bool {
		if r.Seq < seq {
			n++
		}
		return r.Seq < seq
	})
	return n
}

// left is how many records wait.
func (s *store) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.recs)
}

func (s *store) Commit(ctx context.Context, f *agent.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail > 0 {
		s.fail--
		return agent.ErrFull
	}
	s.frames = append(s.frames, *f)
	s.remove(f.Done...)
	s.dead = append(s.dead, f.Add...)
	for _, w := range f.Writes {
		s.values[w.Scope+" "+w.Key] = w.Value
	}
	return nil
}

func (s *store) Get(scope, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[scope+" "+key], nil
}

func (s *store) Keys(string, string, int) ([]string, error) { return nil, nil }

// target is a scripted far side: say decides, got lists what it took.
type target struct {
	mu    sync.Mutex
	say   func(rec agent.Record) error
	got   []string
	tries map[string]int
}

func (f *target) Send(ctx context.Context, rec agent.Record) error {
	select { // a way that takes some time
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(rec.Seq%3+1) * time.Millisecond):
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tries == nil {
		f.tries = map[string]int{}
	}
	f.tries[rec.Event.ID]++
	if f.say != nil {
		if err := f.say(rec); err != nil {
			return err
		}
	}
	f.got = append(f.got, rec.Event.ID)
	return nil
}

// ids lists what it took, in order.
func (f *target) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// change sets what say reads.
func (f *target) change(set func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set()
}

func record(seq uint64, key string) agent.Record {
	return agent.Record{
		Seq: seq, Queue: "target/central", Kind: agent.KindFollowup, Key: key,
		Event: agent.Event{ID: fmt.Sprintf("%s-%d", key, seq), Data: []byte("x")},
	}
}

func records(n int, keys ...string) []agent.Record {
	var recs []agent.Record
	for i := range n {
		recs = append(recs, record(uint64(i+1), keys[i%len(keys)]))
	}
	return recs
}

var quiet = slog.New(slog.DiscardHandler)

// run keeps an outbox going inside a synctest bubble until the test ends it.
func run(t *testing.T, o *uplink.Outbox) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// pass lets fake time go by until everything rests.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestOrderPerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(300, "a", "b", "c", "d", "e")...)
		far := &target{}
		flaky := 0
		far.say = func(agent.Record) error {
			if flaky++; flaky%7 == 0 {
				return errors.New("lost")
			}
			return nil
		}
		o := uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 8, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if s.left() != 0 || len(far.ids()) != 300 {
			t.Fatalf("%d left, %d delivered", s.left(), len(far.ids()))
		}
		last := map[byte]int{}
		for _, id := range far.ids() {
			var n int
			fmt.Sscanf(id[2:], "%d", &n)
			if n < last[id[0]] {
				t.Fatalf("%s came after %c-%d", id, id[0], last[id[0]])
			}
			last[id[0]] = n
		}
	})
}

// An outage in the middle: what was delivered is not sent again, the rest is,
// with the same ids; meanwhile the target is tried at most as the backoff says.
func TestOutageResendsOnlyTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(100, "a", "b", "c", "d")...)
		down := false
		failed := 0
		far := &target{}
		far.say = func(agent.Record) error {
			if len(far.got) == 40 && failed == 0 {
				down = true
			}
			if down {
				failed++
				return errors.New("connection refused")
			}
			return nil
		}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", InFlight: 4, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		st := o.Status()
		if st.LastError != "connection refused" || time.Until(st.RetryAt) > 5*time.Minute || st.Waiting != 60 {
			t.Errorf("status while down: %+v", st)
		}
		far.change(func() {
			if failed < 12 || failed > 60 {
				t.Errorf("%d tries in an hour", failed)
			}
		})
		far.change(func() { down = false })
		pass(10 * time.Minute)
		if s.left() != 0 || len(far.ids()) != 100 {
			t.Fatalf("%d left, %d delivered", s.left(), len(far.ids()))
		}
		got := far.ids()
		slices.Sort(got)
		if len(slices.Compact(got)) != 100 {
			t.Error("something was delivered twice")
		}
		if st := o.Status(); st.LastError != "" || st.Delivered != 100 {
			t.Errorf("status after: %+v", st)
		}
	})
}

// One record that always fails holds back its own key alone, however many
// records of that key wait before those of others.
func TestPoisonHoldsOnlyItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recs := records(500, "poison")
		for i := range 20 {
			recs = append(recs, record(uint64(501+i), "good"))
		}
		s := newStore(recs...)
		cured := false
		far := &target{say: func(rec agent.Record) error {
			if rec.Seq == 1 && !cured {
				return &uplink.Error{Class: uplink.Retry, Status: 500, Reason: "answered 500"}
			}
			return nil
		}}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		defer run(t, o)()
		pass(10 * time.Minute)
		if len(far.ids()) != 20 || s.left() != 500 {
			t.Fatalf("%d delivered, %d left; want 20 and 500", len(far.ids()), s.left())
		}
		far.change(func() { cured = true })
		pass(10 * time.Minute)
		if s.left() != 0 || len(far.ids()) != 520 || far.ids()[20] != "poison-1" || far.ids()[519] != "poison-500" {
			t.Errorf("%d delivered, %d left", len(far.ids()), s.left())
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(3, "a")...)
		start, first := time.Now(), time.Duration(0)
		far := &target{}
		far.say = func(rec agent.Record) error {
			if far.tries["a-1"] == 1 {
				return &uplink.Error{Class: uplink.Retry, Status: 429, Reason: "slow down", RetryAfter: 20 * time.Minute}
			}
			first = time.Since(start)
			return nil
		}
		defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet}))()
		pass(time.Hour)
		far.change(func() {
			if first < 20*time.Minute || s.left() != 0 {
				t.Errorf("sent again after %v, %d left", first, s.left())
			}
		})
	})
}

func TestHoldPausesAndShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(5, "a", "b", "c", "d", "e")...)
		far := &target{say: func(agent.Record) error {
			return &uplink.Error{Class: uplink.Hold, Status: 401, Reason: "answered 401 Unauthorized"}
		}}
		o := uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 1, Log: quiet})
		defer run(t, o)()
		pass(time.Minute)
		if st := o.Status(); o.Status().Retries != 1 || st.LastError != "answered 401 Unauthorized" || st.Dead != 0 || st.Waiting != 5 {
			t.Errorf("status %+v, %d tries", st, o.Status().Retries)
		}
	})
}

func TestDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(3, "a")...)
		far := &target{say: func(rec agent.Record) error {
			switch rec.Seq {
			case 1:
				return &uplink.Error{Class: uplink.Permanent, Status: 413, Reason: "answered 413"}
			case 2:
				return &uplink.Error{Class: uplink.FnError, Status: 200, Reason: "Unhandled"}
			}
			return nil
		}}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		defer run(t, o)()
		pass(time.Second)
		if len(s.dead) != 1 || s.left() != 0 {
			t.Fatalf("%d dead letters, %d left", len(s.dead), s.left())
		}
		d := s.dead[0]
		if d.Queue != agent.QueueDead || d.Kind != agent.KindDead || d.Origin != "target/central" ||
			d.Reason != "answered 413" || d.Event.ID != "a-1" || d.Attempts != 1 || d.Seq != 0 {
			t.Errorf("dead letter %+v", d)
		}
		if st := o.Status(); st.Delivered != 2 || st.FnErrors != 1 || st.Dead != 1 || st.Drops.Expired != 0 || st.Retries != 0 {
			t.Errorf("status %+v", st)
		}
		for _, f := range s.frames {
			if f.Lazy != (len(f.Add) == 0) || len(f.Add) == 1 && !slices.Equal(f.Done, []uint64{1}) {
				t.Errorf("frame %+v", f)
			}
		}
	})
}

func TestExpiredAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recs := records(4, "a")
		recs[1].Expires = time.Now().Add(-time.Second)
		recs[2].Expires = time.Now().Add(time.Hour)
		s := newStore(recs...)
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		defer run(t, o)()
		pass(time.Minute)
		if got := o.Status(); got.Drops.Expired != 1 || got.Delivered != 3 || s.left() != 0 {
			t.Errorf("counts %+v, %d left", got, s.left())
		}
	})
}

// A store that refuses commits stops nothing: sending goes on until the memory
// bound, nothing is sent twice, and everything is recorded in the end.
func TestSurvivesCommitErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(200, "a", "b")...)
		s.fail = 10
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet})
		stop := run(t, o)
		pass(200 * time.Millisecond)
		if len(far.ids()) == 0 || len(far.ids()) > 64 || o.Status().LastError == "" {
			t.Errorf("%d sent while commits fail: %+v", len(far.ids()), o.Status())
		}
		pass(5 * time.Minute)
		stop()
		if s.left() != 0 || len(far.ids()) != 200 || o.Status().LastError != "" {
			t.Errorf("%d left, %d sent: %+v", s.left(), len(far.ids()), o.Status())
		}
	})
}

// What was delivered before Run ended is committed though ctx has ended.
func TestStopCommitsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(1000, "a", "b", "c")...)
		far := &target{}
		stop := run(t, uplink.NewOutbox(s, s, far, uplink.Options{Log: quiet}))
		pass(50 * time.Millisecond)
		stop()
		if len(far.ids()) == 0 || s.left() != 1000-len(far.ids()) {
			t.Errorf("%d sent, %d left", len(far.ids()), s.left())
		}
	})
}

// slowStore takes its time for a commit, and looks at ctx until it begins to write.
type slowStore struct{ *store }

func (s slowStore) Commit(ctx context.Context, f *agent.Frame) error {
	pass(time.Second)
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.store.Commit(ctx, f)
}

// A stop in the middle of a commit is no fault, and nobody is told of one.
func TestStopWhileDeliveriesAreCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := newStore(records(10, "a")...), &target{}
		var said bytes.Buffer
		o := uplink.NewOutbox(s, slowStore{s}, far, uplink.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
		stop := run(t, o)
		pass(500 * time.Millisecond)
		stop()
		if strings.Contains(said.String(), "level=ERROR") || o.Status().LastError != "" {
			t.Errorf("%s%+v", &said, o.Status())
		}
		if len(far.ids()) == 0 || s.left() != 10-len(far.ids()) {
			t.Errorf("%d sent, %d left", len(far.ids()), s.left())
		}
	})
}

// leveled is a record in the queue of a priority.
func leveled(seq uint64, key string, priority uint8) agent.Record {
	rec := record(seq, key)
	rec.Priority, rec.Queue = priority, agent.QueueTarget("central", priority, false)
	return rec
}

// The highest priority goes first; order per key holds within one.
func TestPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "a", 5), leveled(2, "b", 5), leveled(3, "c", 7), leveled(4, "a", 5),
			leveled(5, "b", 9), leveled(6, "c", 0), leveled(7, "b", 9))
		far := &target{}
		defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{InFlight: 1, Log: quiet}))()
		pass(time.Minute)
		if want := []string{"b-5", "b-7", "c-3", "a-1", "b-2", "a-4", "c-6"}; !slices.Equal(far.ids(), want) {
			t.Errorf("order %v, want %v", far.ids(), want)
		}
	})
}

// batch refuses some records of each batch.
type batch struct {
	mu     sync.Mutex
	calls  int
	got    []uint64
	refuse func(call int, rec agent.Record) error
}

func (b *batch) Send(_ context.Context, recs []agent.Record) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	errs := make([]error, len(recs))
	for i, rec := range recs {
		if errs[i] = b.refuse(b.calls, rec); errs[i] == nil {
			b.got = append(b.got, rec.Seq)
		}
	}
	return errs
}

func TestBatchPartialFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(records(100, "a", "b", "c", "d")...)
		far := &batch{refuse: func(call int, rec agent.Record) error {
			switch {
			case call == 1 && rec.Seq%10 == 0:
				return errors.New("not this time")
			case rec.Seq == 7:
				return &uplink.Error{Class: uplink.Permanent, Reason: "too long"}
			}
			return nil
		}}
		o := uplink.NewBatchOutbox(s, s, far, uplink.Options{Batch: 32, Log: quiet})
		defer run(t, o)()
		pass(time.Minute)
		slices.Sort(far.got)
		if len(slices.Compact(slices.Clone(far.got))) != len(far.got) || len(far.got) != 99 || len(s.dead) != 1 || s.left() != 0 {
			t.Errorf("%d delivered, %d dead, %d left", len(far.got), len(s.dead), s.left())
		}
		if o.Status().Retries != 3 || far.calls > 12 {
			t.Errorf("%d retries, %d calls", o.Status().Retries, far.calls)
		}
	})
}

// Keys whose oldest record fails again and again, more of them than the window
// holds, do not stand in the way of the others; and once the far side takes
// them they arrive in order.
func TestManyPoisonKeysHoldBackNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recs []agent.Record
		for i := range 600 {
			key := fmt.Sprintf("bad-%d", i%150)
			if i >= 300 {
				key = fmt.Sprintf("good-%d", i)
			}
			recs = append(recs, record(uint64(i+1), key))
		}
		s := newStore(recs...)
		var mended atomic.Bool
		var mu sync.Mutex
		last := map[string]uint64{}
		o := uplink.NewOutbox(s, s, sendFunc(func(rec agent.Record) error {
			if strings.HasPrefix(rec.Key, "bad") && !mended.Load() {
				return &uplink.Error{Class: uplink.Retry, Status: 500, Reason: "500"}
			}
			mu.Lock()
			defer mu.Unlock()
			if rec.Seq <= last[rec.Key] {
				t.Errorf("record %d of %s after %d", rec.Seq, rec.Key, last[rec.Key])
			}
			last[rec.Key] = rec.Seq
			return nil
		}), uplink.Options{MaxBackoff: time.Minute, Log: quiet})
		defer run(t, o)()
		pass(2 * time.Hour)
		if st := o.Status(); st.Delivered != 300 || st.Waiting != 300 {
			t.Errorf("%d delivered, %d waiting; want all 300 of the good keys", st.Delivered, st.Waiting)
		}
		mended.Store(true)
		pass(2 * time.Hour)
		if st := o.Status(); st.Delivered != 600 || st.Waiting != 0 {
			t.Errorf("%d delivered, %d waiting in the end", st.Delivered, st.Waiting)
		}
	})
}

type sendFunc func(agent.Record) error

func (f sendFunc) Send(_ context.Context, rec agent.Record) error { return f(rec) }
