package sensors_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// schedulePlace is a trigger that makes up for every tick, of an agent that was
// off for the last 20 seconds.
func schedulePlace(*testing.T) *place {
	since := time.Now().Add(-20 * time.Second).Format(time.RFC3339Nano)
	kept := &notes{values: map[string][]byte{
		"position/schedule/app/tick": []byte(`{"n":7,"mark":"` + since + ` every 100ms"}`),
	}}
	return &place{
		open: func() (conforming, error) {
			return sensors.NewSchedule("gw7", sensors.ScheduleOptions{Notes: kept, Log: quiet()}), nil
		},
		triggers: []agent.Trigger{missed("app/tick", agent.Schedule{Every: 100 * time.Millisecond}, agent.MissedAll)},
		own:      true,
		looks: agent.Event{
			Source: "/gw7/schedule", Type: "io.skerry.schedule", Subject: "app/tick",
			ContentType: "application/json", Via: agent.ViaSchedule, QoS: 1,
		},
		bound: 64, lasting: true,
	}
}

func missed(name string, rule agent.Schedule, what agent.Missed) agent.Trigger {
	rule.Missed = what
	return agent.Trigger{Name: name, Via: agent.ViaSchedule, Filter: name, Schedule: rule}
}

// dues are the due times of what was offered, as time since begin.
func dues(t *testing.T, s *sink, begin time.Time) (ds []time.Duration) {
	t.Helper()
	for _, o := range s.offers() {
		var data struct{ Due time.Time }
		if err := json.Unmarshal(o.Data, &data); err != nil {
			t.Fatal(err)
		}
		ds = append(ds, data.Due.Sub(begin))
	}
	return ds
}

func minutes(ns ...int) (ds []time.Duration) {
	for _, n := range ns {
		ds = append(ds, time.Duration(n)*time.Minute)
	}
	return ds
}

// TestMissed is off from minute 10:30 to minute 13:30, and asleep from minute 15:30
// to minute 17:30, which is noticed at 18:00.
func TestMissed(t *testing.T) {
	byCron, byEvery := agent.Schedule{Cron: "* * * * *", TimeZone: "UTC"}, agent.Schedule{Every: time.Minute}
	for _, tt := range []struct {
		name   string
		rule   agent.Schedule
		missed agent.Missed
		want   []time.Duration
	}{
		{"cron skip", byCron, agent.MissedSkip, minutes(1, 2, 9, 10, 14, 15, 18)},
		{"cron once", byCron, agent.MissedOnce, minutes(1, 2, 9, 10, 13, 14, 15, 18)},
		{"cron all", byCron, agent.MissedAll, minutes(1, 2, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)},
		{"every once", byEvery, agent.MissedOnce, minutes(1, 2, 9, 10, 13, 14, 15, 18)},
		{"every all", byEvery, agent.MissedAll, minutes(1, 2, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s, w := &sink{keep: true}, &wall{right: true}
				opts := sensors.ScheduleOptions{Notes: &notes{}, Clock: sensors.Clock{Wall: w.now}}
				at := func(d time.Duration) { until(d - time.Since(begin) - w.ahead) }
				triggers := []agent.Trigger{missed("app/t", tt.rule, tt.missed)}

				src, stop := runSchedule(t, s, opts)
				src.Follow(triggers)
				at(10*time.Minute + 30*time.Second)
				stop()
				at(13*time.Minute + 30*time.Second)
				src, stop = runSchedule(t, s, opts)
				src.Follow(triggers)
				at(15*time.Minute + 30*time.Second)
				w.set(2*time.Minute, true) // the other clock stood still
				at(18*time.Minute + 30*time.Second)
				stop()

				got := dues(t, s, begin)
				got = slices.DeleteFunc(got, func(d time.Duration) bool { return d > 2*time.Minute && d < 9*time.Minute })
				if !slices.Equal(got, tt.want) {
					t.Errorf("ticks due at %v, want %v", got, tt.want)
				}
				if note := src.Status().Note; note != "" {
					t.Errorf("note %q", note)
				}
			})
		})
	}
}

// TestMissedIsBounded is off for ten years.
func TestMissedIsBounded(t *testing.T) {
	for _, rule := range []agent.Schedule{{Cron: "* * * * *", TimeZone: "UTC"}, {Every: time.Minute}, {Cron: "0 0 1 * *", TimeZone: "UTC"}} {
		synctest.Test(t, func(t *testing.T) {
			s, opts := &sink{keep: true}, sensors.ScheduleOptions{Notes: &notes{}}
			triggers := []agent.Trigger{missed("app/t", rule, agent.MissedAll)}
			src, stop := runSchedule(t, s, opts)
			src.Follow(triggers)
			until(90 * time.Second)
			stop()
			s.got = nil
			until(10 * year)
			begin := time.Now()
			src, stop = runSchedule(t, s, opts)
			src.Follow(triggers)
			until(5 * time.Second)
			got, want := dues(t, s, begin), 1000
			if rule.Cron == "0 0 1 * *" {
				want = 120 - 1 // the first of 1 January 2000 was over
			}
			if len(got) != want || !slices.IsSorted(got) || got[len(got)-1] < -32*24*time.Hour {
				t.Fatalf("%+v: %d ticks made up, from %s to %s, want the last %d", rule, len(got), got[0], got[len(got)-1], want)
			}
			if told := strings.Contains(src.Status().Note, "app/t missed more than 1000 ticks"); told != (want == 1000) {
				t.Errorf("%+v: note %q", rule, src.Status().Note)
			}
			stop()
		})
	}
}

// TestMissedBeforeTheClockIsTrusted makes up, once the clock is set, for what fell
// due while the agent was off, and not for what came by the other clock.
func TestMissedBeforeTheClockIsTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, w := &sink{keep: true}, &wall{right: true}
		opts := sensors.ScheduleOptions{Notes: &notes{}, Clock: sensors.Clock{Wall: w.now, Wait: 100 * year}}
		triggers := []agent.Trigger{missed("app/t", agent.Schedule{Every: time.Minute}, agent.MissedAll)}
		src, stop := runSchedule(t, s, opts)
		src.Follow(triggers)
		until(2*time.Minute + 30*time.Second)
		stop()
		s.got = nil

		until(3 * time.Minute) // off from 2:30 to 5:30
		w.set(-30*year, false)
		src, stop = runSchedule(t, s, opts)
		src.Follow(triggers)
		until(2*time.Minute + 10*time.Second) // ticks at 6:30 and 7:30
		if n := len(s.offers()); n != 2 {
			t.Fatalf("%d ticks while the clock was not trusted, want 2", n)
		}
		s.got = nil
		w.set(0, true)
		until(2 * time.Minute) // 9:40
		stop()
		want := minutes(3, 4, 5, 8, 9)
		if got := dues(t, s, begin); !slices.Equal(got, want) {
			t.Errorf("ticks due at %v, want %v", got, want)
		}
	})
}

// TestMissedAfterAChange makes up for nothing when the rule is another one, or
// the trigger was away.
func TestMissedAfterAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := &sink{keep: true}, &notes{}
		opts := sensors.ScheduleOptions{Notes: kept}
		src, stop := runSchedule(t, s, opts)
		hourly := []agent.Trigger{missed("app/t", agent.Schedule{Every: time.Hour}, agent.MissedAll)}
		minutely := []agent.Trigger{missed("app/t", agent.Schedule{Every: time.Minute}, agent.MissedAll)}
		src.Follow(hourly)
		until(90 * time.Minute)
		src.Follow(minutely)
		until(90 * time.Second)
		if n := len(s.offers()); n != 2 {
			t.Errorf("%d ticks, want one of each rule", n)
		}
		src.Follow(nil)
		until(time.Hour)
		if len(kept.values["position/schedule/app/t"]) > 0 {
			t.Error("the note of a trigger that is gone stays")
		}
		src.Follow(minutely)
		until(90 * time.Second)
		stop()
		if n := len(s.offers()); n != 3 {
			t.Errorf("%d ticks, want one more", n)
		}
	})
}

// TestTicksAreRecognised crashes with ticks that have no outcome: they come again
// with the same id, slot and hash.
func TestTicksAreRecognised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := sensors.ScheduleOptions{Notes: &notes{}}
		triggers := []agent.Trigger{missed("app/t", agent.Schedule{Cron: "* * * * *", TimeZone: "UTC", Jitter: 30 * time.Second}, agent.MissedAll)}
		s := &sink{}
		src, stop := runSchedule(t, s, opts)
		src.Follow(triggers)
		until(4*time.Minute + 45*time.Second)
		first := s.offers()
		first[0].done(nil)
		stop()
		if id := first[1].ID; id != "gw7/schedule/app/t/2000-01-01T00:02:00Z" {
			t.Errorf("id %q", id)
		}

		s = &sink{keep: true}
		src, stop = runSchedule(t, s, opts)
		src.Follow(triggers)
		until(time.Second)
		stop()
		if len(first) != 4 || len(s.offers()) != 3 {
			t.Fatalf("%d ticks, then %d, want 4, then 3", len(first), len(s.offers()))
		}
		for i, o := range s.offers() {
			was := first[i+1]
			if o.ID != was.ID || o.Origin.Slot != was.Origin.Slot || o.Origin.Hash != was.Origin.Hash || !o.Origin.Redelivered {
				t.Errorf("%s %+v comes again as %s %+v", was.ID, was.Origin, o.ID, o.Origin)
			}
		}
	})
}

// TestJitter is the same after a restart, another for each tick and device, and
// not longer than it was asked to be.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delays := func(device string, rule agent.Schedule) (ds []time.Duration) {
			s, begin := &sink{keep: true}, time.Now()
			src := sensors.NewSchedule(device, sensors.ScheduleOptions{Log: quiet()})
			stop := start(t, src, s)
			src.Follow([]agent.Trigger{missed("app/t", rule, agent.MissedSkip)})
			until(24 * time.Hour)
			stop()
			for i, o := range s.offers() {
				d := o.Time.Sub(begin) - time.Duration(i+1)*time.Hour
				if d < 0 || d > rule.Jitter {
					t.Errorf("tick %d comes %s late", i, d)
				}
				ds = append(ds, d)
			}
			return ds
		}
		for _, rule := range []agent.Schedule{{Cron: "0 * * * *", TimeZone: "UTC"}, {Every: time.Hour}} {
			rule.Jitter = 10 * time.Minute
			ds := delays("gw7", rule)
			if len(ds) < 23 || slices.Max(ds)-slices.Min(ds) < 5*time.Minute {
				t.Errorf("%d ticks with delays %v", len(ds), ds)
			}
			if other := delays("gw8", rule); fmt.Sprint(other) == fmt.Sprint(ds) {
				t.Error("two devices have the same jitter")
			}
		}
	})
}
