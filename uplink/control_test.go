package uplink_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// The breaker can be seen: closed, open with its cause and the time of the next
// try, half-open while a probe is under way; and Retry closes it at once.
func TestBreakerIsVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "a", 5), leveled(2, "b", 5))
		var mended, slow atomic.Bool
		far := sendFunc(func(agent.Record) error {
			if slow.Load() {
				<-time.After(time.Minute)
			}
			if !mended.Load() {
				return &uplink.Error{Class: uplink.Hold, Reason: "answered 401 Unauthorized"}
			}
			return nil
		})
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", InFlight: 1, Log: quiet})
		if b := o.Status().Breaker; b != nil {
			t.Errorf("before it began: %+v", b)
		}
		defer run(t, o)()
		pass(time.Second)
		b := o.Status().Breaker
		if b == nil || b.State != "open" || b.Failures != 1 || b.Cause != "answered 401 Unauthorized" || time.Until(b.RetryAt) < 2*time.Minute {
			t.Fatalf("after a failure: %+v", b)
		}
		slow.Store(true)
		pass(time.Until(b.RetryAt) + time.Second)
		if b := o.Status().Breaker; b == nil || b.State != "half-open" {
			t.Errorf("while it probes: %+v", b)
		}
		pass(2 * time.Minute)
		slow.Store(false)
		mended.Store(true)
		o.Retry()
		pass(time.Second)
		if st := o.Status(); st.Breaker != nil || st.Waiting != 0 || st.LastError != "" {
			t.Errorf("after it was mended: %+v", st)
		}
	})
}

// Pause holds over restarts, until Resume.
func TestPauseSurvivesRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "a", 5))
		far := &target{}
		open := func() *uplink.Outbox {
			return uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", State: s, Log: quiet})
		}
		o := open()
		if err := o.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			stop := run(t, o)
			pass(time.Hour)
			stop()
			if st := o.Status(); !st.Paused || st.Waiting != 1 {
				t.Fatalf("while paused: %+v", st)
			}
			o = open()
		}
		defer run(t, o)()
		s.fail = 1
		if err := o.Resume(t.Context()); err == nil || !o.Status().Paused {
			t.Error("it says that it goes on though that could not be kept")
		}
		if err := o.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if st := o.Status(); st.Paused || st.Waiting != 0 || open().Status().Paused {
			t.Errorf("after it went on: %+v", st)
		}
	})
}

// Why says in sentences what each record waits for.
func TestWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels(leveled(1, "bad", 5), leveled(2, "bad", 5), leveled(3, "slow", 5), leveled(4, "x", 3), leveled(5, "y", 3))
		release := make(chan struct{})
		far := sendFunc(func(rec agent.Record) error {
			switch {
			case rec.Key == "bad":
				return &uplink.Error{Class: uplink.Retry, Reason: "answered 500"}
			case rec.Key == "slow":
				<-release
			}
			return nil
		})
		link := &meter{left: 1 << 20, reserve: 1 << 20, opens: time.Now().Add(3 * time.Hour)}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: link, InFlight: 2, Log: quiet})
		says := func(id uint64, parts ...string) {
			t.Helper()
			said, err := o.Why(id)
			for _, part := range parts {
				if err != nil || !strings.Contains(strings.Join(said, "\n"), part) {
					t.Errorf("record %d: %q, %v; want %q in it", id, said, err, part)
				}
			}
		}
		says(0, "starting or stopping")
		stop := run(t, o)
		pass(time.Minute)
		says(0, "the day is used", "5 records wait for central: 3 of priority 5, 2 of priority 3")
		says(5, "3 of higher priority and 1 older ones of priority 3", "waits for its link, which is asked again in 2h59m0s: the day is used")
		link.mu.Lock()
		link.reserve = 0
		link.mu.Unlock()
		o.Retry()
		pass(100 * time.Millisecond)
		says(2, `behind record 1, which has the same key "bad" and could not be sent in`, "answered 500")
		says(1, "It could not be sent in")
		says(3, "being sent now")
		if err := o.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		says(0, "central is paused: continue with skerry uplink resume central")
		if _, err := o.Why(99); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("a record that is not there: %v", err)
		}
		close(release)
		stop()
	})
}

// Waiting and Drop choose by filter, and read by the page.
func TestWaitingAndDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 1000 {
			rec := leveled(uint64(i+1), "k", uint8(i%2*4))
			rec.Function = []string{"a/f", "a/g", "a/h"}[i%3]
			rec.Event.Time = time.Now().Add(-time.Duration(i) * time.Minute)
			s.add(rec)
		}
		o := uplink.NewOutbox(s, s, &target{}, uplink.Options{Name: "central", State: s, Log: quiet})
		count := func(f agent.WaitingFilter) (n int) {
			for _, err := range uplink.Waiting(s, f) {
				if err != nil {
					t.Error(err)
				}
				n++
			}
			return n
		}
		four := uint8(4)
		for _, tt := range []struct {
			f    agent.WaitingFilter
			want int
		}{
			{agent.WaitingFilter{}, 1000},
			{agent.WaitingFilter{Limit: 300}, 300},
			{agent.WaitingFilter{Priority: &four}, 500},
			{agent.WaitingFilter{Function: "a/g"}, 333},
			{agent.WaitingFilter{Priority: &four, Function: "a/g", Limit: 5}, 5},
			{agent.WaitingFilter{IDs: []uint64{7, 8}}, 2},
			{agent.WaitingFilter{Older: 900*time.Minute + time.Second}, 99},
		} {
			if n := count(tt.f); n != tt.want {
				t.Errorf("%+v chooses %d, want %d", tt.f, n, tt.want)
			}
		}
		n, err := o.Drop(t.Context(), agent.WaitingFilter{Function: "a/g"})
		if n != 333 || err != nil || s.left() != 667 || o.Status().Drops.Dropped != 333 {
			t.Errorf("dropped %d, %v; %d left", n, err, s.left())
		}
		if slices.ContainsFunc(s.frames, func(f agent.Frame) bool { return f.Lazy || len(f.Done) > 256 }) {
			t.Error("frames that drop are synced, and no larger than a page")
		}
	})
}

// What has expired is told by the clock that is given, whatever the wall shows.
func TestExpiryByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		for i := range 4 {
			rec := leveled(uint64(i+1), "k", 5)
			rec.Expires = time.Unix(int64(i)*1000, 0) // by a clock that began in 1970
			s.add(rec)
		}
		past := func(at time.Time) bool { return at.Unix() <= 1000 }
		o := uplink.NewOutbox(s, s, &target{}, uplink.Options{Past: past, Log: quiet})
		defer run(t, o)()
		pass(time.Minute)
		if st := o.Status(); st.Delivered != 2 || st.Drops.Expired != 2 {
			t.Errorf("%+v", st)
		}
	})
}
