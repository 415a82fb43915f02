package agent

import "time"

// Trigger is a rule that starts a Function: source, filter, condition.
type Trigger struct {
	Name           string // "app/trigger"
	Function       string // "app/function"
	Via            string // name of the Source: a broker or a source of this device, ViaSchedule, ViaHTTP or ViaInside
	Filter         string // topic filter over Event.Subject, without any $share prefix; for a schedule the trigger's own name
	Captures       []Capture
	Share          string // MQTT shared subscription group; "" for none
	QoS            uint8  // to subscribe with: 0 or 1
	IgnoreRetained bool
	Schedule       Schedule
	When           string // condition; "" matches all. What looks at state is asked in the key's worker
	Key            string // expression; "" is the topic. Events of a key run in order, and Gate and Gather are by key
	Dedupe         Dedupe
	Unordered      bool // events of one key need not run in order: none waits for another
	Gate           Gate
	Gather         Gather
	Durability     Durability
	Within         time.Duration // of DurabilityInterval
	Retry          Retry
	Then           []Then
}

// The Via of triggers and events of the sources that every device has. No
// broker and no source of a device's own has one of these names.
const (
	ViaSchedule = "schedule"
	ViaHTTP     = "http"
	ViaInside   = "inside" // what happens to the agent itself
)

// Capture names a level of the topic: "{line}" in "plant/{line}/temp" is a
// single-level wildcard in Filter, and what stood there may be used by name.
type Capture struct {
	Name  string
	Level int // of the topic, from 0
}

// Schedule is a time rule: exactly one of Every and Cron is set.
type Schedule struct {
	Every    time.Duration
	Cron     string // five fields, as in crontab(5), or "@daily" and its like
	TimeZone string // IANA name; "" is the device's local time
	Missed   Missed
	Jitter   time.Duration // each tick comes later by a random part of it, at most
}

// Missed says what becomes of ticks that fell due while nobody could run them.
type Missed uint8

const (
	MissedSkip Missed = iota // they are left out
	MissedOnce               // the last one is made up for
	MissedAll                // each is, oldest first
)

// Gate lets only some of a key's events through. What it compares with is what
// the last event let through had that was processed: it is kept in the same
// frame, under the trigger's name and the key. Zero fields let everything through.
type Gate struct {
	OnChange []string // expressions: one of their values has to differ from the last time
	Deadband Deadband
	Rate     Rate
}

// Deadband lets a number through that differs from the last one by at least By,
// or by at least Percent of that one; one of the two is set.
type Deadband struct {
	Of      string // expression that yields a number; "": no deadband
	By      float64
	Percent float64
}

// Rate lets at most Count events of a key through in any time of Per.
type Rate struct {
	Count int // 0: no limit
	Per   time.Duration
}

// Gather puts the events of a key aside, on disk, and runs the function once for
// many of them: the event it gets has the type TypeGathered and lists them (but
// for GatherDebounce: that lets the last one through as it is).
type Gather struct {
	Kind  GatherKind
	Count int           // GatherBatch: so many events end it; 0: any number
	Bytes int64         // GatherBatch: so many bytes of data end it; 0: any number
	Size  time.Duration // the length of a window or the wait of a batch; the pause that ends a session or a debounce
	Every time.Duration // GatherSliding: a window begins so often
	Most  time.Duration // GatherSession, GatherDebounce: the longest; 0: any

	Time     string        // windows: expression that yields an event's time, see docs/manifest.md; "": when it arrived
	Lateness time.Duration // windows: how late an event may come
	LateRuns bool          // windows: what comes later still runs alone, instead of being dropped
}

// GatherKind says what makes an end of what was put aside.
type GatherKind uint8

const (
	GatherNone GatherKind = iota
	GatherBatch
	GatherTumbling
	GatherSliding
	GatherSession
	GatherDebounce
)

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
	Publish string // MQTT topic, in which "{name}" is what was captured; or
	Invoke  string // "central/<target>" or "local/<function>"
	QoS     uint8  // of Publish
	Retain  bool   // of Publish
	Way     *Way   // of a follow-up; nil: as its function says
	Data    string // template of what to send; "" is the outcome itself
	On      On
}

// On says after which outcomes a Then applies.
type On uint8

const (
	OnOutput On = iota // a committed run that set a result
	OnError            // a dead-lettered event; data is {"error","event","function","topic","data"}
	OnAlways           // both
)
