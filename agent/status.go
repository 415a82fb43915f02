package agent

import (
	"fmt"
	"strings"
	"time"
)

// Status is what `skerry status` shows, as JSON.
type Status struct {
	Device     string           `json:"device"`
	Version    string           `json:"version"`
	Started    time.Time        `json:"started"`
	Generation uint64           `json:"generation"`
	Apps       []string         `json:"apps"` // "name@version"
	Events     Counts           `json:"events"`
	Functions  []FunctionStatus `json:"functions"`
	Sources    []SourceStatus   `json:"sources"`
	Targets    []TargetStatus   `json:"targets"`
	Links      []LinkStatus     `json:"links,omitempty"`
	Sync       SyncStatus       `json:"sync"`
	Store      StoreStatus      `json:"store"`
	RSSBytes   int64            `json:"rss_bytes"`

	Page         string `json:"page,omitempty"`           // where browsers find the agent's page; "": nowhere
	PageReadOnly bool   `json:"page_read_only,omitempty"` // it may be looked at only
}

// Counts are totals since start.
type Counts struct {
	Events      int64 `json:"events"`       // offered by sources
	Bytes       int64 `json:"bytes"`        // of their data
	Filtered    int64 `json:"filtered"`     // matched no trigger, or its condition was false
	Duplicates  int64 `json:"duplicates"`   // recognised redeliveries
	Invocations int64 `json:"invocations"`  // runs, each attempt counted
	Failures    int64 `json:"failures"`     // runs that failed
	Dead        int64 `json:"dead"`         // events that were dead-lettered
	DeadEvicted int64 `json:"dead_evicted"` // dead letters dropped because the box was full
	Dropped     int64 `json:"dropped"`      // QoS 0 events for which there was no room
	Followups   int64 `json:"followups"`    // committed follow-ups
	Replaced    int64 `json:"replaced"`     // those that newer ones took the place of
	Publishes   int64 `json:"publishes"`    // committed publishes
	P50us       int64 `json:"p50_us"`       // from offer to durable outcome, of events that ran
	P99us       int64 `json:"p99_us"`

	Took Durations `json:"-"` // the same
}

// FunctionStatus is one function's share.
type FunctionStatus struct {
	Name            string           `json:"name"`
	Digest          Digest           `json:"digest"`
	Invocations     int64            `json:"invocations"`
	Failures        int64            `json:"failures"`
	Faults          map[string]int64 `json:"faults,omitempty"` // by FaultKind
	Dead            int64            `json:"dead"`
	Dropped         int64            `json:"dropped"`
	Conflicts       int64            `json:"conflicts"`        // runs repeated unseen because another worker changed what they had read
	ConditionErrors int64            `json:"condition_errors"` // expressions that could not be evaluated, such as a condition
	Gated           int64            `json:"gated"`            // events that what a trigger keeps in mind did not let through
	Late            int64            `json:"late"`             // events that came after their windows had closed
	AsideBytes      int64            `json:"aside_bytes"`      // what waits to be gathered counts so much in limits.inbox
	Queued          int              `json:"queued"`           // events waiting in memory
	Inbox           int              `json:"inbox"`            // events waiting on disk
	Retrying        int              `json:"retrying"`         // keys held back by a failed event
	P50us           int64            `json:"p50_us"`           // of a run
	P99us           int64            `json:"p99_us"`
	Workers         int              `json:"workers"`
	Warm            int              `json:"warm"`              // of them, those whose instance is kept for the next event
	Fuel            int64            `json:"fuel"`              // units of work, of all runs, with starts that each run has of its own
	MemoryBytes     int64            `json:"memory_bytes"`      // of an instance after a run, the most seen since the version of its app took over
	Denied          int64            `json:"denied"`            // calls refused because they were not granted
	Refused         []string         `json:"refused,omitempty"` // what they asked for and where to grant it: the last few, each once
	StateBytes      int64            `json:"state_bytes"`       // of limits.state
	Opened          int64            `json:"opened"`            // times it was stopped because it kept failing
	Breaker         *BreakerStatus   `json:"breaker,omitempty"`
	Release         ReleaseCounts    `json:"release"`             // since the version of its app took over
	Stateless       string           `json:"stateless,omitempty"` // it does not run yet, since the copy of its state is not there: why
	LastError       string           `json:"last_error,omitempty"`

	Took Durations `json:"-"` // runs
}

// SourceStatus is one source's state.
type SourceStatus struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"` // mqtt, broker, schedule
	Connected bool     `json:"connected"`
	Filters   []string `json:"filters,omitempty"`
	Inflight  int      `json:"inflight"`       // events not acknowledged yet
	Note      string   `json:"note,omitempty"` // what a person should know, such as the last error
}

// TargetStatus is one target's outbox.
type TargetStatus struct {
	Name      string    `json:"name"`
	Kind      string    `json:"kind"`
	Waiting   int       `json:"waiting"`
	Delivered int64     `json:"delivered"`
	FnErrors  int64     `json:"fn_errors"` // delivered, and the central function said that it failed
	Dead      int64     `json:"dead"`
	Retries   int64     `json:"retries"`
	BytesUp   int64     `json:"bytes_up"` // written to the wire
	RetryAt   time.Time `json:"retry_at,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	Notes     []string  `json:"notes,omitempty"` // what people should know although it works

	Link         string         `json:"link,omitempty"`        // that it goes over; "": not counted
	ByPriority   [10]int        `json:"by_priority,omitzero"`  // of Waiting
	WaitingBytes int64          `json:"waiting_bytes"`         // on disk, about
	Oldest       time.Time      `json:"oldest,omitzero"`       // time of the event of what has waited longest
	Drops        DropCounts     `json:"drops,omitzero"`        // what nobody got and nobody will
	Paused       bool           `json:"paused,omitempty"`      // by a person
	Breaker      *BreakerStatus `json:"breaker,omitempty"`     // nil: closed
	OverBudget   string         `json:"over_budget,omitempty"` // why its link or function may not send more now
}

// DropCounts are records that were given up without being sent, since the
// start, by cause.
type DropCounts struct {
	Expired    int64 `json:"expired"`     // their time was over
	Evicted    int64 `json:"evicted"`     // the disk was full
	Replaced   int64 `json:"replaced"`    // by newer ones with their key
	OverBudget int64 `json:"over_budget"` // and they were to be dropped then
	Dropped    int64 `json:"dropped"`     // by a person
	Refused    int64 `json:"refused"`     // telemetry that its target will never take
}

// SyncStatus is where the fleet's documents come from.
type SyncStatus struct {
	Registry string    `json:"registry"`
	Fleet    string    `json:"fleet,omitempty"`
	Revision int64     `json:"revision"`
	Checked  time.Time `json:"checked,omitzero"` // last answer from the registry
	Error    string    `json:"error,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"` // when an app that did not start is tried again
	Notes    []string  `json:"notes,omitempty"`   // what people should know although it works

	Apps []AppStatus `json:"apps,omitempty"` // assigned to this device

	Verified bool      `json:"verified"`         // the registry's last answer was signed by the fleet's keys, in force
	Root     int64     `json:"root,omitempty"`   // version of the fleet's root of keys in force
	Issued   time.Time `json:"issued,omitzero"`  // when the documents accepted last were signed
	Expires  time.Time `json:"expires,omitzero"` // their signatures, unless somebody publishes again
}

// AppStatus is one app that the fleet assigns to this device.
type AppStatus struct {
	Name      string    `json:"name"`
	Version   string    `json:"version,omitempty"`    // what runs; "" for none
	Wanted    string    `json:"wanted,omitempty"`     // what the fleet wants, if that is another
	State     string    `json:"state"`                // good, probation, failed (and runs on), held or quarantined
	Since     time.Time `json:"since,omitzero"`       // of State
	TakenBack bool      `json:"taken_back,omitempty"` // quarantined, since a person went back from it: it did not fail
	Previous  string    `json:"previous,omitempty"`   // the last version known to be good, during probation
	Reason    string    `json:"reason,omitempty"`     // why State is so, for people
	Until     time.Time `json:"until,omitzero"`       // when probation ends, or what is held back is tried again
	Progress  *Progress `json:"progress,omitempty"`   // of the probation that it is on
}

// Progress is how far a probation is.
type Progress struct {
	Left    int64   `json:"left_s"`            // seconds that the agent has to run yet
	Runs    int64   `json:"runs"`              // of the function that has run least
	MinRuns int64   `json:"min_runs"`          // of a function; of fewer no percentage is taken
	Errors  float64 `json:"error_percent"`     // of runs that failed, or of events that failed or wait behind one that did: the worst function's
	Limit   float64 `json:"max_error_percent"` // above it the app goes back
}

// StoreStatus is what is on disk.
type StoreStatus struct {
	JournalBytes int64  `json:"journal_bytes"`
	QuotaBytes   int64  `json:"quota_bytes"`
	Records      int    `json:"records"` // waiting in all queues, dead letters not among them
	Dead         int    `json:"dead"`    // in the dead-letter box
	Gaps         int64  `json:"gaps"`    // frames found damaged and skipped
	Syncs        int64  `json:"syncs"`
	Error        string `json:"error,omitempty"` // why commits fail now
}

// BytesText writes a number of bytes for people.
func BytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
}

// DurationText writes a length of time without what is zero of it: 24h, not 24h0m0s.
func DurationText(d time.Duration) string {
	text := d.String()
	if whole, ok := strings.CutSuffix(text, "m0s"); ok {
		text = whole + "m"
	}
	if whole, ok := strings.CutSuffix(text, "h0m"); ok {
		text = whole + "h"
	}
	return text
}

// CountText writes how many there are of something: 1 event, 2 events.
func CountText[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
