package sensors

import (
	"bytes"
	"context"
	"fmt"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/gather"
)

// publish is a message that wants an acknowledgement nobody waits for.
type publish struct {
	topic  string
	data   []byte
	qos    uint8
	retain bool
}

const (
	maxLater = 256 // publishes of QoS 1 and 2 that wait for the connection

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
	if qos > 0 {
		select {
		case l.later <- publish{topic, data, qos, retain}:
			return nil
		default:
			return fmt.Errorf("publish to %s: %w", topic, gather.ErrFull)
		}
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Retain = topic, data, retain
	var b bytes.Buffer
	b.Grow(len(topic) + len(data) + 8)
	if err := p.Write(&b); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	if err := l.conn.out.TryWrite(b.Bytes()); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// publishLater sends what Publish may not wait for, until the link is lost.
func (l *link) publishLater() {
	for {
		select {
		case p := <-l.later:
			token := l.client.Publish(p.topic, p.qos, p.retain, p.data)
			if p.qos == 2 {
				l.wait(token) // one at a time
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
	errs := make([]error, len(recs))
	tokens := make([]paho.Token, len(recs))
	var exactly []paho.Token // of QoS 2
	for i := range recs {
		if errs[i] = l.ready(ctx, &recs[i].Event); errs[i] != nil {
			continue
		}
		if recs[i].Event.QoS == 2 && len(exactly) >= maxExactly {
			l.delivered(ctx, exactly[0]) // its error is told below
			exactly = exactly[1:]
		}
		ev := &recs[i].Event
		tokens[i] = l.client.Publish(ev.Subject, ev.QoS, recs[i].Retain, ev.Data)
		if ev.QoS == 2 {
			exactly = append(exactly, tokens[i])
		}
	}
	for i, token := range tokens {
		if token != nil {
			errs[i] = l.delivered(ctx, token)
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("publish to %s: %w", recs[i].Event.Subject, errs[i])
		}
	}
	return errs
}

// ready tells why ev cannot be sent now. A nil link is one that is lost.
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

// delivered waits for the broker's word.
func (l *link) delivered(ctx context.Context, token paho.Token) error {
	select {
	case <-token.Done():
		return token.Error()
	case <-l.gone:
		return ErrNotConnected
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait waits until the broker has spoken or the link is lost.
func (l *link) wait(token paho.Token) {
	select {
	case <-token.Done():
	case <-l.gone:
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
