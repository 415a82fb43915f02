package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Why implements admin.Uplink.
func (c control) Why(target string, id uint64) ([]string, error) {
	if target == "" {
		return c.whyAll()
	}
	if err := c.known(target); err != nil {
		return nil, err
	}
	if id != 0 {
		return c.whyRecord(target, id)
	}
	text, err := c.whyTarget(target)
	return append(text, c.whyDisk()...), err
}

func (c control) whyAll() (all []string, err error) {
	targets := c.targetStatus()
	for _, t := range targets {
		text, err := c.whyTarget(t.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, text...)
	}
	if len(targets) == 0 {
		all = append(all, "No target is configured, and nothing waits for one.")
	}
	return append(all, c.whyDisk()...), nil
}

// whyTarget says what becomes of what waits for a target, and what became of
// what does not wait any more.
func (c control) whyTarget(target string) (text []string, err error) {
	var s agent.TargetStatus
	for _, t := range c.targetStatus() {
		if t.Name == target {
			s = t
		}
	}
	if o := c.outbox(target); o != nil {
		text, err = o.Why(0)
	} else {
		text = []string{fmt.Sprintf("%d records wait for %s, which is not in the configuration any more: they go when it is there again (under targets); skerry uplink drop %s --all removes them. When there is no room for all that waits, they go first among equals.",
			s.Waiting, target, target)}
	}
	if m := c.meter(s.Link); m != nil && s.OverBudget != "" {
		text = append(text, whyLink(m.Status(), time.Now()))
	}
	return append(text, c.whyGone(&s)...), err
}

// whyLink says what a link has carried, until when that counts, and what to change.
func whyLink(l agent.LinkStatus, now time.Time) string {
	text := fmt.Sprintf("Link %s has carried", l.Name)
	joint := " "
	y, m, d := now.Date()
	for _, b := range []struct {
		name  string
		of    agent.Account
		until time.Time
	}{
		{"day", l.Day, time.Date(y, m, d+1, 0, 0, 0, 0, now.Location())},
		{"month", l.Month, time.Date(y, m+1, 1, 0, 0, 0, 0, now.Location())},
	} {
		if b.of.Limit > 0 {
			text += fmt.Sprintf("%s%s of %s this %s", joint, agent.BytesText(b.of.Used), agent.BytesText(b.of.Limit), b.name)
			if l.Note == "" { // else nobody can tell
				text += fmt.Sprintf(" (the next begins in %s)", b.until.Sub(now).Round(time.Second))
			}
			joint = " and "
		}
	}
	if joint == " " {
		return fmt.Sprintf("Link %s has no budget but that of functions (limits.uplink, in the app).", l.Name)
	}
	if l.Note != "" {
		text += "; " + l.Note
	}
	text += ". To send more before, raise that in the configuration (links) and restart the agent, or limits.uplink in the app if that is what is used up"
	if l.Reserve > 0 {
		text += fmt.Sprintf("; what has priority 8 or 9 may use the last %s", agent.BytesText(l.Reserve))
	}
	return text + "."
}

// whyGone says what became of records that were never sent, and what to change.
func (c control) whyGone(s *agent.TargetStatus) (text []string) {
	for _, gone := range []struct {
		n   int64
		why string
	}{
		{s.Drops.Expired, "expired before they could go: a longer ttl, in the app, keeps them"},
		{s.Drops.Evicted, fmt.Sprintf("had to make room on the disk, of which uplink.disk gives %s to what waits: raise it, or give what is less important a ttl or keepLatest, in the app", agent.BytesText(int64(c.cfg.Uplink.Disk)))},
		{s.Drops.OverBudget, "were over the budget and have over: drop, in the app: raise the budget, or let them wait"},
		{s.Drops.Replaced, "were replaced by newer ones with their key, as keepLatest in the app asks"},
		{s.Drops.Dropped, "were dropped by skerry uplink drop"},
		{s.Drops.Refused, "were telemetry that the far side refused for good: the log says why"},
		{s.Dead, "were refused by the far side for good: skerry deadletter list shows them and why"},
	} {
		if gone.n == 1 {
			gone.why = strings.NewReplacer("were ", "was ", "have over", "has over").Replace(gone.why)
		}
		if gone.n > 0 {
			text = append(text, fmt.Sprintf("Of what was for %s since the start, %d %s.", s.Name, gone.n, gone.why))
		}
	}
	return text
}

// whyRecord says where a record stands.
func (c control) whyRecord(target string, id uint64) ([]string, error) {
	r, err := c.kept.record(target, id)
	if err != nil {
		return nil, err
	}
	w := agent.NewWaiting(&r, c.clock)
	text := fmt.Sprintf("Record %d has priority %d and waits since %s", w.ID, w.Priority, timeText(w.Time))
	if r.Function != "" {
		text += "; it is from " + r.Function
	}
	if w.Expires {
		text += "; it expires " + leftText(&w)
	}
	all := []string{text + "."}
	o := c.outbox(target)
	if o == nil {
		more, err := c.whyTarget(target)
		return append(all, more...), err
	}
	more, err := o.Why(id)
	if errors.Is(err, agent.ErrNotFound) {
		return append(all, "It has just gone."), nil
	}
	return append(all, more...), err
}

// whyDisk says what the disk has to do with it, nothing if there is room.
func (c control) whyDisk() (text []string) {
	if s := c.store.Status(); s.Error != "" {
		text = append(text, fmt.Sprintf("Nothing new is kept now: %s. Events wait with their sources, unacknowledged, and go on by themselves when there is room.", s.Error))
	}
	if note := c.keeper.Disk().Note; note != "" {
		text = append(text, "The disk: "+note+".")
	}
	return text
}
