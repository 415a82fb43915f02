package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// Packet types (MQTT 3.1.1, table 2.1).
const (
	typeConnect     = 1
	typeConnack     = 2
	typePublish     = 3
	typePuback      = 4
	typePubrec      = 5
	typePubrel      = 6
	typePubcomp     = 7
	typeSubscribe   = 8
	typeSuback      = 9
	typeUnsubscribe = 10
	typeUnsuback    = 11
	typePingreq     = 12
	typePingresp    = 13
	typeDisconnect  = 14
)

// reason is why a packet or a connection is refused: the code of MQTT 5, and
// what to tell people.
type reason struct {
	code byte
	text string
}

func (r reason) Error() string { return r.text }

var (
	refusedMalformed   = reason{0x81, "it sent a malformed packet"}
	refusedProtocol    = reason{0x82, "it broke the rules of the protocol"}
	refusedVersion     = reason{0x84, "its version of MQTT is unknown"}
	refusedClientID    = reason{0x85, "its client id is not valid"}
	refusedLogin       = reason{0x86, "unknown user or wrong password"}
	refusedRights      = reason{0x87, "it may not publish to the topic"}
	refusedUnavailable = reason{0x88, "the broker is at its limit of clients or sessions"}
	refusedStopping    = reason{0x8b, "the broker stops"}
	refusedAuth        = reason{0x8c, "its authentication method is unknown"}
	refusedSilent      = reason{0x8d, "it sent nothing within its keep-alive"}
	refusedTakenOver   = reason{0x8e, "another client of the same id connected"}
	refusedFilter      = reason{0x8f, "its topic filter is not valid"}
	refusedTopic       = reason{0x90, "its topic is not valid"}
	refusedAlias       = reason{0x94, "topic aliases are not supported"}
	refusedSize        = reason{0x95, "its packet is larger than the limit"}
	refusedSubID       = reason{0xa1, "subscription identifiers are not supported"}
)

// connectCode is the code of r in a CONNACK before MQTT 5.
func (r reason) connectCode() byte {
	switch r.code {
	case 0x84:
		return 1
	case 0x85:
		return 2
	case 0x86, 0x87:
		return 5
	}
	return 3
}

// connectPacket is a CONNECT.
type connectPacket struct {
	version   byte // 3, 4 or 5
	bridge    bool // it is a broker: it gets no messages of its own, and sees what is retained
	clean     bool
	keepAlive uint16 // seconds, 0 for none
	id        string
	user      string
	password  []byte
	hasUser   bool
	will      *will // nil for none
	props     properties
}

// will is what a client wants published should it vanish.
type will struct {
	message *Message
	delay   uint32 // seconds
}

var versions = map[string]byte{"MQIsdp\x03": 3, "MQTT\x04": 4, "MQTT\x05": 5}

func parseConnect(body []byte) (*connectPacket, error) {
	c := cursor{b: body}
	name, level := string(c.bytes()), c.u8()
	if c.bad {
		return nil, refusedMalformed
	}
	const bridge = 0x80 // as mosquitto says it; there is no standard for it
	p := &connectPacket{version: versions[name+string(rune(level&^bridge))], bridge: level&bridge != 0}
	if p.version == 0 {
		return nil, refusedVersion
	}
	flags := c.u8()
	p.keepAlive = c.u16()
	p.clean = flags&2 != 0
	if p.version == 5 {
		p.props = c.properties(ofConnect)
	}
	p.id = c.str()
	if flags&1 != 0 || flags>>3&3 > 2 || flags&4 == 0 && flags&0x38 != 0 {
		return nil, refusedMalformed
	}
	if flags&4 != 0 {
		p.will = c.will(p.version, flags)
	}
	if p.hasUser = flags&0x80 != 0; p.hasUser {
		p.user = c.str()
	}
	if flags&0x40 != 0 {
		p.password = c.bytes()
	}
	if c.bad || len(c.b) > 0 || p.version < 5 && flags&0xc0 == 0x40 {
		return nil, refusedMalformed
	}
	return p, nil
}

func (c *cursor) will(version, flags byte) *will {
	w := &will{message: &Message{QoS: flags >> 3 & 3, Retain: flags&0x20 != 0}}
	if version == 5 {
		props := c.properties(ofWill)
		w.delay, w.message.props = props.willDelay, props.kept
		w.message.expire(&props)
	}
	w.message.Topic = c.str()
	w.message.Data = c.bytes()
	if agent.CheckTopic(w.message.Topic) != nil {
		c.bad = true
	}
	return w
}

// filterOption is one filter of a SUBSCRIBE.
type filterOption struct {
	filter   string // without the share group
	share    string // "" for none
	full     string // as it was sent
	qos      byte
	noLocal  bool
	asKept   bool // MQTT 5: retain as published
	handling byte // MQTT 5: retain handling
	err      error
}

// parseSubscribe reads a SUBSCRIBE, or with unsubscribe an UNSUBSCRIBE.
func parseSubscribe(body []byte, version byte, unsubscribe bool) (id uint16, filters []filterOption, err error) {
	c := cursor{b: body}
	id = c.u16()
	if version == 5 {
		allowed := ofSubscribe
		if unsubscribe {
			allowed = ofUnsubscribe
		}
		if props := c.properties(allowed); props.subID {
			return 0, nil, refusedSubID
		}
	}
	for len(c.b) > 0 && !c.bad {
		f := filterOption{full: c.str()}
		if !unsubscribe {
			c.options(&f, version)
		}
		f.err = f.split()
		filters = append(filters, f)
	}
	if c.bad || id == 0 || len(filters) == 0 {
		return 0, nil, refusedMalformed
	}
	return id, filters, nil
}

func (c *cursor) options(f *filterOption, version byte) {
	o := c.u8()
	f.qos = o & 3
	if version == 5 {
		f.noLocal, f.asKept, f.handling = o&4 != 0, o&8 != 0, o>>4&3
		o &= 0xc0
	} else {
		o &= 0xfc
	}
	if f.qos > 2 || o != 0 || f.handling > 2 {
		c.bad = true
	}
}

// split tells the share group from the filter.
func (f *filterOption) split() error {
	f.filter = f.full
	if rest, shared := strings.CutPrefix(f.full, "$share/"); shared {
		group, filter, ok := strings.Cut(rest, "/")
		if !ok || group == "" || strings.ContainsAny(group, "+#") || f.noLocal {
			return errors.New("a shared subscription is $share/group/filter")
		}
		f.share, f.filter = group, filter
	}
	return agent.CheckFilter(f.filter)
}

// parseAck reads the packet id of a PUBACK, PUBREC, PUBREL or PUBCOMP, and its
// reason code.
func parseAck(body []byte, version byte) (id uint16, code byte, err error) {
	c := cursor{b: body}
	id = c.u16()
	if version == 5 && len(c.b) > 0 {
		code = c.u8()
		if len(c.b) > 0 {
			c.properties(ofAck)
		}
	}
	if c.bad || len(c.b) > 0 || id == 0 {
		return 0, 0, refusedMalformed
	}
	return id, code, nil
}

// appendAck adds a PUBACK, PUBREC, PUBREL or PUBCOMP; code is told in MQTT 5.
func appendAck(b []byte, version, kind byte, id uint16, code byte) []byte {
	first := kind << 4
	if kind == typePubrel {
		first |= 2
	}
	if version == 5 && code != 0 {
		return append(b, first, 3, byte(id>>8), byte(id), code)
	}
	return append(b, first, 2, byte(id>>8), byte(id))
}

// appendPublish adds a PUBLISH of m as it goes to a subscriber. left is how
// many seconds m still has; it is told if m expires.
func appendPublish(b []byte, version byte, m *Message, d *delivery, left uint32) []byte {
	first := byte(typePublish<<4) | d.qos<<1
	if d.retain {
		first |= 1
	}
	if d.again {
		first |= 8
	}
	n := 2 + len(m.Topic) + len(m.Data)
	if d.qos > 0 {
		n += 2
	}
	props := 0
	if version == 5 {
		props = len(m.props)
		if m.expires > 0 {
			props += 5
		}
		n += props + len(appendVarint(nil, props))
	}
	b = appendVarint(append(b, first), n)
	b = appendText(b, m.Topic)
	if d.qos > 0 {
		b = binary.BigEndian.AppendUint16(b, d.id)
	}
	if version == 5 {
		b = appendVarint(b, props)
		b = append(b, m.props...)
		if m.expires > 0 {
			b = appendProp32(b, propMessageExpiry, left)
		}
	}
	return append(b, m.Data...)
}

// publishSize is about how many bytes appendPublish adds, and never fewer.
func publishSize(m *Message) int { return 16 + len(m.Topic) + len(m.props) + len(m.Data) }

func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{refusedProtocol}, args...)...)
}
