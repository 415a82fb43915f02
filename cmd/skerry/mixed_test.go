package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// mixedApp sends each event on as a text that names it, and MQTT messages once
// more in windows.
const mixedApp = `
apiVersion: skerry/v1
kind: App
metadata: {name: mixed, version: 1.0.0}
triggers:
  - {name: message, mqtt: {topic: "m/{k}"}, then: [{invoke: central/central, data: "m ${data.n}"}]}
  - {name: request, http: {path: "h/{k}"}, then: [{invoke: central/central, data: "h ${data.n}"}]}
  - {name: line, source: {name: log}, then: [{invoke: central/central, data: "t ${data.n}"}]}
  - {name: file, source: {name: spool}, then: [{invoke: central/central, data: "f ${data.n}"}]}
  - {name: tick, schedule: {every: 200ms, missed: all}, then: [{invoke: central/central, data: "s ${data.due}"}]}
  - name: windows
    mqtt: {topic: "m/{k}"}
    key: capture.k
    window: {tumbling: 500ms, time: data.at, lateness: 5s, late: run}
    then: [{invoke: central/central}]
`

const (
	mixedTick   = 200 * time.Millisecond
	mixedWindow = 500 * time.Millisecond
	mixedKeys   = 5
)

// mixedBooks is what was accepted from the world, and what came to the central FaaS.
type mixedBooks struct {
	mu       sync.Mutex
	accepted map[string]bool   // "m 17": a message, a request, a line, a file
	at       map[int]time.Time // of messages
	came     map[string]string // text by id
	wrong    []string
}

func (b *mixedBooks) accept(kind string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accepted[kind+" "+strconv.Itoa(n)] = true
}

func (b *mixedBooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	id := r.Header.Get("Ce-Id")
	b.mu.Lock()
	defer b.mu.Unlock()
	if was, ok := b.came[id]; ok && was != string(body) {
		b.wrong = append(b.wrong, fmt.Sprintf("id %s stands for %s and for %s", id, was, body))
	}
	b.came[id] = string(body)
	w.WriteHeader(http.StatusAccepted)
}

// mixedWorld is what sends events until it is told to stop.
type mixedWorld struct {
	*rig
	*mixedBooks
	listen string // where the gateway takes requests
	stop   chan struct{}
	busy   sync.WaitGroup
}

// every calls f with 0, 1, 2 … until the world stops.
func (w *mixedWorld) every(pause time.Duration, f func(n int) error) {
	w.busy.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			if err := f(n); err != nil {
				w.t.Error(err)
				return
			}
		}
	})
}

func (w *mixedWorld) message(c paho.Client) func(int) error {
	return func(n int) error {
		at := time.Now()
		w.mu.Lock()
		w.at[n] = at.Truncate(time.Millisecond)
		w.mu.Unlock()
		tok := c.Publish(fmt.Sprintf("m/k%d", n%mixedKeys), 1, false, fmt.Sprintf(`{"n":%d,"at":%d}`, n, at.UnixMilli()))
		w.busy.Go(func() {
			if token(tok) == nil {
				w.accept("m", n)
			}
		})
		return nil
	}
}

// request posts an event. Only 202 says that it was accepted.
func (w *mixedWorld) request(n int) error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Post("http://"+w.listen+"/in/h/x", "application/json", strings.NewReader(fmt.Sprintf(`{"n":%d}`, n)))
	if err != nil {
		return nil //nolint:nilerr // the gateway is dead just now
	}
	resp.Body.Close()
	if resp.StatusCode == http.StatusAccepted {
		w.accept("h", n)
	}
	return nil
}

func (w *mixedWorld) line(f *os.File) func(int) error {
	return func(n int) error {
		_, err := fmt.Fprintf(f, "{\"n\":%d}\n", n)
		if err == nil {
			w.accept("t", n)
		}
		return err
	}
}

func (w *mixedWorld) file(n int) error {
	name := w.path(fmt.Sprintf("spool/%d.json", n))
	if err := errors.Join(os.WriteFile(name+".part", fmt.Appendf(nil, `{"n":%d}`, n), 0o600), os.Rename(name+".part", name)); err != nil {
		return err
	}
	w.accept("f", n)
	return nil
}

// startMixed starts a gateway with all kinds of sources, and the world around it.
func startMixed(t *testing.T) *mixedWorld {
	t.Helper()
	books := &mixedBooks{accepted: map[string]bool{}, at: map[int]time.Time{}, came: map[string]string{}}
	cloud := httptest.NewServer(books)
	t.Cleanup(cloud.Close)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	listen := testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: 16}]
clock: {wait: 1ms}
http_in: {listen: '%s', rate: 1000}
sources:
  - {name: log, kind: tail, path: DIR/log, poll: 50ms}
  - {name: spool, kind: files, path: DIR/spool, glob: "*.json", content: true, then: delete, settle: 50ms, poll: 50ms}
`, broker.URL, cloud.URL, listen))
	r.write("mixed/app.yaml", mixedApp)
	r.write("log", "")
	if err := os.MkdirAll(r.path("spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.publish(r.path("mixed/app.yaml"))
	r.start()
	r.running(6)
	w := &mixedWorld{rig: r, mixedBooks: books, listen: listen, stop: make(chan struct{})}
	log, err := os.OpenFile(r.path("log"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.every(5*time.Millisecond, w.message(client(t, broker.URL)))
	w.every(20*time.Millisecond, w.request)
	w.every(10*time.Millisecond, w.line(log))
	w.every(100*time.Millisecond, w.file)
	return w
}

// TestMixedKill9LosesNothing kills the agent with SIGKILL again and again while
// MQTT messages, requests, lines of a file, files and a schedule that makes up for
// what it missed give it events. All that was accepted has its outcome once, and
// windows hold what they should. TEST_KILLS sets the rounds.
func TestMixedKill9LosesNothing(t *testing.T) {
	t.Parallel()
	kills := 6
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil {
		kills = n
	}
	w := startMixed(t)
	for range kills {
		wait(time.Duration(100+rand.IntN(700)) * time.Millisecond)
		w.proc.Kill()
		wait(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		w.start()
	}
	wait(mixedTick)
	close(w.stop)
	w.busy.Wait()
	ended := time.Now()
	testbed.Eventually(t, 2*time.Minute, "all that was accepted arrives", w.missing)
	testbed.Eventually(t, 30*time.Second, "the schedule has caught up", func() error {
		if ticks := w.ticks(); len(ticks) == 0 || ticks[len(ticks)-1].Before(ended) {
			return fmt.Errorf("%d ticks came", len(ticks))
		}
		return nil
	})
	w.proc.Stop()
	w.audit(kills)
}
