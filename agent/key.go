package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
)

// maxKey is the longest key as it is, bytes; a hash stands for what is longer.
const maxKey = 256

var errNoKey = errors.New("the expression yields nothing for this event")

// group is the key of an event as its trigger says: what events are ordered,
// compared and gathered by. On error it is the topic.
func (tr *compiled) group(terms Terms) (string, error) {
	if tr.key == nil {
		return terms.Event.Subject, nil
	}
	text, err := keyText(tr.key, terms)
	if err != nil {
		return terms.Event.Subject, err
	}
	return text, nil
}

// keyOf is the key of an event for a trigger, and what the event says of itself.
// It must be called while nobody else uses ev.
func (rt *route) keyOf(ev *Event) (key, known string) {
	tr := rt.trigger
	switch {
	case tr.Unordered:
		key = ev.ID
	case tr.key == nil:
		key = ev.Subject
	default:
		var err error
		if key, err = tr.group(Terms{Event: ev, Trigger: &tr.Trigger}); err != nil {
			rt.fn.stats.conditionErrors.Add(1)
		}
	}
	if tr.aside != nil && !tr.Unordered {
		key = asideLane + key
	}
	return key, tr.known(ev, rt.fn.stats)
}

// group is the key by which the stages before the function keep things in mind.
func (w *worker) group(t *task) string {
	if !t.trigger.Unordered {
		return shortKey(t.gatherKey())
	}
	key, err := t.trigger.group(w.terms)
	if err != nil {
		w.fn.stats.conditionErrors.Add(1)
	}
	return shortKey(key)
}

// keyText is what an expression yields, as the text of a key: a text as it is,
// all else as JSON.
func keyText(v Value, terms Terms) (string, error) {
	value, err := v.Value(terms)
	if err != nil {
		return "", err
	}
	text := ""
	switch value := value.(type) {
	case nil:
	case string:
		text = value
	case float64: // not 1e+06, which JSON makes of it
		text = strconv.FormatFloat(value, 'f', -1, 64)
	default:
		raw, err := json.Marshal(value)
		if err != nil {
			return "", err
		}
		text = string(raw)
	}
	if text == "" {
		return "", errNoKey
	}
	return shortKey(text), nil
}

func shortKey(key string) string {
	if len(key) <= maxKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}
