package agent

import (
	"errors"
	"fmt"
	"strings"
)

// then adds what the trigger does with the outcome of its function. What makes
// no sense is left out, and is the error.
func (w *worker) then(fx *Effects, t *task, ev *Event, on On, data []byte) error {
	var failed error
	looked := false
	for i := range t.trigger.Then {
		th := &t.trigger.Then[i]
		if th.On != on && th.On != OnAlways {
			continue
		}
		out := data
		if t.trigger.data != nil && t.trigger.data[i] != nil {
			if !looked {
				w.look(t, ev)
				w.terms.Result, looked = data, true
			}
			var err error
			if out, err = t.trigger.data[i].Render(w.terms); err != nil {
				failed = errors.Join(failed, fmt.Errorf("then.data: %w", err))
				continue
			}
			if limit := w.fn.Limits.Output; int64(len(out)) > limit {
				failed = errors.Join(failed, fmt.Errorf("then.data: %d bytes, at most %d: %w; raise limits.output of the function", len(out), limit, ErrLimit))
				continue
			}
		}
		failed = errors.Join(failed, w.send(fx, t, ev, th, out))
	}
	return failed
}

// send adds one of a trigger's Thens.
func (w *worker) send(fx *Effects, t *task, ev *Event, th *Then, data []byte) error {
	target, central := strings.CutPrefix(th.Invoke, "central/")
	switch {
	case th.Publish != "":
		return publish(fx, t, ev, Publish{Topic: th.Publish, Data: data, QoS: th.QoS, Retain: th.Retain})
	case central:
		fx.Followups = append(fx.Followups, Followup{Target: target, Data: data, Way: th.Way})
	default:
		fx.Emits = append(fx.Emits, Emit{Function: w.fn.App() + "/" + strings.TrimPrefix(th.Invoke, "local/"), Data: data})
	}
	return nil
}

// publish adds p, with what was captured in its topic.
func publish(fx *Effects, t *task, ev *Event, p Publish) (err error) {
	captured := strings.IndexByte(p.Topic, '{') >= 0
	if p.Topic, err = expand(p.Topic, &t.trigger.Trigger, ev.Subject); err != nil {
		return err
	}
	if captured {
		if err := CheckTopic(p.Topic); err != nil {
			return err
		}
	}
	fx.Publishes = append(fx.Publishes, p)
	return nil
}
