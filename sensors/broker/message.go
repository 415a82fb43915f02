package broker

import "time"

// Message is an application message. It is not changed once it is made.
type Message struct {
	Topic  string
	Data   []byte
	QoS    byte
	Retain bool

	origin  string // client id of its publisher; "" for the agent
	props   []byte // MQTT 5 properties that go on to subscribers
	expires int64  // Unix seconds; 0 for never
}

// UserProperty is the first value of a user property of MQTT 5 with this name, ""
// if there is none.
func (m *Message) UserProperty(name string) string {
	in := cursor{b: m.props}
	for len(in.b) > 0 && !in.bad {
		switch id := in.u8(); forms[id] {
		case 1:
			in.u8()
		case 4:
			in.u32()
		case 's':
			in.text()
		case 'b':
			in.bytes()
		case 'p':
			if key, value := in.text(), in.text(); string(key) == name {
				return string(value)
			}
		default:
			return "" // no other is of messages
		}
	}
	return ""
}

// expire sets when m is of no use any more.
func (m *Message) expire(p *properties) {
	if p.messageExpiry != nil {
		m.expires = max(time.Now().Unix()+int64(*p.messageExpiry), 1)
	}
}

// left is how many seconds m has still to live; alive is false if none.
func (m *Message) left(now int64) (seconds uint32, alive bool) {
	if m.expires == 0 {
		return 0, true
	}
	if now >= m.expires {
		return 0, false
	}
	return uint32(m.expires - now), true
}

// size is how much memory m takes, about.
func (m *Message) size() int { return 128 + len(m.Topic) + len(m.Data) + len(m.props) }

// debt is what has to happen before somebody may be told that a message is
// safe. It is guarded by the broker's lock.
type debt struct {
	n    int    // things that have still to happen
	paid func() // called once, when n reaches 0
}

func (d *debt) pay() {
	if d == nil {
		return
	}
	if d.n--; d.n == 0 && d.paid != nil {
		d.paid()
	}
}

// delivery is a message of QoS 1 or 2 on its way to one session.
type delivery struct {
	m        *Message
	s        *session
	n        uint64 // names it in the log; deliveries of a session grow in it
	qos      byte
	id       uint16 // 0 until it is sent
	retain   bool
	again    bool  // it was sent before
	released bool  // QoS 2: the subscriber has it, and was told so
	logged   bool  // the log has it
	over     bool  // acknowledged or given up
	owed     *debt // nil when nobody waits for it
}

// settle tells whoever waits that d is safe.
func (d *delivery) settle() {
	owed := d.owed
	d.owed = nil
	owed.pay()
}
