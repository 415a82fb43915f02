package broker

import (
	"slices"
	"time"
)

// session is what the broker keeps of a client. The broker's lock guards it.
type session struct {
	b      *Broker
	id     string
	user   string
	expiry uint32 // seconds it outlives its connection; 0: it ends with it
	conn   *conn  // nil while the client is away
	away   int64  // Unix seconds since when it is

	subs     map[string]*subscription // by filter as it was sent
	flight   []*delivery              // sent and not acknowledged, oldest first
	waiting  []*delivery              // to be sent, oldest first
	received map[uint16]*inbound      // QoS 2 messages of the client that it has not released
	lastID   uint16
	bytes    int // of flight and waiting

	round uint64 // of the last message routed to it
	at    int    // its place among the targets of that message
}

// inbound is a message of QoS 2 between its PUBLISH and its PUBREL.
type inbound struct {
	ack  *ack // of its last PUBLISH; nil after a restart
	safe bool // it may be acknowledged
}

func newSession(b *Broker, id, user string, expiry uint32) *session {
	return &session{
		b: b, id: id, user: user, expiry: expiry,
		subs: map[string]*subscription{}, received: map[uint16]*inbound{},
	}
}

// lasting tells whether s outlives its connection.
func (s *session) lasting() bool { return s.expiry > 0 }

// stored tells whether what happens to s has to reach the disk.
func (s *session) stored() bool { return s.lasting() && s.b.disk != nil }

// deliver hands m to s. It returns the delivery if it has to go to the disk at
// once; what the client has acknowledged within spillAfter never gets there.
func (s *session) deliver(m *Message, qos byte, retain bool, d *debt) *delivery {
	b := s.b
	if qos == 0 {
		if s.conn != nil && !s.conn.sendNow(m, retain) {
			b.lost.Slow++
		}
		return nil
	}
	if s.conn == nil && !s.lasting() {
		return nil
	}
	if len(s.waiting) >= b.limits.Queue || b.queued+m.size() > b.limits.QueueBytes {
		b.lost.Full++
		b.warn("message dropped: too much waits for a client that is away or slow", "client", s.id, "topic", m.Topic)
		return nil
	}
	b.counter++
	dl := &delivery{m: m, s: s, n: b.counter, qos: qos, retain: retain}
	s.bytes += m.size()
	b.queued += m.size()
	if s.stored() && d != nil {
		d.n++
		dl.owed = d
	}
	if len(s.waiting) == 0 && s.open() {
		s.send(dl)
	} else {
		s.waiting = append(s.waiting, dl)
	}
	switch {
	case !s.stored() || dl.over:
		return nil
	case dl.id == 0:
		return dl
	}
	b.spillLater(dl)
	return nil
}

// open tells whether the client may be sent one more message.
func (s *session) open() bool { return s.conn != nil && len(s.flight) < s.conn.window }

// pump sends what waits, as far as the window allows.
func (s *session) pump() {
	for s.open() && len(s.waiting) > 0 {
		d := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.send(d)
	}
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
}

// send sends a delivery for the first time, or gives it up if it cannot be sent.
func (s *session) send(d *delivery) {
	d.id = s.nextID()
	if !s.conn.sendDelivery(d) {
		s.finish(d)
		return
	}
	s.flight = append(s.flight, d)
}

// nextID is a packet id that nothing in flight has: the window is far smaller
// than the number of ids.
func (s *session) nextID() uint16 {
	for {
		s.lastID++
		if s.lastID != 0 && s.find(s.lastID) < 0 {
			return s.lastID
		}
	}
}

// find is the place in flight of the delivery with a packet id, -1 for none.
func (s *session) find(id uint16) int {
	return slices.IndexFunc(s.flight, func(d *delivery) bool { return d.id == id })
}

// acknowledged takes a PUBACK or PUBCOMP, or a refusal.
func (s *session) acknowledged(id uint16) {
	if i := s.find(id); i >= 0 {
		d := s.flight[i]
		s.flight = slices.Delete(s.flight, i, i+1)
		s.finish(d)
		s.pump()
	}
}

// finish ends a delivery that is in neither list any more.
func (s *session) finish(d *delivery) {
	if d.over {
		return
	}
	d.over = true
	s.bytes -= d.m.size()
	s.b.queued -= d.m.size()
	if d.logged {
		s.b.disk.done(s.id, d.n)
	}
	d.settle()
}

// park keeps what the client has not acknowledged for its next connection.
func (s *session) park() {
	s.conn, s.away = nil, time.Now().Unix()
	if !s.stored() {
		return
	}
	for _, d := range s.flight {
		s.b.record([]*delivery{d})
	}
}

// resume sends again what the client has not acknowledged, in the order of the
// first time, and then what waits.
func (s *session) resume() {
	for _, d := range slices.Clone(s.flight) {
		if d.released {
			s.conn.sendAck(typePubrel, d.id, 0)
			continue
		}
		d.again = true
		if !s.conn.sendDelivery(d) {
			s.acknowledged(d.id)
		}
	}
	s.pump()
}

// end forgets s: what is still to be delivered has nobody to go to.
func (s *session) end() {
	b := s.b
	for _, sub := range s.subs {
		b.topics.remove(sub)
		b.filters--
	}
	b.changed()
	if b.sessions[s.id] == s {
		delete(b.sessions, s.id)
	}
	if w, ok := b.wills[s.id]; ok {
		b.wills[s.id] = lateWill{m: w.m} // due now
	}
	all := slices.Concat(s.flight, s.waiting)
	s.flight, s.waiting = nil, nil
	for _, d := range all {
		d.logged = false // the record below says it of all
		s.finish(d)
	}
	if s.stored() {
		b.disk.end(s.id)
	}
	s.expiry = 0
}
