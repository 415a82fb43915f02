package sensors_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// kills is how often TestBrokerKilled ends the broker in each of its modes:
// TEST_KILLS, or a few.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("TEST_KILLS"))
	if err != nil && os.Getenv("TEST_KILLS") != "" {
		t.Fatalf("TEST_KILLS: %v", err)
	}
	if n == 0 {
		return 2
	}
	return n
}

// TestBrokerKilled ends mosquitto again and again while events flow. With its
// sessions kept nothing that it has acknowledged to a publisher is lost. When
// it loses everything, what it acknowledged and had not yet sent is gone with
// it; a second is plenty to send it. The subscriptions live again each time.
func TestBrokerKilled(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep bool
	}{{"sessions kept", true}, {"sessions lost", false}} {
		t.Run(tt.name, func(t *testing.T) {
			broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Persist: tt.keep, Config: "max_inflight_messages 200\n"})
			src := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Notes = &notes{} })
			src.Follow(triggers("a/#", "b/+"))
			s := &sink{keep: true}
			start(t, src, s)
			flow := &flow{t: t, acked: map[string]time.Time{}}
			for round := range kills(t) {
				subscribed(t, src, "a/#", "b/+")
				end := flow.run(broker.URL, round)
				flow.wait(20 + rand.IntN(200))
				var killed time.Time
				if tt.keep {
					killed = time.Now().Add(time.Hour) // it saves what it has
					broker.Stop()
				} else {
					began := time.Now()
					testbed.Eventually(t, patience, "a second and a bit", func() error {
						if time.Since(began) < 1100*time.Millisecond {
							return errors.New("not yet")
						}
						return nil
					})
					killed = time.Now().Add(-time.Second)
					broker.Kill()
				}
				end()
				noted(t, src, "refused", func(note string) bool { return strings.Contains(note, "connection refused") })
				broker.Restart()
				subscribed(t, src, "a/#", "b/+")
				publish(t, client(t, broker.URL), "b/1", 1, fmt.Sprint("probe ", round))
				testbed.Eventually(t, patience, "all that was acknowledged", func() error {
					return flow.missing(s, killed, fmt.Sprint("probe ", round))
				})
				flow.forget(killed)
			}
			t.Logf("%d rounds, %d acknowledged messages that had to arrive, %d events", kills(t), len(flow.acked), len(s.offers()))
		})
	}
}

// flow publishes messages of QoS 1, each with a text of its own.
type flow struct {
	t *testing.T

	mu    sync.Mutex
	acked map[string]time.Time // when the broker acknowledged each
	sent  int
}

// run publishes until end is called.
func (f *flow) run(url string, round int) (end func()) {
	stop, over := make(chan struct{}), make(chan struct{})
	c := client(f.t, url, func(o *paho.ClientOptions) { o.SetWriteTimeout(time.Second) }) // else Publish hangs
	f.mu.Lock()
	f.sent = 0
	f.mu.Unlock()
	window := make(chan struct{}, 50)
	go func() {
		defer close(over)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case window <- struct{}{}:
			}
			text := fmt.Sprintf("round %d, message %d", round, i)
			token := c.Publish("a/"+strconv.Itoa(i%7), 1, false, text)
			go func() {
				arrived := token.WaitTimeout(patience)
				<-window
				if arrived && token.Error() == nil {
					f.mu.Lock()
					f.acked[text] = time.Now()
					f.sent++
					f.mu.Unlock()
				}
			}()
		}
	}()
	return func() {
		close(stop)
		<-over
	}
}

// wait waits until n messages of this round are acknowledged.
func (f *flow) wait(n int) {
	testbed.Eventually(f.t, patience, fmt.Sprintf("%d acknowledged", n), func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.sent < n {
			return fmt.Errorf("%d", f.sent)
		}
		return nil
	})
}

// forget leaves out what was acknowledged after a time: it may be lost.
func (f *flow) forget(after time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(f.acked, func(_ string, at time.Time) bool { return !at.Before(after) })
}

// missing tells what was acknowledged before a time and never became an event.
func (f *flow) missing(s *sink, before time.Time, also string) error {
	seen := map[string]bool{}
	for _, text := range s.texts(0) {
		seen[text] = true
	}
	if !seen[also] {
		return fmt.Errorf("%q is missing", also)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for text, at := range f.acked {
		if at.Before(before) && !seen[text] {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d are missing", n, len(f.acked))
	}
	return nil
}
