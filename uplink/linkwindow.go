package uplink

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// maxWindow is the longest metered window.
const maxWindow = 31 * 24 * time.Hour

// hours is when a link is metered: from each time of a cron rule on, for so long.
type hours struct {
	starts cron.Schedule
	length time.Duration
}

var windowParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// CheckMetered refuses a window of LinkOptions.Metered that makes no sense.
func CheckMetered(text string) error {
	_, err := parseHours(text)
	return err
}

// parseHours reads "0 6 * * 1-5 FOR 16h".
func parseHours(text string) (hours, error) {
	i := strings.LastIndex(text, " FOR ")
	if i < 0 || strings.Contains(text, "TZ=") || strings.HasPrefix(text, "@every") {
		return hours{}, fmt.Errorf("metered %q is no window; write when it begins and how long it takes, as in \"0 6 * * 1-5 FOR 16h\"", text)
	}
	rule, err := windowParser.Parse(strings.TrimSpace(text[:i]))
	if err != nil {
		return hours{}, fmt.Errorf("metered %q: %w; five fields are needed before FOR, as in \"0 6 * * 1-5 FOR 16h\"", text, err)
	}
	length, err := time.ParseDuration(strings.TrimSpace(text[i+len(" FOR "):]))
	if err != nil || length < time.Minute || length > maxWindow {
		return hours{}, fmt.Errorf("metered %q: after FOR comes how long it takes, from 1m to %dh, such as 16h", text, maxWindow/time.Hour)
	}
	if rule.Next(time.Now()).IsZero() {
		return hours{}, fmt.Errorf("metered %q never begins: no month that it names has such a day", text)
	}
	return hours{rule, length}, nil
}

// at tells whether now is within the window, and until when that is so at least.
func (w *hours) at(now time.Time) (inside bool, until time.Time) {
	start := w.starts.Next(now.Add(-w.length))
	if start.After(now) {
		return false, start
	}
	return true, start.Add(w.length)
}

// inWindows tells whether now is within any of the windows, and until when that
// is so at least.
func inWindows(windows []hours, now time.Time) (inside bool, until time.Time) {
	now = now.Round(0)
	for i := range windows {
		in, end := windows[i].at(now)
		switch {
		case in && !inside:
			inside, until = true, end
		case in:
			until = later(until, end)
		case !inside:
			until = sooner(until, end)
		}
	}
	return inside, until
}

// changes is when metered ends or begins next; zero if not within some hundred
// windows.
func (m *Meter) changes() time.Time {
	at := m.to
	if at.IsZero() {
		return time.Time{}
	}
	for range 400 {
		inside, until := inWindows(m.windows, at.In(m.opts.Zone))
		if inside != m.metered {
			return at
		}
		at = until
	}
	return time.Time{}
}
