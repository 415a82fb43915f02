package mqtt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/sensors/gather"
)

// flight is a packet of ours that wants an answer.
type flight struct {
	kind   byte // type of the answer
	answer func(code byte, err error)
}

func (f flight) over(err error) {
	if f.answer != nil {
		f.answer(0, err)
	}
}

// CodeRefused is in the answer to a subscription that the broker refuses.
const CodeRefused = 0x80

var errManyInFlight = errors.New("65,535 packets wait for the broker's answer")

// depart gives f a packet id.
func (c *Conn) depart(f flight) (uint16, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return 0, c.cause
	}
	if len(c.flights) >= 0xffff {
		return 0, errManyInFlight
	}
	for {
		c.lastID++
		if _, used := c.flights[c.lastID]; c.lastID != 0 && !used {
			c.flights[c.lastID] = f
			return c.lastID, nil
		}
	}
}

// arrive takes the flight with this id, if it waits for such an answer.
func (c *Conn) arrive(kind byte, id uint16) (flight, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.flights[id]
	if !ok || f.kind != kind {
		return flight{}, false
	}
	delete(c.flights, id)
	return f, true
}

// turn makes a flight wait for another answer; false if there is none.
func (c *Conn) turn(id uint16, from, to byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.flights[id]
	if !ok || f.kind != from {
		return false
	}
	f.kind = to
	c.flights[id] = f
	return true
}

// send writes a packet that wants an answer. If that fails, answer is not called.
func (c *Conn) send(mayWait bool, f flight, encode func(b []byte, id uint16) []byte) error {
	id, err := c.depart(f)
	if err != nil {
		return err
	}
	if err := c.put(mayWait, func(b []byte) []byte { return encode(b, id) }); err != nil {
		if _, ours := c.arrive(f.kind, id); ours {
			return err
		} // else its answer was called with what ended the connection
	}
	return nil
}

// Publish sends a message and waits while too much is unwritten. With QoS 1 and
// 2, done is called once (unless it is nil) when the broker has it, or with what
// ended the connection; with QoS 0 never. If Publish gives an error it is not
// called.
func (c *Conn) Publish(topic string, data []byte, qos uint8, retain bool, done func(error)) error {
	return c.publish(true, topic, data, qos, retain, done)
}

// TryPublish is Publish that gives gather.ErrFull instead of waiting.
func (c *Conn) TryPublish(topic string, data []byte, qos uint8, retain bool, done func(error)) error {
	return c.publish(false, topic, data, qos, retain, done)
}

func (c *Conn) publish(mayWait bool, topic string, data []byte, qos uint8, retain bool, done func(error)) error {
	if len(topic) > 0xffff || int64(len(data))+int64(len(topic))+4 > maxRemaining {
		return fmt.Errorf("a message of %d bytes does not fit in MQTT", len(data))
	}
	if qos == 0 {
		return c.put(mayWait, func(b []byte) []byte { return appendPublish(b, topic, data, 0, retain, 0) })
	}
	f := flight{kind: typePuback}
	if qos == 2 {
		f.kind = typePubrec
	}
	if done != nil {
		f.answer = func(_ byte, err error) { done(err) }
	}
	return c.send(mayWait, f, func(b []byte, id uint16) []byte { return appendPublish(b, topic, data, qos, retain, id) })
}

// Subscribe asks for the messages of one filter. answer is called with the QoS
// that the broker grants, or CodeRefused, or with what ended the connection.
func (c *Conn) Subscribe(filter string, qos uint8, answer func(code byte, err error)) error {
	return c.send(true, flight{typeSuback, answer}, func(b []byte, id uint16) []byte {
		p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		p.MessageID, p.Topics, p.Qoss = id, []string{filter}, []byte{qos}
		return appendPacket(b, p)
	})
}

// Unsubscribe takes a subscription back; answer is called as by Subscribe.
func (c *Conn) Unsubscribe(filter string, answer func(err error)) error {
	f := flight{typeUnsuback, func(_ byte, err error) { answer(err) }}
	return c.send(true, f, func(b []byte, id uint16) []byte {
		p := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
		p.MessageID, p.Topics = id, []string{filter}
		return appendPacket(b, p)
	})
}

func appendPacket(b []byte, p packets.ControlPacket) []byte {
	out := bytes.NewBuffer(b)
	p.Write(out) // a buffer takes everything
	return out.Bytes()
}

// Ack tells the broker that the message with this QoS, 1 or 2, and id need not
// be sent again. Once the connection is lost it does nothing.
func (c *Conn) Ack(qos uint8, id uint16) {
	first := byte(typePuback)
	if qos == 2 {
		first = typePubrec
	}
	c.putShort(first, id)
}

// putShort writes a packet that has nothing but an id. It waits for nobody: such
// packets come from the goroutine that reads, and are few bytes each.
func (c *Conn) putShort(first byte, id uint16) {
	if c.out.Waiting() > 2*maxUnwritten { // the broker asks, and does not read the answers
		c.lose(gather.ErrFull)
		return
	}
	p := shortPacket(first, id)
	c.out.Add(p[:]) // it fails when the connection is lost
}

// handle takes in one packet.
func (c *Conn) handle(p packet) error {
	kind := p.first & typeMask
	if kind == typePublish {
		m, err := c.in.message(p)
		if err == nil {
			c.opts.Receive(&m)
		}
		return err
	}
	if kind == typePingresp {
		return nil
	}
	if len(p.body) < 2 {
		return ErrMalformed
	}
	id := binary.BigEndian.Uint16(p.body)
	switch kind {
	case typePuback, typePubcomp, typeUnsuback, typeSuback:
		code := p.body[len(p.body)-1]
		if kind == typeSuback && len(p.body) != 3 {
			return ErrMalformed
		}
		if f, ok := c.arrive(kind, id); ok && f.answer != nil {
			f.answer(code, nil)
		}
	case typePubrec:
		c.turn(id, typePubrec, typePubcomp)
		c.putShort(typePubrel, id)
	case typePubrel & typeMask:
		c.putShort(typePubcomp, id)
	default:
		return ErrMalformed
	}
	return nil
}
