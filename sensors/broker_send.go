package sensors

import (
	"context"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// Publish sends a message to the broker's clients at once, and offers it as an
// event if a trigger wants it; nobody waits for either.
func (b *Broker) Publish(topic string, data []byte, qos uint8, retain bool) error {
	run := b.running()
	if run == nil {
		return fmt.Errorf("publish to %s: %w", topic, errNotRunning)
	}
	if err := agent.CheckTopic(topic); err != nil {
		return err
	}
	if b.wants(topic) {
		run.offer(b.event(&message{topic: topic, data: data}), nil)
	}
	return run.publish(topic, data, qos, retain)
}

// Send delivers publishes in order. One that a trigger wants is delivered once
// its outcome as an event is durable, so that it is either sent again or has
// been seen. The errors stand in the order of recs, nil for what was delivered.
func (b *Broker) Send(ctx context.Context, recs []agent.Record) []error {
	errs := make([]error, len(recs))
	outcomes := make([]chan error, len(recs))
	run := b.running()
	for i := range recs {
		ev := &recs[i].Event
		switch {
		case run == nil:
			errs[i] = errNotRunning
		case ev.QoS > 2:
			errs[i] = fmt.Errorf("QoS %d: %w", ev.QoS, agent.ErrInvalid)
		default:
			errs[i] = agent.CheckTopic(ev.Subject)
		}
		if errs[i] == nil {
			outcomes[i] = b.reenter(run, ev)
		}
	}
	for i := range recs {
		ev := &recs[i].Event
		if errs[i] == nil {
			errs[i] = awaitOutcome(ctx, run, outcomes[i])
		}
		if errs[i] == nil {
			errs[i] = run.publish(ev.Subject, ev.Data, ev.QoS, recs[i].Retain)
		} else {
			errs[i] = fmt.Errorf("publish to %s: %w", ev.Subject, errs[i])
		}
	}
	return errs
}

// reenter offers a publish as an event; nil if no trigger wants it.
func (b *Broker) reenter(run *brokerRun, ev *agent.Event) chan error {
	if !b.wants(ev.Subject) {
		return nil
	}
	again := b.event(&message{topic: ev.Subject, data: ev.Data, qos: ev.QoS})
	if ev.QoS == 0 {
		run.offer(again, nil)
		return nil
	}
	outcome := make(chan error, 1)
	run.offer(again, func(err error) { outcome <- err })
	return outcome
}

func awaitOutcome(ctx context.Context, run *brokerRun, outcome chan error) error {
	if outcome == nil {
		return nil
	}
	select {
	case err := <-outcome:
		return err
	case <-run.stop:
		return errNotRunning
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *brokerRun) publish(topic string, data []byte, qos uint8, retain bool) error {
	if err := r.server.Publish(topic, data, retain, qos); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}
