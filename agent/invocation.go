package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

	scope    string
	view     View
	outside  Outside
	grants   []HTTPGrant
	requests int    // outbound, of this run
	arena    []byte // what Effects copied, one behind the other
}

// Outside is what runs reach beyond the store. Nil fields offer nothing.
type Outside struct {
	Secrets func(name string) (value string, ok bool)
	Fetch   Fetcher
}

// Usage is what a run cost. The Module that runs it fills it in, but for Denied.
type Usage struct {
	Fuel   int64 // units of work
	Memory int64 // bytes of the instance's memory after the run
	Calls  int   // host calls
	Denied int   // calls refused because they were not granted
	// Refused is what they asked for, as text for people: the first few, each once.
	Refused []string
}

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

// Publish is a message for the broker the event came from, or the device's first.
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

const (
	maxStateKey = 256 // bytes
	maxState    = 64 << 10
	maxLogLines = 100 // per invocation
	maxLogLine  = 4 << 10
)

// NewInvocation prepares runs of fn. View is the committed (and pending) state
// under what a run writes itself.
func NewInvocation(fn *Function, view View, outside Outside) *Invocation {
	inv := &Invocation{Function: fn, view: view, outside: outside, scope: stateScope(fn.Name)}
	for _, text := range fn.Permissions.HTTP {
		if g, err := ParseHTTPGrant(text); err == nil { // checked when the app was published and accepted
			inv.grants = append(inv.grants, g)
		}
	}
	return inv
}

func stateScope(function string) string { return "state/" + function }

// Begin clears the effects of the last run and sets what the next one is about.
// The memory of the effects is used again, unless Detach was called.
func (inv *Invocation) Begin(ev *Event, trigger string, attempt int) {
	inv.Event, inv.Trigger, inv.Attempt = ev, trigger, attempt
	fx := &inv.Effects
	*fx = Effects{
		Writes: fx.Writes[:0], Publishes: fx.Publishes[:0], Followups: fx.Followups[:0],
		Emits: fx.Emits[:0], Logs: fx.Logs[:0],
	}
	inv.Usage, inv.requests, inv.arena = Usage{}, 0, inv.arena[:0]
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
	return &taken
}

// keep copies b, never to nil.
func (inv *Invocation) keep(b []byte) []byte {
	if inv.arena == nil {
		inv.arena = make([]byte, 0, max(64, len(b)))
	}
	n := len(inv.arena)
	inv.arena = append(inv.arena, b...)
	return inv.arena[n:len(inv.arena):len(inv.arena)]
}

const maxRefused = 8

// deny counts a refused call.
func (inv *Invocation) deny(what string) error {
	u := &inv.Usage
	u.Denied++
	if len(u.Refused) < maxRefused && !slices.Contains(u.Refused, what) {
		u.Refused = append(u.Refused, what)
	}
	return fmt.Errorf("%s: %w", what, ErrDenied)
}

// Get returns the value of key in the function's state, as this run sees it.
func (inv *Invocation) Get(key string) (value []byte, ok bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, false, err
	}
	if w := inv.written(key); w != nil {
		return w.Value, w.Value != nil, nil
	}
	value, err = inv.view.Get(inv.scope, key)
	if err != nil {
		return nil, false, fmt.Errorf("read state %q: %w", key, err)
	}
	return value, value != nil, nil
}

func checkKey(key string) error {
	if key == "" || key[0] == '/' || len(key) > maxStateKey || !utf8.ValidString(key) {
		return fmt.Errorf("state key %.40q: %w", key, ErrInvalid)
	}
	return nil
}

// Set writes key. A ttl of 0 keeps it for ever. The value is copied.
func (inv *Invocation) Set(key string, value []byte, ttl time.Duration) error {
	if err := checkKey(key); err != nil {
		return err
	}
	switch {
	case ttl < 0:
		return fmt.Errorf("state %q for %s: %w", key, ttl, ErrInvalid)
	case len(value) > maxState:
		return fmt.Errorf("state value of %d bytes, at most %d: %w", len(value), maxState, ErrLimit)
	}
	w := Write{Scope: inv.scope, Key: key, Value: inv.keep(value)}
	if ttl > 0 {
		w.Expires = time.Now().Add(ttl)
	}
	return inv.write(w)
}

// Delete removes key; removing what is not there is no error.
func (inv *Invocation) Delete(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return inv.write(Write{Scope: inv.scope, Key: key})
}

// Add adds delta to the decimal integer in key, 0 if there is none, and
// returns the sum.
func (inv *Invocation) Add(key string, delta int64) (int64, error) {
	old, ok, err := inv.Get(key)
	if err != nil {
		return 0, err
	}
	var n int64
	if ok {
		if n, err = strconv.ParseInt(string(old), 10, 64); err != nil {
			return 0, fmt.Errorf("state %q holds no integer: %w", key, ErrInvalid)
		}
	}
	n += delta
	var text [20]byte
	return n, inv.Set(key, strconv.AppendInt(text[:0], n, 10), 0)
}

// CompareAndSet writes value if key holds old (nil: is absent) and tells whether it did.
func (inv *Invocation) CompareAndSet(key string, old, value []byte) (bool, error) {
	now, ok, err := inv.Get(key)
	if err != nil {
		return false, err
	}
	if ok != (old != nil) || !bytes.Equal(now, old) {
		return false, nil
	}
	return true, inv.Set(key, value, 0)
}

// Keys returns at most limit keys that start with prefix, sorted, as this run sees them.
func (inv *Invocation) Keys(prefix string, limit int) ([]string, error) {
	own := 0
	for _, w := range inv.Effects.Writes {
		if strings.HasPrefix(w.Key, prefix) {
			own++
		}
	}
	keys, err := inv.view.Keys(inv.scope, prefix, limit+own)
	if err != nil {
		return nil, fmt.Errorf("list state %q: %w", prefix, err)
	}
	if own > 0 {
		keys = overlayKeys(keys, inv.Effects.Writes, prefix)
	}
	return keys[:min(limit, len(keys))], nil
}

// overlayKeys merges writes into a sorted list of keys.
func overlayKeys(keys []string, writes []Write, prefix string) []string {
	keys = slices.Clone(keys)
	for _, w := range writes {
		if !strings.HasPrefix(w.Key, prefix) {
			continue
		}
		i := sort.SearchStrings(keys, w.Key)
		switch found := i < len(keys) && keys[i] == w.Key; {
		case found && w.Value == nil:
			keys = slices.Delete(keys, i, i+1)
		case !found && w.Value != nil:
			keys = slices.Insert(keys, i, w.Key)
		}
	}
	return keys
}

// Publish sends data to topic once the run has committed. Data is copied.
func (inv *Invocation) Publish(topic string, data []byte, qos uint8, retain bool) error {
	if err := CheckTopic(topic); err != nil || qos > 2 {
		return fmt.Errorf("publish to %.80q with QoS %d: %w", topic, qos, ErrInvalid)
	}
	if !inv.Function.Permissions.MayPublish(topic) {
		return inv.deny(fmt.Sprintf("publish to %q", topic))
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
	if !inv.Function.Permissions.MayInvoke("central/" + target) {
		return inv.deny("follow-up to central/" + clip(target))
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
	if !inv.Function.Permissions.MayInvoke("local/" + function) {
		return inv.deny("emit to local/" + clip(function))
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
func (inv *Invocation) SetError(text string) { inv.Effects.Err = clip(text) }

// Log keeps one log line; lines beyond the limit are counted and dropped.
func (inv *Invocation) Log(level slog.Level, text string) {
	fx := &inv.Effects
	if len(fx.Logs) >= maxLogLines || inv.charge(len(text), false) != nil {
		fx.Dropped++
		return
	}
	fx.Logs = append(fx.Logs, LogLine{Level: level, Text: clip(text)})
}

// Config returns the value of key in the function's environment.
func (inv *Invocation) Config(key string) (string, bool) {
	v, ok := inv.Function.Env[key]
	return v, ok
}

// Secret returns the value of a secret that the function names in its manifest.
func (inv *Invocation) Secret(name string) (string, error) {
	if !slices.Contains(inv.Function.Secrets, name) {
		return "", inv.deny(fmt.Sprintf("secret %.80q", name))
	}
	if inv.outside.Secrets != nil {
		if v, ok := inv.outside.Secrets(name); ok {
			return v, nil
		}
	}
	return "", fmt.Errorf("secret %q: %w", name, ErrNotFound)
}

// written finds this run's own write of key, the last one.
func (inv *Invocation) written(key string) *Write {
	for i := range inv.Effects.Writes {
		if inv.Effects.Writes[i].Key == key {
			return &inv.Effects.Writes[i]
		}
	}
	return nil
}

func (inv *Invocation) write(w Write) error {
	if err := inv.charge(len(w.Key)+len(w.Value), false); err != nil {
		return err
	}
	if old := inv.written(w.Key); old != nil {
		*old = w
		return nil
	}
	inv.Effects.Writes = append(inv.Effects.Writes, w)
	return nil
}

// charge counts n bytes of output, and one output if it leaves the run.
func (inv *Invocation) charge(n int, output bool) error {
	fx, lim := &inv.Effects, &inv.Function.Limits
	if fx.size += int64(n); fx.size > lim.Output {
		return fmt.Errorf("%d bytes of output, at most %d: %w", fx.size, lim.Output, ErrLimit)
	}
	if output && len(fx.Publishes)+len(fx.Followups)+len(fx.Emits) >= lim.Outputs {
		return fmt.Errorf("more than %d outputs: %w", lim.Outputs, ErrLimit)
	}
	return nil
}

func clip(s string) string {
	if len(s) > maxLogLine {
		s = s[:maxLogLine]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
