package sensors

import (
	"context"
	"fmt"
	"time"

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
	if err := run.server.Publish(topic, data, retain, qos); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// reentryWithin is how long Send waits for the outcomes of publishes that come
// back as events. What has none by then is sent again later.
const reentryWithin = 5 * time.Second

// notReady is the error of such a one. NotReady tells the outbox that the
// record has to wait, and that the broker is well.
type notReady struct{}

func (notReady) Error() string  { return "no outcome yet of the event it is for this device" }
func (notReady) NotReady() bool { return true }

// Send delivers publishes in order per topic. One that a trigger wants is
// delivered once its outcome as an event is durable, so that it is either sent
// again or has been seen; the others do not wait for it. The errors stand in
// the order of recs, nil for what was delivered.
func (b *Broker) Send(ctx context.Context, recs []agent.Record) []error {
	ctx, cancel := context.WithTimeoutCause(ctx, reentryWithin, notReady{})
	defer cancel()
	errs := make([]error, len(recs))
	outcomes := make([]chan error, len(recs))
	later := map[string]bool{} // topics of which something waits or has failed
	run := b.running()
	for i := range recs {
		topic := recs[i].Event.Subject
		if errs[i] = sendable(run, &recs[i].Event); errs[i] == nil {
			outcomes[i] = b.reenter(run, &recs[i])
		}
		if errs[i] == nil && outcomes[i] == nil && !later[topic] { // nobody here wants it
			errs[i] = run.publish(&recs[i])
			outcomes[i] = sent
		}
		later[topic] = later[topic] || errs[i] != nil || outcomes[i] != sent
	}
	b.sendLater(ctx, run, recs, outcomes, errs)
	return errs
}

// sent marks a record that was published already.
var sent = make(chan error)

// sendLater publishes what had to wait, in order per topic.
func (b *Broker) sendLater(ctx context.Context, run *brokerRun, recs []agent.Record, outcomes []chan error, errs []error) {
	failed := map[string]bool{} // topics
	for i := range recs {
		topic := recs[i].Event.Subject
		if errs[i] == nil && outcomes[i] != sent {
			if errs[i] = awaitOutcome(ctx, run, outcomes[i]); errs[i] == nil && failed[topic] {
				errs[i] = notReady{}
			}
			if errs[i] == nil {
				errs[i] = run.publish(&recs[i])
			}
		}
		if errs[i] != nil {
			failed[topic] = true
			errs[i] = fmt.Errorf("publish to %s: %w", topic, errs[i])
		}
	}
}

func sendable(run *brokerRun, ev *agent.Event) error {
	switch {
	case run == nil:
		return errNotRunning
	case ev.QoS > 2:
		return fmt.Errorf("QoS %d: %w", ev.QoS, agent.ErrInvalid)
	}
	return agent.CheckTopic(ev.Subject)
}

// reenter offers a publish as an event; nil if no trigger wants it. It is
// always offered as a redelivery: after a crash it may be one, and the marks
// tell.
func (b *Broker) reenter(run *brokerRun, rec *agent.Record) chan error {
	ev := &rec.Event
	if !b.wants(ev.Subject) {
		return nil
	}
	again := b.event(&message{topic: ev.Subject, data: ev.Data, qos: ev.QoS})
	if ev.QoS == 0 {
		run.offer(again, nil)
		return nil
	}
	again.Origin = agent.Origin{
		Slot: slot(b.opts.Name+"/out", uint16(rec.Seq)), Hash: hash(ev.ID, nil), Redelivered: true,
	}
	outcome := make(chan error, 1)
	run.offer(again, func(err error) { outcome <- err })
	return outcome
}

// awaitOutcome waits for the outcome of a record's event; nil: it has none.
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
		return context.Cause(ctx)
	}
}

func (r *brokerRun) publish(rec *agent.Record) error {
	ev := &rec.Event
	return r.server.Publish(ev.Subject, ev.Data, rec.Retain, ev.QoS)
}
