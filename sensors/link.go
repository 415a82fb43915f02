package sensors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/mqtt"
)

const (
	fullWait   = time.Second            // how long the handler waits for room in the ring; pings suffer from longer
	drainWait  = 500 * time.Millisecond // how long a stopping source waits for outcomes under way
	answerWait = 10 * time.Second       // for the answer to a subscription
)

var errFull = errors.New("the agent could not keep up: too many events wait for their outcome; the broker sends them again")

// link is one connection to the broker, from dial to loss. What belongs to an
// old one cannot reach a new one.
type link struct {
	m       *MQTT
	ring    *ring
	sure    bool        // what the session held was known before this connection
	conn    *mqtt.Conn  // set once the broker has accepted it
	since   time.Time   // of that
	closing atomic.Bool // nothing more is taken in
	later   chan publish

	once  sync.Once
	gone  chan struct{} // closed when the link is lost
	cause error         // why; set before gone is closed
}

func newLink(m *MQTT, offer agent.Offer) *link {
	return &link{m: m, ring: newRing(offer, m.opts.Inflight), later: make(chan publish, maxLater), gone: make(chan struct{})}
}

// lose ends the link; the first cause counts.
func (l *link) lose(cause error) {
	l.once.Do(func() {
		l.cause = cause
		close(l.gone)
	})
}

// why is the cause of the loss, nil while the link lives.
func (l *link) why() error {
	if isClosed(l.gone) {
		return l.cause
	}
	return nil
}

// receive is the handler of all messages. It never waits for a commit, since
// nothing else is read while it runs.
func (l *link) receive(m *mqtt.Message) {
	if l.closing.Load() {
		return // not acknowledged: it comes again
	}
	now := time.Now()
	l.m.silence.heard(now)
	if m.TooLarge > 0 {
		l.m.drops.tooLarge(l.m.log, m.Topic, m.TooLarge, l.m.opts.MaxPacket)
		l.refuse(m)
		return
	}
	if err := agent.CheckTopic(m.Topic); err != nil {
		l.m.drops.badTopic(l.m.log, err)
		l.refuse(m)
		return
	}
	msg := message{
		topic: m.Topic, data: m.Payload, qos: m.QoS,
		retained: m.Retained, duplicate: m.Duplicate,
	}
	if l.m.opts.Traced {
		msg.trace = payloadTrace(m.Payload)
	}
	if msg.qos == 0 {
		l.ring.offer(msg.event(l.m.source, l.m.opts.Name, now), nil)
		return
	}
	msg.slot = slot(l.m.opts.Name, m.ID)
	l.enter(msg.event(l.m.source, l.m.opts.Name, now), l.ack(m))
}

// ack acknowledges m.
func (l *link) ack(m *mqtt.Message) func() {
	return func() { l.conn.Ack(m.QoS, m.ID) }
}

// refuse acknowledges, in its turn, a message that no function can have.
func (l *link) refuse(m *mqtt.Message) {
	if m.QoS > 0 {
		l.insert(func() bool { return l.ring.addKept(l.ack(m)) })
	}
}

func (l *link) enter(ev *agent.Event, ack func()) {
	l.insert(func() bool { return l.ring.add(ev, ack) })
}

// insert tries add until there is room, and gives the link up when that takes
// too long: the broker keeps what it sent, and memory stays bounded.
func (l *link) insert(add func() bool) {
	for !add() {
		if !l.ring.waitRoom(l.gone, fullWait) {
			l.closing.Store(true)
			l.lose(errFull)
			return
		}
	}
}

// serve keeps the link until it is lost, or until ctx ends; then it waits a
// moment for outcomes under way.
func (l *link) serve(ctx context.Context) {
	for {
		if err := l.subscribe(ctx); err != nil {
			l.lose(fmt.Errorf("subscribe: %w", err))
			return
		}
		select {
		case <-l.m.changed:
		case <-l.gone:
			return
		case <-ctx.Done():
			l.drain()
			return
		}
	}
}

// drain stops taking messages in and lets the acknowledgements out that come
// within drainWait.
func (l *link) drain() {
	l.closing.Store(true)
	deadline := time.NewTimer(drainWait)
	defer deadline.Stop()
	for l.ring.waiting() > 0 {
		select {
		case <-l.ring.room:
		case <-l.gone:
			return
		case <-deadline.C:
			return
		}
	}
}
