package broker

import (
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// maxReceived is how many messages of QoS 2 a client may leave unreleased.
const maxReceived = 4096

// errEnding ends the reader of a connection that somebody else has ended.
var errEnding = errors.New("the connection ends")

// publish takes in a PUBLISH of the client.
func (c *conn) publish(flags byte, body []byte) error {
	qos, again := flags>>1&3, flags&8 != 0
	in := cursor{b: body}
	name := in.text()
	var id uint16
	if qos > 0 {
		id = in.u16()
		in.bad = in.bad || id == 0
	}
	m := &Message{QoS: qos, Retain: flags&1 != 0, origin: c.id}
	if c.version == 5 {
		props := in.properties(ofPublish)
		if props.alias {
			return refusedAlias
		}
		in.bad = in.bad || props.subID
		m.props = props.kept
		m.expire(&props)
	}
	if in.bad || qos > 2 || qos == 0 && again {
		return refusedMalformed
	}
	m.Data = in.b
	t, err := c.topic(name)
	if err != nil {
		return err
	}
	m.Topic = t.name
	switch {
	case !t.may:
		return c.forbidden(m, id)
	case qos == 0:
		c.pass(t, m)
		return nil
	}
	return c.take(t, m, id, again)
}

// topic looks up what is known of a topic, and asks where that is out of date.
func (c *conn) topic(name []byte) (*topic, error) {
	t := c.topics[string(name)]
	gen := c.b.gen.Load()
	if t != nil && t.gen == gen {
		return t, nil
	}
	if t == nil {
		t = &topic{name: string(name)}
		if err := agent.CheckTopic(t.name); err != nil {
			return nil, fmt.Errorf("%w: %w", refusedTopic, err)
		}
		t.reserved = reserved(t.name)
		t.may = t.reserved || c.rights.mayPublish(t.name)
		if len(c.topics) >= maxTopics {
			clear(c.topics)
		}
		c.topics[t.name] = t
	}
	t.gen, t.lonely = gen, true
	if t.reserved {
		return t, nil
	}
	t.wanted = c.b.opts.Inlet.Wants(t.name)
	c.b.mu.Lock()
	c.b.topics.match(t.name, func(*subscription) { t.lonely = false })
	c.b.mu.Unlock()
	return t, nil
}

// forbidden refuses a message without the right to publish it. Before MQTT 5
// there is no way to say so but to end the connection; a message of QoS 0 is
// dropped.
func (c *conn) forbidden(m *Message, id uint16) error {
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost.Refused++
	switch {
	case m.QoS == 0:
		b.warn("message dropped: its client may not publish to the topic", "client", c.id, "topic", m.Topic)
	case c.version < 5:
		return fmt.Errorf("%w %s", refusedRights, m.Topic)
	case m.QoS == 1:
		c.sendAck(typePuback, id, refusedRights.code)
	default:
		c.sendAck(typePubrec, id, refusedRights.code)
	}
	return nil
}

// pass hands on a message of QoS 0.
func (c *conn) pass(t *topic, m *Message) {
	if t.wanted {
		c.b.opts.Inlet.Offer(m)
	}
	if !t.lonely || m.Retain && !t.reserved {
		c.b.mu.Lock()
		c.b.retain(m, nil)
		c.b.route(m, nil)
		c.b.mu.Unlock()
	}
}

// take takes a message of QoS 1 or 2 in: first the inlet keeps it, then the
// subscribers get it, then it is acknowledged.
func (c *conn) take(t *topic, m *Message, id uint16, again bool) error {
	b := c.b
	kind := byte(typePuback + m.QoS - 1)
	b.mu.Lock()
	a, ok := c.addAck(kind, id, m.size())
	var in *inbound
	known := false
	if ok && m.QoS == 2 {
		if in, known = c.s.received[id]; known {
			in.ack = a
			if in.safe {
				a.done()
			}
		} else {
			in = &inbound{ack: a}
			c.s.received[id] = in
		}
	}
	s := c.s
	tooMany := ok && len(s.received) > maxReceived
	b.mu.Unlock()
	switch {
	case !ok:
		return errEnding
	case tooMany:
		return protocolError("%d messages of QoS 2 are not released", maxReceived)
	case known:
		return nil // it is on its way already
	}
	kept := func() { b.accepted(s, m, id, a, in) }
	if !t.wanted {
		kept()
		return nil
	}
	if c.gate == nil {
		c.gate = b.opts.Inlet.Open(c.id, c.keepAlive, c.end)
	}
	c.gate.Keep(m, id, again, kept)
	return nil
}

// accepted hands a message that the inlet has kept to the subscribers, and
// acknowledges it when that is safe.
func (b *Broker) accepted(s *session, m *Message, id uint16, a *ack, in *inbound) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &debt{n: 1, paid: a.done}
	if in != nil {
		d.paid = func() {
			in.safe = true
			if in.ack != nil {
				in.ack.done()
			}
		}
		if s.stored() {
			d.n++
			b.disk.received(s.id, id, d.pay)
		}
	}
	if !reserved(m.Topic) {
		b.retain(m, d)
		b.route(m, d)
	}
	d.pay()
}

// answered takes a client's answer to a PUBLISH, or its PUBREL.
func (c *conn) answered(kind byte, body []byte) error {
	id, code, err := parseAck(body, c.version)
	if err != nil {
		return err
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	s := c.s
	if s.conn != c {
		return refusedTakenOver
	}
	switch kind {
	case typePuback, typePubcomp:
		s.acknowledged(id)
	case typePubrec:
		c.received(id, code)
	case typePubrel:
		if in := s.received[id]; in != nil && in.safe {
			delete(s.received, id)
			if s.stored() {
				c.b.disk.completed(s.id, id)
			}
		}
		c.sendAck(typePubcomp, id, 0)
	}
	return nil
}

// received takes a PUBREC.
func (c *conn) received(id uint16, code byte) {
	i := c.s.find(id)
	switch {
	case code >= 0x80:
		c.s.acknowledged(id) // it does not want it
	case i >= 0:
		c.s.flight[i].released = true
		fallthrough
	default: // of a message from before a restart: let the client forget it
		c.sendAck(typePubrel, id, 0)
	}
}
