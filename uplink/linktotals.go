package uplink

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// uplinkScope is the key space of links, "link/<name>".
const uplinkScope = "uplink"

// Totals are in the store at most so long, or so many bytes, after they grew.
const (
	saveAfter  = 4 * time.Second
	saveWithin = time.Second // of the lazy frame; with saveAfter 5 s
	saveBytes  = 32 << 10    // leaves as much for what comes until the frame is synced
	saveSoon   = 50 * time.Millisecond
)

// used is what counts against a limit.
type used struct {
	Bytes   int64 `json:"bytes"`
	Undated int64 `json:"undated,omitempty"` // of them, since the clock has not been known to be right
}

func (u *used) add(n int64, sure bool) {
	u.Bytes += n
	if !sure {
		u.Undated += n
	}
}

// next is what a new period begins with: what was used when nobody knew the
// time may have been used in it.
func (u used) next(sure bool) used {
	if sure {
		return used{Bytes: u.Undated}
	}
	return used{}
}

// period is a day or a month.
type period struct {
	Label    string    `json:"label"` // "2026-11-21" or "2026-11"
	Began    time.Time `json:"began"` // when it was found to have begun
	Sent     int64     `json:"sent"`
	Received int64     `json:"received"`
	Used     used      `json:"used"`
}

// totals are what a link has carried. They are kept as JSON.
type totals struct {
	Sent      int64           `json:"sent"` // ever
	Received  int64           `json:"received"`
	Day       period          `json:"day"`
	Yesterday period          `json:"yesterday"` // the day before that on which something went
	Month     period          `json:"month"`
	LastMonth period          `json:"last_month"`
	Functions map[string]used `json:"functions,omitempty"` // of Day
	Unsure    time.Time       `json:"unsure,omitzero"`     // since then the clock has not been known to be right
}

// add counts bytes that went.
func (t *totals) add(up, down int64, metered bool) {
	t.Sent += up
	t.Received += down
	for _, s := range []*period{&t.Day, &t.Month} {
		s.Sent += up
		s.Received += down
		if metered {
			s.Used.add(up+down, t.Unsure.IsZero())
		}
	}
}

// charge counts what a function took.
func (t *totals) charge(function string, n int64) {
	if t.Functions == nil {
		t.Functions = map[string]used{}
	}
	u := t.Functions[function]
	u.add(n, t.Unsure.IsZero())
	t.Functions[function] = u
}

// Without a clock that is known to be right a period begins when the agent has
// run so long: that much time has passed in truth as well, so that nobody gets
// a day's budget twice in a day.
const (
	unsureDay   = 24 * time.Hour
	unsureMonth = 31 * unsureDay
)

// turn begins new periods, and tells whether it did.
func (t *totals) turn(now time.Time, sure bool) (begun bool) {
	if !sure && t.Unsure.IsZero() {
		t.Unsure = now
	}
	if label := now.Format(time.DateOnly); t.Day.ended(label, now, sure, t.Unsure, unsureDay) {
		begun = true
		t.Yesterday, t.Day = t.Day, period{Label: label, Began: now, Used: t.Day.Used.next(sure)}
		for f, u := range t.Functions {
			if u = u.next(sure); u.Bytes > 0 {
				t.Functions[f] = u
			} else {
				delete(t.Functions, f)
			}
		}
	}
	if label := now.Format("2006-01"); t.Month.ended(label, now, sure, t.Unsure, unsureMonth) {
		begun = true
		t.LastMonth, t.Month = t.Month, period{Label: label, Began: now, Used: t.Month.Used.next(sure)}
	}
	if sure && !t.Unsure.IsZero() {
		t.Unsure = time.Time{}
		t.Day.Used.Undated, t.Month.Used.Undated = 0, 0
		for f, u := range t.Functions {
			t.Functions[f] = used{Bytes: u.Bytes}
		}
	}
	return begun
}

// ended tells whether a new period has begun. A clock that was put back, rightly,
// gives none: the period is called by its right name and goes on.
func (s *period) ended(label string, now time.Time, sure bool, unsure time.Time, length time.Duration) bool {
	switch {
	case s.Label == "":
		return true
	case label < s.Label && sure:
		s.Label = label
	case label <= s.Label:
	case sure:
		return true
	default:
		return now.Sub(later(s.Began, unsure)) >= length
	}
	return false
}

func (m *Meter) key() string { return "link/" + m.opts.Name }

// load reads the totals of an earlier start.
func (m *Meter) load() error {
	value, err := m.store.Get(uplinkScope, m.key())
	if err != nil {
		return fmt.Errorf("link %q: read its totals: %w", m.opts.Name, err)
	}
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(value, &m.totals); err != nil {
		m.totals = totals{}
		m.log.Error("the totals of a link cannot be read: its budget begins anew", "error", err)
	}
	return nil
}

// Run keeps the totals in the store until ctx ends; it returns nil then. A kill
// forgets at most 5 s of them, or 64 KiB.
func (m *Meter) Run(ctx context.Context) error {
	tick := time.NewTicker(saveAfter)
	defer tick.Stop()
	failing := false
	for {
		within := saveWithin
		select {
		case <-ctx.Done():
			m.look(true)
			m.keep(context.WithoutCancel(ctx), &failing, saveSoon)
			return nil
		case <-tick.C:
			m.look(true)
		case <-m.unsaved:
			within = saveSoon
		}
		m.keep(ctx, &failing, within)
	}
}

// keep saves the totals if they grew, and tells when that begins to fail.
func (m *Meter) keep(ctx context.Context, failing *bool, within time.Duration) {
	err := m.save(ctx, within)
	if err != nil && !*failing {
		m.log.Error("the totals of a link cannot be kept: a restart would forget what was sent since", "error", err)
	}
	*failing = err != nil
}

func (m *Meter) save(ctx context.Context, within time.Duration) error {
	m.mu.Lock()
	n := m.since
	if n == 0 {
		m.mu.Unlock()
		return nil
	}
	m.turn()
	value, err := json.Marshal(&m.totals)
	m.since = 0
	m.mu.Unlock()
	if err == nil {
		err = m.store.Commit(ctx, &agent.Frame{
			Writes: []agent.Write{{Scope: uplinkScope, Key: m.key(), Value: value}},
			Lazy:   true, Within: within,
		})
	}
	if err != nil {
		m.mu.Lock()
		m.since += n
		m.mu.Unlock()
	}
	return err
}
