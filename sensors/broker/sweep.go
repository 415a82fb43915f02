package broker

import "time"

// cleanEvery is how often retained messages of QoS 0 are written, in seconds:
// a sensor that retains what it measures shall not wear the flash out.
const cleanEvery = 10

// lateWill is a will that waits, in case its client comes back.
type lateWill struct {
	m  *Message
	at int64 // Unix seconds
}

// sweep does once a second what is due by the clock.
func (b *Broker) sweep(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			b.sweepOnce(now.Unix(), n%cleanEvery == 0)
		}
	}
}

func (b *Broker) sweepOnce(now int64, clean bool) {
	b.mu.Lock()
	for _, s := range b.sessions {
		if s.conn == nil && now-s.away > int64(s.expiry) {
			b.log.Info("session ended: its client stayed away", "client", s.id)
			s.end()
		}
	}
	var due []*Message
	for id, w := range b.wills {
		if w.at <= now {
			delete(b.wills, id)
			due = append(due, w.m)
		}
	}
	if clean {
		b.clean(now)
	}
	if b.disk != nil {
		b.disk.flushSoon()
	}
	b.mu.Unlock()
	for _, m := range due {
		b.publishWill(m)
	}
}

// clean drops retained messages whose time is over, and has the disk know of
// those that changed.
func (b *Broker) clean(now int64) {
	for topic, m := range b.retained {
		if _, alive := m.left(now); !alive {
			b.setRetained(&Message{Topic: topic})
			b.dirty[topic] = true
		}
	}
	b.writeDirty()
}

func (b *Broker) writeDirty() {
	if b.disk == nil {
		clear(b.dirty)
		return
	}
	for topic := range b.dirty {
		m := b.retained[topic]
		if m == nil {
			m = &Message{Topic: topic}
		}
		b.disk.retained(m, nil)
	}
	clear(b.dirty)
}

// publishWill publishes the will of a client that is gone.
func (b *Broker) publishWill(m *Message) {
	if b.opts.Inlet.Wants(m.Topic) {
		b.opts.Inlet.Offer(m)
	}
	b.Publish(m, nil)
}
