package testbed

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// ownPackets is a store that shares no packet with anybody. Paho marks what it
// takes out of its store as sent again, and an older connection of it may still be
// writing that.
type ownPackets struct{ paho.Store }

func (s ownPackets) Put(key string, p packets.ControlPacket) { s.Store.Put(key, ownPacket(p)) }

func (s ownPackets) Get(key string) packets.ControlPacket { return ownPacket(s.Store.Get(key)) }

func ownPacket(p packets.ControlPacket) packets.ControlPacket {
	if published, ok := p.(*packets.PublishPacket); ok {
		own := *published
		return &own
	}
	return p
}

// Publish sends the next number, with a mark of the ledger behind it or "",
// and returns at once.
func (p *Plant) Publish(mark string) {
	p.mu.Lock()
	n := p.next
	p.next++
	p.flying++
	p.sent.Add(1)
	send := func() {
		tok := p.sensors.Publish(fmt.Sprintf("in/k%03d", n%plantKeys), 1, false, strconv.Itoa(n)+mark)
		go func() {
			tok.Wait()
			p.taken(n, tok.Error())
		}()
	}
	wait := p.cut
	if wait {
		p.held = append(p.held, send)
	}
	p.mu.Unlock()
	if !wait {
		send()
	}
}

// taken books what the broker has acknowledged.
func (p *Plant) taken(n int, err error) {
	defer p.sent.Done()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
	if err == nil {
		p.acked[n] = true
		p.ups.expect(n)
		p.outs.expect(n)
	}
	p.release()
}

// lost notes that the sensors' connection has ended. A client that is back sends
// again what was not acknowledged, and lets newer messages overtake it: so that
// order holds, these wait here.
func (p *Plant) lost(paho.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.cuts++
}

// release lets go of what was held back, once the old ones have been taken. It
// is called with the lock held.
func (p *Plant) release() {
	if !p.cut || p.flying > len(p.held) || !p.sensors.IsConnectionOpen() {
		return
	}
	for _, send := range p.held {
		send()
	}
	p.cut, p.held = false, nil
}

// maxWay is how many numbers Flood lets be on their way: on a computer that is too
// busy for the rate the gateway would not catch up before a test is over.
const maxWay = 100_000

// Flood publishes numbers at a rate per second until stop is closed, and then
// waits until the broker has acknowledged all of them.
func (p *Plant) Flood(rate int, stop <-chan struct{}) {
	start, n := time.Now(), 0
	beat := time.NewTicker(10 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-stop:
			p.sent.Wait()
			return
		case <-beat.C:
			for due := int(time.Since(start).Seconds() * float64(rate)); n < due; n++ {
				if p.way() < maxWay {
					p.Publish("")
				}
			}
		}
	}
}

// Press publishes as fast as the gateway works, with at most window numbers that
// are not at the central FaaS yet, until stop is closed.
func (p *Plant) Press(window int, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			p.sent.Wait()
			return
		default:
		}
		room := window - p.way()
		if room <= 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		for range min(room, 100) {
			p.Publish("")
		}
	}
}

// way is how many numbers are on their way to the central FaaS.
func (p *Plant) way() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next - len(p.ups.times)
}

// Rouse waits until the gateway hears the sensors: what is published before its
// first subscription is nobody's.
func (p *Plant) Rouse(within time.Duration) {
	p.t.Helper()
	before := p.Ticks()
	Eventually(p.t, within, "the gateway hears the sensors", func() error {
		p.sensors.Publish("in/rouse", 1, false, "{}").WaitTimeout(time.Second)
		time.Sleep(50 * time.Millisecond)
		if p.Ticks() == before {
			return errors.New("no answer")
		}
		return nil
	})
}

// Settle waits until the broker has acknowledged all that was published.
func (p *Plant) Settle() { p.sent.Wait() }

// resume lets go of what was held back when nothing has to be sent again.
func (p *Plant) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.release()
}
