package sensors

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// plan is one trigger's schedule with what is due next. Only Run uses it, but
// for what Schedule.mu guards.
type plan struct {
	name  string
	rule  agent.Schedule
	next  func(time.Time) time.Time
	born  time.Time // with the monotonic reading
	wake  time.Time // when it is to be looked at, at the latest; with the monotonic reading
	held  bool      // it waits for room, and may be looked at before
	blind bool      // it waits for a clock that can be gone by
	over  bool      // the trigger is gone, not just changed; set before Run ends the plan

	due   time.Time // of every: with the monotonic reading; zero at first
	ran   bool      // of every: at least once
	since time.Time // of cron: wall clock when due was found

	// Of one that makes up for missed ticks, once the wall clock can be gone by:
	last    time.Time   // the latest due time that was found
	coming  time.Time   // the one after; zero: not within five years
	backlog []time.Time // due, and not offered yet
	known   bool        // last is

	pos     *position // written under Schedule.mu
	fault   error     // under Schedule.mu
	dropped bool      // under Schedule.mu
}

// every offers the ticks of a period, counted by time that really passes: while
// the machine sleeps there are none.
func (s *Schedule) every(p *plan, now moment, offer agent.Offer) time.Duration {
	if p.due.IsZero() {
		p.due = p.born.Add(p.rule.Every)
	}
	at := p.due.Add(p.jitter(s.device, p.due))
	if now.ran.Before(at) {
		return at.Sub(now.ran)
	}
	s.once(p, s.event(p, now, now.atWall(p.due)), offer)
	p.ran = true
	p.due = p.due.Add((now.ran.Sub(p.due)/p.rule.Every + 1) * p.rule.Every) // those that have gone by are left out
	return p.due.Add(p.jitter(s.device, p.due)).Sub(now.ran)
}

// cron offers the tick of a time of day. One that is more than a minute late is
// left out: the machine slept, or its clock was set.
func (s *Schedule) cron(p *plan, now moment, offer agent.Offer) time.Duration {
	if p.due.IsZero() || now.wall.Before(p.since.Add(-maxWait)) {
		// A clock that was set back by more than a little would have it wait until
		// the time of day it had seen before, which may be years away.
		p.due = p.next(now.wall)
	}
	p.since = now.wall
	if p.due.IsZero() {
		return maxWait // not within five years
	}
	late := now.wall.Sub(p.due.Add(p.jitter(s.device, p.due)))
	switch due := p.due; {
	case late > maxWait: // how many there were makes no difference
		p.due = p.next(latest(due, now.wall.Add(-maxWait-p.rule.Jitter)))
	case late >= 0:
		p.due = p.next(due)
		s.once(p, s.stamped(p, now, due), offer)
	}
	return now.until(p.due.Add(p.jitter(s.device, p.due)))
}

// jitter is how much later a tick comes. It depends on device, trigger and due
// time alone, so that a restart does not change it.
func (p *plan) jitter(device string, due time.Time) time.Duration {
	if p.rule.Jitter == 0 {
		return 0
	}
	h := hash(device+"/"+p.name, strconv.AppendInt(nil, due.UnixNano(), 10))
	return time.Duration(h>>1) % p.rule.Jitter
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// dueFormat gives due times, down to the millisecond where they are not whole
// seconds.
const dueFormat = "2006-01-02T15:04:05.999Z07:00"

func (s *Schedule) event(p *plan, now moment, due time.Time) *agent.Event {
	data, err := json.Marshal(map[string]string{"trigger": p.name, "due": due.Format(dueFormat), "clock": now.stamp()})
	if err != nil { // strings always encode
		data = []byte("{}")
	}
	return &agent.Event{
		Source: "/" + s.device + "/schedule", Type: typeSchedule, Subject: p.name, Time: now.wall,
		ContentType: "application/json", Data: data, Via: agent.ViaSchedule, QoS: 1,
	}
}

// stamped is an event whose id tells trigger and due time, so that whoever gets
// what came of it knows a tick that comes twice. Where the clock is not trusted
// two ticks may have the same due time: the agent gives them ids.
func (s *Schedule) stamped(p *plan, now moment, due time.Time) *agent.Event {
	ev := s.event(p, now, due)
	if now.trusted {
		ev.ID = s.device + "/schedule/" + p.name + "/" + due.UTC().Format(dueFormat)
	}
	return ev
}
