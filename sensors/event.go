package sensors

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

const (
	typeMQTT     = "io.skerry.mqtt"
	typeSchedule = "io.skerry.schedule"
)

// message is an MQTT application message as a broker handed it over.
type message struct {
	topic     string
	data      []byte
	qos       uint8
	retained  bool
	duplicate bool
	trace     string // traceparent, or ""
	slot      string // where a redelivery comes again; "" when there is none
}

// event makes an Event of a message. The data is shared, not copied: both
// paho and mochi allocate a payload for each packet and never use it again.
func (m *message) event(source, via string, at time.Time) *agent.Event {
	ev := &agent.Event{
		Source:      source,
		Type:        typeMQTT,
		Subject:     m.topic,
		Time:        at,
		ContentType: contentType(m.data),
		Data:        m.data,
		Via:         via,
		QoS:         min(m.qos, 1),
		Retained:    m.retained,
		Trace:       m.trace,
	}
	if m.qos > 0 && m.slot != "" {
		ev.Origin = agent.Origin{Slot: m.slot, Hash: hash(m.topic, m.data), Redelivered: m.duplicate}
	}
	return ev
}

// sourceURI is the Source of events that came through the broker name.
func sourceURI(device, name string) string { return "/" + device + "/mqtt/" + name }

// slot names the place of a packet id in a session.
func slot(session string, packetID uint16) string {
	return session + "/" + strconv.Itoa(int(packetID))
}

// contentType guesses what sensors send: JSON objects and arrays, or bytes.
func contentType(data []byte) string {
	if len(data) > 0 && (data[0] == '{' || data[0] == '[') && utf8.Valid(data) {
		return "application/json"
	}
	return "application/octet-stream"
}

// hash is FNV-1a (64 bit) of topic, a zero byte and data. It is compared with
// values from before a restart, so it must never change.
func hash(topic string, data []byte) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for i := range len(topic) {
		h = (h ^ uint64(topic[i])) * prime
	}
	h *= prime // the zero byte
	for _, b := range data {
		h = (h ^ uint64(b)) * prime
	}
	return h
}

// checkName refuses names that cannot stand in a URI or a packet slot.
func checkName(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("broker name %.80q must have 1 to 64 characters", name)
	}
	for _, r := range name {
		if !isPlain(r) {
			return fmt.Errorf("broker name %q may only have letters, digits, '.', '-' and '_'", name)
		}
	}
	return nil
}

// isPlain tells whether r may stand in a name or client id.
func isPlain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
}
