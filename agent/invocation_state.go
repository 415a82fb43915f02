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
	if err := inv.charge(len(key)+len(value), false); err != nil {
		return err
	}
	w := Write{Scope: inv.scope, Key: key, Value: inv.keep(value)}
	if ttl > 0 {
		w.Expires = time.Now().Add(ttl)
	}
	inv.write(w)
	return nil
}

// Delete removes key; removing what is not there is no error.
func (inv *Invocation) Delete(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := inv.charge(len(key), false); err != nil {
		return err
	}
	inv.write(Write{Scope: inv.scope, Key: key})
	return nil
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
	own, deleted := false, 0
	for i := range inv.Effects.Writes {
		if w := &inv.Effects.Writes[i]; strings.HasPrefix(w.Key, prefix) {
			own = true
			if w.Value == nil {
				deleted++
			}
		}
	}
	keys, err := inv.view.Keys(inv.scope, prefix, limit+deleted)
	if err != nil {
		return nil, fmt.Errorf("list state %q: %w", prefix, err)
	}
	if own {
		keys = overlayKeys(keys, inv.Effects.Writes, prefix)
	}
	return keys[:min(limit, len(keys))], nil
}

// overlayKeys merges writes, each of another key, into a sorted list of keys.
func overlayKeys(keys []string, writes []Write, prefix string) []string {
	var own []*Write
	for i := range writes {
		if strings.HasPrefix(writes[i].Key, prefix) {
			own = append(own, &writes[i])
		}
	}
	slices.SortFunc(own, func(a, b *Write) int { return cmp.Compare(a.Key, b.Key) })
	merged := make([]string, 0, len(keys)+len(own))
	for _, w := range own {
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

// fewWrites are looked through one by one: quicker than a map, and without memory.
const fewWrites = 32

// written finds this run's own write of key, the last one.
func (inv *Invocation) written(key string) *Write {
	writes := inv.Effects.Writes
	if len(writes) <= fewWrites {
		for i := range writes {
			if writes[i].Key == key {
				return &writes[i]
			}
		}
		return nil
	}
	if inv.index == nil {
		inv.index = make(map[string]int, 2*fewWrites)
	}
	for i := len(inv.index); i < len(writes); i++ {
		inv.index[writes[i].Key] = i
	}
	if i, ok := inv.index[key]; ok {
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

// forgetIndex empties the index, or drops one that is large.
func (inv *Invocation) forgetIndex() {
	if len(inv.index) > keptEffects {
		inv.index = nil
		return
	}
	clear(inv.index)
}
