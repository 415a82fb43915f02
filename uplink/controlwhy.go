package uplink

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Why says in sentences what happens to what waits: to the record with that
// Seq, or to all if id is 0. agent.ErrNotFound says that no such record waits.
func (o *Outbox) Why(id uint64) ([]string, error) {
	w := teller{o: o, now: time.Now()}
	if id == 0 {
		w.target()
		return w.said, nil
	}
	at, rec, err := find(o.queues, id)
	if err != nil {
		return nil, err
	}
	w.record(at, &rec)
	return w.said, nil
}

// teller collects sentences about an outbox.
type teller struct {
	o    *Outbox
	now  time.Time
	said []string
}

func (w *teller) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

// in is how long it is until t, for people.
func (w *teller) in(t time.Time) string {
	return max(t.Sub(w.now), 0).Round(time.Second).String()
}

func (w *teller) target() {
	s := w.o.Status()
	w.obstacles(&s)
	if s.Waiting == 0 {
		w.say("Nothing waits for %s.", s.Name)
		return
	}
	w.o.with(func() {
		p := w.o.pump
		if p == nil {
			w.say("Nothing is sent because the agent is starting or stopping.")
			return
		}
		for _, l := range p.levels {
			if p.o.queues.Len(l.at) > 0 {
				w.budget(l, "")
			}
		}
		w.keys(p)
		if p.flying > 0 {
			w.say("%d sends are under way.", p.flying)
		}
	})
	w.say("%s for %s%s.", records(s.Waiting, "waits", "wait"), s.Name, byPriority(&s))
}

// obstacles tells what keeps everything from going.
func (w *teller) obstacles(s *agent.TargetStatus) {
	if s.Paused {
		w.say("Target %s is paused: continue with skerry uplink resume %s.", s.Name, s.Name)
	}
	var since time.Duration
	var commitErr, readErr string
	w.o.with(func() {
		commitErr, readErr = w.o.note.commitErr, w.o.note.readErr
		if w.o.pump != nil {
			since = w.now.Sub(w.o.pump.breaker.since).Round(time.Second)
		}
	})
	switch now := s.Breaker; {
	case now == nil:
	case now.Failures == 0:
		w.say("Target %s asked for a pause (%s): it ends in %s, or now with skerry uplink retry %s.", s.Name, now.Cause, w.in(now.RetryAt), s.Name)
	case now.State == "open":
		w.say("Target %s has failed for %s, %s (%s): one record tries again in %s, or now with skerry uplink retry %s.",
			s.Name, since, inRow(now.Failures), now.Cause, w.in(now.RetryAt), s.Name)
	default:
		w.say("Target %s has failed for %s, %s (%s): one record is trying whether it works again.",
			s.Name, since, inRow(now.Failures), now.Cause)
	}
	if commitErr != "" {
		w.say("What was delivered cannot be noted on the disk, so nothing more is taken on: %s.", commitErr)
	}
	if readErr != "" {
		w.say("The disk fails: %s.", readErr)
	}
	if n, ok := w.o.to.(Noter); ok {
		w.said = append(w.said, n.Notes()...)
	}
}

// budget tells which holds of the link a level is under; function is one of
// them, or "" for each.
func (w *teller) budget(l *level, function string) {
	for name, h := range l.holds {
		switch {
		case !h.until.After(w.now) || function != "" && name != "" && name != function:
		case name == "":
			w.say("What has priority %d waits for its link, which is asked again in %s: %s.", l.priority, w.in(h.until), h.why)
		default:
			w.say("What %s sent with priority %d waits for its link, which is asked again in %s: %s.", name, l.priority, w.in(h.until), h.why)
		}
	}
}

// keys tells of records that hold back their keys.
func (w *teller) keys(p *pump) {
	var heads []uint64
	for _, l := range p.levels {
		for _, it := range l.waitingOf(func(it *item) bool { return it.tries > 0 && it.eligible(0) }) {
			heads = append(heads, it.rec.Seq)
		}
		for _, abs := range l.away.keys {
			heads = append(heads, abs.seq)
		}
	}
	if len(heads) == 0 || p.breaker.probing() {
		return
	}
	slices.Sort(heads)
	more := ""
	if n := len(heads) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	w.say("Record %d%s could not be sent and holds back what waits behind it with the same key: skerry uplink why %s %d tells more.",
		heads[0], more, p.o.opts.Name, heads[0])
}

func records(n int, one, many string) string {
	if n == 1 {
		return "1 record " + one
	}
	return fmt.Sprintf("%d records %s", n, many)
}

func byPriority(s *agent.TargetStatus) string {
	var parts []string
	for p, n := range slices.Backward(s.ByPriority[:]) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d of priority %d", n, p))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// record tells what happens to one record.
func (w *teller) record(at int, rec *agent.Record) {
	s := w.o.Status()
	said := false
	w.o.with(func() {
		if w.o.pump != nil {
			said = w.inMemory(w.o.pump, at, rec)
		}
	})
	if said {
		return
	}
	w.obstacles(&s)
	if rec.NotBefore.After(w.now) {
		w.say("It is not due for another %s.", w.in(rec.NotBefore))
	}
	ahead, older := 0, w.o.queues.Older(at, rec.Seq)
	priority := priorityOf(w.o.queues.Names()[at])
	for i, name := range w.o.queues.Names() {
		if priorityOf(name) > priority {
			ahead += w.o.queues.Len(i)
		}
	}
	switch {
	case ahead+older == 0 && len(w.said) == 0:
		w.say("It is the next to go.")
	case ahead+older == 0:
		w.say("It is the next to go then.")
	default:
		w.say("Before it come %d of higher priority and %d older ones of priority %d.", ahead, older, priority)
	}
}

// inMemory tells what a record that was read waits for; it returns true if that
// is all there is to say.
func (w *teller) inMemory(p *pump, at int, rec *agent.Record) (all bool) {
	i := slices.IndexFunc(p.levels, func(l *level) bool { return l.at == at })
	l := p.levels[i]
	w.budget(l, rec.Function)
	if abs, ok := l.away.keys[rec.Key]; ok && rec.Key != "" {
		w.behind(rec, abs.seq, abs.tries, "", abs.due)
		return false
	}
	if lane := l.lanes[rec.Key]; lane != nil && len(lane.waiting) > 0 {
		if head := lane.waiting[0]; head.rec.Seq < rec.Seq || head.tries > 0 {
			w.behind(rec, head.rec.Seq, head.tries, head.reason, head.notBefore)
		}
	}
	place, there := l.window.find(rec.Seq)
	if !there {
		return false
	}
	switch it := l.items[place]; {
	case it.waiting && it.lane == nil && it.tries > 0:
		w.say("It%s.", w.failed(it.tries, it.reason, it.notBefore))
	case it.waiting:
		return false
	case it.settled && it.outcome == Delivered:
		w.say("It has been delivered; that is being noted on the disk.")
	case it.settled:
		w.say("It has been given up; that is being noted on the disk.")
	default:
		w.say("It is being sent now.")
	}
	return !l.items[place].waiting
}

// behind tells of the record that holds back a key, which may be this one.
func (w *teller) behind(rec *agent.Record, head uint64, tries int, reason string, due time.Time) {
	failed := w.failed(tries, reason, due)
	if head == rec.Seq {
		w.say("It%s.", failed)
		return
	}
	if failed != "" {
		failed = " and" + failed
	}
	w.say("It waits behind record %d, which has the same key %q%s.", head, rec.Key, failed)
}

func (w *teller) failed(tries int, reason string, due time.Time) string {
	if tries == 0 {
		return ""
	}
	if reason != "" {
		reason = " (" + reason + ")"
	}
	return fmt.Sprintf(" could not be sent in %s%s and is tried again in %s", triesText(tries), reason, w.in(due))
}

func triesText(n int) string {
	if n == 1 {
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

// inRow is how often something failed, one after the other.
func inRow(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times in a row", n)
}
