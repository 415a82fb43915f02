package sensors

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// ScheduleOptions say what a schedule goes by. The zero value works.
type ScheduleOptions struct {
	Clock Clock
	Notes Notes        // may write lazily, see position; nil: ticks missed while the agent is off are not made up
	Log   *slog.Logger // nil: slog.Default()
}

// Schedule is the source of events that the clock causes. Every goes by time
// that really passes; cron, and what makes up for missed ticks, by the wall
// clock, and only while that can be gone by.
type Schedule struct {
	device  string
	opts    ScheduleOptions
	log     *slog.Logger
	changed chan struct{} // capacity 1: Follow gave other triggers, or there is room again

	clock wallClock // of Run

	mu      sync.Mutex
	plans   map[string]*plan // by trigger
	order   []*plan          // the same, by name; replaced by Follow, never changed
	gone    []*plan          // that Run has to end
	faults  []string
	waiting map[*tick]struct{}
	blind   bool // some plan waits for a clock that can be gone by
}

// tick is an event whose outcome is awaited, and that is lost when the agent
// stops.
type tick struct {
	ev    *agent.Event
	delay time.Duration // before it is offered again
	again time.Time     // zero while it is offered
}

var _ agent.Source = (*Schedule)(nil)

// NewSchedule makes the schedule source of a device.
func NewSchedule(device string, opts ScheduleOptions) *Schedule {
	return &Schedule{
		device: device, opts: opts, log: cmp.Or(opts.Log, slog.Default()).With("source", agent.ViaSchedule),
		changed: make(chan struct{}, 1), plans: map[string]*plan{}, waiting: map[*tick]struct{}{},
	}
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
		plans[t.Name] = &plan{name: t.Name, rule: t.Schedule, next: next, born: now}
	}
	for name, old := range s.plans {
		if plans[name] != old {
			old.over = plans[name] == nil
			s.gone = append(s.gone, old)
		}
	}
	s.plans, s.order = plans, nil
	for _, name := range sortedKeys(plans) {
		s.order = append(s.order, plans[name])
	}
	signal(s.changed)
}

// Run implements agent.Source.
func (s *Schedule) Run(ctx context.Context, offer agent.Offer) error {
	s.clock = wallClock{Clock: s.opts.Clock, begun: time.Now()}
	for ctx.Err() == nil {
		timer := time.NewTimer(s.turn(offer))
		select {
		case <-timer.C:
		case <-s.changed:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	s.close()
	return nil
}

// maxWait bounds the sleep, so that a clock that was set is soon noticed.
const maxWait = time.Minute

// turn offers what is due, and tells how long nothing will be.
func (s *Schedule) turn(offer agent.Offer) time.Duration {
	plans := s.current()
	now := s.clock.now()
	wait := s.retry(now.ran, offer)
	blind := false
	for _, p := range plans {
		if p.held || !now.ran.Before(p.wake) {
			p.wake = now.ran.Add(min(s.look(p, now, offer), maxWait))
		}
		wait = min(wait, p.wake.Sub(now.ran))
		blind = blind || p.blind
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = blind
	return max(wait, 0)
}

// look offers what is due of a plan, and tells how long nothing will be.
func (s *Schedule) look(p *plan, now moment, offer agent.Offer) time.Duration {
	wait := maxWait
	switch {
	case p.makesUp() && now.usable:
		wait = s.keep(p, now, offer)
	case p.rule.Every > 0:
		wait = s.every(p, now, offer)
	case now.usable:
		wait = s.cron(p, now, offer)
	}
	if p.blind = !now.usable && (p.makesUp() || p.rule.Cron != ""); p.blind {
		wait = min(wait, askTrust)
	}
	return wait
}

// current is the plans there are; those that are gone are ended.
func (s *Schedule) current() []*plan {
	s.mu.Lock()
	gone, plans := s.gone, s.order
	s.gone = nil
	s.mu.Unlock()
	for _, p := range gone {
		if err := p.end(s.opts.Notes); err != nil {
			s.log.Warn("cannot remove the note of a trigger that is gone; should it come back, it makes up for the ticks in between", "trigger", p.name, "error", err)
		}
	}
	return plans
}

// close ends the source: outcomes under way are waited for a moment.
func (s *Schedule) close() {
	var all sync.WaitGroup
	for _, p := range s.current() {
		if p.pos == nil {
			continue
		}
		all.Go(func() {
			if err := p.pos.close(); err != nil {
				s.log.Warn("cannot note the last tick; some may come again", "trigger", p.name, "error", err)
			}
		})
	}
	all.Wait()
}

// retry offers again what failed; it tells when the next is to be.
func (s *Schedule) retry(now time.Time, offer agent.Offer) time.Duration {
	s.mu.Lock()
	var due []*tick
	wait := maxWait
	for t := range s.waiting {
		switch {
		case t.again.IsZero():
		case now.Before(t.again):
			wait = min(wait, t.again.Sub(now))
		default:
			t.again = time.Time{}
			due = append(due, t)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(due, func(a, b *tick) int { return a.ev.Time.Compare(b.ev.Time) })
	for _, t := range due {
		offer(t.ev, func(err error) { s.done(t, err) })
	}
	return wait
}

// maxLate is how many events of one trigger may wait for their outcome.
const maxLate = 16

// once offers a tick that is lost when the agent stops. Of a trigger with many
// that wait it is left out.
func (s *Schedule) once(p *plan, ev *agent.Event, offer agent.Offer) {
	t := &tick{ev: ev, delay: firstRetry}
	s.mu.Lock()
	n := 0
	for other := range s.waiting {
		if other.ev.Subject == p.name {
			n++
		}
	}
	if n >= maxLate {
		s.mu.Unlock()
		s.log.Warn("schedule skipped: its last event is not processed yet", "trigger", p.name)
		return
	}
	s.waiting[t] = struct{}{}
	s.mu.Unlock()
	offer(ev, func(err error) { s.done(t, err) })
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

// Status tells how the source is.
func (s *Schedule) Status() agent.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := agent.SourceStatus{
		Name: agent.ViaSchedule, Kind: "schedule", Connected: true,
		Filters: sortedKeys(s.plans), Inflight: len(s.waiting),
	}
	notes := slices.Clone(s.faults)
	if s.blind {
		notes = append(notes, "nothing keeps the clock right (is an NTP client running?): cron, and what makes up for missed ticks, wait until something does, or for clock.wait")
	}
	for _, p := range s.order {
		if p.pos != nil {
			st.Inflight += p.pos.waiting()
			notes = append(notes, errorText(p.pos.err()))
		}
		notes = append(notes, errorText(p.fault))
		if p.dropped {
			notes = append(notes, fmt.Sprintf("trigger %s missed more than %d ticks: the oldest are left out", p.name, maxMissed))
		}
	}
	st.Note = joinNotes(nil, notes...)
	return st
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
