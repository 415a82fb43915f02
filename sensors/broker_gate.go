package sensors

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/sensors/broker"
)

// maxHold is how long a client's publish waits for its outcome; it is cut to
// half of the client's keep-alive, which many clients wait for an answer.
const maxHold = 10 * time.Second

var errHold = errors.New("the agent did not keep the event in time")

// inlet is how messages of the broker's clients become events.
type inlet struct {
	b   *Broker
	run *brokerRun
}

// Wants implements broker.Inlet.
func (in inlet) Wants(topic string) bool { return in.b.wants(topic) }

// Offer implements broker.Inlet.
func (in inlet) Offer(m *broker.Message) {
	in.run.offer(in.b.event(&message{topic: m.Topic, data: m.Data, trace: in.b.traceOf(m)}), nil)
}

// Open implements broker.Inlet.
func (in inlet) Open(client string, keepAlive uint16, end func(error)) broker.Gate {
	return &gate{
		b: in.b, ring: newTimedRing(in.run.offer, 1<<16), session: in.b.opts.Name + "/" + plainID(client),
		hold: holdFor(keepAlive), end: end,
	}
}

// gate offers the messages of one client, and waits for their outcomes. If the
// agent cannot keep one in time, the client is disconnected without an
// acknowledgement: it sends the message again when it is back.
type gate struct {
	b       *Broker
	ring    *timedRing
	session string
	hold    time.Duration
	end     func(error)

	mu     sync.Mutex
	watch  *time.Timer // nil while nothing waits
	count  int64       // events in the ring
	closed bool
}

// Keep implements broker.Gate.
func (g *gate) Keep(m *broker.Message, id uint16, again bool, kept func()) {
	g.counted(1)
	ev := g.b.event(&message{topic: m.Topic, data: m.Data, qos: m.QoS, duplicate: again, trace: g.b.traceOf(m), slot: slot(g.session, id)})
	g.ring.add(ev, func() {
		g.counted(-1)
		kept()
	}) // never full: the broker bounds what a client has unacknowledged
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watch == nil && !g.closed {
		g.watch = time.AfterFunc(g.hold, g.check)
	}
}

func (g *gate) counted(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.count += n
		g.b.inflight.Add(n)
	}
}

// check ends the connection when its oldest message waits for too long.
func (g *gate) check() {
	since, ok := g.ring.oldest()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watch = nil
	if !ok || g.closed {
		return
	}
	left := g.hold - time.Since(since)
	if left <= 0 {
		g.end(errHold)
		return
	}
	g.watch = time.AfterFunc(left, g.check)
}

// Close implements broker.Gate.
func (g *gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.ring.stop()
	if g.watch != nil {
		g.watch.Stop()
	}
	g.b.inflight.Add(-g.count)
}

// holdFor is how long a publish of a client with this keep-alive (seconds, 0
// for none) may wait.
func holdFor(keepAlive uint16) time.Duration {
	if keepAlive == 0 {
		return maxHold
	}
	return min(maxHold, time.Duration(keepAlive)*time.Second/2)
}

// plainID is a client id as part of a slot: clients choose their ids freely.
func plainID(id string) string {
	odd := strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) })
	if odd || len(id) > maxClientID {
		return fmt.Sprintf("%016x", hash(id, nil))
	}
	return id
}
