package agent

import (
	"strings"
	"time"
)

// RecordKind tells what a Record is.
type RecordKind uint8

const (
	KindFollowup  RecordKind = iota + 1 // for a Target
	KindPublish                         // for a broker
	KindEvent                           // in a function's inbox
	KindDead                            // in the dead-letter box
	KindTelemetry                       // logs, metrics or traces of the agent, for a Target; Event.Data is what goes over the wire
)

// Queue names. Records wait in named queues, oldest first.
const (
	QueueDead = "dead"
)

// QueueTarget is where records of one priority, 0 to 9, wait for a Target.
// Latest ones, of which newer ones with their key take the place, wait apart,
// so that they are few and found again after a restart.
func QueueTarget(target string, priority uint8, latest bool) string {
	name := targetPrefix + target + "/" + string('0'+priority)
	if latest {
		name += latestSuffix
	}
	return name
}

const (
	targetPrefix = "target/"
	latestSuffix = "/latest"
)

// SplitTarget reads the name of a queue of QueueTarget; ok is false for any other.
func SplitTarget(queue string) (target string, priority uint8, latest, ok bool) {
	rest, ok := strings.CutPrefix(queue, targetPrefix)
	rest, latest = strings.CutSuffix(rest, latestSuffix)
	i := len(rest) - 2
	if !ok || i < 1 || rest[i] != '/' || rest[i+1] < '0' || rest[i+1] > '9' {
		return "", 0, false, false
	}
	return rest[:i], rest[i+1] - '0', latest, true
}

// QueueBroker is where publishes for a broker wait.
func QueueBroker(broker string) string { return "broker/" + broker }

// QueueInbox is where events for a function wait.
func QueueInbox(function string) string { return "inbox/" + function }

// Record is what the store keeps until somebody has it: a follow-up until the
// central FaaS does, a publish until the broker does, an event until its
// function ran, a dead letter until a person decided.
type Record struct {
	Seq       uint64 // position, given by the store; grows with every record
	Queue     string
	Kind      RecordKind
	Key       string    // records of one key keep their order
	Function  string    // that decided it, or that it waits for
	Trigger   string    // that started the function
	Priority  uint8     // 0 to 9, 9 first
	Expires   time.Time // by Clock.In, so only Clock.Past tells whether it is over; zero: never
	Attempts  int       // failed tries so far
	NotBefore time.Time // zero: at once
	Reason    string    // of a dead letter: what went wrong last
	Origin    string    // of a dead letter: the queue it came from
	Retain    bool      // of a publish
	Latest    bool      // it took the place of those of its Function that waited in its Queue with its Key
	Shed      bool      // what is over the budget of its link is dropped instead of waiting
	Ready     bool      // of an event: it is past the gate of its trigger, and gathered; the function is what is left
	Event     Event     // the follow-up as an event, the publish (Subject is its topic), or the event that waits
}

// Stub is a waiting Record without its body.
type Stub struct {
	Seq       uint64
	Size      int64 // bytes on disk
	Attempts  int
	NotBefore time.Time
}

// Frame is what one group of invocations, or one delivery, decided. It becomes
// durable as a whole or not at all.
type Frame struct {
	Writes []Write
	Add    []Record // Commit sets Seq of each
	Done   []uint64 // records that leave their queue
	Touch  []Touch
	Lazy   bool          // Commit returns before the sync: it comes with the next synced frame, or after Within
	Within time.Duration // of a Lazy frame: it is on disk at most so much later; 0 leaves that to the store (100 ms)
}

// Empty tells that there is nothing to commit.
func (f *Frame) Empty() bool {
	return len(f.Writes)+len(f.Add)+len(f.Done)+len(f.Touch) == 0
}

// Write is one change of a key. It is absolute: replaying it changes nothing.
type Write struct {
	Scope   string // key space: "state/app/function"
	Key     string
	Value   []byte    // nil deletes the key
	Expires time.Time // zero: never
}

// Touch records a failed try of a record that stays where it is.
type Touch struct {
	Seq       uint64
	Attempts  int
	NotBefore time.Time
}
