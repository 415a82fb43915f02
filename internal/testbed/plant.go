package testbed

import (
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
	flying  int            // numbers that it has not
	cut     bool           // the sensors' connection ended, and flying are being sent again
	cuts    int            // how often that was
	held    []func()       // publishes that wait behind them
	sent    sync.WaitGroup // publishes under way
	ups     ledger         // follow-ups at the central FaaS
	outs    ledger         // publishes that were heard
	ids     map[string]int // number by the id of a follow-up
	first   chan time.Time // see FirstNew
	ticks   int            // events that are no numbers
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
	p.sensors = p.connect(url, "sensors", func(paho.Client) { go p.resume() }, p.lost)
}

// Listen has somebody hear what the gateway publishes to the broker at url. From
// then on each number is expected there too.
func (p *Plant) Listen(url string) {
	p.t.Helper()
	p.listens = true
	p.connect(url, "listener", func(c paho.Client) {
		c.Subscribe("out/#", 1, p.heard)
	}, nil)
}

func (p *Plant) connect(url, id string, up func(paho.Client), down func(paho.Client, error)) paho.Client {
	p.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID(id).SetCleanSession(false).
		SetStore(ownPackets{paho.NewOrderedMemoryStore()}). // the usual one sends again in any order
		SetConnectRetry(true).SetConnectRetryInterval(50 * time.Millisecond).SetMaxReconnectInterval(time.Second).
		SetWriteTimeout(30 * time.Second).SetOnConnectHandler(up).SetConnectionLostHandler(down))
	tok := c.Connect()
	if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		p.t.Fatalf("connect %s to %s: %v", id, url, tok.Error())
	}
	p.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

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
	p.book(&p.ups, "follow-up", p.key(n), n)
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
	p.book(&p.outs, "publish", key, n)
}

// book notes what came, with the lock held.
func (p *Plant) book(on *ledger, way, key string, n int) {
	isNew := p.ups.times[n]+p.outs.times[n] == 0
	on.add(way, key, n)
	if isNew && p.first != nil {
		p.first <- time.Now()
		p.first = nil
	}
}

// FirstNew returns a channel with the time at which something comes of a number
// that nothing had come of before.
func (p *Plant) FirstNew() <-chan time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first = make(chan time.Time, 1)
	return p.first
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
