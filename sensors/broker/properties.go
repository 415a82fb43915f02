package broker

import "encoding/binary"

// Identifiers of the MQTT 5 properties that mean something to this broker.
const (
	propMessageExpiry     = 0x02
	propSubscriptionID    = 0x0b
	propSessionExpiry     = 0x11
	propAssignedClientID  = 0x12
	propAuthMethod        = 0x15
	propWillDelay         = 0x18
	propReceiveMaximum    = 0x21
	propTopicAlias        = 0x23
	propUser              = 0x26
	propMaximumPacketSize = 0x27
	propSubIDAvailable    = 0x29
)

// forms says how the value of each property is written: 1, 2 or 4 bytes, a
// (v)ariable integer, (s)tring, (b)inary data or a (p)air of strings.
var forms = map[byte]byte{
	0x01: 1, propMessageExpiry: 4, 0x03: 's', 0x08: 's', 0x09: 'b', propSubscriptionID: 'v',
	propSessionExpiry: 4, propAssignedClientID: 's', 0x13: 2, propAuthMethod: 's', 0x16: 'b', 0x17: 1,
	propWillDelay: 4, 0x19: 1, 0x1a: 's', 0x1c: 's', 0x1f: 's', propReceiveMaximum: 2, 0x22: 2,
	propTopicAlias: 2, 0x24: 1, 0x25: 1, propUser: 'p', propMaximumPacketSize: 4, 0x28: 1,
	propSubIDAvailable: 1, 0x2a: 1,
}

// What each packet of a client may carry, by identifier.
const (
	ofConnect     = "\x11\x21\x27\x22\x19\x17\x26\x15\x16"
	ofWill        = "\x18\x01\x02\x03\x08\x09\x26"
	ofPublish     = "\x01\x02\x23\x08\x09\x26\x0b\x03"
	ofAck         = "\x1f\x26"
	ofSubscribe   = "\x0b\x26"
	ofUnsubscribe = "\x26"
	ofDisconnect  = "\x11\x1f\x26\x1c"

	ofMessage = "\x01\x03\x08\x09\x26" // what goes on to subscribers as it came
)

// properties are those that mean something here. Absent ones are zero but for
// the pointers.
type properties struct {
	sessionExpiry *uint32 // seconds
	messageExpiry *uint32 // seconds
	receiveMax    uint16
	maxPacket     uint32
	willDelay     uint32 // seconds
	alias         bool
	subID         bool
	authMethod    bool
	kept          []byte // ofMessage, as they came
}

// properties reads the properties of a packet that may carry those in allowed.
func (c *cursor) properties(allowed string) (p properties) {
	in := cursor{b: c.take(c.varint())}
	var seen [256]bool
	for len(in.b) > 0 && !in.bad {
		start := in.b
		id := in.u8()
		if !contains(allowed, id) || seen[id] && id != propUser {
			in.bad = true
			break
		}
		seen[id] = true
		p.read(&in, id)
		if contains(ofMessage, id) && !in.bad {
			p.kept = append(p.kept, start[:len(start)-len(in.b)]...)
		}
	}
	c.bad = c.bad || in.bad
	return p
}

func (p *properties) read(in *cursor, id byte) {
	var n uint32
	switch forms[id] {
	case 1:
		n = uint32(in.u8())
	case 2:
		n = uint32(in.u16())
	case 4:
		n = in.u32()
	case 'v':
		n = uint32(in.varint())
	case 's':
		in.text()
	case 'b':
		in.bytes()
	case 'p':
		in.text()
		in.text()
	}
	switch id {
	case propSessionExpiry:
		p.sessionExpiry = &n
	case propMessageExpiry:
		p.messageExpiry = &n
	case propReceiveMaximum:
		p.receiveMax = uint16(n)
		in.bad = in.bad || n == 0
	case propMaximumPacketSize:
		p.maxPacket = n
		in.bad = in.bad || n == 0
	case propWillDelay:
		p.willDelay = n
	case propTopicAlias:
		p.alias = true
	case propSubscriptionID:
		p.subID = true
	case propAuthMethod:
		p.authMethod = true
	}
}

func contains(ids string, id byte) bool {
	for i := range len(ids) {
		if ids[i] == id {
			return true
		}
	}
	return false
}

func appendProp32(b []byte, id byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, id), v)
}
