package agent

import "log/slog"

// Effects are what one run decided. They take effect together or not at all.
type Effects struct {
	Result    []byte // nil if the function set none
	Err       string // the function's own words about its failure
	Writes    []Write
	Publishes []Publish
	Followups []Followup
	Emits     []Emit
	Logs      []LogLine
	Dropped   int // log lines beyond the limit

	size int64 // bytes decided so far
}

// Publish is a message for the broker that Topic names (see SplitBroker), else
// the one the event came from, or the device's first.
type Publish struct {
	Topic  string
	Data   []byte
	QoS    uint8 // 0, 1 or 2
	Retain bool
}

// Followup is what a function asks the central FaaS to do.
type Followup struct {
	Target      string
	ContentType string
	Data        []byte
	Way         *Way // nil: as its function says
}

// Emit is an event for another function of the same device.
type Emit struct {
	Function string // "app/function"
	Data     []byte
}

// LogLine is one line a function logged.
type LogLine struct {
	Level slog.Level
	Text  string
}
