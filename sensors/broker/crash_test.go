package broker_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// TestCrashesUnderLoad ends the broker again and again (TEST_KILLS times, or a
// few) while one client publishes and another, with a lasting session, comes
// and goes: what was acknowledged to the one reaches the other, in order but
// for what comes again.
func TestCrashesUnderLoad(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("TEST_KILLS"))
	if err != nil {
		n = 4
	}
	r := start(t, stored(t), func(o *broker.Options) { o.Limits.Queue = 100_000 })
	r.lasting("sub").subscribe(1, 1, "a/#")
	l := &load{rig: r, to: r.addr, acked: map[int]bool{}, seen: map[int]bool{}}
	for range n {
		l.run()
		l.wait(20 + rand.IntN(150))
		l.mu.Lock()
		due := maps.Clone(l.acked)
		l.mu.Unlock()
		r.crash()
		l.end()
		l.mu.Lock()
		l.acked = due // what was acknowledged after the crash never was
		l.mu.Unlock()
	}
	c := r.lasting("sub")
	for len(l.missing()) > 0 {
		l.take(c, 1)
	}
	t.Logf("%d crashes, %d messages acknowledged, %d seen", n, len(l.acked), len(l.seen))
}

// load is a publisher and a subscriber.
type load struct {
	*rig
	to   string // the broker's address
	stop chan struct{}
	all  sync.WaitGroup

	mu    sync.Mutex
	next  int
	acked map[int]bool
	seen  map[int]bool
}

func (l *load) run() {
	l.stop = make(chan struct{})
	l.all.Go(l.publishMany)
	l.all.Go(l.comeAndGo)
}

func (l *load) end() {
	close(l.stop)
	l.all.Wait()
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// session connects without failing the test: the broker may be gone.
func (l *load) session(id string, clean bool) net.Conn {
	nc, err := net.Dial("tcp", l.to)
	if err != nil {
		return nil
	}
	nc.SetDeadline(time.Now().Add(patience))
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier, c.CleanSession = "MQTT", 4, id, clean
	if c.Write(nc) == nil {
		if _, err := packets.ReadPacket(nc); err == nil {
			return nc
		}
	}
	nc.Close()
	return nil
}

// publishMany has ten messages unacknowledged, each of a number of its own.
func (l *load) publishMany() {
	for !l.stopped() {
		nc := l.session("pub", true)
		if nc == nil {
			continue
		}
		numbers := map[uint16]int{}
		for id := uint16(1); !l.stopped(); id = id%1000 + 1 {
			l.mu.Lock()
			l.next++
			numbers[id] = l.next
			l.mu.Unlock()
			m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			m.TopicName, m.Payload, m.Qos, m.MessageID = "a/1", fmt.Append(nil, numbers[id]), 1, id
			if m.Write(nc) != nil {
				break
			}
			if id <= 10 && len(numbers) <= 10 {
				continue
			}
			pk, err := packets.ReadPacket(nc)
			ack, ok := pk.(*packets.PubackPacket)
			if err != nil || !ok {
				break
			}
			l.mu.Lock()
			l.acked[numbers[ack.MessageID]] = true
			l.mu.Unlock()
		}
		nc.Close()
	}
}

// comeAndGo takes some messages in, acknowledges most of them, and vanishes.
func (l *load) comeAndGo() {
	for !l.stopped() {
		if nc := l.session("sub", false); nc != nil {
			nc.SetDeadline(time.Now().Add(300 * time.Millisecond))
			l.take(&peer{l.t, nc}, rand.IntN(100))
			nc.Close()
		}
	}
}

// take takes in n messages, and leaves the last one unacknowledged.
func (l *load) take(c *peer, n int) {
	for i := range n {
		pk, err := packets.ReadPacket(c)
		m, ok := pk.(*packets.PublishPacket)
		if err != nil || !ok {
			return
		}
		number, _ := strconv.Atoi(string(m.Payload))
		l.mu.Lock()
		if !m.Dup && l.seen[number+1] && !l.seen[number] {
			l.t.Errorf("message %d comes after the next one", number)
		}
		l.seen[number] = true
		l.mu.Unlock()
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = m.MessageID
		if (i < n-1 || n == 1) && ack.Write(c) != nil {
			return
		}
	}
}

func (l *load) wait(n int) {
	l.mu.Lock()
	from := len(l.acked)
	l.mu.Unlock()
	testbed.Eventually(l.t, patience, fmt.Sprintf("%d acknowledged", n), func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.acked)-from < n {
			return fmt.Errorf("%d", len(l.acked)-from)
		}
		return nil
	})
}

func (l *load) missing() (numbers []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range l.acked {
		if !l.seen[n] {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
