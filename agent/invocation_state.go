package agent

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxStateKey = 256 // bytes
	maxState    = 64 << 10
)

// Sized is a View that knows how much of limits.state is used, in StateSize: of the
// state of the function, or of what it shares with its app. Runs over another View have
// no limit.
type Sized interface {
	Used(shared bool) (bytes int64)
}

// timed is a View that knows the time.
type timed interface {
	expiry(ttl time.Duration) time.Time
}

// Get returns the value of key in the function's state, as this run sees it. A
// key that begins with a slash is in the state of the app, which all of its
// functions share.
func (inv *Invocation) Get(key string) (value []byte, ok bool, err error) {
	if err := checkKey(key); err != nil {
		return nil, false, err
	}
	value, err = inv.read(key)
	return value, value != nil, err
}

// read is Get for a key that is valid.
func (inv *Invocation) read(key string) ([]byte, error) {
	if w := inv.written(key); w != nil {
		return w.Value, nil
	}
	value, err := inv.view.Get(inv.scopes[spaceOf(key)], key)
	if err != nil {
		return nil, fmt.Errorf("read state %q: %w", key, err)
	}
	return value, nil
}

// spaceOf is the space of a key, or of the keys with a prefix.
func spaceOf(key string) int {
	if strings.HasPrefix(key, "/") {
		return appSpace
	}
	return ownSpace
}

func checkKey(key string) error {
	if key == "" || key == "/" || len(key) > maxStateKey || !utf8.ValidString(key) {
		return fmt.Errorf("state key %.40q: %w", key, ErrInvalid)
	}
	return nil
}

// Set writes key. A ttl of 0 keeps it for ever. The value is copied.
func (inv *Invocation) Set(key string, value []byte, ttl time.Duration) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if ttl < 0 {
		return fmt.Errorf("state %q for %s: %w", key, ttl, ErrInvalid)
	}
	old, err := inv.replaced(key)
	if err != nil {
		return err
	}
	return inv.put(key, old, value, ttl)
}

// replaced is the value that a write of key takes the place of. Only its size
// matters, and that only where there is a limit.
func (inv *Invocation) replaced(key string) ([]byte, error) {
	if inv.sized == nil {
		return nil, nil
	}
	return inv.read(key)
}

// put writes value, which is not nil, in the place of old.
func (inv *Invocation) put(key string, old, value []byte, ttl time.Duration) error {
	if len(value) > maxState {
		return fmt.Errorf("state value of %d bytes, at most %d: %w", len(value), maxState, ErrLimit)
	}
	more := StateSize(key, value)
	if old != nil {
		more -= StateSize(key, old)
	}
	space := spaceOf(key)
	if err := inv.hasRoom(space, more); err != nil {
		return err
	}
	if err := inv.charge(len(key)+len(value), false); err != nil {
		return err
	}
	inv.grown[space] += more
	w := Write{Scope: inv.scopes[space], Key: key, Value: inv.keep(value)}
	if ttl > 0 {
		w.Expires = inv.expiry(ttl)
	}
	inv.write(w)
	return nil
}

// hasRoom refuses what would take a space beyond limits.state. What does not
// grow is always taken, so that a full space can be made smaller step by step.
func (inv *Invocation) hasRoom(space int, more int64) error {
	if inv.sized == nil || more <= 0 {
		return nil
	}
	size := inv.sized.Used(space == appSpace) + inv.grown[space] + more
	limit := cmp.Or(inv.Function.Limits.State, DefaultLimits.State)
	if size <= limit {
		return nil
	}
	whose := "its state"
	if space == appSpace {
		whose = "the state of its app"
	}
	return fmt.Errorf("%s would take %d bytes, at most %d: %w; delete keys, or raise limits.state of the function", whose, size, limit, ErrLimit)
}

func (inv *Invocation) expiry(ttl time.Duration) time.Time {
	if inv.timed == nil {
		return time.Now().Add(ttl)
	}
	return inv.timed.expiry(ttl)
}

// Delete removes key; removing what is not there is no error.
func (inv *Invocation) Delete(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	old, err := inv.replaced(key)
	if err != nil {
		return err
	}
	if err := inv.charge(len(key), false); err != nil {
		return err
	}
	space := spaceOf(key)
	if old != nil {
		inv.grown[space] -= StateSize(key, old)
	}
	inv.write(Write{Scope: inv.scopes[space], Key: key})
	return nil
}

// Add adds delta to the decimal integer in key, 0 if there is none, and
// returns the sum. The key is kept for ever from then on.
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
	return n, inv.put(key, old, strconv.AppendInt(text[:0], n, 10), 0)
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
	return true, inv.put(key, now, value, 0)
}

// Keys returns at most limit keys that start with prefix, sorted, as this run
// sees them. A prefix that begins with a slash lists the state of the app.
func (inv *Invocation) Keys(prefix string, limit int) ([]string, error) {
	scope, writes := inv.scopes[spaceOf(prefix)], inv.Effects.Writes
	inv.listed = matching(inv.listed[:0], writes, scope, prefix)
	deleted := 0
	for _, i := range inv.listed {
		if writes[i].Value == nil {
			deleted++
		}
	}
	keys, err := inv.view.Keys(scope, prefix, limit+deleted)
	if err != nil {
		return nil, fmt.Errorf("list state %q: %w", prefix, err)
	}
	if len(inv.listed) > 0 {
		keys = overlayKeys(keys, writes, inv.listed, limit)
	}
	return keys[:min(limit, len(keys))], nil
}

// matching appends the positions of the writes to keys of scope that start with prefix.
func matching(found []int32, writes []Write, scope, prefix string) []int32 {
	for i := range writes {
		if writes[i].Scope == scope && strings.HasPrefix(writes[i].Key, prefix) {
			found = append(found, int32(i))
		}
	}
	return found
}

// overlayKeys merges some of writes, each of another key, into a sorted list of
// keys, until it has limit of them: what lies behind may be left out.
func overlayKeys(keys []string, writes []Write, own []int32, limit int) []string {
	slices.SortFunc(own, func(a, b int32) int { return cmp.Compare(writes[a].Key, writes[b].Key) })
	merged := make([]string, 0, min(limit, len(keys)+len(own)))
	for _, i := range own {
		w := &writes[i]
		if len(merged) >= limit {
			return merged
		}
		n, found := slices.BinarySearch(keys, w.Key)
		merged = append(merged, keys[:n]...)
		if keys = keys[n:]; found {
			keys = keys[1:]
		}
		if w.Value != nil {
			merged = append(merged, w.Key)
		}
	}
	return append(merged, keys...)
}

// written finds this run's own write of key, the last one.
func (inv *Invocation) written(key string) *Write {
	writes := inv.Effects.Writes
	if i := inv.index.find(writes, key); i >= 0 {
		return &writes[i]
	}
	return nil
}

// write notes w, instead of an earlier write of its key.
func (inv *Invocation) write(w Write) {
	if old := inv.written(w.Key); old != nil {
		*old = w
		return
	}
	inv.Effects.Writes = append(inv.Effects.Writes, w)
}
