package uplink_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	realstore "github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

func openStore(t testing.TB, dir string, opts realstore.Options) *realstore.Store {
	t.Helper()
	opts.Log = slog.New(slog.DiscardHandler)
	s, err := realstore.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// keptRecord is a record with a body of random size.
func keptRecord(rnd *rand.Rand, queue string, expires time.Time) agent.Record {
	return sizedRecord(10+rnd.IntN(3000), queue, expires)
}

func sizedRecord(size int, queue string, expires time.Time) agent.Record {
	r := sample()
	r.Queue, r.Expires = queue, expires
	_, r.Priority, r.Latest, _ = agent.SplitTarget(queue)
	r.Event.Data = []byte(strings.Repeat("x", size))
	return r
}

// waits lists what waits in queues that kept chooses.
func waits(t *testing.T, s *realstore.Store, kept func(queue string) bool) map[uint64]agent.Record {
	t.Helper()
	found := map[uint64]agent.Record{}
	for _, queue := range s.Queues() {
		if !kept(queue) {
			continue
		}
		for _, stub := range s.Pending(queue) {
			rec, err := s.Record(stub.Seq)
			if err != nil {
				t.Fatal(err)
			}
			found[stub.Seq] = rec
		}
	}
	return found
}

func forTarget(queue string) bool { return strings.HasPrefix(queue, "target/") }

// TestKeeperEvictsInTheDeclaredOrder compares a keeper with the sentence that
// declares its order, for random contents of a store.
func TestKeeperEvictsInTheDeclaredOrder(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { evictInOrder(t, rand.New(rand.NewPCG(seed, 6))) })
	}
}

func evictInOrder(t *testing.T, rnd *rand.Rand) {
	const limit = 300 << 10
	s := openStore(t, t.TempDir(), realstore.Options{Quota: 8 << 20, NoSync: true})
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	k := uplink.NewKeeper(s, uplink.KeeperOptions{
		Disk: limit, Targets: []string{"erp", "mes"}, Left: func(at time.Time) time.Duration { return at.Sub(now) }, Log: slog.New(slog.DiscardHandler),
	})
	expiries := []time.Time{{}, {}, now.Add(time.Minute), now.Add(10 * time.Minute)}
	least, size, levels := 120, 3000, 10
	if rnd.IntN(3) == 0 { // many small ones in few queues
		least, size, levels = 3000, 30, 1
	}
	fill := func(n int) {
		for range n {
			queue := agent.QueueTarget([]string{"erp", "mes", "gone"}[rnd.IntN(3)], uint8(rnd.IntN(levels)), rnd.IntN(4) == 0)
			f := agent.Frame{Lazy: true, Add: []agent.Record{sizedRecord(10+rnd.IntN(size), queue, expiries[rnd.IntN(4)])}}
			if rnd.IntN(5) == 0 {
				f.Add = append(f.Add, keptRecord(rnd, []string{"dead", "inbox/a/b", "broker/plant"}[rnd.IntN(3)], time.Time{}))
			}
			if err := s.Commit(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 4 {
		fill(least + rnd.IntN(100))
		before := waits(t, s, forTarget)
		others := len(waits(t, s, func(q string) bool { return !forTarget(q) }))
		now = now.Add(time.Duration(rnd.IntN(5)) * time.Minute)
		used, err := k.Tend(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if used > limit*95/100 {
			t.Fatalf("%d bytes wait, at most %d may", used, limit)
		}
		if got := len(waits(t, s, func(q string) bool { return !forTarget(q) })); got != others {
			t.Fatalf("%d records that are not for targets, there were %d", got, others)
		}
		checkOrder(t, k, before, waits(t, s, forTarget), now)
	}
}

// checkOrder fails unless what went is what had expired and the beginning of
// the rest in the declared order.
func checkOrder(t *testing.T, k *uplink.Keeper, before, after map[uint64]agent.Record, now time.Time) {
	t.Helper()
	var order, stale []agent.Record
	for _, r := range before {
		if r.Expires.IsZero() || r.Expires.After(now) {
			order = append(order, r)
		} else if _, there := after[r.Seq]; there {
			stale = append(stale, r)
		}
	}
	orphan := func(r *agent.Record) int {
		if target, _, _, _ := agent.SplitTarget(r.Queue); target == "gone" {
			return 0
		}
		return 1
	}
	slices.SortFunc(order, func(a, b agent.Record) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(orphan(&a), orphan(&b)), cmp.Compare(a.Seq, b.Seq))
	})
	there, gone, bytes := false, 0, 0
	for i := range order {
		r := &order[i]
		if _, ok := after[r.Seq]; ok {
			there = true
			bytes += len(r.Event.Data) + 250
		} else if gone++; there {
			t.Errorf("record %d of %s is gone, though what goes before it is there", r.Seq, r.Queue)
		}
	}
	if gone > 0 && len(stale) > 0 {
		t.Errorf("%d records were evicted, and %d that have expired are there", gone, len(stale))
	}
	if gone > 0 && bytes < (300<<10)*80/100 {
		t.Errorf("only about %d bytes are left: more went than had to", bytes)
	}
}

// TestKeeperCountsByCauseAndTarget also shows that what was read once is not
// read again before something of it expires.
func TestKeeperCountsByCauseAndTarget(t *testing.T) {
	s := openStore(t, t.TempDir(), realstore.Options{Quota: 8 << 20, NoSync: true})
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	k := uplink.NewKeeper(s, uplink.KeeperOptions{Disk: 100 << 10, Hold: true, Targets: []string{"erp"}, Left: func(at time.Time) time.Duration { return at.Sub(now) }})
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 60 {
		expires := time.Time{}
		if i%3 == 0 {
			expires = now.Add(time.Hour)
		}
		f := agent.Frame{Add: []agent.Record{keptRecord(rnd, agent.QueueTarget("erp", uint8(i%10), false), expires)}}
		if err := s.Commit(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
	}
	tend := func(expired int64) {
		t.Helper()
		if _, err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := k.Drops("erp"); got != (agent.DropCounts{Expired: expired}) {
			t.Errorf("dropped %+v, want %d expired", got, expired)
		}
	}
	tend(0)
	if d := k.Disk(); d.Full != "hold" || d.Used < 95<<10 && d.Note != "" || d.Used > 95<<10 && !strings.Contains(d.Note, "nothing is dropped") {
		t.Errorf("disk is %+v", d)
	}
	now = now.Add(time.Hour)
	tend(20)
	tend(20)
}

// TestKeeperKeepsItsShare: what others fill the store with is not made room for
// with all that waits for targets.
func TestKeeperKeepsItsShare(t *testing.T) {
	s := openStore(t, t.TempDir(), realstore.Options{Quota: 4 << 20, SegmentSize: 128 << 10, NoSync: true})
	rnd := rand.New(rand.NewPCG(4, 4))
	add := func(queue string, bytes int64) {
		t.Helper()
		for q := s.Queue(queue); q.Bytes() < bytes; {
			if err := s.Commit(t.Context(), &agent.Frame{Lazy: true, Add: []agent.Record{keptRecord(rnd, queue, time.Time{})}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	const share = 1 << 20
	add(agent.QueueTarget("erp", 5, false), share*3/4)
	for err := error(nil); err == nil; {
		err = s.Commit(t.Context(), &agent.Frame{Add: []agent.Record{keptRecord(rnd, "inbox/app/f", time.Time{})}})
		if err != nil && !errors.Is(err, agent.ErrFull) {
			t.Fatal(err)
		}
	}
	inbox := s.Queue("inbox/app/f").Len()
	k := uplink.NewKeeper(s, uplink.KeeperOptions{Disk: share, Targets: []string{"erp"}, Log: slog.New(slog.DiscardHandler)})
	for range 3 {
		if _, err := k.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if used := k.Disk().Used; used < share*45/100 || used > share*55/100 || s.Queue("inbox/app/f").Len() != inbox {
		t.Errorf("%d bytes of the %d for targets are left, and %d of %d in the inbox", used, share, s.Queue("inbox/app/f").Len(), inbox)
	}
}

// TestKeeperMakesRoomWithADeadTarget fills a small store with follow-ups that
// nobody fetches.
func TestKeeperMakesRoomWithADeadTarget(t *testing.T) {
	s := openStore(t, t.TempDir(), realstore.Options{Quota: 2 << 20, SegmentSize: 128 << 10, NoSync: true})
	ctx, cancel := context.WithCancel(t.Context())
	k := uplink.NewKeeper(s, uplink.KeeperOptions{Disk: 1 << 20, Targets: []string{"erp"}, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- k.Run(ctx) }()
	rnd := rand.New(rand.NewPCG(3, 3))
	byPriority := map[uint8][]uint64{}
	full, bytes := 0, 0
	for i := 0; bytes < 6<<20; i++ {
		priority := uint8(rnd.IntN(10)) // the highest ones alone fit
		f := agent.Frame{Add: []agent.Record{keptRecord(rnd, agent.QueueTarget("erp", priority, false), time.Time{})}}
		testbed.Eventually(t, 20*time.Second, "the store takes follow-ups again", func() error {
			err := s.Commit(t.Context(), &f)
			if err != nil && !errors.Is(err, agent.ErrFull) {
				t.Fatal(err)
			} else if err != nil {
				full++
			}
			return err
		})
		bytes += len(f.Add[0].Event.Data)
		byPriority[priority] = append(byPriority[priority], f.Add[0].Seq)
	}
	testbed.Eventually(t, 5*time.Second, "the keeper is done", func() error {
		if d := k.Disk(); d.Used*100 > d.Limit*95 {
			return fmt.Errorf("%d of %d bytes", d.Used, d.Limit)
		}
		return nil
	})
	cancel()
	if err := errors.Join(<-ended, <-ended); err != nil {
		t.Fatal(err)
	}
	left := waits(t, s, forTarget)
	for _, seq := range byPriority[9] {
		if _, ok := left[seq]; !ok {
			t.Errorf("record %d of priority 9 is gone", seq)
		}
	}
	there := false
	for _, seq := range byPriority[8] {
		if _, ok := left[seq]; ok {
			there = true
		} else if there {
			t.Errorf("record %d of priority 8 is gone, and an older one is there", seq)
		}
	}
	if drops := k.Drops("erp"); drops.Evicted == 0 || drops.Expired != 0 {
		t.Errorf("dropped %+v", drops)
	}
	t.Logf("%d commits were refused at first; %+v were dropped, %d are left", full, k.Drops("erp"), len(left))
}
