package agent

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Invocation is one run of a function: what it may see and, in its Effects,
// what it has decided so far. Every ABI reaches the agent through it, so that
// permissions and limits are checked in one place. It is used by one goroutine
// at a time and reused for the next run.
type Invocation struct {
	Event    *Event
	Trigger  string // "app/trigger"
	Attempt  int    // 1 for the first run of this event
	Function *Function
	Effects  Effects
	Usage    Usage

	trigger  *Trigger  // for what it captures; nil: nothing
	scopes   [2]string // of state: own and shared
	grown    [2]int64  // bytes by which this run lets them grow
	sized    Sized     // nil: it has no limit
	timed    timed     // nil: the wall clock
	view     View
	outside  Outside
	grants   []HTTPGrant
	requests int        // outbound, of this run
	told     []told     // secrets that its runs were given
	arena    []byte     // what Effects copied, one behind the other; when it is full there is a larger one
	index    writeIndex // of Effects.Writes
	listed   []int32    // of Effects.Writes, those of the last list
	large    int        // so many runs more may use what a large one needed
}

// Outside is what runs reach beyond the store. Nil fields offer nothing.
type Outside struct {
	Secrets func(name string) (value string, ok bool)
	Fetch   Fetcher
}

// Usage is what a run cost. The Module that runs it fills it in, but for Took and Denied.
type Usage struct {
	Took   time.Duration // set by the agent, for its Watcher
	Fuel   int64         // units of work, at most the limit if there is one
	Start  int64         // units to start the instance, if it is made anew for each run; no limit counts them
	Memory int64         // bytes of the instance's memory after the run
	Calls  int           // host calls
	Denied int           // calls refused because they were not granted
	// Refused is what they asked for, as text for people: the first few, each once.
	// Each ends with where to grant it.
	Refused []string
}

const (
	maxLogLines = 100 // per invocation
	maxLogLine  = 4 << 10
)

// NewInvocation prepares runs of fn. View is the committed (and pending) state
// under what a run writes itself.
func NewInvocation(fn *Function, view View, outside Outside) *Invocation {
	inv := &Invocation{Function: fn, view: view, outside: outside, scopes: stateScopes(fn)}
	inv.sized, _ = view.(Sized)
	inv.timed, _ = view.(timed)
	for _, text := range fn.Permissions.HTTP {
		if g, err := ParseHTTPGrant(text); err == nil { // checked when the app was published and accepted
			inv.grants = append(inv.grants, g)
		}
	}
	return inv
}

// Begin clears the effects of the last run and sets what the next one is about.
// The memory of the effects is used again, unless Detach was called. What is
// more than runs usually take is left to the next few, so that a function
// that fails with it again and again makes no garbage, and one large run does
// not hold it for ever.
func (inv *Invocation) Begin(ev *Event, trigger string, attempt int) {
	inv.Event, inv.Trigger, inv.Attempt = ev, trigger, attempt
	fx := &inv.Effects
	if len(fx.Writes) > keptEffects || fx.size > keptArena {
		inv.large = keptRuns
	}
	keep := inv.large > 0
	if keep {
		inv.large--
	}
	fx.Result, fx.Err, fx.Dropped, fx.size = nil, "", 0, 0
	fx.Writes, fx.Publishes, fx.Followups = reuse(fx.Writes, keep), reuse(fx.Publishes, keep), reuse(fx.Followups, keep)
	fx.Emits, fx.Logs, inv.listed = reuse(fx.Emits, keep), reuse(fx.Logs, keep), reuse(inv.listed, keep)
	if most := cap(inv.arena); most > largeArena || most > keptArena && !keep {
		inv.arena = nil
	}
	inv.index.forget(keep)
	inv.Usage, inv.requests, inv.arena = Usage{}, 0, inv.arena[:0]
	inv.grown = [2]int64{}
}

// What is kept from one run to the next, and for how many of them if it is more.
const (
	keptArena   = 64 << 10 // bytes
	largeArena  = 2 << 20  // bytes that are kept at most
	keptEffects = 256      // of a kind
	keptRuns    = 64
)

// reuse empties s for the next run. Its elements are cleared, or they would hold
// the memory that they point to.
func reuse[T any](s []T, keep bool) []T {
	if cap(s) > keptEffects && !keep {
		return nil
	}
	clear(s)
	return s[:0]
}

// Detach leaves what the run decided to the caller for good; the next run gets
// memory of its own.
func (inv *Invocation) Detach() *Effects {
	fx := &inv.Effects
	if fx.Result == nil && len(fx.Writes)+len(fx.Publishes)+len(fx.Followups)+len(fx.Emits) == 0 {
		return &Effects{}
	}
	taken := *fx
	*fx, inv.arena = Effects{}, nil
	inv.index.forget(false)
	return &taken
}

// keep copies b, never to nil. What is kept was charged before, which bounds the
// arena.
func (inv *Invocation) keep(b []byte) []byte {
	if cap(inv.arena)-len(inv.arena) < max(len(b), 1) {
		inv.arena = make([]byte, 0, max(64, 2*cap(inv.arena), len(b)))
	}
	n := len(inv.arena)
	inv.arena = append(inv.arena, b...)
	return inv.arena[n:len(inv.arena):len(inv.arena)]
}

const maxRefused = 8

// deny refuses a call; where is the part of the manifest that could grant it. What is
// masked by the caller, before it is quoted and cut.
func (inv *Invocation) deny(what, where string) error {
	where = "; add it to " + where + " of the function"
	inv.Usage.refuse(what + where)
	return fmt.Errorf("%s: %w%s", what, ErrDenied, where)
}

// refuse counts a refused call; text says what it asked for, and where to grant it.
func (u *Usage) refuse(text string) {
	u.Denied++
	if len(u.Refused) < maxRefused && !slices.Contains(u.Refused, text) {
		u.Refused = append(u.Refused, text)
	}
}

// Publish sends data to topic once the run has committed. Data is copied. "{name}"
// in topic is what the trigger captured from the topic of the event.
func (inv *Invocation) Publish(topic string, data []byte, qos uint8, retain bool) error {
	topic, err := expand(topic, inv.trigger, inv.Event.Subject)
	if err != nil {
		return err
	}
	_, _, err = SplitBroker(topic)
	if err != nil || CheckTopic(topic) != nil || qos > 2 {
		return fmt.Errorf("publish to %.80q with QoS %d: %w", topic, qos, ErrInvalid)
	}
	if !inv.Function.Permissions.MayPublish(topic) {
		return inv.deny(fmt.Sprintf("publish to %q", inv.mask(topic)), "permissions.publish")
	}
	if err := inv.charge(len(topic)+len(data), true); err != nil {
		return err
	}
	inv.Effects.Publishes = append(inv.Effects.Publishes,
		Publish{Topic: topic, Data: inv.keep(data), QoS: qos, Retain: retain})
	return nil
}

// Followup asks the central FaaS bound to target to do something, once the run
// has committed. Data is copied.
func (inv *Invocation) Followup(target, contentType string, data []byte) error {
	if !inv.Function.Permissions.MayInvoke("central/", target) {
		return inv.deny("follow-up to central/"+clip(inv.mask(target)), "permissions.invoke")
	}
	if err := inv.charge(len(contentType)+len(data), true); err != nil {
		return err
	}
	inv.Effects.Followups = append(inv.Effects.Followups,
		Followup{Target: target, ContentType: contentType, Data: inv.keep(data)})
	return nil
}

// Emit gives another function of the same app an event, once the run has
// committed. Data is copied.
func (inv *Invocation) Emit(function string, data []byte) error {
	if !inv.Function.Permissions.MayInvoke("local/", function) {
		return inv.deny("emit to local/"+clip(inv.mask(function)), "permissions.invoke")
	}
	if err := inv.charge(len(data), true); err != nil {
		return err
	}
	inv.Effects.Emits = append(inv.Effects.Emits,
		Emit{Function: inv.Function.App() + "/" + function, Data: inv.keep(data)})
	return nil
}

// SetResult keeps the function's result, replacing an earlier one. Data is copied.
func (inv *Invocation) SetResult(data []byte) error {
	if err := inv.charge(len(data), false); err != nil {
		return err
	}
	inv.Effects.Result = inv.keep(data)
	return nil
}

// SetError keeps the function's own words about why it fails.
func (inv *Invocation) SetError(text string) { inv.Effects.Err = clip(inv.mask(text)) }

// Log keeps one log line; lines beyond the limit are counted and dropped.
func (inv *Invocation) Log(level slog.Level, text string) {
	fx := &inv.Effects
	if len(fx.Logs) >= maxLogLines || inv.charge(len(text), false) != nil {
		fx.Dropped++
		return
	}
	fx.Logs = append(fx.Logs, LogLine{Level: level, Text: clip(inv.mask(text))})
}

// Config returns the value of key in the function's environment.
func (inv *Invocation) Config(key string) (string, bool) {
	v, ok := inv.Function.Env[key]
	return v, ok
}

// Secret returns the value of a secret that the function names in its manifest.
func (inv *Invocation) Secret(name string) (string, error) {
	if !slices.Contains(inv.Function.Secrets, name) {
		return "", inv.deny(fmt.Sprintf("secret %.80q", name), "secrets")
	}
	if inv.outside.Secrets != nil {
		if v, ok := inv.outside.Secrets(name); ok {
			inv.tell(name, v)
			return v, nil
		}
	}
	return "", fmt.Errorf("secret %q: %w", name, ErrNotFound)
}

// charge counts n bytes of output, and one output if it leaves the run. What is
// refused is not counted, so that less may still be decided.
func (inv *Invocation) charge(n int, output bool) error {
	fx, lim := &inv.Effects, &inv.Function.Limits
	size := fx.size + int64(n)
	if size > lim.Output {
		return fmt.Errorf("%d bytes of output, at most %d: %w; raise limits.output of the function", size, lim.Output, ErrLimit)
	}
	if output && len(fx.Publishes)+len(fx.Followups)+len(fx.Emits) >= lim.Outputs {
		return fmt.Errorf("more than %d publishes, follow-ups and emitted events in one run: %w; raise limits.outputs of the function", lim.Outputs, ErrLimit)
	}
	fx.size = size
	return nil
}

func clip(s string) string {
	if len(s) > maxLogLine {
		s = s[:maxLogLine]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
