package mqtt

import (
	"encoding/binary"
	"errors"
)

// Packet types (MQTT 3.1.1, table 2.1), as the high half of a packet's first byte.
const (
	typeConnack  = 2 << 4
	typePublish  = 3 << 4
	typePuback   = 4 << 4
	typePubrec   = 5 << 4
	typePubrel   = 6<<4 | 2 // with its flags
	typePubcomp  = 7 << 4
	typeSuback   = 9 << 4
	typeUnsuback = 11 << 4
	typePingreq  = 12 << 4
	typePingresp = 13 << 4
	typeClose    = 14 << 4 // DISCONNECT

	typeMask = 0xf0
)

// Flags of PUBLISH.
const (
	flagRetain    = 1
	flagDuplicate = 8
)

// ErrMalformed says that the broker sent what is no MQTT.
var ErrMalformed = errors.New("the broker sent a malformed packet")

// maxRemaining is the largest length that a packet can state.
const maxRemaining = 256<<20 - 1

// appendPublish appends a PUBLISH; id is not used for QoS 0.
func appendPublish(b []byte, topic string, data []byte, qos uint8, retain bool, id uint16) []byte {
	length := 2 + len(topic) + len(data)
	if qos > 0 {
		length += 2
	}
	first := byte(typePublish) | qos<<1
	if retain {
		first |= flagRetain
	}
	b = append(b, first)
	b = binary.AppendUvarint(b, uint64(length)) // MQTT's lengths are of the same form
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return append(b, data...)
}

// shortPacket is a packet that has nothing but an id.
func shortPacket(first byte, id uint16) [4]byte {
	return [4]byte{first, 2, byte(id >> 8), byte(id)}
}

// Message is an application message that came in. It is the receiver's to keep.
type Message struct {
	Topic     string
	Payload   []byte // nil when it was too large
	TooLarge  int64  // bytes of the packet when they were more than MaxPacket, else 0
	QoS       uint8
	Retained  bool
	Duplicate bool
	ID        uint16 // of the packet, with QoS 1 and 2
}

// parsePublish reads the body of a PUBLISH as far as the payload. The topic is
// still part of body.
func parsePublish(first byte, body []byte) (m Message, topic, payload []byte, err error) {
	m = Message{QoS: first >> 1 & 3, Retained: first&flagRetain != 0, Duplicate: first&flagDuplicate != 0}
	if len(body) < 2 || m.QoS > 2 {
		return m, nil, nil, ErrMalformed
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	if n > len(body) {
		return m, nil, nil, ErrMalformed
	}
	topic, body = body[:n], body[n:]
	if m.QoS > 0 {
		if len(body) < 2 {
			return m, nil, nil, ErrMalformed
		}
		m.ID, body = binary.BigEndian.Uint16(body), body[2:]
		if m.ID == 0 {
			return m, nil, nil, ErrMalformed
		}
	}
	return m, topic, body, nil
}
