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
	"github.com/skerry-edge/skerry/internal/recording"
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

// TestALivePlantIsPlayedBackTheSame records what a plant sends through a real
// broker, plays it at 100 times the speed to a fresh gateway, and to the functions
// alone: each time they do the same, byte for byte.
func TestALivePlantIsPlayedBackTheSame(t *testing.T) {
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

// TestEventsOfABroker listens to a broker without an agent.
func TestEventsOfABroker(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	c := client(t, broker.URL)
	if err := token(c.Publish("a/kept", 1, true, `{"t":1}`)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "r.jsonl")
	o := eventsOptions{broker: broker.URL, topic: "a/+", count: 3}
	ended := make(chan error, 1)
	go func() { ended <- o.record(context.Background(), file, io.Discard) }()
	testbed.Eventually(t, 10*time.Second, "the recorder listens", func() error { _, err := os.Stat(file); return err })
	if err := errors.Join(token(c.Publish("b/x", 1, false, "no")), token(c.Publish("a/x", 1, false, "21.5")),
		token(c.Publish("a/y", 1, false, []byte{0, 255}))); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, want := range []string{
		`"broker":"main"`, `"subject":"a/kept"`, `"subject":"a/x"`, `"data_base64":"AP8="`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Fatalf("line %d has no %s in\n%s", i+1, want, text)
		}
	}
	if !strings.Contains(lines[1], `"retained":true,"data":{"t":1}`) || !strings.Contains(lines[2], `"qos":1,"data":"21.5"`) {
		t.Errorf("the recording is\n%s", text)
	}
	again := playOptions{file: file, to: broker.URL, speed: "max", retain: true}
	seen := make(chan paho.Message, 10)
	if err := token(c.Subscribe("a/#", 1, func(_ paho.Client, m paho.Message) { seen <- m })); err != nil {
		t.Fatal(err)
	}
	<-seen // the retained one
	if err := errors.Join(again.check(), again.playTo(context.Background(), io.Discard)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`a/kept {"t":1}`, "a/x 21.5", "a/y \x00\xff"} {
		if m := <-seen; m.Topic()+" "+string(m.Payload()) != want {
			t.Errorf("played %s %q, want %q", m.Topic(), m.Payload(), want)
		}
	}
}

const quietHeader = `{"skerry":"events","version":1,"start":"2026-05-01T08:00:00Z"}` + "\n"

// TestEffectsThatAreNotThoseExpected says what is different, and how to go on.
func TestEffectsThatAreNotThoseExpected(t *testing.T) {
	dir := t.TempDir()
	file, expect := filepath.Join(dir, "e.jsonl"), filepath.Join(dir, "x.jsonl")
	text := quietHeader
	for i, degrees := range []float64{81, 60, 99} {
		text += fmt.Sprintf(`{"at":%d,"subject":"sensors/l/s1/temperature","data":{"id":"s1","temperature":%g}}`+"\n", i, degrees)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	play := func(change func(*playOptions)) (string, error) {
		o := playOptions{file: file, apps: []string{filepath.Join("..", "..", "examples", "overheat", "app.yaml")}}
		change(&o)
		var said bytes.Buffer
		err := o.check()
		if err == nil {
			err = o.playHere(context.Background(), io.Discard, &said)
		}
		return said.String(), err
	}
	if _, err := play(func(o *playOptions) { o.expect = expect }); err == nil || !strings.Contains(err.Error(), "--effects") {
		t.Errorf("without what is expected: %v", err)
	}
	if said, err := play(func(o *playOptions) { o.effects = expect }); err != nil || !strings.Contains(said, "7 effects") {
		t.Fatalf("%s, %v", said, err)
	}
	if said, err := play(func(o *playOptions) { o.expect = expect }); err != nil || !strings.Contains(said, "are those of") {
		t.Errorf("%s, %v", said, err)
	}
	effects, err := os.ReadFile(expect)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(effects, []byte(`"temperature":99`), []byte(`"temperature":98`), 1)
	if err := os.WriteFile(expect, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := play(func(o *playOptions) { o.expect = expect })
	if err == nil || !strings.Contains(err.Error(), "are not those of") || strings.Count(said, "\n-") != 1 || strings.Count(said, "\n+") != 1 {
		t.Errorf("%v:\n%s", err, said)
	}
}

func TestDifferencesOfLines(t *testing.T) {
	for _, tt := range []struct{ want, got, diff string }{
		{"a b c", "a b c", ""},
		{"a b c", "a c", "-2: b"},
		{"a c", "a b c", "+2: b"},
		{"a b c", "a x c", "-2: b +2: x"},
		{"a", "", "-1: a"},
		{"a b", "b a b", "+1: b"},
		{"a b c d", "c d", "-1: a -2: b"},
	} {
		if got := strings.Join(diffLines(strings.Fields(tt.want), strings.Fields(tt.got)), " "); got != tt.diff {
			t.Errorf("%q and %q: %q, want %q", tt.want, tt.got, got, tt.diff)
		}
	}
}

func TestSpeeds(t *testing.T) {
	for text, want := range map[string]float64{"": 1, "10x": 10, "0.5x": 0.5, "3": 3, "max": 0} {
		if got, err := parseSpeed(text, false); err != nil || got != want {
			t.Errorf("%q is %g, %v; want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-1x", "fast", "NaN", "1e9x"} {
		if _, err := parseSpeed(text, false); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestEventsForPeople(t *testing.T) {
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		ev   agent.Event
		want string
	}{
		{agent.Event{Via: "plant", Subject: "a/b", Data: []byte("{\"t\":\n1}\x1b[2J")}, "08:00:01.500  plant    a/b  {\"t\":·1}·[2J"},
		{agent.Event{Via: "plant", Subject: "a", Retained: true, Data: []byte{0xff, 1}}, "08:00:01.500  plant    a (retained)  ff01 (2 B)"},
	} {
		p := eventPrinter{start: at}
		if got := p.text(&recording.Entry{At: 1500 * time.Millisecond, Event: &tt.ev}); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if got := cutTo(4, "abcdef"); got != "abc…" {
		t.Errorf("cut to %q", got)
	}
}
