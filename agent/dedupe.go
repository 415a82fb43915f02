package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Dedupe has a trigger run once for events that say the same of themselves, as
// long as it remembers the first: publishers that repeat themselves give their
// events an id, or a number.
type Dedupe struct {
	By     []string      // dotted paths in the event's JSON data, "source" or "meta.seq"; or
	Key    string        // expression over the event. Neither: every event runs
	Window time.Duration // how long an event is remembered
}

// known is what the event says of itself, "" if it lacks one of the fields. It
// must be called while nobody else uses ev.
func (tr *compiled) known(ev *Event, stats *functionStats) string {
	switch d := &tr.Dedupe; {
	case tr.dedupe != nil:
		text, err := keyText(tr.dedupe, Terms{Event: ev, Trigger: &tr.Trigger})
		if err != nil && !errors.Is(err, errNoKey) {
			stats.conditionErrors.Add(1)
		}
		return text
	case len(d.By) > 0:
		return d.known(ev)
	}
	return ""
}

// known is what the event's data say at the paths.
func (d *Dedupe) known(ev *Event) string {
	var said []byte
	for _, path := range d.By {
		var steps []Step
		for name := range strings.SplitSeq(path, ".") {
			steps = append(steps, Step{Name: name})
		}
		raw := ev.Field(steps)
		if raw == nil {
			return ""
		}
		var value any // the same text however it is written
		if err := json.Unmarshal(raw, &value); err != nil {
			return ""
		}
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		said = append(append(said, text...), '\n')
	}
	return string(said)
}

// seenKey is where a trigger remembers what an event said of itself.
func seenKey(trigger, known string) string {
	sum := sha256.Sum256([]byte(trigger + "\x00" + known))
	return "seen/" + hex.EncodeToString(sum[:16])
}

// repeated tells whether another event that said the same has an outcome, be
// it not durable yet. One that comes again from the dead-letter box, or that was
// edited there, is not another.
func (w *worker) repeated(t *task, ev *Event) (bool, error) {
	if t.known == "" {
		return false, nil
	}
	id, err := w.reads.Get(markScope, seenKey(t.trigger.Name, t.known))
	return err == nil && id != nil && !strings.HasPrefix(ev.ID, string(id)), err
}

// remember is the write by which a trigger remembers an event.
func (w *worker) remember(t *task, ev *Event) Write {
	return Write{
		Scope: markScope, Key: seenKey(t.trigger.Name, t.known), Value: []byte(ev.ID),
		Expires: w.reads.expiry(t.trigger.Dedupe.Window),
	}
}
