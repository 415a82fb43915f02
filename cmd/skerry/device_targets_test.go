package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// mqttCloud is a broker in the cloud with somebody who subscribes to all.
type mqttCloud struct {
	*testbed.Mosquitto
	t *testing.T

	mu  sync.Mutex
	got []cloudMessage
}

type cloudMessage struct {
	topic    string
	retained bool
	raw      string
	event    struct {
		ID      string          `json:"id"`
		Version string          `json:"specversion"`
		Source  string          `json:"source"`
		Type    string          `json:"type"`
		Data    json.RawMessage `json:"data"`
	}
}

// newMQTTCloud lets "gw" with password "right" in, and the subscriber.
func newMQTTCloud(t *testing.T, opts testbed.MosquittoOptions) *mqttCloud {
	t.Helper()
	opts.Users = map[string]string{"gw": "right", "ops": "ops"}
	opts.Persist = true
	c := &mqttCloud{Mosquitto: testbed.StartMosquitto(t, opts), t: t}
	sub, err := sensors.NewMQTT(sensors.MQTTOptions{
		Name: "ops", Device: "ops", URL: c.URL, Username: "ops", Password: "ops", MaxPacket: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	sub.Follow([]agent.Trigger{{Via: "ops", Filter: "#", QoS: 1}})
	stopped := make(chan error, 1)
	go func() { stopped <- sub.Run(t.Context(), c.take) }()
	t.Cleanup(func() { <-stopped })
	testbed.Eventually(t, 20*time.Second, "subscribed", func() error {
		if st := sub.Status(); len(st.Filters) == 0 {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	return c
}

func (c *mqttCloud) take(ev *agent.Event, done func(error)) {
	m := cloudMessage{topic: ev.Subject, retained: ev.Retained, raw: string(ev.Data)}
	if err := json.Unmarshal(ev.Data, &m.event); err != nil {
		c.t.Errorf("no JSON came: %q", ev.Data)
	}
	c.mu.Lock()
	c.got = append(c.got, m)
	c.mu.Unlock()
	if done != nil {
		done(nil)
	}
}

func (c *mqttCloud) messages() []cloudMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// events are the data of what came, each once, in order of arrival. Twice the
// same id must be the same in everything.
func (c *mqttCloud) events() (data []string) {
	seen := map[string]string{}
	for _, m := range c.messages() {
		if before, again := seen[m.event.ID]; !again {
			seen[m.event.ID] = m.raw
			data = append(data, string(m.event.Data))
		} else if before != m.raw {
			c.t.Errorf("id %s came with %s, then with %s", m.event.ID, before, m.raw)
		}
	}
	return data
}

// waitFor waits until n different events have come.
func (c *mqttCloud) waitFor(n int) []string {
	c.t.Helper()
	testbed.Eventually(c.t, 60*time.Second, fmt.Sprintf("%d events reach the cloud", n), func() error {
		if got := len(c.events()); got < n {
			return fmt.Errorf("%d did", got)
		}
		return nil
	})
	return c.events()
}

// newMQTTRig runs examples/counter, whose follow-ups go to an MQTT target with
// the given options.
func newMQTTRig(t *testing.T, options string) (*rig, *testbed.Mosquitto) {
	t.Helper()
	plant := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: mqtt, link: lte, topic: 'skerry/{device}/{function}', username: gw, password_file: DIR/password, %s}]
links: [{name: lte, day: 10MB}]
`, plant.URL, options))
	r.write("password", "right\n")
	r.publish(filepath.Join("..", "..", "examples", "counter", "app.yaml"))
	return r, plant
}

// publishCounts gives the counter events n to m on three topics.
func publishCounts(t *testing.T, broker *testbed.Mosquitto, from, to int) {
	t.Helper()
	plc := client(t, broker.URL)
	for i := from; i < to; i++ {
		if err := token(plc.Publish(fmt.Sprintf("count/%d", i%3), 1, false, fmt.Sprintf(`{"n":%d}`, i))); err != nil {
			t.Error(err)
			return
		}
	}
	plc.Disconnect(0)
}

// target is the status of the only target.
func (r *rig) target() agent.TargetStatus {
	for _, s := range r.status().Targets {
		if s.Name == "central" {
			return s
		}
	}
	return agent.TargetStatus{}
}

// The link is cut and the broker started anew in mid-flow: everything arrives,
// in order, what comes twice is the same, and nobody but the target connects.
func TestMQTTTargetLosesNothing(t *testing.T) {
	t.Parallel()
	cloud := newMQTTCloud(t, testbed.MosquittoOptions{})
	proxy, behind := testbed.InFront(t, cloud.URL)
	r, plant := newMQTTRig(t, fmt.Sprintf("url: '%s', retain: true, batch: 8", behind))
	r.start()
	r.running(1)
	const n, half = 600, 300
	published := make(chan struct{})
	go func() {
		defer close(published)
		publishCounts(t, plant, 0, half)
	}()
	for i := range 3 { // in mid-flow
		cloud.waitFor((i + 1) * half / 4)
		r.eventually("a connection to be cut", func(agent.Status) bool { return proxy.Stats().Connections > i })
		proxy.Reset()
	}
	before := cloud.Output()
	cloud.Stop()
	<-published
	publishCounts(t, plant, half, n)
	cloud.Restart()
	data := cloud.waitFor(n)
	if len(data) != n {
		t.Errorf("%d different events, want %d", len(data), n)
	}
	checkOrder(t, data)
	for _, m := range cloud.messages() {
		if m.topic != "skerry/gw7/counter/counter" || m.event.Version != "1.0" || m.event.Source == "" || m.event.Type == "" {
			t.Fatalf("%s: %s", m.topic, m.raw)
		}
	}
	r.eventually("delivered", func(agent.Status) bool { s := r.target(); return s.Waiting == 0 && s.Delivered == n })
	if s := proxy.Stats(); s.Connections < 4 {
		t.Errorf("%d connections to the cloud: nothing was cut", s.Connections)
	}
	if out := before + cloud.Output(); !strings.Contains(out, "as skerry-gw7-target-central") || strings.Contains(out, "as skerry-gw7-plant") {
		t.Errorf("who connected to the cloud:\n%s", out)
	}
}

// A connection that has become half open is given up when the broker is silent,
// long before its pings would tell.
func TestMQTTTargetHalfOpen(t *testing.T) {
	t.Parallel()
	cloud := newMQTTCloud(t, testbed.MosquittoOptions{})
	proxy, behind := testbed.InFront(t, cloud.URL)
	r, plant := newMQTTRig(t, fmt.Sprintf("url: '%s', timeout: 1s", behind))
	r.start()
	r.running(1)
	publishCounts(t, plant, 0, 10)
	cloud.waitFor(10)
	proxy.Freeze()
	publishCounts(t, plant, 10, 20)
	checkOrder(t, cloud.waitFor(20))
}

// checkOrder checks that the events of each topic came in order.
func checkOrder(t *testing.T, data []string) {
	t.Helper()
	last := map[int]int{}
	for _, d := range data {
		var e struct {
			N int `json:"n"`
		}
		if err := json.Unmarshal([]byte(d), &e); err != nil {
			t.Fatalf("%q: %v", d, err)
		}
		if before, ok := last[e.N%3]; ok && before > e.N {
			t.Errorf("%d came behind %d", e.N, before)
		}
		last[e.N%3] = e.N
	}
}

// A password that the broker does not take holds the target; it goes on by
// itself with the right one.
func TestMQTTTargetRefused(t *testing.T) {
	t.Parallel()
	cloud := newMQTTCloud(t, testbed.MosquittoOptions{})
	r, plant := newMQTTRig(t, fmt.Sprintf("url: '%s'", cloud.URL))
	r.write("password", "wrong\n")
	r.start()
	r.running(1)
	publishCounts(t, plant, 0, 10)
	r.eventually("the refusal shows", func(agent.Status) bool {
		s := r.target()
		return s.Waiting == 10 && strings.Contains(s.LastError, `refuses user "gw": check username and password`) && time.Until(s.RetryAt) > time.Minute
	})
	r.write("password", "right\n")
	checkOrder(t, cloud.waitFor(10))
	if s := r.target(); s.Dead != 0 {
		t.Errorf("%d dead letters", s.Dead)
	}
}

// MQTT 3.1.1 has no way to say that a client may not publish to a topic: the
// broker acknowledges and drops. docs/targets.md tells.
func TestMQTTTargetWithoutTheRight(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acl := filepath.Join(dir, "acl")
	(&rig{t: t, dir: dir}).write("acl", "user ops\ntopic readwrite #\nuser gw\ntopic write allowed/#\n")
	cloud := newMQTTCloud(t, testbed.MosquittoOptions{Config: "acl_file " + acl + "\n"})
	r, plant := newMQTTRig(t, fmt.Sprintf("url: '%s'", cloud.URL))
	r.start()
	r.running(1)
	publishCounts(t, plant, 0, 3)
	r.eventually("acknowledged", func(agent.Status) bool { return r.target().Delivered == 3 })
	if got := cloud.messages(); len(got) != 0 {
		t.Errorf("%d came through", len(got))
	}
}

// What is too large for the broker becomes a dead letter in the end, and what
// is behind it goes on.
func TestMQTTTargetTooLarge(t *testing.T) {
	t.Parallel()
	cloud := newMQTTCloud(t, testbed.MosquittoOptions{Config: "max_packet_size 60000\n"})
	r, plant := newMQTTRig(t, fmt.Sprintf("url: '%s'", cloud.URL))
	r.start()
	r.running(1)
	publishCounts(t, plant, 0, 3)
	cloud.waitFor(3)
	plc := client(t, plant.URL)
	if err := token(plc.Publish("count/0", 1, false, `{"n":3,"pad":"`+strings.Repeat("x", 65_400)+`"}`)); err != nil {
		t.Fatal(err)
	}
	plc.Disconnect(0)
	publishCounts(t, plant, 4, 7)
	checkOrder(t, cloud.waitFor(6))
	r.eventually("given up", func(agent.Status) bool { s := r.target(); return s.Waiting == 0 && s.Dead == 1 && s.Delivered == 6 })
}

func TestMQTTTargetMistakes(t *testing.T) {
	for _, tt := range []struct{ options, want string }{
		{"url: 'tcp://h'", "targets[0].topic: is missing; give one such as skerry/{device}/{function}"},
		{"topic: a", "targets[0].url: is missing; give one such as mqtts://broker.example"},
		{"url: 'tcp://h', topic: 'a/+'", "targets[0].topic: holds + or #"},
		{"url: 'http://h', topic: a", `URL scheme "http" is unknown: use tcp, mqtts, ws or wss`},
		{"url: 'tcp://h', topic: a, password: canary", "a password needs a username"},
		{"url: 'tcp://h', topic: a, username: u, password: canary, password_file: pw", "targets[0].password: is set and password_file too"},
		{"url: 'tcp://u:canary@h:x', topic: a", "the URL cannot be read"},
		{"url: 'tcp://h', topic: a, ca_file: ca.pem", "use mqtts:// or wss://"},
		{"url: 'mqtts://h', topic: a, ca_file: pw", "holds no PEM certificate"},
		{"url: 'tcp://h', topic: a, keepalive: 1s", "set it between 2s and 18h"},
		{"url: 'tcp://h', topic: a, method: PUT", "targets[0].method: is no option of kind mqtt; remove it"},
	} {
		_, err := LoadConfig(writeConfig(t, "targets: [{name: cloud, kind: mqtt, "+tt.options+"}]\n"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", tt.options, err, tt.want)
		}
	}
	if _, err := LoadConfig(writeConfig(t, "device: {id: a}\nregistry: {ref: 'oci://h/fleet', root_file: root.json}\n"+
		"targets: [{name: cloud, kind: mqtt, url: 'wss://h', topic: '$aws/rules/{subject}', username: u, password_file: pw, keepalive: 10m, retain: true, batch: 8}]\n")); err != nil {
		t.Error(err)
	}
}

// TLS with a client's certificate, and WebSockets to the embedded broker of
// another gateway; the link counts both.
func TestMQTTTargetSchemes(t *testing.T) {
	t.Parallel()
	files := testbed.NewTLSFiles(t)
	cloud := testbed.StartMosquitto(t, testbed.MosquittoOptions{TLS: files})
	web := "ws://" + testbed.Addr(testbed.FreePort(t))
	newRig(t, fmt.Sprintf("broker: {listen: '%s', users: [{name: gw, password: right, publish: ['skerry/#']}]}", web)).start()
	for name, options := range map[string]string{
		"tls": fmt.Sprintf("url: '%s', ca_file: '%s', cert_file: '%s', key_file: '%s'", cloud.URL, files.CA, files.ClientCert, files.ClientKey),
		"ws":  fmt.Sprintf("url: '%s/mqtt'", web),
	} {
		r, plant := newMQTTRig(t, options)
		r.start()
		r.running(1)
		publishCounts(t, plant, 0, 3)
		r.eventually(name+": delivered", func(agent.Status) bool { s := r.target(); return s.Delivered == 3 && s.BytesUp > 500 })
		r.eventually(name+": counted", func(s agent.Status) bool { // with the headers of its packets
			return len(s.Links) == 1 && s.Links[0].Sent > r.target().BytesUp+100 && s.Links[0].Received > 100
		})
	}
}
