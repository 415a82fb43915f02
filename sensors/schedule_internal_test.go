package sensors

import (
	"log/slog"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TestCronWhenTheClockIsSet falls due every minute whatever the clock says: a
// gateway may start in 2038 and be set right minutes later.
func TestCronWhenTheClockIsSet(t *testing.T) {
	s := NewSchedule("gw7", slog.New(slog.DiscardHandler))
	s.Follow([]agent.Trigger{{
		Name: "app/minute", Via: agent.ViaSchedule, Filter: "app/minute",
		Schedule: agent.Schedule{Cron: "* * * * *", TimeZone: "UTC"},
	}})
	const year = 365 * 24 * time.Hour
	now := time.Now().Round(0)
	for _, jump := range []time.Duration{0, -2 * time.Second, year, -year, -year, 12 * year, -50 * year} {
		now = now.Add(jump)
		ticks := 0
		for range 6 {
			for _, tick := range s.dueAt(now) {
				ticks++
				s.done(tick, nil)
			}
			now = now.Add(30 * time.Second)
		}
		if ticks < 2 || ticks > 3 {
			t.Errorf("%d ticks in 3 minutes after the clock was set by %s, want one a minute", ticks, jump)
		}
	}
}

// TestCronWhenTheClockIsCorrected does not fall due twice because a clock that
// went ahead a little is set back behind the due time.
func TestCronWhenTheClockIsCorrected(t *testing.T) {
	s := NewSchedule("gw7", slog.New(slog.DiscardHandler))
	s.Follow([]agent.Trigger{{
		Name: "app/hour", Via: agent.ViaSchedule, Filter: "app/hour",
		Schedule: agent.Schedule{Cron: "0 * * * *", TimeZone: "UTC"},
	}})
	hour := time.Now().Round(0).Truncate(time.Hour).Add(time.Hour)
	ticks := 0
	for _, at := range []time.Duration{time.Second, -time.Second, 0, 2 * time.Second} {
		ticks += len(s.dueAt(hour.Add(at)))
	}
	if ticks != 1 {
		t.Errorf("%d ticks for one hour, want 1", ticks)
	}
}
