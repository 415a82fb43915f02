package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const (
	backlogGrowth = 30 << 20 // bytes of anonymous memory that a backlog may take
	backlogFirst  = 100 * time.Millisecond
	backlogKeys   = 500
	longBacklog   = 1_000_000 // from here on the marks count
)

// TestBacklogSurvivesAndDrains queues follow-ups while the cloud is away, kills
// the gateway, has the cloud come back, and kills the gateway again and again
// while it drains: every follow-up arrives, and those of one key in their order.
// TEST_BACKLOG sets how many follow-ups, TEST_KILLS how many kills.
func TestBacklogSurvivesAndDrains(t *testing.T) {
	records, kills := number(t, "TEST_BACKLOG", 20_000), number(t, "TEST_KILLS", 5)
	cloud := newTally(t, records)
	mqtt := testbed.FreePort(t)
	r := newRig(t, fmt.Sprintf(`
broker: {listen: '127.0.0.1:%d', anonymous: true}
targets: [{name: central, kind: http, url: 'http://%s', in_flight: 64}]
limits: {disk: 1GiB}
`, mqtt, cloud.addr))
	r.publish(backlogApp(t))
	r.start()
	r.running(1)

	before := r.usage()
	press(t, "tcp://"+testbed.Addr(mqtt), records)
	r.eventually("all follow-ups wait", func(s agent.Status) bool { return s.Targets[0].Waiting == records })
	full := r.usage()
	t.Logf("%d follow-ups wait, %d MiB on disk: %s; before: %s", records, size(t, r.path("data"))>>20, full, before)
	if records >= longBacklog {
		testbed.Eventually(t, 2*trimEvery, "memory is as it should be", func() error {
			if full = r.usage(); full.anon > before.anon+backlogGrowth {
				return fmt.Errorf("they take %d MiB of memory, at most %d", (full.anon-before.anon)>>20, backlogGrowth>>20)
			}
			return nil
		})
		t.Logf("settled: %s", full)
	}

	r.proc.Kill()
	cloud.open()
	began := time.Now()
	r.start()
	first := cloud.firstSince(began)
	t.Logf("first follow-up out %s after the start behind kill -9", first.Round(time.Millisecond))
	if records >= longBacklog && first > backlogFirst {
		t.Errorf("the first follow-up goes out after %s, at most %s", first, backlogFirst)
	}
	cloud.wait(records / 2)
	for range kills {
		wait(time.Duration(rand.IntN(1000)) * time.Millisecond)
		r.proc.Kill()
		r.start()
	}
	cloud.wait(records)
	r.eventually("nothing waits", func(s agent.Status) bool { return s.Targets[0].Waiting == 0 })
	drained := r.usage()
	t.Logf("drained in %s over %d kills, %d came again, %d overtook; at the end %s",
		time.Since(began).Round(time.Second), kills, cloud.again, cloud.overtook, drained)
	if cloud.overtook > 0 {
		t.Errorf("%d follow-ups overtook an older one of their key", cloud.overtook)
	}
}

// number reads how much a test is to do from the environment.
func number(t *testing.T, variable string, usual int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// backlogApp writes an app of a rule that sends each event up.
func backlogApp(t *testing.T) string {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.write("app.yaml", `apiVersion: skerry/v1
kind: App
metadata: {name: backlog, version: 1.0.0}
triggers:
  - {name: up, mqtt: {topic: 'in/#'}, then: [{invoke: central/central}]}
`)
	return r.path("app.yaml")
}

// press publishes the numbers up to n with QoS 1, as fast as they are acknowledged.
func press(t *testing.T, url string, n int) {
	t.Helper()
	c := client(t, url)
	window := make([]paho.Token, 500)
	for i := range n + len(window) {
		if old := window[i%len(window)]; old != nil {
			if err := token(old); err != nil {
				t.Fatal(err)
			}
		}
		window[i%len(window)] = nil
		if i < n {
			window[i%len(window)] = c.Publish(fmt.Sprintf("in/k%03d", i%backlogKeys), 1, false,
				fmt.Sprintf(`{"n":%d,"line":3,"unit":"degrees","text":"what a gateway sends up when it is worth it"}`, i))
		}
	}
}

// tally is a cloud that counts numbers; it is away until open is called.
type tally struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	seen     []bool
	last     [backlogKeys]int // newest of each key
	distinct int
	again    int
	overtook int // numbers that arrived for the first time after a newer one of their key
	first    time.Time
}

func newTally(t *testing.T, n int) *tally {
	return &tally{t: t, addr: testbed.Addr(testbed.FreePort(t)), seen: make([]bool, n)}
}

func (c *tally) open() {
	c.t.Helper()
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	srv := &http.Server{Handler: c}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(l); err != http.ErrServerClosed {
			c.t.Errorf("the cloud: %v", err)
		}
	}()
	c.t.Cleanup(func() {
		srv.Close()
		<-ended
	})
}

func (c *tally) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	var n int
	if _, err := fmt.Sscanf(string(body), `{"n":%d`, &n); err != nil || n >= len(c.seen) {
		c.t.Errorf("the cloud got %q", body)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = time.Now()
	}
	if c.seen[n] {
		c.again++
		return
	}
	c.seen[n] = true
	c.distinct++
	if c.last[n%backlogKeys] > n {
		c.overtook++
	}
	c.last[n%backlogKeys] = n
}

// firstSince waits for the first request and tells how long after began it came.
func (c *tally) firstSince(began time.Time) (after time.Duration) {
	c.t.Helper()
	testbed.Eventually(c.t, time.Minute, "a first follow-up", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.first.IsZero() {
			return fmt.Errorf("none")
		}
		after = c.first.Sub(began)
		return nil
	})
	return after
}

// wait waits until n different follow-ups have arrived.
func (c *tally) wait(n int) {
	c.t.Helper()
	testbed.Eventually(c.t, 20*time.Minute, "follow-ups arrive", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.distinct < n {
			return fmt.Errorf("%d of %d follow-ups arrived", c.distinct, n)
		}
		return nil
	})
}
