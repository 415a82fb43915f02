package sensors

import (
	"context"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/gather"
)

// publish is a message of QoS 2 that nobody waits for.
type publish struct {
	topic  string
	data   []byte
	retain bool
}

const (
	maxLater = 256 // publishes of QoS 2 that wait for their turn

	// maxExactly is how many publishes of QoS 2 are under way at once.
	// mosquitto 2.0 takes in max_inflight_messages of them (20 by default); it
	// acknowledges those beyond to the end, and loses them.
	maxExactly = 10
)

// Publish sends a message at once and waits for nobody: it is for effects that
// may be lost. It wraps ErrNotConnected when there is no connection, and gives
// another error when the connection is too slow to take more.
func (m *MQTT) Publish(topic string, data []byte, qos uint8, retain bool) error {
	l := m.link.Load()
	if l == nil {
		return fmt.Errorf("publish to %s: %w", topic, ErrNotConnected)
	}
	if err := agent.CheckTopic(topic); err != nil {
		return err // the broker would end the connection
	}
	if qos == 2 {
		select {
		case l.later <- publish{topic, data, retain}:
			return nil
		default:
			return fmt.Errorf("publish to %s: %w", topic, gather.ErrFull)
		}
	}
	if err := l.conn.TryPublish(topic, data, qos, retain, nil); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// publishLater sends what Publish may not wait for, until the link is lost.
func (l *link) publishLater() {
	for {
		select {
		case p := <-l.later: // one at a time
			done := make(chan error, 1)
			if l.conn.Publish(p.topic, p.data, 2, p.retain, func(err error) { done <- err }) == nil {
				<-done
			}
		case <-l.gone:
			return
		}
	}
}

// Send delivers publishes in order and waits until the broker has each: its
// PUBACK for QoS 1, its PUBCOMP for QoS 2; with QoS 0 they are only written.
// All are under way at once, but for those of QoS 2, which are so ten at a
// time. The errors stand in the order of recs, nil for what the broker has;
// what failed may have arrived all the same.
func (m *MQTT) Send(ctx context.Context, recs []agent.Record) []error {
	m.sending.Lock()
	defer m.sending.Unlock()
	l := m.link.Load()
	s := &delivery{exactly: make(chan struct{}, maxExactly), results: make(chan result, len(recs))}
	errs := make([]error, len(recs))
	left := 0
	for i := range recs {
		if errs[i] = l.send(ctx, s, &recs[i], i); errs[i] == nil {
			errs[i] = errUnderWay
			left++
		}
	}
	for ; left > 0 && ctx.Err() == nil; left-- {
		select {
		case r := <-s.results:
			errs[r.i] = r.err
		case <-ctx.Done():
		}
	}
	for i, err := range errs {
		switch {
		case err == errUnderWay:
			errs[i] = ctx.Err()
		case err != nil:
			errs[i] = fmt.Errorf("publish to %s: %w", recs[i].Event.Subject, err)
		}
	}
	return errs
}

var errUnderWay = errors.New("under way")

// delivery is what one Send has under way.
type delivery struct {
	exactly chan struct{} // places for QoS 2
	results chan result   // has room for all: an answer that comes late holds up nobody
}

// result is what became of the record with this index.
type result struct {
	i   int
	err error
}

// send sends one record; what becomes of it is told to s, unless send gives an
// error. A nil link is one that is lost.
func (l *link) send(ctx context.Context, s *delivery, rec *agent.Record, i int) error {
	ev := &rec.Event
	if err := l.ready(ctx, ev); err != nil {
		return err
	}
	if ev.QoS == 2 {
		select {
		case s.exactly <- struct{}{}:
		case <-l.gone:
			return ErrNotConnected
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := l.conn.Publish(ev.Subject, ev.Data, ev.QoS, rec.Retain, func(err error) {
		if ev.QoS == 2 {
			<-s.exactly
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNotConnected, err)
		}
		s.results <- result{i, err}
	})
	if err == nil && ev.QoS == 0 {
		s.results <- result{i, nil}
	}
	return err
}

// ready tells why ev cannot be result now.
func (l *link) ready(ctx context.Context, ev *agent.Event) error {
	switch {
	case l == nil || isClosed(l.gone):
		return ErrNotConnected
	case ctx.Err() != nil:
		return ctx.Err()
	case ev.QoS > 2:
		return fmt.Errorf("QoS %d: %w", ev.QoS, agent.ErrInvalid)
	default:
		return agent.CheckTopic(ev.Subject)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
