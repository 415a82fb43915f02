package probe

import "encoding/binary"

// Forever is a session that does not expire.
const Forever = 1<<32 - 1

// Limits are what a broker that speaks MQTT 5 says of itself in its answer to the
// greeting.
type Limits struct {
	SessionExpiry uint32 // seconds that it grants of Forever
	ReceiveMax    uint16 // QoS 1 messages of a client under way
	MaxQoS        byte
	MaxPacket     uint32 // bytes that it takes; 0: it names no limit
	NoRetain      bool   // it takes no retained messages
	NoWildcards   bool
	NoShared      bool // no shared subscriptions
	KeepAlive     uint16
	Reason        string // for people
}

// Identifiers of properties (MQTT 5, 2.2.2.2) that a CONNACK may have.
const (
	propSessionExpiry = 0x11
	propAssignedID    = 0x12
	propKeepAlive     = 0x13
	propAuthMethod    = 0x15
	propAuthData      = 0x16
	propResponse      = 0x1a
	propServer        = 0x1c
	propReason        = 0x1f
	propReceiveMax    = 0x21
	propAliasMax      = 0x22
	propMaxQoS        = 0x24
	propRetain        = 0x25
	propUser          = 0x26
	propMaxPacket     = 0x27
	propWildcard      = 0x28
	propSubscription  = 0x29
	propShared        = 0x2a
)

// parseLimits reads the properties of a CONNACK, a stranger's bytes.
func parseLimits(b []byte) (Limits, error) {
	l := Limits{SessionExpiry: Forever, ReceiveMax: 1<<16 - 1, MaxQoS: 2}
	size, n := binary.Uvarint(b)
	if n <= 0 || n > 4 || size > uint64(len(b)-n) {
		return l, errMalformed
	}
	b = b[n : n+int(size)]
	for len(b) > 0 {
		id := b[0]
		value, rest, ok := property(id, b[1:])
		if !ok {
			return l, errMalformed
		}
		l.set(id, value)
		b = rest
	}
	return l, nil
}

// property splits the value of a property off.
func property(id byte, b []byte) (value, rest []byte, ok bool) {
	n := 0
	switch id {
	case propMaxQoS, propRetain, propWildcard, propSubscription, propShared:
		n = 1
	case propKeepAlive, propReceiveMax, propAliasMax:
		n = 2
	case propSessionExpiry, propMaxPacket:
		n = 4
	case propAssignedID, propAuthMethod, propAuthData, propResponse, propServer, propReason:
		return text(b)
	case propUser:
		if _, b, ok = text(b); !ok {
			return nil, nil, false
		}
		return text(b)
	default:
		return nil, nil, false
	}
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

func text(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, nil, false
	}
	return b[2:n], b[n:], true
}

func (l *Limits) set(id byte, value []byte) {
	switch id {
	case propSessionExpiry:
		l.SessionExpiry = binary.BigEndian.Uint32(value)
	case propKeepAlive:
		l.KeepAlive = binary.BigEndian.Uint16(value)
	case propReceiveMax:
		l.ReceiveMax = binary.BigEndian.Uint16(value)
	case propMaxQoS:
		l.MaxQoS = value[0]
	case propMaxPacket:
		l.MaxPacket = binary.BigEndian.Uint32(value)
	case propRetain:
		l.NoRetain = value[0] == 0
	case propWildcard:
		l.NoWildcards = value[0] == 0
	case propShared:
		l.NoShared = value[0] == 0
	case propReason:
		l.Reason = string(value)
	}
}
