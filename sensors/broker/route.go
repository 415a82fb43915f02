package broker

import (
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// target is a session that a message goes to, once however many of its filters
// match.
type target struct {
	s      *session
	qos    byte
	asKept bool
}

// route hands m to the sessions that want it; what d has to wait for is added
// to it. The lock is held.
func (b *Broker) route(m *Message, d *debt) {
	if b.filters == 0 {
		return
	}
	b.round++
	b.targets = b.targets[:0]
	b.topics.match(m.Topic, func(sub *subscription) {
		s := sub.s
		if sub.noLocal && m.origin == s.id {
			return
		}
		if s.round == b.round {
			t := &b.targets[s.at]
			t.qos, t.asKept = max(t.qos, sub.qos), t.asKept || sub.asKept
			return
		}
		s.round, s.at = b.round, len(b.targets)
		b.targets = append(b.targets, target{s, sub.qos, sub.asKept})
	})
	var record []*delivery
	for _, t := range b.targets {
		if dl := t.s.deliver(m, min(m.QoS, t.qos), m.Retain && t.asKept, d); dl != nil {
			record = append(record, dl)
		}
	}
	b.record(record)
}

// record puts deliveries of one message on disk, those that are not there yet.
func (b *Broker) record(ds []*delivery) {
	var fresh []*delivery
	for _, d := range ds {
		if !d.logged && !d.over {
			d.logged = true
			fresh = append(fresh, d)
		}
	}
	if len(fresh) > 0 {
		b.disk.message(fresh, func() {
			for _, d := range fresh {
				d.settle()
			}
		})
	}
}

// spillLater has d go to the disk unless it is acknowledged soon.
func (b *Broker) spillLater(d *delivery) {
	if len(b.young)+len(b.old) == 0 {
		time.AfterFunc(spillAfter, b.spill)
	}
	b.young = append(b.young, d)
}

func (b *Broker) spill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.old {
		if !d.over {
			b.record([]*delivery{d})
		}
	}
	b.old, b.young = b.young, nil
	if len(b.old) > 0 {
		time.AfterFunc(spillAfter, b.spill)
	}
}

// retain keeps m as the retained message of its topic if it says so. Of QoS 1
// and 2 it is on disk before d is paid; of QoS 0 soon after. The lock is held.
func (b *Broker) retain(m *Message, d *debt) {
	if !m.Retain {
		return
	}
	old, room := b.retained[m.Topic], b.limits.KeptBytes-b.kept
	if old != nil {
		room += old.size()
	}
	switch {
	case len(m.Data) == 0 && old == nil:
		return
	case len(m.Data) > 0 && (m.size() > room || old == nil && len(b.retained) >= b.limits.Retained):
		b.lost.Kept++
		b.warn("retained message not kept: there are too many", "topic", m.Topic)
		return
	}
	b.setRetained(m)
	switch {
	case b.disk == nil:
	case m.QoS > 0 && d != nil:
		d.n++
		delete(b.dirty, m.Topic)
		b.disk.retained(m, d.pay)
	default:
		b.dirty[m.Topic] = true
	}
}

func (b *Broker) setRetained(m *Message) {
	if old := b.retained[m.Topic]; old != nil {
		b.kept -= old.size()
		delete(b.retained, m.Topic)
	}
	if len(m.Data) > 0 {
		b.kept += m.size()
		b.retained[m.Topic] = m
	}
}

// sendRetained hands a session the retained messages of a new subscription.
func (b *Broker) sendRetained(s *session, f *filterOption) {
	now := time.Now().Unix()
	for topic, m := range b.retained {
		if _, alive := m.left(now); alive && agent.MatchTopic(f.filter, topic) {
			if d := s.deliver(m, min(m.QoS, f.qos), true, nil); d != nil {
				b.record([]*delivery{d})
			}
		}
	}
}
