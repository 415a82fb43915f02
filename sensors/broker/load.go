package broker

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// loader makes the broker's state of records. A record whose body makes no
// sense is counted in bad (bytes), and skipped.
type loader struct {
	b        *Broker
	bad      int64
	sessions map[string]*session
}

// body reads the fields of a record.
type body struct{ cursor }

func (r *body) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *body) data() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

func (r *body) string() string { return string(r.data()) }

func (l *loader) apply(kind byte, data []byte) {
	r := &body{cursor{b: data}}
	if kind == recRetained || kind == recMessage {
		m := r.message()
		switch {
		case r.bad:
		case kind == recRetained:
			l.b.setRetained(m)
		default:
			l.deliveries(m, r)
		}
	} else {
		id := r.string()
		s := l.sessions[id]
		switch {
		case kind == recSession:
			l.session(id, s, r)
		case kind > recCompleted:
			r.bad = true
		case s != nil:
			l.change(kind, s, r)
		default:
			r.b = nil // of a session that has ended
		}
	}
	if r.bad || len(r.b) > 0 {
		l.bad += int64(recHeader + len(data))
	}
}

func (l *loader) session(id string, s *session, r *body) {
	user, expiry := r.string(), uint32(r.number())
	if r.bad {
		return
	}
	if s == nil {
		s = newSession(l.b, id, user, expiry)
		l.sessions[id] = s
	}
	s.user, s.expiry = user, expiry
}

// change applies a record about one session.
func (l *loader) change(kind byte, s *session, r *body) {
	switch kind {
	case recEnd:
		delete(l.sessions, s.id)
	case recFilter:
		f := filterOption{full: r.string()}
		o := r.u8()
		f.qos, f.noLocal, f.asKept, f.handling = o&3, o&4 != 0, o&8 != 0, o>>4&3
		if r.bad || f.qos > 2 || f.split() != nil {
			r.bad = true
			return
		}
		s.subs[f.full] = &subscription{s: s, filterOption: f}
	case recRemoved:
		delete(s.subs, r.string())
	case recDone:
		n := r.number()
		s.waiting = slices.DeleteFunc(s.waiting, func(d *delivery) bool { return d.n == n })
	case recReceived:
		s.received[uint16(r.number())] = &inbound{safe: true}
	case recCompleted:
		delete(s.received, uint16(r.number()))
	}
}

func (r *body) message() *Message {
	m := &Message{Topic: r.string(), Data: r.data()}
	o := r.u8()
	m.QoS, m.Retain = o&3, o&4 != 0
	m.origin = r.string()
	m.props = r.data()
	m.expires = int64(r.number())
	if agent.CheckTopic(m.Topic) != nil || m.QoS > 2 {
		r.bad = true
	}
	return m
}

func (l *loader) deliveries(m *Message, r *body) {
	for len(r.b) > 0 && !r.bad {
		d := &delivery{m: m, logged: true}
		s := l.sessions[r.string()]
		d.n, d.qos = r.number(), r.u8()
		flags := r.u8()
		d.retain, d.released = flags&flagRetain != 0, flags&flagReleased != 0
		d.id = uint16(r.number())
		if r.bad || d.qos < 1 || d.qos > 2 {
			r.bad = true
			return
		}
		l.b.counter = max(l.b.counter, d.n)
		if d.s = s; s != nil {
			s.waiting = append(s.waiting, d)
		}
	}
}

// finish makes the sessions those of the broker: what had a packet id was on
// its way when the broker stopped.
func (l *loader) finish() {
	b, now := l.b, time.Now().Unix()
	for id, s := range l.sessions {
		b.sessions[id] = s
		s.away = now
		for _, sub := range s.subs {
			b.topics.add(sub)
			b.filters++
		}
		slices.SortStableFunc(s.waiting, func(x, y *delivery) int { return cmp.Compare(x.n, y.n) })
		s.waiting = slices.CompactFunc(s.waiting, func(x, y *delivery) bool { return x.n == y.n })
		all := s.waiting
		s.waiting = nil
		for _, d := range all {
			s.bytes += d.m.size()
			b.queued += d.m.size()
			if d.id != 0 && s.find(d.id) < 0 {
				s.flight = append(s.flight, d)
				continue
			}
			d.id = 0
			s.waiting = append(s.waiting, d)
		}
	}
}
