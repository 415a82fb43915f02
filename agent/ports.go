package agent

import (
	"context"
	"errors"
)

// Offer hands an event to the agent. It never waits for a commit. The agent
// calls done exactly once, from any goroutine: done(nil) means the outcome is
// durable and the event may be acknowledged; done(err) means nothing was kept,
// and the source should offer the event again later. A nil done says that
// nobody waits (QoS 0).
type Offer func(ev *Event, done func(error))

// Source turns what happens around the gateway into events.
type Source interface {
	// Run delivers events until ctx ends; it returns nil then.
	Run(ctx context.Context, offer Offer) error
	// Follow tells the source which triggers there are now. It returns at
	// once; a source takes the triggers whose Via is its own name.
	Follow(triggers []Trigger)
}

// Loader prepares a function for running. Each call gives an instance of its own.
type Loader interface {
	Load(ctx context.Context, fn Function) (Module, error)
}

// Module runs one function, one invocation at a time.
//
// Invoke returns nil to commit what inv collected; an error wrapping ErrReject
// sends the event to the dead-letter box at once, any other error is a failed
// attempt. A Module stays usable after a failed Invoke.
type Module interface {
	Invoke(ctx context.Context, inv *Invocation) error
	Close(ctx context.Context) error
}

// Store keeps everything durable.
type Store interface {
	// Commit makes f durable as a whole (unless f.Lazy, then soon) and visible
	// to reads, and sets the Seq of each added record. On error nothing of f is
	// kept. ErrFull means that the quota or the disk is full.
	Commit(ctx context.Context, f *Frame) error
	// Read is Get with when the value expires, as it was written.
	Read(scope, key string) (Write, error)
	View
	Queues
}

// View reads committed state. Values must not be changed by the caller.
type View interface {
	// Get returns the value of key in scope, nil if there is none.
	Get(scope, key string) ([]byte, error)
	// Keys returns at most limit keys in scope that start with prefix, sorted.
	Keys(scope, prefix string, limit int) ([]string, error)
}

// Queues reads committed records.
type Queues interface {
	// Pending lists what waits in queue, oldest first.
	Pending(queue string) []Stub
	// Queues names the queues in which something waits.
	Queues() []string
	// Has tells whether a record waits.
	Has(seq uint64) bool
	// Record reads one waiting record; ErrNotFound if it is gone.
	Record(seq uint64) (Record, error)
}

// Language compiles what triggers say in expressions and templates. Captures are
// the names of the trigger's captures, which they may use. Errors are a sentence
// that says what is wrong, and where in the text.
type Language interface {
	// Condition takes a condition apart: when all of it holds that stateless and
	// stateful say, it holds. Stateful looks at Terms.State. Either may be nil.
	Condition(text string, captures []string) (stateless, stateful Predicate, err error)
	// Value compiles an expression that yields a value of JSON.
	Value(text string, captures []string) (Value, error)
	// Template compiles what a Then sends.
	Template(text string, captures []string) (Template, error)
}

// Terms is what expressions look at.
type Terms struct {
	Event   *Event
	Trigger *Trigger                         // whose captures they use
	State   func(key string) ([]byte, error) // of the function, nil if there is no such key; for what is stateful
	Result  []byte                           // of the function; for templates
}

// Predicate is a compiled condition, or a part of one. It may be used by many
// goroutines.
type Predicate interface {
	// Match reports whether the event passes. An error counts as no match.
	Match(t Terms) (bool, error)
}

// Value is a compiled expression. It may be used by many goroutines.
type Value interface {
	// Value yields what encoding/json would decode into any: nil, bool, float64
	// (or int), string, []any, map[string]any.
	Value(t Terms) (any, error)
}

// Template is compiled. It may be used by many goroutines.
type Template interface {
	// Render yields JSON, or a text if the template is one.
	Render(t Terms) ([]byte, error)
}

var (
	// ErrReject says the event can never be processed: dead-letter it now.
	ErrReject = errors.New("rejected by function")
	// ErrRetry says that the function asks to be run again later.
	ErrRetry = errors.New("function asks for a retry")
	// ErrFull reports that a quota or the disk is full; nothing was kept.
	ErrFull = errors.New("store full")
	// ErrDeliveredAgain tells a source that the same event came again since, on
	// another connection, and that this one need not be offered any more.
	ErrDeliveredAgain = errors.New("the event was delivered again since")
	// ErrNotFound reports a record or key that is not there.
	ErrNotFound = errors.New("not found")
	// ErrDenied reports something the function was not granted.
	ErrDenied = errors.New("not granted")
	// ErrLimit reports that the function reached one of its limits.
	ErrLimit = errors.New("limit reached")
	// ErrInvalid reports an argument that makes no sense, such as a wildcard in a topic to publish to.
	ErrInvalid = errors.New("invalid argument")
)

// FaultKind classifies why a run failed, for counters and dead letters.
type FaultKind string

const (
	FaultTimeout FaultKind = "timeout" // ran longer than Limits.Timeout
	FaultTrap    FaultKind = "trap"    // WebAssembly trap
	FaultMemory  FaultKind = "memory"  // could not have the memory it asked for
	FaultError   FaultKind = "error"   // the function itself reported failure
	FaultFuel    FaultKind = "fuel"    // used more than Limits.Fuel
	FaultLimit   FaultKind = "limit"   // more host calls or output than its limits allow
	FaultDeath   FaultKind = "death"   // the agent died twice while it ran
)

// Fault is a failed run with its cause.
type Fault struct {
	Kind FaultKind
	Err  error
}

func (f *Fault) Error() string { return string(f.Kind) + ": " + f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }
