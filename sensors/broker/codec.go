package broker

import "encoding/binary"

// place is where a message goes, as the journal has it.
type place struct {
	id     string // of the session
	n      uint64
	qos    byte
	flags  byte
	packet uint16 // 0: never sent
}

const (
	flagRetain   = 1
	flagReleased = 2
)

func placeOf(d *delivery) place {
	p := place{id: d.s.id, n: d.n, qos: d.qos, packet: d.id}
	if d.retain {
		p.flags |= flagRetain
	}
	if d.released {
		p.flags |= flagReleased
	}
	return p
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func encodeSession(id, user string, expiry uint32) []byte {
	b := appendString(nil, id)
	b = appendString(b, user)
	return binary.AppendUvarint(b, uint64(expiry))
}

func encodeFilter(id string, f *filterOption) []byte {
	o := f.qos | f.handling<<4
	if f.noLocal {
		o |= 4
	}
	if f.asKept {
		o |= 8
	}
	return append(appendString(appendString(nil, id), f.full), o)
}

func encodePacketID(id string, packet uint16) []byte {
	return binary.AppendUvarint(appendString(nil, id), uint64(packet))
}

func encodeMessage(b []byte, m *Message) []byte {
	b = appendString(b, m.Topic)
	b = appendString(b, string(m.Data))
	o := m.QoS
	if m.Retain {
		o |= 4
	}
	b = append(b, o)
	b = appendString(b, m.origin)
	b = appendString(b, string(m.props))
	return binary.AppendUvarint(b, uint64(m.expires))
}

func encodeDeliveries(m *Message, places []place) []byte {
	b := encodeMessage(make([]byte, 0, m.size()+64*len(places)), m)
	for _, p := range places {
		b = appendString(b, p.id)
		b = binary.AppendUvarint(b, p.n)
		b = append(b, p.qos, p.flags)
		b = binary.AppendUvarint(b, uint64(p.packet))
	}
	return b
}

// The methods of journal that add records; the lock is held.

func (j *journal) session(s *session) {
	j.add(recSession, encodeSession(s.id, s.user, s.expiry), nil)
}

func (j *journal) end(id string) { j.add(recEnd, appendString(nil, id), nil) }

func (j *journal) filter(id string, f *filterOption, durable func()) {
	j.add(recFilter, encodeFilter(id, f), durable)
}

func (j *journal) unfilter(id, full string, durable func()) {
	j.add(recRemoved, appendString(appendString(nil, id), full), durable)
}

func (j *journal) message(ds []*delivery, durable func()) {
	places := make([]place, len(ds))
	for i, d := range ds {
		places[i] = placeOf(d)
	}
	j.add(recMessage, encodeDeliveries(ds[0].m, places), durable)
}

func (j *journal) done(id string, n uint64) {
	j.add(recDone, binary.AppendUvarint(appendString(nil, id), n), nil)
}

func (j *journal) retained(m *Message, durable func()) {
	j.add(recRetained, encodeMessage(nil, m), durable)
}

func (j *journal) received(id string, packet uint16, durable func()) {
	j.add(recReceived, encodePacketID(id, packet), durable)
}

func (j *journal) completed(id string, packet uint16) {
	j.add(recCompleted, encodePacketID(id, packet), nil)
}
