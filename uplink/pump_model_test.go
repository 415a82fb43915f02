package uplink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// world is a far side that does what chance says, and a book of what may still
// be sent. One seed decides all that happens.
type world struct {
	t    *testing.T
	r    *rand.Rand // of steps
	s    *store
	mu   sync.Mutex
	fate *rand.Rand // of what is sent

	seq      uint64
	added    map[uint64]agent.Record
	ended    map[uint64]string // how: delivered, dead, dropped, replaced
	last     map[string]uint64 // queue and key -> newest that was delivered
	removed  map[uint64]bool   // dropped or replaced, maybe while it was under way
	down     bool              // the far side
	poisoned map[string]bool   // keys that fail
	latest   map[string]uint64 // queue and key -> the one that waits
	sending  map[uint64]int
}

func newWorld(t *testing.T, seed uint64) *world {
	return &world{
		t: t, r: rand.New(rand.NewPCG(seed, 3)), fate: rand.New(rand.NewPCG(seed, 4)), s: newLevels(),
		added: map[uint64]agent.Record{}, ended: map[uint64]string{}, last: map[string]uint64{},
		removed: map[uint64]bool{}, poisoned: map[string]bool{}, latest: map[string]uint64{}, sending: map[uint64]int{},
	}
}

// Send takes a record, or not.
func (w *world) Send(ctx context.Context, rec agent.Record) error {
	w.mu.Lock()
	if how := w.ended[rec.Seq]; how != "" {
		w.t.Errorf("record %d is sent though it was %s", rec.Seq, how)
	}
	w.sending[rec.Seq]++
	if w.sending[rec.Seq] > 1 {
		w.t.Errorf("record %d is sent twice at once", rec.Seq)
	}
	pause, fate := time.Duration(w.fate.IntN(50))*time.Millisecond, w.fate.IntN(40)
	w.mu.Unlock()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sending[rec.Seq]--
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w.down && fate < 20:
		return &uplink.Error{Class: uplink.Retry, Reason: "connection refused", Away: true}
	case w.down:
		return &uplink.Error{Class: uplink.Hold, Reason: "answered 401"}
	case w.poisoned[rec.Key] || fate == 0:
		return &uplink.Error{Class: uplink.Retry, Reason: "answered 500"}
	case fate == 1:
		return &uplink.Error{Class: uplink.Retry, Reason: "answered 429", RetryAfter: time.Second}
	case fate == 2:
		w.end(rec.Seq, "dead")
		return &uplink.Error{Class: uplink.Permanent, Reason: "answered 400"}
	}
	if lane := rec.Queue + " " + rec.Key; rec.Key != "" {
		if w.last[lane] > rec.Seq {
			w.t.Errorf("record %d of %s came after %d", rec.Seq, lane, w.last[lane])
		}
		w.last[lane] = rec.Seq
	}
	w.end(rec.Seq, "delivered")
	return nil
}

// end notes that a record must not be sent again; one that was dropped while it
// was under way may have any end.
func (w *world) end(seq uint64, how string) {
	if w.ended[seq] == "" {
		w.ended[seq] = how
	}
}

// add adds some records; one that is a latest one takes the place of the one
// before it. They come all at once at the end: what is taken away meanwhile is
// not just about to be sent.
func (w *world) add() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var batch []agent.Record
	defer func() { w.s.add(batch...) }()
	for range 1 + w.r.IntN(60) {
		w.seq++
		rec := leveled(w.seq, fmt.Sprint("k", w.r.IntN(12)), uint8(w.r.IntN(10)))
		rec.Function = fmt.Sprint("a/f", w.r.IntN(3))
		switch w.r.IntN(6) {
		case 0:
			rec.Key = ""
		case 1:
			rec.Latest, rec.Queue = true, agent.QueueTarget("central", rec.Priority, true)
			lane := rec.Queue + " " + rec.Key
			if old := w.latest[lane]; old > 0 {
				w.leave(old, "replaced")
				batch = slices.DeleteFunc(batch, func(r agent.Record) bool { return r.Seq == old })
			}
			w.latest[lane] = w.seq
		}
		w.added[w.seq] = rec
		batch = append(batch, rec)
	}
}

// leave takes a record out of its queue, whatever becomes of it elsewhere.
func (w *world) leave(seq uint64, how string) {
	w.s.mu.Lock()
	w.s.remove(seq)
	w.removed[seq] = true
	w.s.mu.Unlock()
	if w.sending[seq] == 0 {
		w.end(seq, how)
	}
}

// step lets something happen.
func (w *world) step(o *uplink.Outbox) {
	switch w.r.IntN(12) {
	case 0, 1, 2:
		w.add()
	case 3:
		w.mu.Lock()
		w.down = w.r.IntN(2) == 0
		w.mu.Unlock()
	case 4:
		w.mu.Lock()
		w.poisoned[fmt.Sprint("k", w.r.IntN(12))] = w.r.IntN(2) == 0
		w.mu.Unlock()
	case 5:
		if err := o.Pause(w.t.Context()); err != nil {
			w.t.Error(err)
		}
	case 6, 7:
		if err := o.Resume(w.t.Context()); err != nil {
			w.t.Error(err)
		}
	case 8:
		o.Retry()
	case 9:
		w.mu.Lock()
		if w.seq > 0 {
			for range 5 {
				w.leave(1+w.r.Uint64N(w.seq), "dropped")
			}
		}
		w.mu.Unlock()
	case 10:
		w.s.mu.Lock()
		w.s.fail = w.r.IntN(3)
		w.s.mu.Unlock()
		return // a Pause may fail now
	}
}

// TestPumpModel runs an outbox through restarts, outages, poison, pauses and
// records that vanish: nothing is lost, nothing is sent after its end, order
// holds for each key of a queue. TEST_SEED runs one seed, TEST_SEEDS so many.
func TestPumpModel(t *testing.T) {
	from, n := uint64(0), uint64(40)
	if v := os.Getenv("TEST_SEEDS"); v != "" {
		n, _ = strconv.ParseUint(v, 10, 64)
	}
	if v := os.Getenv("TEST_SEED"); v != "" {
		from, _ = strconv.ParseUint(v, 10, 64)
		n = 1
	}
	for seed := from; seed < from+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed).run() })
		})
	}
}

func (w *world) run() {
	opts := uplink.Options{Name: "central", State: w.s, MaxBackoff: time.Minute, Log: quiet}
	opts.InFlight, opts.MaxHeld = 1+w.r.IntN(16), []int{0, 8 << 10}[w.r.IntN(2)]
	for range 4 {
		o := uplink.NewOutbox(w.s, w.s, w, opts)
		stop := run(w.t, o)
		for range 30 {
			pass(time.Duration(w.r.IntN(3000)) * time.Millisecond)
			w.step(o) // while all rests: nothing is just about to be sent
			pass(0)
			w.s.mu.Lock()
			w.s.fail = 0
			w.s.mu.Unlock()
		}
		stop()
	}
	w.down, w.poisoned = false, map[string]bool{}
	o := uplink.NewOutbox(w.s, w.s, w, opts)
	defer run(w.t, o)()
	if err := o.Resume(w.t.Context()); err != nil {
		w.t.Error(err)
	}
	pass(3 * time.Hour)
	if n := w.s.left(); n > 0 {
		w.t.Errorf("%d of %d are left: %+v", n, w.seq, o.Status())
	}
	for seq := range w.added {
		if w.ended[seq] == "" && !w.removed[seq] {
			w.t.Errorf("record %d was lost", seq)
		}
	}
}
