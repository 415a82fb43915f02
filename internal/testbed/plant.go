package testbed

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const tick = "tick" // the follow-up of an event that is no number

// Plant is the world around a gateway that runs ledger/app.yaml: sensors that
// publish numbers, a central FaaS that gets a follow-up for each of them, and
// somebody who hears what the gateway publishes. It keeps the books of both
// sides, outside of the gateway, so that they can be compared in the end.
type Plant struct {
	Central *httptest.Server

	t       testing.TB
	sensors paho.Client
	listens bool // somebody hears what the gateway publishes
	mu      sync.Mutex
	next    int            // the number that is published next
	acked   map[int]bool   // numbers that the broker has acknowledged
	sent    sync.WaitGroup // publishes under way
	ups     ledger         // follow-ups at the central FaaS
	outs    ledger         // publishes that were heard
	ids     map[string]int // number by the id of a follow-up
	from    int            // see FirstFrom
	first   chan time.Time
	ticks   int // events that are no numbers
}

const plantKeys = 50 // topics that numbers are spread over

// StartPlant starts the central FaaS.
func StartPlant(t testing.TB) *Plant {
	p := &Plant{t: t, acked: map[int]bool{}, ups: newLedger(), outs: newLedger(), ids: map[string]int{}}
	p.Central = httptest.NewServer(http.HandlerFunc(p.followup))
	t.Cleanup(p.Central.Close)
	return p
}

// Sensors connects the sensors to the broker at url.
func (p *Plant) Sensors(url string) {
	p.t.Helper()
	p.sensors = p.connect(url, "sensors", func(paho.Client) {})
}

// Listen has somebody hear what the gateway publishes to the broker at url. From
// then on each number is expected there too.
func (p *Plant) Listen(url string) {
	p.t.Helper()
	p.listens = true
	p.connect(url, "listener", func(c paho.Client) {
		c.Subscribe("out/#", 1, p.heard)
	})
}

func (p *Plant) connect(url, id string, up func(paho.Client)) paho.Client {
	p.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(id).SetCleanSession(false).
		SetStore(paho.NewOrderedMemoryStore()). // the usual one sends again in any order
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(time.Second).
		SetWriteTimeout(30 * time.Second).SetOnConnectHandler(up))
	tok := c.Connect()
	if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		p.t.Fatalf("connect %s to %s: %v", id, url, tok.Error())
	}
	p.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// Publish sends the next number, with a mark of the ledger behind it or "",
// and returns at once.
func (p *Plant) Publish(mark string) {
	p.mu.Lock()
	n := p.next
	p.next++
	p.mu.Unlock()
	tok := p.sensors.Publish(fmt.Sprintf("in/k%03d", n%plantKeys), 1, false, strconv.Itoa(n)+mark)
	p.sent.Go(func() {
		tok.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if tok.Error() == nil {
			p.acked[n] = true
		}
	})
}

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
				p.Publish("")
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
		p.mu.Lock()
		room := window - (p.next - len(p.ups.times))
		p.mu.Unlock()
		if room <= 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		for range min(room, 100) {
			p.Publish("")
		}
	}
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

// followup is the central FaaS.
func (p *Plant) followup(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	n, err := strconv.Atoi(string(body))
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(body) == tick {
		p.ticks++
		w.WriteHeader(http.StatusAccepted)
		return
	}
	id := r.Header.Get("Ce-Id")
	if known, ok := p.ids[id]; err != nil || ok && known != n {
		p.ups.wrong = append(p.ups.wrong, fmt.Sprintf("id %s stands for %q and for %d", id, body, known))
	}
	p.ids[id] = n
	if p.ups.add("follow-up", p.key(n), n) {
		p.tellFirst(n)
	}
	w.WriteHeader(http.StatusAccepted)
}

func (p *Plant) key(n int) string { return fmt.Sprintf("in/k%03d", n%plantKeys) }

// heard takes what the gateway publishes.
func (p *Plant) heard(_ paho.Client, m paho.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := strconv.Atoi(string(m.Payload()))
	key := strings.TrimPrefix(m.Topic(), "out/")
	if err != nil || key != p.key(n) {
		p.outs.wrong = append(p.outs.wrong, fmt.Sprintf("%q came on topic %s", m.Payload(), m.Topic()))
		return
	}
	if p.outs.add("publish", key, n) {
		p.tellFirst(n)
	}
}

// Next is the number that is published next.
func (p *Plant) Next() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next
}

// FirstFrom returns a channel with the time at which something comes of number n
// or a later one: with n from when the gateway was away, of an event that only
// its new start can have seen.
func (p *Plant) FirstFrom(n int) <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from, p.first = n, make(chan time.Time, 1)
	return p.first
}

func (p *Plant) tellFirst(n int) {
	if p.first != nil && n >= p.from {
		p.first <- time.Now()
		p.first = nil
	}
}

// Ticks is how many events of a schedule came to the central FaaS.
func (p *Plant) Ticks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ticks
}

// Published is how many numbers the broker has acknowledged.
func (p *Plant) Published() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.acked)
}

// Heard is how many different numbers came to the central FaaS.
func (p *Plant) Heard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ups.times)
}

// Repeats are how many follow-ups and publishes came more than once.
func (p *Plant) Repeats() (followups, publishes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ups.total - len(p.ups.times), p.outs.total - len(p.outs.times)
}

// Complete waits until each acknowledged number has arrived both ways.
func (p *Plant) Complete(within time.Duration) {
	p.t.Helper()
	Eventually(p.t, within, "all that was acknowledged arrives", p.missing)
}
