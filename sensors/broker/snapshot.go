package broker

import "slices"

// part is a record that is encoded when it is written.
type part struct {
	kind byte
	body func() []byte
}

// snapshot is all there is, as records; what they refer to does not change.
// fresh are the deliveries that were not on disk before.
func (b *Broker) snapshot() (parts []part, fresh []*delivery) {
	add := func(kind byte, body func() []byte) { parts = append(parts, part{kind, body}) }
	byMessage := map[*Message][]place{}
	var order []*Message
	for id, s := range b.sessions {
		if !s.lasting() {
			continue
		}
		user, expiry := s.user, s.expiry
		add(recSession, func() []byte { return encodeSession(id, user, expiry) })
		for _, sub := range s.subs {
			add(recFilter, func() []byte { return encodeFilter(id, &sub.filterOption) })
		}
		for packet, in := range s.received {
			if in.safe {
				add(recReceived, func() []byte { return encodePacketID(id, packet) })
			}
		}
		for _, d := range slices.Concat(s.flight, s.waiting) {
			if !d.logged {
				d.logged = true
				fresh = append(fresh, d)
			}
			if byMessage[d.m] == nil {
				order = append(order, d.m)
			}
			byMessage[d.m] = append(byMessage[d.m], placeOf(d))
		}
	}
	for _, m := range order {
		places := byMessage[m]
		add(recMessage, func() []byte { return encodeDeliveries(m, places) })
	}
	for _, m := range b.retained {
		add(recRetained, func() []byte { return encodeMessage(nil, m) })
	}
	clear(b.dirty)
	return parts, fresh
}
