package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// heard is what came out of a gateway: by topic, and by sensor, in order.
type heard struct {
	mu        sync.Mutex
	publishes map[string][]string
	followups map[string][]string
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sensor struct{ ID string }
	if err != nil || json.Unmarshal(body, &sensor) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followups[sensor.ID] = append(h.followups[sensor.ID], string(body))
	w.WriteHeader(http.StatusAccepted)
}

func (h *heard) take(_ paho.Client, m paho.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.publishes[m.Topic()] = append(h.publishes[m.Topic()], string(m.Payload()))
}

func (h *heard) counts() (publishes, followups int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, list := range h.publishes {
		publishes += len(list)
	}
	for _, list := range h.followups {
		followups += len(list)
	}
	return publishes, followups
}

// demoGateway is a gateway that runs the apps of the demo, and who hears it.
func demoGateway(t *testing.T, name string) (*rig, *testbed.Mosquitto, *heard) {
	t.Helper()
	h := &heard{publishes: map[string][]string{}, followups: map[string][]string{}}
	cloud := httptest.NewServer(h)
	t.Cleanup(cloud.Close)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: alerts, kind: cloudevents, url: '%s', in_flight: 1}]
`, broker.URL, cloud.URL))
	for _, app := range []string{"overheat", "rollup"} {
		r.publish(filepath.Join("..", "..", "examples", app, "app.yaml"))
	}
	r.start()
	r.running(2)
	c := paho.NewClient(paho.NewClientOptions().AddBroker(broker.URL).SetClientID("hears-" + name))
	if err := errors.Join(token(c.Connect()), token(c.Subscribe("alerts/#", 1, h.take)), token(c.Subscribe("summary/#", 1, h.take))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return r, broker, h
}

// done waits until the gateway has taken n events, and everything it decided has
// arrived.
func (r *rig) done(n int64, h *heard) {
	r.t.Helper()
	r.eventually("all is done", func(s agent.Status) bool {
		publishes, followups := h.counts()
		return s.Events.Events == n && s.Events.Invocations == 2*n &&
			int64(publishes) == s.Events.Publishes && int64(followups) == s.Events.Followups
	})
}

// entriesIn counts what can be read of a recording that is still being made.
func entriesIn(file string) (n int64) {
	r, c, err := (&playOptions{file: file}).open()
	if err != nil {
		return 0
	}
	defer c.Close()
	for {
		if _, err := r.Next(); err != nil {
			return n
		}
		n++
	}
}

// TestALivePlantIsPlayedBackTheSame records what a plant sends through a real
// broker, plays it at 100 times the speed to a fresh gateway, and to the functions
// alone: each time they do the same, byte for byte.
func TestALivePlantIsPlayedBackTheSame(t *testing.T) {
	t.Parallel()
	live, broker, fromLive := demoGateway(t, "live")
	file := live.path("plant.jsonl.gz")
	ctx, stop := context.WithCancel(context.Background())
	recorded := make(chan error, 1)
	var said bytes.Buffer
	go func() { recorded <- (&eventsOptions{socket: live.socket}).record(ctx, file, &said) }()
	testbed.Eventually(t, 10*time.Second, "the recorder listens", func() error { _, err := os.Stat(file); return err })
	plant := newPlant(strings.TrimPrefix(broker.URL, "tcp://"), 400)
	shift, end := context.WithTimeout(ctx, 4*time.Second)
	defer end()
	if err := plant.run(shift, ctx); err != nil {
		t.Fatal(err)
	}
	sent := plant.sent.Load()
	live.done(sent, fromLive)
	testbed.Eventually(t, 20*time.Second, "all is in the file", func() error {
		if n := entriesIn(file); n != sent {
			return fmt.Errorf("%d of %d events", n, sent)
		}
		return nil
	})
	stop()
	if err := <-recorded; err != nil || !strings.Contains(said.String(), fmt.Sprintf("recorded %d events", sent)) {
		t.Fatalf("the recorder says %q, %v, of %d events", said.String(), err, sent)
	}

	again, other, fromAgain := demoGateway(t, "again")
	o := playOptions{file: file, to: other.URL, speed: "100x"}
	begun := time.Now()
	if err := errors.Join(o.check(), o.playTo(context.Background(), io.Discard)); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	again.done(sent, fromAgain)
	sameHeard(t, "a gateway", fromAgain, fromLive)
	publishes, followups := fromLive.counts()
	t.Logf("%d events of 4 s played in %s: %d publishes and %d follow-ups, the same", sent, took.Round(time.Millisecond), publishes, followups)
	if publishes < int(sent)/40 || followups == 0 {
		t.Errorf("%d publishes and %d follow-ups of %d events: that is no test", publishes, followups, sent)
	}

	fast, slow := playEffects(t, file, "max"), playEffects(t, file, "100x")
	if !bytes.Equal(fast, slow) {
		t.Error("the effects at two speeds are not the same")
	}
	sameHeard(t, "functions alone", heardIn(t, fast), fromLive)
}

func sameHeard(t *testing.T, where string, got, want *heard) {
	t.Helper()
	for what, pair := range map[string][2]map[string][]string{
		"publishes": {got.publishes, want.publishes}, "follow-ups": {got.followups, want.followups},
	} {
		for _, key := range slices.Sorted(maps.Keys(pair[1])) {
			if !slices.Equal(pair[0][key], pair[1][key]) {
				t.Errorf("%s: the %s of %s are\n%q, live they were\n%q", where, what, key, pair[0][key], pair[1][key])
			}
		}
		if len(pair[0]) != len(pair[1]) {
			t.Errorf("%s: %s of %d keys, live there were %d", where, what, len(pair[0]), len(pair[1]))
		}
	}
}

// playEffects plays a recording to the apps of the demo.
func playEffects(t *testing.T, file, speed string) []byte {
	t.Helper()
	examples := filepath.Join("..", "..", "examples")
	var out bytes.Buffer
	o := playOptions{file: file, speed: speed, apps: []string{
		filepath.Join(examples, "overheat", "app.yaml"), filepath.Join(examples, "rollup", "app.yaml"),
	}}
	if err := errors.Join(o.check(), o.playHere(context.Background(), &out, io.Discard)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// heardIn reads what effects say that would be heard.
func heardIn(t *testing.T, effects []byte) *heard {
	t.Helper()
	h := &heard{publishes: map[string][]string{}, followups: map[string][]string{}}
	for line := range bytes.Lines(effects) {
		var e struct {
			Publish *struct {
				Topic string
				Data  json.RawMessage
			}
			Followup *struct{ Data json.RawMessage }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		switch {
		case e.Publish != nil:
			h.publishes[e.Publish.Topic] = append(h.publishes[e.Publish.Topic], string(e.Publish.Data))
		case e.Followup != nil:
			var sensor struct{ ID string }
			if err := json.Unmarshal(e.Followup.Data, &sensor); err != nil {
				t.Fatal(err)
			}
			h.followups[sensor.ID] = append(h.followups[sensor.ID], string(e.Followup.Data))
		}
	}
	return h
}
