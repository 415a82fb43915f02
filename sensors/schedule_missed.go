package sensors

import (
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// maxMissed is how many ticks of a trigger are made up for; the oldest are left
// out.
const maxMissed = 1000

// makesUp tells whether ticks that fall due while nobody can run them come later.
func (p *plan) makesUp() bool { return p.rule.Missed != agent.MissedSkip }

// keep offers the ticks of a plan that makes up for missed ones. They are counted
// by the wall clock, from the last one that has an outcome: whatever lies between,
// be it a restart, a crash, sleep or an agent that does not keep up.
func (s *Schedule) keep(p *plan, now moment, offer agent.Offer) time.Duration {
	if !p.known {
		if err := s.resume(p, now, offer); err != nil {
			s.setFault(p, err)
			return askTrust
		}
		s.setFault(p, nil)
	}
	s.collect(p, now)
	p.held = false
	for len(p.backlog) > 0 {
		due := p.backlog[0]
		if wait := now.until(due.Add(p.jitter(s.device, due))); wait > 0 {
			return min(wait, maxWait)
		}
		if !p.pos.offer(s.stamped(p, now, due), p.markOf(due)) {
			p.held = true
			return maxWait // room wakes us
		}
		p.backlog = p.backlog[1:]
	}
	if p.coming.IsZero() {
		return maxWait
	}
	return now.until(p.coming.Add(p.jitter(s.device, p.coming)))
}

// resume finds where the plan goes on.
func (s *Schedule) resume(p *plan, now moment, offer agent.Offer) error {
	if p.pos == nil {
		pos, err := openPosition(agent.ViaSchedule+"/"+p.name, s.opts.Notes, offer)
		if err != nil {
			return err
		}
		pos.room = s.changed
		s.mu.Lock()
		p.pos = pos
		s.mu.Unlock()
	}
	begun := now.atWall(p.born)
	var ok bool
	if p.last, ok = p.parseMark(p.pos.mark()); !ok {
		p.last = begun
		if err := p.pos.start(p.markOf(begun)); err != nil {
			return err
		}
	}
	p.known = true
	if p.ran { // by the other clock, since it came
		s.add(p, begun)
		p.last = p.last.Add(max(0, now.wall.Sub(p.last)) / p.rule.Every * p.rule.Every)
	}
	p.coming = p.next(p.last)
	return nil
}

// collect puts what has fallen due into the backlog.
func (s *Schedule) collect(p *plan, now moment) {
	back := maxWait
	if p.rule.Every > 0 {
		back = p.rule.Every / 2
	}
	if now.wall.Before(p.last.Add(-back)) {
		p.last = now.wall // the clock was set back
		p.coming = p.next(p.last)
	}
	if !p.coming.IsZero() && !now.wall.Before(p.coming) {
		s.add(p, now.wall)
		p.coming = p.next(p.last)
	}
}

// add puts what fell due since the last tick, and until the given time, into the
// backlog.
func (s *Schedule) add(p *plan, until time.Time) {
	ticks, more := p.between(p.last, until)
	if len(ticks) == 0 {
		return
	}
	p.last = ticks[len(ticks)-1]
	p.backlog = append(p.backlog, ticks...)
	if p.rule.Missed == agent.MissedOnce {
		p.backlog = p.backlog[len(p.backlog)-1:]
		return
	}
	if surplus := len(p.backlog) - maxMissed; surplus > 0 {
		p.backlog = p.backlog[surplus:]
		more = true
	}
	if more {
		s.log.Warn("more ticks were missed than are made up for; the oldest are left out", "trigger", p.name, "most", maxMissed)
		s.mu.Lock()
		p.dropped = true
		s.mu.Unlock()
	}
}

// between is the last maxMissed due times after one time and not after another;
// more tells that there were more.
func (p *plan) between(after, until time.Time) (ticks []time.Time, more bool) {
	if every := p.rule.Every; every > 0 {
		if n := until.Sub(after) / every; n > maxMissed {
			after, more = after.Add((n-maxMissed)*every), true
		}
		return p.walk(after, until), more
	}
	for span := time.Hour; ; span *= 2 { // most of a year need not be walked through
		from := until.Add(-span)
		if !from.After(after) {
			ticks = p.walk(after, until)
			break
		}
		if ticks = p.walk(from, until); len(ticks) > maxMissed {
			break
		}
	}
	surplus := max(0, len(ticks)-maxMissed)
	return ticks[surplus:], surplus > 0
}

func (p *plan) walk(after, until time.Time) (ticks []time.Time) {
	for t := p.next(after); !t.IsZero() && !t.After(until); t = p.next(t) {
		ticks = append(ticks, t)
	}
	return ticks
}

// end has a plan that is not followed any more offer nothing again. If its
// trigger is gone, the next one of that name begins anew.
func (p *plan) end(notes Notes) error {
	if p.pos != nil {
		p.pos.stop()
	}
	if !p.over || !p.makesUp() || notes == nil {
		return nil
	}
	return forgetPosition(agent.ViaSchedule+"/"+p.name, notes)
}

// markOf says how far a plan has come, and by which rule: another one has not
// missed anything.
func (p *plan) markOf(due time.Time) string {
	return due.UTC().Format(time.RFC3339Nano) + " " + p.ruleText()
}

func (p *plan) parseMark(mark string) (last time.Time, ok bool) {
	text, rule, _ := strings.Cut(mark, " ")
	last, err := time.Parse(time.RFC3339Nano, text)
	return last.Local(), err == nil && rule == p.ruleText()
}

func (p *plan) ruleText() string {
	if p.rule.Every > 0 {
		return fmt.Sprint("every ", p.rule.Every)
	}
	return strings.TrimSpace(p.rule.Cron + " " + p.rule.TimeZone)
}

func (s *Schedule) setFault(p *plan, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.fault = err
}
