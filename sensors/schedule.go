package sensors

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/skerry-edge/skerry/agent"
)

// minEvery is the shortest period of a schedule.
const minEvery = 100 * time.Millisecond

// Schedule is the source of events that the clock causes. Ticks that fall due
// while the agent is off, or while the machine sleeps, are not made up.
type Schedule struct {
	device  string
	log     *slog.Logger
	changed chan struct{} // capacity 1: Follow gave other triggers

	mu      sync.Mutex
	plans   map[string]*plan // by trigger
	faults  []string
	waiting map[*tick]struct{}
}

// plan is one trigger's schedule with its next due time.
type plan struct {
	rule  agent.Schedule
	next  func(time.Time) time.Time
	due   time.Time
	since time.Time // wall clock when due was found
}

// tick is an event whose outcome is awaited.
type tick struct {
	ev    *agent.Event
	delay time.Duration // before it is offered again
	again time.Time     // zero while it is offered
}

var _ agent.Source = (*Schedule)(nil)

// NewSchedule makes the schedule source of a device.
func NewSchedule(device string, log *slog.Logger) *Schedule {
	return &Schedule{
		device: device, log: cmp.Or(log, slog.Default()).With("source", agent.ViaSchedule),
		changed: make(chan struct{}, 1), plans: map[string]*plan{}, waiting: map[*tick]struct{}{},
	}
}

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
	case s.Cron != "":
		return parseCron(s)
	case s.TimeZone != "":
		return nil, errors.New("a time zone goes with cron, not with every")
	case s.Every < minEvery:
		return nil, fmt.Errorf("every %s is too often: %s at least", s.Every, minEvery)
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
	next := func(t time.Time) time.Time { return rule.Next(t.In(zone)) }
	if next(time.Now()).IsZero() {
		return nil, fmt.Errorf("cron %q never falls due", s.Cron)
	}
	return next, nil
}

// Follow implements agent.Source. A trigger whose schedule stays the same
// keeps its phase; a new one falls due for the first time after one period.
func (s *Schedule) Follow(triggers []agent.Trigger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	plans, now := map[string]*plan{}, time.Now()
	s.faults = nil
	for i := range triggers {
		t := &triggers[i]
		if t.Via != agent.ViaSchedule {
			continue
		}
		if old, ok := s.plans[t.Name]; ok && old.rule == t.Schedule {
			plans[t.Name] = old
			continue
		}
		next, err := parseSchedule(t.Schedule)
		if err != nil {
			s.faults = append(s.faults, fmt.Sprintf("trigger %s: %v", t.Name, err))
			continue
		}
		plans[t.Name] = &plan{rule: t.Schedule, next: next, since: now.Round(0), due: next(now)}
	}
	s.plans = plans
	signal(s.changed)
}

// Run implements agent.Source.
func (s *Schedule) Run(ctx context.Context, offer agent.Offer) error {
	for ctx.Err() == nil {
		now := time.Now()
		for _, t := range s.dueAt(now) {
			offer(t.ev, func(err error) { s.done(t, err) })
		}
		wait := s.untilNext(time.Now())
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// Status tells how the source is.
func (s *Schedule) Status() agent.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return agent.SourceStatus{
		Name: agent.ViaSchedule, Kind: "schedule", Connected: true,
		Filters: sortedKeys(s.plans), Inflight: len(s.waiting), Note: joinNotes(nil, s.faults...),
	}
}

// dueAt collects the ticks to offer now: new ones, and failed ones again.
func (s *Schedule) dueAt(now time.Time) (ticks []*tick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.waiting {
		if !t.again.IsZero() && !now.Before(t.again) {
			t.again = time.Time{}
			ticks = append(ticks, t)
		}
	}
	slices.SortFunc(ticks, func(a, b *tick) int { return a.ev.Time.Compare(b.ev.Time) })
	for _, name := range sortedKeys(s.plans) {
		p := s.plans[name]
		if now.Before(p.due) {
			p.bringForward(now)
			continue
		}
		due := p.due
		p.advance(now)
		if p.rule.Cron != "" && now.Sub(due) > maxWait {
			continue // the machine slept, or its clock was set
		}
		if s.late(name) {
			s.log.Warn("schedule skipped: its last event is not processed yet", "trigger", name)
			continue
		}
		t := &tick{ev: s.event(name, due), delay: firstRetry}
		s.waiting[t] = struct{}{}
		ticks = append(ticks, t)
	}
	return ticks
}

// maxLate is how many events of one trigger may wait for their outcome.
const maxLate = 16

func (s *Schedule) late(name string) bool {
	n := 0
	for t := range s.waiting {
		if t.ev.Subject == name {
			n++
		}
	}
	return n >= maxLate
}

// advance sets the next due time after now, keeping the phase. Due times that
// have gone by are left out.
func (p *plan) advance(now time.Time) {
	if p.rule.Every > 0 {
		p.due = p.due.Add((now.Sub(p.due)/p.rule.Every + 1) * p.rule.Every)
		return
	}
	p.since, p.due = now.Round(0), p.next(now)
}

// bringForward makes a plan fall due earlier whose clock was set back by more
// than a little: it would wait until the time of day it had seen before, which
// may be years away. Every has no use for it, its due times count what really
// passes.
func (p *plan) bringForward(now time.Time) {
	if p.rule.Cron != "" && now.Before(p.since.Add(-maxWait)) {
		p.since, p.due = now.Round(0), p.next(now)
	}
}

func (s *Schedule) event(name string, due time.Time) *agent.Event {
	data, err := json.Marshal(map[string]string{"trigger": name, "due": due.Format(time.RFC3339)})
	if err != nil { // strings always encode
		data = []byte("{}")
	}
	return &agent.Event{
		Source: "/" + s.device + "/schedule", Type: typeSchedule, Subject: name, Time: time.Now(),
		ContentType: "application/json", Data: data, Via: agent.ViaSchedule, QoS: 1,
	}
}

// done takes the outcome of a tick.
func (s *Schedule) done(t *tick, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, follows := s.plans[t.ev.Subject]
	if err == nil || !follows {
		delete(s.waiting, t)
		return
	}
	t.again = time.Now().Add(t.delay)
	t.delay = min(2*t.delay, lastRetry)
	signal(s.changed)
}

// maxWait bounds the sleep, so that a clock that was set is soon noticed.
const maxWait = time.Minute

func (s *Schedule) untilNext(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := maxWait
	for _, p := range s.plans {
		wait = min(wait, p.due.Sub(now))
	}
	for t := range s.waiting {
		if !t.again.IsZero() {
			wait = min(wait, t.again.Sub(now))
		}
	}
	return max(wait, 0)
}
