package sensors

import (
	"context"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/broker"
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
	if qos > 2 {
		return fmt.Errorf("publish to %s with QoS %d: %w", topic, qos, agent.ErrInvalid)
	}
	if b.wants(topic) {
		run.offer(b.event(&message{topic: topic, data: data}), nil)
	}
	run.core.Publish(&broker.Message{Topic: topic, Data: data, QoS: qos, Retain: retain}, nil)
	return nil
}

// reentryWithin is how long Send waits for the outcomes of publishes that come
// back as events. What has none by then is sent again later.
const reentryWithin = 5 * time.Second

// notReady is the error of such a one. NotReady tells the outbox that the
// record has to wait, and that the broker is well.
type notReady struct{}

func (notReady) Error() string {
	return "no outcome yet of the event it is for this device, or no room to keep it for clients that are away"
}
func (notReady) NotReady() bool { return true }

// Send delivers publishes in order per topic. One that a trigger wants is
// delivered once its outcome as an event is durable, so that it is either sent
// again or has been seen; the others do not wait for it. One that a client with
// a lasting session wants is delivered once that client has it, or the broker
// has it on disk. The errors stand in the order of recs, nil for what was
// delivered.
func (b *Broker) Send(ctx context.Context, recs []agent.Record) []error {
	ctx, cancel := context.WithTimeoutCause(ctx, reentryWithin, notReady{})
	defer cancel()
	s := sending{run: b.running(), recs: recs, errs: make([]error, len(recs)), safe: make([]chan struct{}, len(recs))}
	outcomes := make([]chan error, len(recs))
	later := map[string]bool{} // topics of which something waits or has failed
	for i := range recs {
		topic := recs[i].Event.Subject
		if s.errs[i] = sendable(s.run, &recs[i].Event); s.errs[i] == nil {
			outcomes[i] = b.reenter(s.run, &recs[i])
		}
		if s.errs[i] == nil && outcomes[i] == nil && !later[topic] { // nobody here wants it
			s.publish(i)
		}
		later[topic] = later[topic] || s.safe[i] == nil
	}
	s.publishRest(ctx, outcomes)
	for i := range recs {
		if s.errs[i] == nil {
			s.errs[i] = s.await(ctx, s.safe[i])
		}
		if s.errs[i] != nil {
			s.errs[i] = fmt.Errorf("publish to %s: %w", recs[i].Event.Subject, s.errs[i])
		}
	}
	return s.errs
}

// sending is one call of Send.
type sending struct {
	run  *brokerRun
	recs []agent.Record
	errs []error
	safe []chan struct{} // closed when its record is delivered; nil: not published yet
}

// publish hands a record to the broker's clients.
func (s *sending) publish(i int) {
	ev, safe := &s.recs[i].Event, make(chan struct{})
	s.safe[i] = safe
	s.run.core.Publish(&broker.Message{Topic: ev.Subject, Data: ev.Data, QoS: ev.QoS, Retain: s.recs[i].Retain}, func() { close(safe) })
}

// publishRest publishes what had to wait, in order per topic.
func (s *sending) publishRest(ctx context.Context, outcomes []chan error) {
	failed := map[string]bool{} // topics
	for i := range s.recs {
		topic := s.recs[i].Event.Subject
		if s.errs[i] == nil && s.safe[i] == nil {
			if s.errs[i] = s.outcome(ctx, outcomes[i]); s.errs[i] == nil && failed[topic] {
				s.errs[i] = notReady{}
			}
			if s.errs[i] == nil {
				s.publish(i)
			}
		}
		failed[topic] = failed[topic] || s.errs[i] != nil
	}
}

func sendable(run *brokerRun, ev *agent.Event) error {
	switch {
	case run == nil:
		return errNotRunning
	case ev.QoS > 2:
		return fmt.Errorf("QoS %d: %w", ev.QoS, agent.ErrInvalid)
	case ev.QoS > 0 && run.core.Ready() != nil:
		return notReady{} // else each try would reach those who are connected
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
	if b.opts.Follow != nil {
		again.Trace = b.opts.Follow(ev)
	}
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

// outcome waits for that of a record's event; nil: it has none.
func (s *sending) outcome(ctx context.Context, outcome chan error) error {
	if outcome == nil {
		return nil
	}
	select {
	case err := <-outcome:
		return err
	case <-s.run.stop:
		return errNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// await waits until safe is closed.
func (s *sending) await(ctx context.Context, safe chan struct{}) error {
	select {
	case <-safe:
		return nil
	case <-s.run.stop:
		return errNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
