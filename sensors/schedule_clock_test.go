package sensors_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// wall is a wall clock that can be set, in a bubble.
type wall struct {
	mu    sync.Mutex
	ahead time.Duration
	right bool
}

func (w *wall) now() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead), w.right
}

func (w *wall) set(ahead time.Duration, right bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead, w.right = ahead, right
}

const year = 365 * 24 * time.Hour

// TestCronWhenTheClockIsSet falls due every minute whatever the clock says: a
// gateway may start in 2038 and be set right minutes later.
func TestCronWhenTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := &sink{keep: true}, &wall{right: true}
		src, stop := runSchedule(t, s, sensors.ScheduleOptions{Clock: sensors.Clock{Wall: w.now}})
		src.Follow([]agent.Trigger{cron("minute", "* * * * *", "UTC")})
		for _, jump := range []time.Duration{0, -2 * time.Second, year, -year, -year, 12 * year, -50 * year} {
			w.set(w.ahead+jump, true)
			before := len(s.offers())
			until(3 * time.Minute)
			if n := len(s.offers()) - before; n < 2 || n > 3 {
				t.Errorf("%d ticks in 3 minutes after the clock was set by %s, want one a minute", n, jump)
			}
		}
		stop()
	})
}

// TestCronWhenTheClockIsCorrected does not fall due twice because a clock that
// went ahead a little is set back behind the due time.
func TestCronWhenTheClockIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := &sink{keep: true}, &wall{right: true}
		src, stop := runSchedule(t, s, sensors.ScheduleOptions{Clock: sensors.Clock{Wall: w.now}})
		src.Follow([]agent.Trigger{cron("hour", "0 * * * *", "UTC")})
		until(time.Hour + time.Second)
		w.set(-2*time.Second, true)
		until(5 * time.Minute)
		if n := len(s.offers()); n != 1 {
			t.Errorf("%d ticks for one hour, want 1", n)
		}
		stop()
	})
}

// TestClockNotTrusted starts where nothing keeps the clock right, and long before
// any true time.
func TestClockNotTrusted(t *testing.T) {
	built := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		ahead time.Duration // of midnight, 1 January 2000
		after time.Duration // since the start: the clock is set to 2026, and right
		waits time.Duration // without a cron tick
	}{
		{"set right after half an hour", 0, 30 * time.Minute, 30 * time.Minute},
		{"set right at once", 0, 1, 0},
		{"plausible, and never right", 27 * year, 0, time.Hour},
		{"never set", 0, 0, 10 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, w := &sink{keep: true}, &wall{ahead: tt.ahead}
				src, stop := runSchedule(t, s, sensors.ScheduleOptions{Clock: sensors.Clock{
					Wall: w.now, Wait: time.Hour, Passed: func() time.Time { return built },
				}})
				src.Follow([]agent.Trigger{cron("app/minute", "* * * * *", "UTC"), every("app/beat", 10*time.Minute)})
				if tt.after > 0 {
					time.AfterFunc(tt.after, func() { w.set(27*year, true) })
				}
				ticks := map[string]int{}
				begun := time.Now()
				for range 6 * 10 { // ten hours
					until(10 * time.Minute)
					for _, o := range s.offers()[ticks["app/minute"]+ticks["app/beat"]:] {
						ticks[o.Subject]++
						stamp := fmt.Sprintf("%q:%q", "clock", map[bool]string{true: "trusted", false: "untrusted"}[tt.after > 0])
						if since := time.Since(begun); o.Subject == "app/minute" && since < tt.waits {
							t.Fatalf("cron ran %s after the start: %s", since, o.Data)
						} else if since > tt.after+10*time.Minute && !strings.Contains(string(o.Data), stamp) {
							t.Fatalf("%s after the start: %s, want %s", since, o.Data, stamp)
						}
					}
					waits := strings.Contains(src.Status().Note, "nothing keeps the clock right")
					if since := time.Since(begun); since != tt.waits && waits != (since < tt.waits || tt.name == "never set") {
						t.Fatalf("%s after the start: note %q", since, src.Status().Note)
					}
				}
				stop()
				if n := ticks["app/beat"]; n != 60 {
					t.Errorf("%d ticks of every, want 60 whatever the clock shows", n)
				}
				if n, want := ticks["app/minute"], int((10*time.Hour-tt.waits)/time.Minute); n < want-2 || n > want {
					t.Errorf("%d ticks of cron, want %d", n, want)
				}
			})
		})
	}
}

// TestTrustStays does not stop for a network that is away: hours without it, the
// kernel says that nothing keeps the clock right any more.
func TestTrustStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := &sink{keep: true}, &wall{right: true}
		src, stop := runSchedule(t, s, sensors.ScheduleOptions{Clock: sensors.Clock{Wall: w.now, Wait: 100 * year}})
		src.Follow([]agent.Trigger{cron("app/minute", "* * * * *", "UTC")})
		until(2 * time.Minute)
		w.set(0, false)
		until(time.Hour)
		if n := len(s.offers()); n != 62 || !strings.Contains(string(s.offers()[61].Data), `"clock":"trusted"`) {
			t.Errorf("%d ticks, want 62", n)
		}
		stop()
	})
}

// TestMakingUpWhenTheClockIsSetBack goes on from the new time.
func TestMakingUpWhenTheClockIsSetBack(t *testing.T) {
	for _, rule := range []agent.Schedule{{Cron: "* * * * *", TimeZone: "UTC"}, {Every: time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			s, w := &sink{keep: true}, &wall{right: true}
			opts := sensors.ScheduleOptions{Notes: &notes{}, Clock: sensors.Clock{Wall: w.now}}
			triggers := []agent.Trigger{missed("app/t", rule, agent.MissedAll)}
			src, stop := runSchedule(t, s, opts)
			src.Follow(triggers)
			until(5*time.Minute + time.Second)
			w.set(-year, true)
			until(5 * time.Minute)
			if n := len(s.offers()); n < 9 || n > 10 {
				t.Errorf("%+v: %d ticks in ten minutes, in the middle of which the clock was set back", rule, n)
			}
			stop()
			w.set(-2*year, true) // while it is off
			src, stop = runSchedule(t, s, opts)
			src.Follow(triggers)
			before := len(s.offers())
			until(5*time.Minute + time.Second)
			if n := len(s.offers()) - before; n < 4 || n > 5 {
				t.Errorf("%+v: %d ticks in five minutes after the clock was set back while it was off", rule, n)
			}
			stop()
		})
	}
}
