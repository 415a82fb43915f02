package sensors_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

func TestCheckSchedule(t *testing.T) {
	for _, tt := range []struct {
		schedule agent.Schedule
		want     string // in the error; "" for none
	}{
		{agent.Schedule{Every: time.Second}, ""},
		{agent.Schedule{Cron: "*/5 * * * *"}, ""},
		{agent.Schedule{Cron: "@daily", TimeZone: "Europe/Berlin"}, ""},
		{agent.Schedule{}, "either every or cron"},
		{agent.Schedule{Every: time.Second, Cron: "@daily"}, "either every or cron"},
		{agent.Schedule{Every: time.Millisecond}, "too often"},
		{agent.Schedule{Every: -time.Second}, "too often"},
		{agent.Schedule{Every: time.Second, TimeZone: "UTC"}, "goes with cron"},
		{agent.Schedule{Every: time.Second, Jitter: time.Second, Missed: agent.MissedAll}, ""},
		{agent.Schedule{Every: time.Second, Jitter: 2 * time.Second}, "longer than the period"},
		{agent.Schedule{Cron: "@daily", Jitter: -1}, "between 0s and"},
		{agent.Schedule{Cron: "@daily", Jitter: 25 * time.Hour}, "between 0s and"},
		{agent.Schedule{Cron: "* * * * * *"}, "five fields"},
		{agent.Schedule{Cron: "61 * * * *"}, "five fields"},
		{agent.Schedule{Cron: "0 0 31 2 *"}, "never falls due"},
		{agent.Schedule{Cron: "@every 1s"}, "periods with every"},
		{agent.Schedule{Cron: "TZ=UTC 0 0 * * *"}, "timezone"},
		{agent.Schedule{Cron: "@daily", TimeZone: "Mars/Olympus"}, `"Mars/Olympus" is unknown`},
	} {
		err := sensors.CheckSchedule(tt.schedule)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.schedule, err, tt.want)
		}
	}
}

// clock runs a schedule in a bubble whose time begins at midnight UTC,
// 1 January 2000.
func clock(t *testing.T, s *sink, test func(src *sensors.Schedule)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		src, stop := runSchedule(t, s, sensors.ScheduleOptions{})
		test(src)
		stop()
	})
}

// runSchedule runs a schedule in a bubble until stop is called.
func runSchedule(t *testing.T, s *sink, opts sensors.ScheduleOptions) (src *sensors.Schedule, stop func()) {
	t.Helper()
	opts.Log = quiet()
	src = sensors.NewSchedule("gw7", opts)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, s.offer) }()
	return src, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// until lets time pass, in a bubble.
func until(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func every(name string, d time.Duration) agent.Trigger {
	return agent.Trigger{Name: name, Via: agent.ViaSchedule, Filter: name, Schedule: agent.Schedule{Every: d}}
}

func cron(name, rule, zone string) agent.Trigger {
	return agent.Trigger{Name: name, Via: agent.ViaSchedule, Filter: name, Schedule: agent.Schedule{Cron: rule, TimeZone: zone}}
}

func TestEvery(t *testing.T) {
	s := &sink{keep: true}
	clock(t, s, func(src *sensors.Schedule) {
		begin := time.Now()
		src.Follow([]agent.Trigger{every("app/tick", 10*time.Second), {Name: "app/other", Via: "plant", Filter: "#"}})
		until(9 * time.Second)
		if n := len(s.offers()); n != 0 {
			t.Fatalf("%d events before one period is over", n)
		}
		until(22 * time.Second)
		if n := len(s.offers()); n != 3 {
			t.Fatalf("%d events after 31 s, want 3", n)
		}
		for i, o := range s.offers() {
			var data struct{ Trigger, Due string }
			if err := json.Unmarshal(o.Data, &data); err != nil {
				t.Fatal(err)
			}
			due := begin.Add(time.Duration(i+1) * 10 * time.Second)
			if data.Trigger != "app/tick" || data.Due != due.Format(time.RFC3339) || !o.Time.Equal(due) {
				t.Errorf("event %d: data %s, time %s, want %s", i, o.Data, o.Time, due)
			}
			if o.Subject != "app/tick" || o.Via != agent.ViaSchedule || o.Type != "io.skerry.schedule" || o.QoS != 1 || o.Source != "/gw7/schedule" {
				t.Errorf("event %+v", o.Event)
			}
		}
		if st := src.Status(); st.Inflight != 0 || len(st.Filters) != 1 || st.Note != "" {
			t.Errorf("status %+v", st)
		}
	})
}

func TestFollowKeepsPhase(t *testing.T) {
	s := &sink{keep: true}
	clock(t, s, func(src *sensors.Schedule) {
		src.Follow([]agent.Trigger{every("a", 10*time.Second), every("gone", time.Second)})
		until(8500 * time.Millisecond)
		n := len(s.offers())
		if n != 8 {
			t.Errorf("%d events, want 8", n)
		}
		src.Follow([]agent.Trigger{every("a", 10*time.Second), every("new", 4*time.Second), every("bad", 1)})
		until(2 * time.Second) // 10.5 s
		if got := s.offers()[n:]; len(got) != 1 || got[0].Subject != "a" {
			t.Errorf("%d events, want one of the trigger that stayed", len(got))
		}
		until(2100 * time.Millisecond) // 12.6 s
		if got := s.offers()[n:]; len(got) != 2 || got[1].Subject != "new" {
			t.Errorf("%d events, want one of the new trigger too", len(got))
		}
		if note := src.Status().Note; !strings.Contains(note, "trigger bad") {
			t.Errorf("note %q", note)
		}
	})
}

func TestCronInItsTimeZone(t *testing.T) {
	s := &sink{keep: true}
	clock(t, s, func(src *sensors.Schedule) {
		src.Follow([]agent.Trigger{cron("noon", "0 12 * * *", "America/New_York"), cron("hourly", "30 * * * *", "UTC")})
		until(17*time.Hour - time.Second)
		if n := len(s.offers()); n != 17 { // 00:30 to 16:30
			t.Errorf("%d events before 17:00 UTC, want 17", n)
		}
		until(2 * time.Second)
		if last := s.offers()[len(s.offers())-1]; last.Subject != "noon" || !strings.Contains(string(last.Data), "2000-01-01T12:00:00-05:00") {
			t.Errorf("noon in New York: %s", last.Data)
		}
	})
}

func TestScheduleOffersAgain(t *testing.T) {
	s := &sink{}
	clock(t, s, func(src *sensors.Schedule) {
		src.Follow([]agent.Trigger{every("a", time.Hour)})
		until(time.Hour)
		s.offers()[0].done(errors.New("disk full"))
		until(240 * time.Millisecond)
		if n := len(s.offers()); n != 1 {
			t.Errorf("%d offers before the backoff is over", n)
		}
		until(20 * time.Millisecond)
		s.offers()[1].done(errors.New("disk full"))
		until(time.Second)
		if n := len(s.offers()); n != 3 || s.offers()[2].Event != s.offers()[0].Event {
			t.Fatalf("%d offers, want the same event for the third time", n)
		}
		s.offers()[2].done(nil)
		until(30 * time.Minute)
		if n := len(s.offers()); n != 3 || src.Status().Inflight != 0 {
			t.Errorf("%d offers after the event was kept, status %+v", n, src.Status())
		}
	})
}

// TestStuckAgent shows that waiting events are bounded.
func TestStuckAgent(t *testing.T) {
	s := &sink{}
	clock(t, s, func(src *sensors.Schedule) {
		src.Follow([]agent.Trigger{every("a", time.Second)})
		until(time.Minute)
		if n := src.Status().Inflight; n != 16 {
			t.Errorf("%d events wait, want 16", n)
		}
	})
}
