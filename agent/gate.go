package agent

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"time"
)

// What the gate of a trigger keeps of each key lies in a scope of its own. The
// triggers that have such scopes are the keys of gateIndex.
const gateIndex = "gates"

func gateScope(trigger string) string { return "gate/" + trigger }

// gate asks whether the trigger's gate lets an event through. If so, what the
// next one is compared with is staged.
func (w *worker) gate(t *task) (run bool, err error) {
	tr := t.trigger
	if !tr.gated {
		return true, nil
	}
	scope, key := gateScope(tr.Name), w.group(t)
	value, err := w.reads.Get(scope, key)
	if err != nil && t.attempts+1 < tr.Retry.attempts() {
		return false, err
	}
	if err != nil { // it would take this event and all that follow to the dead-letter box
		w.fn.agent.opts.Log.Error("what the gate of a trigger keeps of a key cannot be read; the key begins anew",
			"trigger", tr.Name, "key", key, "err", err)
	}
	is, ok, err := w.passes(tr, decodeGate(value))
	if err != nil {
		w.fn.stats.conditionErrors.Add(1)
		return false, nil
	}
	if !ok {
		return false, nil
	}
	is.at = w.reads.expiry(0).UnixNano()
	write := Write{Scope: scope, Key: key, Value: is.encode()}
	if len(tr.onChange) == 0 && tr.deadband == nil { // nothing is left of it when the last event is over
		write.Expires = time.Unix(0, is.log[len(is.log)-1].until)
	}
	w.staged.writes = append(w.staged.writes, write)
	if value == nil {
		return true, w.indexGate(tr.Name)
	}
	return true, nil
}

// indexGate notes that the trigger has a scope.
func (w *worker) indexGate(trigger string) error {
	w.fn.agent.gates.fresh.Add(1)
	known, err := w.reads.Get(gateIndex, trigger)
	if known == nil && err == nil {
		w.staged.writes = append(w.staged.writes, Write{Scope: gateIndex, Key: trigger, Value: []byte{}})
	}
	return err
}

var errNoNumber = errors.New("the expression yields no number for this event")

// passes tells whether an event may pass, and what the gate looks like then. An
// error says that an expression has no use for the event.
func (w *worker) passes(tr *compiled, was gateState) (is gateState, ok bool, err error) {
	is.has = gateHas(tr)
	if len(tr.onChange) > 0 {
		if is.values, err = w.values(tr.onChange); err != nil {
			return is, false, err
		}
		if was.has&hasValues != 0 && is.values == was.values {
			return is, false, nil
		}
	}
	if tr.deadband != nil {
		v, err := tr.deadband.Value(w.terms)
		if err != nil {
			return is, false, err
		}
		if is.number, ok = number(v); !ok {
			return is, false, errNoNumber
		}
		if was.has&hasNumber != 0 && !tr.Gate.Deadband.left(was.number, is.number) {
			return is, false, nil
		}
	}
	if rate := tr.Gate.Rate; rate.Count > 0 {
		is.log = was.still(w.reads.past)
		if seen(is.log) >= rate.Count {
			return is, false, nil
		}
		is.enter(w.reads.expiry(rate.Per).UnixNano(), rate)
	}
	return is, true, nil
}

// values is a hash of what the expressions yield.
func (w *worker) values(expressions []Value) (sum [16]byte, err error) {
	var all []byte
	for _, e := range expressions {
		v, err := e.Value(w.terms)
		if err != nil {
			return sum, err
		}
		text, err := json.Marshal(v)
		if err != nil {
			return sum, err
		}
		all = append(append(all, text...), '\n')
	}
	whole := sha256.Sum256(all)
	return [16]byte(whole[:16]), nil
}

// number is v if it is one.
func number(v any) (x float64, ok bool) {
	switch v := v.(type) {
	case float64:
		x = v
	case int:
		x = float64(v)
	case int64:
		x = float64(v)
	default:
		return 0, false
	}
	return x, !math.IsNaN(x) && !math.IsInf(x, 0)
}

// left tells whether x is out of the band around last. 20.1 and 20.6 are 0.5
// apart, although their binary forms are a little less.
func (d *Deadband) left(last, x float64) bool {
	const rounding = 1e-9
	least := d.By
	if d.Percent > 0 {
		least = math.Abs(last) * d.Percent / 100
	}
	apart := math.Abs(x - last)
	return apart > 0 && apart >= least*(1-rounding)
}
