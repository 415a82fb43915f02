package agent

import (
	"slices"
	"strings"
	"time"
)

// Digest names bytes by their SHA-256: "sha256:" and 64 hex digits.
type Digest string

// Short is the first 12 hex digits, for people and derived ids.
func (d Digest) Short() string {
	hex := strings.TrimPrefix(string(d), "sha256:")
	return hex[:min(12, len(hex))]
}

// Function is a module with its limits, permissions and environment.
type Function struct {
	Name        string // "app/function"
	Digest      Digest // of the module's bytes
	Size        int64  // of the module, bytes
	Env         map[string]string
	Secrets     []string // names this function may read; values are given on the device
	Limits      Limits
	Permissions Permissions
	Isolation   Isolation
	KeepWarm    bool          // never close idle instances
	IdleAfter   time.Duration // an instance unused for so long is closed; 0 means 5 min
}

// Isolation says what an instance keeps between two runs.
type Isolation uint8

const (
	// IsolationWarm leaves memory as the last run left it: fastest.
	IsolationWarm Isolation = iota
	// IsolationFresh gives every run the state of the initialised instance.
	IsolationFresh
)

// App is the application that Function belongs to.
func (f *Function) App() string {
	app, _, _ := strings.Cut(f.Name, "/")
	return app
}

// Limits bound one function. Zero fields mean the defaults in DefaultLimits.
type Limits struct {
	Memory      int64         // linear memory per instance, bytes
	Timeout     time.Duration // per invocation
	Concurrency int           // workers, each with an instance of its own
	Queue       int           // events waiting in memory, per worker
	Inbox       int64         // bytes waiting on disk, per function
	State       int64         // bytes of its state, and of its app's for what it may add there
	Output      int64         // bytes decided per invocation: result, publishes, follow-ups, state, logs
	Outputs     int           // publishes, follow-ups and emitted events per invocation
	Fuel        int64         // units of work per invocation, see wasm/README.md; 0: as much as Timeout allows
	Calls       int           // host calls per invocation
}

// DefaultLimits are the limits of a function that states none.
var DefaultLimits = Limits{
	Memory:      16 << 20,
	Timeout:     time.Second,
	Concurrency: 1,
	Queue:       256,
	Inbox:       32 << 20,
	State:       4 << 20,
	Output:      1 << 20,
	Outputs:     64,
	Calls:       10_000,
}

// Permissions are what a function was granted; what is absent is denied.
type Permissions struct {
	Publish []string // MQTT topic filters it may publish to
	Invoke  []string // "central/<target>" for follow-ups, "local/<function>" for emitted events
	HTTP    []string // what it may reach by http, see HTTPGrant
}

// MayPublish tells whether topic is within the granted filters.
func (p *Permissions) MayPublish(topic string) bool {
	return slices.ContainsFunc(p.Publish, func(filter string) bool { return MatchTopic(filter, topic) })
}

// MayInvoke tells whether name ("central/…" or "local/…") was granted.
func (p *Permissions) MayInvoke(name string) bool { return slices.Contains(p.Invoke, name) }

// Trigger is a rule that starts a Function: source, filter, condition.
type Trigger struct {
	Name           string // "app/trigger"
	Function       string // "app/function"
	Via            string // name of the Source: a broker of this device, or ViaSchedule
	Filter         string // MQTT topic filter without any $share prefix; for a schedule the trigger's own name
	Share          string // MQTT shared subscription group; "" for none
	QoS            uint8  // to subscribe with: 0 or 1
	IgnoreRetained bool
	Schedule       Schedule
	When           string // condition over the event; "" matches all
	Dedupe         Dedupe
	Unordered      bool // events of one topic need not run in order: none waits for another
	Durability     Durability
	Within         time.Duration // of DurabilityInterval
	Retry          Retry
	Then           []Then
}

// ViaSchedule is the Via of triggers and events of the schedule source.
const ViaSchedule = "schedule"

// Schedule is a time rule: exactly one of Every and Cron is set.
type Schedule struct {
	Every    time.Duration
	Cron     string // five fields, as in crontab(5), or "@daily" and its like
	TimeZone string // IANA name; "" is the device's local time
}

// Durability says when the outcome of a run counts as kept.
type Durability uint8

const (
	// DurabilityDefault is DurabilitySync for events of QoS 1 and schedules,
	// DurabilityNone for events of QoS 0.
	DurabilityDefault Durability = iota
	// DurabilitySync keeps the outcome on disk before anything leaves.
	DurabilitySync
	// DurabilityInterval keeps the outcome on disk at most Trigger.Within after
	// it counts. A crash loses what came in the last of these intervals.
	DurabilityInterval
	// DurabilityNone lets publishes leave at once, past the store; the rest
	// reaches the disk with the next synced group, or within 100 ms. A crash in
	// between loses it.
	DurabilityNone
)

// Retry says what happens to an event whose run failed.
type Retry struct {
	MaxAttempts int           // runs before the event is dead-lettered; 0 means 5
	Backoff     time.Duration // before the second run, doubled after each, at most 5 min; 0 means 1 s
	DeadLetter  string        // MQTT topic that is told of each dead letter; "" for none
}

// Then sends a function's result onwards without the function's doing.
type Then struct {
	Publish string // MQTT topic; or
	Invoke  string // "central/<target>" or "local/<function>"
	On      On
}

// On says after which outcomes a Then applies.
type On uint8

const (
	OnOutput On = iota // a committed run that set a result
	OnError            // a dead-lettered event; data is {"error","event","function","topic","data"}
	OnAlways           // both
)

// Deployment is this gateway's share of what the fleet runs.
type Deployment struct {
	Generation uint64
	Apps       []AppVersion
	Functions  []Function
	Triggers   []Trigger
}

// AppVersion names one deployed application.
type AppVersion struct{ Name, Version string }
