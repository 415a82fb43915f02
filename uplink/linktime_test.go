package uplink_test

import (
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

func TestLinkCountsOnlyInItsWindows(t *testing.T) {
	c := newClock("2026-11-21 05:30") // a Saturday
	m := newMeter(t, c.opts(uplink.LinkOptions{Day: 10_000, Metered: []string{"0 6 * * * FOR 2h", "30 7 * * 6 FOR 30m", "0 20 * * * FOR 1h"}}))
	at := func(clock string, counts bool, changes string) {
		t.Helper()
		c.now = newClock("2026-11-21 " + clock).now
		if s := m.Status(); s.Counts != counts || s.Changes.Format("15:04") != changes {
			t.Errorf("at %s counts is %v until %s", clock, s.Counts, s.Changes)
		}
	}
	at("05:30", false, "06:00")
	if why := send(m, 1, "a/b", 500_000, 500_000); why != "" || used(m) != 0 {
		t.Errorf("outside of the windows it says %q, and %d are used", why, used(m))
	}
	at("06:00", true, "08:00")
	if n, why := exhaust(t, m, 5, ""); n < 5 || why == "" {
		t.Errorf("%d went: %s", n, why)
	}
	at("07:45", true, "08:00")
	at("08:00", false, "20:00")
	if why := send(m, 1, "", 500_000, 500_000); why != "" {
		t.Error("after the window: ", why)
	}
	at("20:59", true, "21:00")
	if _, why := exhaust(t, m, 5, ""); why == "" {
		t.Error("the evening has no budget of its own")
	}
	at("22:00", false, "06:00")
	c.unsure = true
	if _, why := exhaust(t, m, 5, ""); why == "" || !strings.Contains(m.Status().Note, "count all the time") {
		t.Errorf("nobody knows the time, and all goes: %q", m.Status().Note)
	}
	if s := m.Status(); s.Sent < 1_000_000 || s.Day.Sent != s.Sent {
		t.Errorf("what was not metered is not counted at all: %+v", s)
	}
}

// TestLinkWithoutATime: a clock that is not known to be right gives no budget twice.
func TestLinkWithoutATime(t *testing.T) {
	const day = 100_000
	full := func(n int) bool { return n > 110 }
	c := newClock("2026-11-21 23:50")
	store := &shelf{}
	boot := func() *uplink.Meter {
		m, err := uplink.NewMeter(c.opts(uplink.LinkOptions{Day: day}), store)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := boot()
	for range 60 {
		send(m, 5, "", 500, 800)
	}
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.unsure = true // two days off, and it goes on where it was
	m = boot()
	c.now = c.now.Add(20 * time.Minute)
	if n, why := exhaust(t, m, 5, ""); full(n) || !strings.Contains(why, "the clock is not known to be right") {
		t.Errorf("past a midnight that nobody knows to be one %d went: %s", n, why)
	}
	if !strings.Contains(m.Status().Note, "24 hours") {
		t.Error("status does not tell of the clock")
	}
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	m = boot()
	c.unsure, c.now = false, newClock("2026-11-23 12:00").now
	first := used(m)
	if n, _ := exhaust(t, m, 5, ""); first < 40_000 || first > 60_000 || full(n) {
		t.Errorf("the new day begins with %d, about 50000 may have been used in it; %d went then", first, n)
	}
	if err := m.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.unsure = true
	m = boot()
	m.Count(1, 0)
	c.now = c.now.Add(24*time.Hour - time.Minute)
	if n, _ := exhaust(t, m, 5, ""); n > 0 {
		t.Errorf("%d went before the agent had run for a day", n)
	}
	c.now = c.now.Add(2 * time.Minute)
	if n, _ := exhaust(t, m, 5, ""); !full(n) {
		t.Errorf("after a day of running %d went", n)
	}
	c.unsure, c.now = false, c.now.Add(-3*time.Hour) // it was ahead
	if n, _ := exhaust(t, m, 5, ""); n > 0 {
		t.Errorf("%d went because the clock was put back", n)
	}
}
