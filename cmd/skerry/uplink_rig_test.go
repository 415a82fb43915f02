package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// levelsApp sends what comes to in/P/… up with priority P, and of latest/… only
// the newest of each topic.
func levelsApp() string {
	app := "apiVersion: skerry/v1\nkind: App\nmetadata: {name: levels, version: 1.0.0}\ntriggers:\n"
	for p := range 10 {
		app += fmt.Sprintf("  - {name: p%d, mqtt: {topic: 'in/%d/#'}, then: [{invoke: central/alerts, priority: %d}]}\n", p, p, p)
	}
	return app + `  - {name: latest, mqtt: {topic: 'latest/#'}, then: [{invoke: central/alerts, priority: 7, keepLatest: true}]}
  - {name: short, mqtt: {topic: 'short/#'}, then: [{invoke: central/alerts, priority: 2, ttl: 1s}]}
  - {name: shed, mqtt: {topic: 'shed/#'}, then: [{invoke: central/alerts, priority: 1, over: drop}]}
`
}

const levelsRules = 13

// door is a central FaaS that answers 503 until it is opened, and remembers what
// came through it in order.
type door struct {
	*httptest.Server
	mu     sync.Mutex
	answer int
	bodies []string
}

func newDoor(t *testing.T) *door {
	d := &door{answer: http.StatusServiceUnavailable}
	d.Server = httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(d.Close)
	return d
}

func (d *door) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.WriteHeader(d.answer)
	if d.answer == http.StatusOK && !slices.Contains(d.bodies, string(body)) {
		d.bodies = append(d.bodies, string(body))
	}
}

func (d *door) open() { d.set(http.StatusOK) }

func (d *door) set(answer int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer
}

func (d *door) came() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.bodies)
}

func (d *door) wait(t *testing.T, n int) []string {
	t.Helper()
	testbed.Eventually(t, 60*time.Second, "follow-ups arrive", func() error {
		if came := d.came(); len(came) < n {
			return fmt.Errorf("%d of %d came: %.300q", len(came), n, came)
		}
		return nil
	})
	return d.came()
}

// uplinkRig is a gateway with an embedded broker that runs levelsApp for a door.
type uplinkRig struct {
	*rig
	door   *door
	broker string
}

// newUplinkRig makes one; more is further configuration, and target more of its
// only target's.
func newUplinkRig(t *testing.T, more, target string) *uplinkRig {
	t.Helper()
	u := &uplinkRig{door: newDoor(t)}
	addr := testbed.Addr(testbed.FreePort(t))
	u.broker = "tcp://" + addr
	u.rig = newRig(t, fmt.Sprintf("broker: {listen: '%s', anonymous: true}\ntargets: [{name: alerts, kind: http, url: '%s', in_flight: 1%s}]\n%s",
		addr, u.door.URL, target, more))
	u.write("levels.yaml", levelsApp())
	u.rig.publish(u.path("levels.yaml"))
	return u
}

func (u *uplinkRig) run() {
	u.t.Helper()
	u.start()
	u.running(levelsRules)
}

// send publishes a payload to each topic with QoS 1, and waits for what it comes to.
func (u *uplinkRig) send(c paho.Client, topic, payload string) {
	u.t.Helper()
	if err := token(c.Publish(topic, 1, false, payload)); err != nil {
		u.t.Fatal(err)
	}
}

// on runs skerry uplink with these words, for the rig.
func (u *uplinkRig) on(words ...string) string {
	u.t.Helper()
	out, err := u.try(words...)
	if err != nil {
		u.t.Fatalf("skerry uplink %v: %v\n%s", words, err, u.proc.Output())
	}
	return out
}

func (u *uplinkRig) try(words ...string) (string, error) {
	return skerry(append(append([]string{"uplink"}, words...), "-c", u.path("skerry.yaml"))...)
}

// target is what the uplink's list says of alerts.
func (u *uplinkRig) target() agent.TargetStatus {
	u.t.Helper()
	var s agent.UplinkStatus
	if err := json.Unmarshal([]byte(u.on("-o", "json")), &s); err != nil {
		u.t.Fatal(err)
	}
	i := slices.IndexFunc(s.Targets, func(t agent.TargetStatus) bool { return t.Name == "alerts" })
	if i < 0 {
		return agent.TargetStatus{}
	}
	return s.Targets[i]
}

// until waits until the target is as ok wants it.
func (u *uplinkRig) until(what string, ok func(agent.TargetStatus) bool) {
	u.t.Helper()
	testbed.Eventually(u.t, 60*time.Second, what, func() error {
		if s := u.target(); !ok(s) {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}

func (u *uplinkRig) waits(n int) {
	u.t.Helper()
	u.until(fmt.Sprintf("%d wait", n), func(s agent.TargetStatus) bool { return s.Waiting == n })
}

// shows tells whether a text holds all of want.
func shows(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("this lacks %q:\n%s", w, text)
		}
	}
}

// backlogOf is what uplink show lists in JSON.
func (u *uplinkRig) backlogOf(words ...string) []agent.Waiting {
	u.t.Helper()
	var list []agent.Waiting
	if err := json.Unmarshal([]byte(u.on(append([]string{"show", "alerts", "-o", "json"}, words...)...)), &list); err != nil {
		u.t.Fatal(err)
	}
	return list
}
