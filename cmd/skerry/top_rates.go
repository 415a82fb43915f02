package main

import (
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// topTable is what skerry top shows at one time. Rates are per second, over the
// time since the poll before.
type topTable struct {
	Time       time.Time `json:"time"`
	Over       float64   `json:"over_s"` // seconds that the rates are of; 0: there was no poll before
	Device     string    `json:"device"`
	Version    string    `json:"version"`
	Uptime     int64     `json:"uptime_s"`
	Apps       []string  `json:"apps"`
	Events     float64   `json:"events_per_s"`
	Runs       float64   `json:"runs_per_s"`
	Failures   float64   `json:"failures_per_s"`
	BytesUp    float64   `json:"bytes_up_per_s"`
	P50us      int64     `json:"p50_us"` // from offer to durable outcome
	P99us      int64     `json:"p99_us"`
	RSSBytes   int64     `json:"rss_bytes"`
	Journal    int64     `json:"journal_bytes"`
	Quota      int64     `json:"quota_bytes"`
	Records    int       `json:"records"` // that wait in all queues
	Dead       int       `json:"dead_letters"`
	Attention  []string  `json:"attention"` // sentences: what a person should look at
	Functions  []topRow  `json:"functions"`
	Sources    []topRow  `json:"sources"`
	Targets    []topRow  `json:"targets"`
	generation uint64
}

// topRow is a function, a source or a target; what it does not have is left out.
type topRow struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind,omitempty"`  // of a source or target
	State   string  `json:"state"`           // in a few words
	Note    string  `json:"note,omitempty"`  // why, or what to know
	Ill     bool    `json:"ill,omitempty"`   // State needs somebody
	Rate    float64 `json:"per_s"`           // runs, or deliveries
	Errors  float64 `json:"errors_per_s"`    // runs that failed, or tries
	Failed  int64   `json:"failed"`          // the same since the start
	Dead    int64   `json:"dead"`            // given up since the start
	P50us   int64   `json:"p50_us,omitzero"` // of a run
	P99us   int64   `json:"p99_us,omitzero"`
	Waiting int     `json:"waiting"`                // events or records; of a source those not acknowledged
	Memory  int64   `json:"memory_bytes,omitempty"` // of an instance, the most
	Fuel    int64   `json:"fuel_per_run,omitempty"`
	Up      float64 `json:"bytes_up_per_s,omitempty"`
}

// sample is one poll.
type sample struct {
	at time.Time
	agent.Status
}

// tableOf makes the table of two polls. The first may be zero: then the rates are 0.
func tableOf(before, now *sample) topTable {
	t := topTable{
		Time: now.at, Device: now.Device, Version: now.Version, Uptime: int64(now.at.Sub(now.Started).Seconds()), Apps: now.Apps,
		P50us: now.Status.Events.P50us, P99us: now.Status.Events.P99us, RSSBytes: now.RSSBytes,
		Journal: now.Store.JournalBytes, Quota: now.Store.QuotaBytes, Records: now.Store.Records, Dead: now.Store.Dead,
		Attention: attention(&now.Status), generation: now.Generation,
	}
	if !before.at.IsZero() {
		t.Over = now.at.Sub(before.at).Seconds()
		if now.Started.After(before.Started) { // another process counts from 0
			t.Over = min(t.Over, now.at.Sub(now.Started).Seconds())
			before = &sample{at: before.at}
		}
	}
	per := perSecond(t.Over)
	t.Events = per(before.Status.Events.Events, now.Status.Events.Events)
	t.Runs = per(before.Status.Events.Invocations, now.Status.Events.Invocations)
	t.Failures = per(before.Status.Events.Failures, now.Status.Events.Failures)
	t.Functions, t.Sources = functionRows(before, now, per), sourceRows(now)
	t.Targets = targetRows(before, now, per)
	for i := range t.Targets {
		t.BytesUp += t.Targets[i].Up
	}
	return t
}

// perSecond makes a rate of a counter's values. One that began anew counts from 0.
func perSecond(over float64) func(before, now int64) float64 {
	return func(before, now int64) float64 {
		if over <= 0 {
			return 0
		}
		if now < before {
			before = 0
		}
		return float64(now-before) / over
	}
}

func functionRows(before, now *sample, per func(int64, int64) float64) []topRow {
	was := map[string]*agent.FunctionStatus{}
	for i := range before.Functions {
		was[before.Functions[i].Name] = &before.Functions[i]
	}
	rows := make([]topRow, 0, len(now.Functions))
	for i := range now.Functions {
		f := &now.Functions[i]
		old := was[f.Name]
		if old == nil {
			old = &agent.FunctionStatus{}
		}
		r := topRow{
			Name: f.Name, Rate: per(old.Invocations, f.Invocations), Errors: per(old.Failures, f.Failures), Failed: f.Failures, Dead: f.Dead,
			P50us: f.P50us, P99us: f.P99us, Waiting: f.Queued + f.Inbox, Memory: f.MemoryBytes, Fuel: f.Fuel / max(f.Invocations, 1),
		}
		r.State, r.Note, r.Ill = functionState(f, now.Sync.Apps)
		rows = append(rows, r)
	}
	return rows
}

func sourceRows(now *sample) []topRow {
	rows := make([]topRow, 0, len(now.Sources))
	for i := range now.Sources {
		s := &now.Sources[i]
		rows = append(rows, topRow{Name: s.Name, Kind: s.Kind, State: up(s.Connected), Note: s.Note, Ill: !s.Connected, Waiting: s.Inflight})
	}
	return rows
}

func targetRows(before, now *sample, per func(int64, int64) float64) []topRow {
	was := map[string]*agent.TargetStatus{}
	for i := range before.Targets {
		was[before.Targets[i].Kind+"/"+before.Targets[i].Name] = &before.Targets[i]
	}
	rows := make([]topRow, 0, len(now.Targets))
	for i := range now.Targets {
		o := &now.Targets[i]
		old := was[o.Kind+"/"+o.Name]
		if old == nil {
			old = &agent.TargetStatus{}
		}
		r := topRow{
			Name: o.Name, Kind: o.Kind, State: targetState(o), Waiting: o.Waiting, Rate: per(old.Delivered, o.Delivered), Errors: per(old.Retries, o.Retries),
			Failed: o.Retries, Dead: o.Dead, Up: per(old.BytesUp, o.BytesUp), Ill: o.Breaker != nil || o.OverBudget != "" && o.Waiting > 0,
		}
		if notes := troubles(o); len(notes) > 0 {
			r.Note = notes[0]
		}
		rows = append(rows, r)
	}
	return rows
}
