package uplink_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// A record that is larger than what its link may ever carry waits, or is dropped
// if it says so; nobody else waits with it but what has its key.
func TestTooLargeForTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		s.add(weighing(1, "large", 5, "a/f", 200_000))
		s.add(weighing(2, "large", 5, "a/f", 100)) // behind it
		shed := weighing(3, "other", 5, "a/f", 200_000)
		shed.Shed = true
		s.add(shed)
		for i := range 20 {
			rec := weighing(uint64(i+4), "small", uint8(5-i%2), "a/f", 100)
			rec.Shed = i >= 10
			s.add(rec)
		}
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Day: 100_000})
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: m, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if st := o.Status(); st.Delivered != 20 || st.Waiting != 2 || st.Drops.OverBudget != 1 || !strings.Contains(st.OverBudget, "raise day of the link") {
			t.Errorf("%d went, %+v", len(far.ids()), st)
		}
		for id, want := range map[uint64]string{0: "Record 1 could not be sent", 1: "raise day of the link", 2: "behind record 1"} {
			why, err := o.Why(id)
			if text := strings.Join(why, " "); err != nil || !strings.Contains(text, want) {
				t.Errorf("why %d says %q, %v; want %q in it", id, text, err, want)
			}
		}
		pass(48 * time.Hour)
		if _, err := o.Drop(t.Context(), agent.WaitingFilter{IDs: []uint64{1}}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if st := o.Status(); st.Delivered != 21 || st.Waiting != 0 {
			t.Errorf("when it was dropped: %+v", st)
		}
	})
}

// What is too large for the link is not what tries whether a target that fails
// works again.
func TestTooLargeIsNoProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		s.add(weighing(1, "large", 5, "a/f", 200_000), weighing(2, "small", 5, "a/f", 100))
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Day: 100_000})
		far := &target{say: func(agent.Record) error { return errors.New("away") }}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: m, Log: quiet})
		defer run(t, o)()
		pass(time.Hour)
		if _, err := o.Drop(t.Context(), agent.WaitingFilter{IDs: []uint64{2}}); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour) // nothing is left to try with
		s.add(weighing(3, "small", 5, "a/f", 100))
		far.change(func() { far.say = nil })
		pass(10 * time.Minute)
		if st := o.Status(); st.Delivered != 1 || st.Waiting != 1 || st.Breaker != nil {
			t.Errorf("%+v", st)
		}
	})
}

// Tries that do not reach the far side use up nothing of what a function may send.
func TestTriesThatReachNobodyAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newLevels()
		s.add(weighing(1, "k", 5, "a/f", 500))
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Limit: func(string) int64 { return 20_000 }})
		far := &target{}
		far.say = func(agent.Record) error { return &uplink.Error{Class: uplink.Retry, Reason: "no network", Away: true} }
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: m, Log: quiet})
		defer run(t, o)()
		pass(12 * time.Hour)
		far.change(func() { far.say = nil })
		pass(10 * time.Minute)
		if st := o.Status(); st.Delivered != 1 {
			t.Errorf("when the network is there again: %+v", st)
		}
	})
}

// A network so bad that a request took more than the link may carry a day is no
// reason never to try again.
func TestLinkTriesAgainAfterBadDays(t *testing.T) {
	c := newClock("2026-11-21 08:00")
	m := newMeter(t, c.opts(uplink.LinkOptions{Day: 30_000}))
	for day := range 20 {
		if why := send(m, 5, "", 100, 40_000); why != "" {
			t.Fatalf("on day %d: %s", day, why)
		}
		if why := send(m, 5, "", 100, 400); why == "" {
			t.Fatal("it goes on beyond its budget")
		}
		c.nextDay()
	}
}

// What a function has waiting beyond its limit is not read over and over again.
func TestAFunctionThatWaitsIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5000
		s := newLevels()
		for i := range many {
			s.add(weighing(uint64(i+1), "k", 5, "a/f", 100))
		}
		var limit atomic.Int64
		limit.Store(20_000)
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Limit: func(string) int64 { return limit.Load() }})
		far := &target{}
		o := uplink.NewOutbox(s, s, far, uplink.Options{Name: "central", Link: m, Log: quiet})
		defer run(t, o)()
		pass(10 * time.Hour)
		if s.read > 3*many {
			t.Errorf("%d records were read of %d", s.read, many)
		}
		if why, err := o.Why(0); err != nil || !strings.Contains(strings.Join(why, " "), "limits.uplink") {
			t.Errorf("why says %q, %v", why, err)
		}
		went := len(far.ids())
		limit.Store(100_000)
		pass(10 * time.Minute)
		if n := len(far.ids()); went == 0 || went > 100 || n < 3*went {
			t.Errorf("%d went, and with a higher limit %d", went, n)
		}
	})
}

// Of targets that share a link the more important records go first, also while
// nothing but its rate holds them up.
func TestTheRateGoesByPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Rate: 10_000})
		low, high := &target{}, &target{}
		both := []*target{low, high}
		for i, far := range both {
			s := newLevels()
			for n := range 50 {
				s.add(weighing(uint64(n+1), "k", uint8(4*i+1), "", 3000))
			}
			far.say = func(agent.Record) error { m.Count(3500, 0); return nil }
			defer run(t, uplink.NewOutbox(s, s, far, uplink.Options{Link: m, Log: quiet}))()
		}
		for len(high.ids()) < 50 {
			pass(time.Second)
			if n := len(low.ids()); n > 5 && len(high.ids()) < 45 {
				t.Fatalf("%d of the less important went when %d of the others had", n, len(high.ids()))
			}
		}
		pass(time.Minute)
		if n := len(low.ids()); n != 50 {
			t.Errorf("%d of the less important went in the end", n)
		}
	})
}
