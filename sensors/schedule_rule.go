package sensors

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/skerry-edge/skerry/agent"
)

const (
	minEvery  = 100 * time.Millisecond // the shortest period of a schedule
	maxJitter = 24 * time.Hour
)

// CheckSchedule refuses schedules that could never run as meant.
func CheckSchedule(s agent.Schedule) error {
	_, err := parseSchedule(s)
	return err
}

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// parseSchedule returns the function that gives the first due time after a time.
func parseSchedule(s agent.Schedule) (func(time.Time) time.Time, error) {
	switch {
	case (s.Every != 0) == (s.Cron != ""):
		return nil, errors.New("a schedule needs either every or cron")
	case s.Jitter < 0 || s.Jitter > maxJitter:
		return nil, fmt.Errorf("jitter %s: set it between 0s and %s", s.Jitter, maxJitter)
	case s.Cron != "":
		return parseCron(s)
	case s.TimeZone != "":
		return nil, errors.New("a time zone goes with cron, not with every")
	case s.Every < minEvery:
		return nil, fmt.Errorf("every %s is too often: %s at least", s.Every, minEvery)
	case s.Jitter > s.Every:
		return nil, fmt.Errorf("jitter %s is longer than the period of %s: a tick would come after the next one is due", s.Jitter, s.Every)
	}
	return func(t time.Time) time.Time { return t.Add(s.Every) }, nil
}

func parseCron(s agent.Schedule) (func(time.Time) time.Time, error) {
	if strings.Contains(s.Cron, "TZ=") || strings.HasPrefix(s.Cron, "@every") {
		return nil, fmt.Errorf("cron %q: set the time zone with timezone, and periods with every", s.Cron)
	}
	zone := time.Local
	if s.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(s.TimeZone); err != nil {
			return nil, fmt.Errorf("time zone %q is unknown: use a name like Europe/Berlin", s.TimeZone)
		}
	}
	rule, err := cronParser.Parse(s.Cron)
	if err != nil {
		return nil, fmt.Errorf("cron %q: %w; five fields are needed, as in \"*/5 * * * *\"", s.Cron, err)
	}
	next := func(t time.Time) time.Time { return rule.Next(t.Round(0).In(zone)) } // by the wall clock alone
	if next(time.Now()).IsZero() {
		return nil, fmt.Errorf("cron %q never falls due: no month that it names has such a day", s.Cron)
	}
	return next, nil
}
