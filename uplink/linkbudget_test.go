package uplink_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

// clock is a time that tests set.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	unsure bool
}

func newClock(text string) *clock {
	now, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return &clock{now: now}
}

func (c *clock) opts(o uplink.LinkOptions) uplink.LinkOptions {
	o.Name, o.Zone = "lte", time.UTC
	o.Now = func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.now
	}
	o.Sure = func() bool { return !c.unsure }
	return o
}

// nextDay goes on while others look at the time.
func (c *clock) nextDay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.AddDate(0, 0, 1)
}

// send sends a record if the link takes it, with so much on the wire.
func send(m *uplink.Meter, priority uint8, function string, n, wire int) (why string) {
	if no := m.Admit(priority, function, n); no != nil {
		return no.Why
	}
	m.Count(int64(wire), 0)
	m.Spent(function, n, n)
	return ""
}

// exhaust sends until the link takes no more, and tells how often and why.
func exhaust(t *testing.T, m *uplink.Meter, priority uint8, function string) (n int, why string) {
	t.Helper()
	for ; n < 100_000; n++ {
		if why = send(m, priority, function, 500, 800); why != "" {
			return n, why
		}
	}
	t.Fatal("the link takes all")
	return 0, ""
}

func used(m *uplink.Meter) int64 { return m.Status().Day.Used }

func TestLinkEndsAtItsBudget(t *testing.T) {
	for _, flying := range []int{1, 4, 64} {
		t.Run(fmt.Sprint(flying, " in flight"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { endsAtItsBudget(t, flying) })
		})
	}
}

func endsAtItsBudget(t *testing.T, flying int) {
	m := newMeter(t, newClock("2026-11-21 08:00").opts(uplink.LinkOptions{Day: 200_000}))
	const n, wire = 1000, 1600
	sent, inFlight := 0, 0
	for {
		no := m.Admit(5, "", n)
		if no == nil {
			inFlight++
		}
		for inFlight > 0 && (inFlight == flying || no != nil) {
			m.Count(1000, 600)
			m.Spent("", n, n)
			inFlight--
			sent++
		}
		if no != nil && time.Until(no.At) > time.Second {
			if want := "of the day's 195.3 KiB of link lte are used"; !strings.Contains(no.Why, want) {
				t.Errorf("it says %q, want %q in it", no.Why, want)
			}
			break
		}
		if no != nil {
			<-time.After(time.Until(no.At))
		}
	}
	if got := used(m); got > 200_000 || got < 200_000-wire {
		t.Errorf("%d bytes are used of 200000, by %d requests", got, sent)
	}
}

func TestLinkSaysWhyAndWhen(t *testing.T) {
	c := newClock("2026-11-21 23:58")
	limit := func(f string) int64 { return map[string]int64{"a/small": 5000}[f] }
	m := newMeter(t, c.opts(uplink.LinkOptions{Day: 100_000, Month: 150_000, Reserve: 20_000, Limit: limit}))
	for _, tt := range []struct {
		what, want string
		why        func() string
	}{
		{"the function's limit", "of the 4.9 KiB that a/small may send a day over link lte (limits.uplink) are used", func() string { _, why := exhaust(t, m, 9, "a/small"); return why }},
		{"more than a function may", "raise limits.uplink of the function", func() string { return send(m, 5, "a/small", 6000, 0) }},
		{"more than the link may", "link lte may carry 97.7 KiB a day, 19.5 KiB are kept for priority 8 and 9: raise day of the link", func() string { return send(m, 5, "a/b", 90_000, 0) }},
		{"a low priority", "of the day's 97.7 KiB of link lte are used, 19.5 KiB are kept for priority 8 and 9", func() string { _, why := exhaust(t, m, 7, "a/b"); return why }},
		{"a high priority", "of the day's 97.7 KiB of link lte are used", func() string { _, why := exhaust(t, m, 8, "a/b"); return why }},
	} {
		if why := tt.why(); !strings.Contains(why, tt.want) {
			t.Errorf("%s: it says %q, want %q in it", tt.what, why, tt.want)
		}
	}
	before := time.Now()
	if wait := m.Admit(9, "", 500).At.Sub(before); wait < time.Minute || wait > 2*time.Minute+time.Second {
		t.Errorf("asks to come again in %s, the day ends in 2m", wait)
	}
	c.now = c.now.Add(2 * time.Minute)
	if n, why := exhaust(t, m, 9, ""); n < 40 || n > 65 || !strings.Contains(why, "of the month's 146.5 KiB") {
		t.Errorf("on the next day %d went, then: %s", n, why)
	}
	s := m.Status()
	if s.Yesterday.Used < 98_000 || s.Month.Used < 148_000 || s.Month.Used > 151_000 || s.Day.Limit != 100_000 || len(s.Functions) != 0 {
		t.Errorf("status is %+v", s)
	}
	c.now = c.now.AddDate(0, 0, 10)
	if n, _ := exhaust(t, m, 9, ""); n < 100 {
		t.Errorf("in the next month %d went", n)
	}
}

// TestLinkKeepsTheOrderOfPriorities: what is left of a budget is not used up by
// small records that matter no more than a larger one that waits.
func TestLinkKeepsTheOrderOfPriorities(t *testing.T) {
	c := newClock("2026-11-21 08:00")
	m := newMeter(t, c.opts(uplink.LinkOptions{Day: 100_000}))
	m.Count(90_000, 0)
	if m.Admit(7, "", 20_000) == nil {
		t.Fatal("20 kB fit into 10 kB")
	}
	for _, priority := range []uint8{7, 6, 0} {
		if why := send(m, priority, "", 100, 400); why == "" {
			t.Errorf("a small record of priority %d went past one of priority 7 that waits", priority)
		}
	}
	if why := send(m, 8, "", 100, 400); why != "" {
		t.Errorf("one of priority 8 waits as well: %s", why)
	}
	c.now = c.now.AddDate(0, 0, 1)
	if why := send(m, 0, "", 100, 400); why != "" {
		t.Errorf("on the next day: %s", why)
	}
}

func TestLinkKeepsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, uplink.LinkOptions{Name: "lte", Rate: 10_000, Zone: time.UTC})
		began, sent := time.Now(), 0
		for time.Since(began) < time.Minute {
			no := m.Admit(5, "", 3000)
			if no == nil {
				m.Count(3500, 0)
				m.Spent("", 3000, 3000)
				sent += 3500
				continue
			}
			if !strings.Contains(no.Why, "link lte carries 9.8 KiB a second") {
				t.Fatal(no.Why)
			}
			<-time.After(time.Until(no.At))
		}
		if sent < 590_000 || sent > 620_000 {
			t.Errorf("%d bytes went in a minute at 10000 a second", sent)
		}
	})
}

func TestLinkIsKeptInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &shelf{}
		opts := uplink.LinkOptions{Name: "lte", Zone: time.UTC}
		open := func() *uplink.Meter {
			m, err := uplink.NewMeter(opts, store)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		m := open()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		kept := func() int64 { return open().Status().Sent }
		m.Count(10, 0)
		<-time.After(5 * time.Second)
		if kept() != 10 || store.count() != 1 {
			t.Errorf("after 5 s %d bytes are kept, by %d commits", kept(), store.count())
		}
		for i := range int64(1000) {
			m.Count(1000, 0)
			synctest.Wait()
			if lost := (i+1)*1000 + 10 - kept(); lost > 64<<10 {
				t.Fatalf("a kill would forget %d bytes", lost)
			}
		}
		if store.count() > 40 {
			t.Errorf("%d commits for 1 MB", store.count())
		}
		<-time.After(time.Minute)
		if commits := store.count(); commits > 42 {
			t.Errorf("%d commits, though nothing went", commits)
		}
		m.Count(5, 0)
		cancel()
		if err := <-ended; err != nil || kept() != 1_000_015 {
			t.Errorf("%d bytes are kept in the end: %v", kept(), err)
		}
	})
}

func TestLinkOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		opts uplink.LinkOptions
		want string
	}{
		{uplink.LinkOptions{Day: -1}, "cannot be negative"},
		{uplink.LinkOptions{Metered: []string{"0 6 * * *"}}, `write when it begins and how long it takes, as in "0 6 * * 1-5 FOR 16h"`},
		{uplink.LinkOptions{Metered: []string{"0 6 * * FOR 4h"}}, "five fields"},
		{uplink.LinkOptions{Metered: []string{"0 6 * * * FOR 4"}}, "after FOR comes how long it takes"},
		{uplink.LinkOptions{Metered: []string{"0 6 * * * FOR 10s"}}, "from 1m to 744h"},
		{uplink.LinkOptions{Metered: []string{"0 6 30 2 * FOR 4h"}}, "never begins"},
		{uplink.LinkOptions{Metered: []string{"TZ=UTC 0 6 * * * FOR 4h"}}, "is no window"},
	} {
		if _, err := uplink.NewMeter(tt.opts, &shelf{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.opts, err, tt.want)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	damaged := &shelf{values: map[string][]byte{"uplink link/lte": []byte("{")}}
	if m, err := uplink.NewMeter(uplink.LinkOptions{Name: "lte", Log: quiet}, damaged); err != nil || m.Status().Sent != 0 {
		t.Errorf("damaged totals: %v", err)
	}
}
