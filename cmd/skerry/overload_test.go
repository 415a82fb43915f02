package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// A function that sleeps 10 ms in two workers does 200 events per second.
const (
	sustained = 200
	overload  = 10 * sustained
)

// slowApp is the ledger as such a function.
func slowApp(t *testing.T, triggers ...string) string {
	t.Helper()
	return ledgerApp(t, `env: {SEEN: "1", SLEEP_MS: "10"}`, triggers...)
}

// ledgerApp writes the ledger's app with two workers and the settings of env, for
// the events of in/# as the MQTT triggers say, and returns its path.
func ledgerApp(t *testing.T, env string, triggers ...string) string {
	t.Helper()
	module, err := filepath.Abs(filepath.Join("..", "..", "internal", "testbed", "ledger", "ledger.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: ledger, version: 1.0.0}
functions:
  ledger:
    module: {path: %s}
    %s
    limits: {memory: 1Mi, state: 256Mi, timeout: 10s, concurrency: 2}
    permissions: {publish: ["out/#"], invoke: [central/central]}
triggers:
`, module, env)
	for i, trigger := range triggers {
		text += fmt.Sprintf("  - {name: in%d, function: ledger, mqtt: {topic: 'in/#', %s}}\n", i, trigger)
	}
	r := &rig{t: t, dir: t.TempDir()}
	r.write("app.yaml", text)
	return r.path("app.yaml")
}

// TestOverloadOfQoS1IsHeldBack sends ten times what the functions can do:
// nothing is lost, and memory stays under its bound. OVERLOAD_TIME is for how
// long.
func TestOverloadOfQoS1IsHeldBack(t *testing.T) {
	length := seconds(t, "OVERLOAD_TIME", 3*time.Second)
	r := newLedgerRig(t, ledgerOptions{app: slowApp(t, "qos: 1")})
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		r.plant.Flood(overload, stop)
		close(flooded)
	}()
	worst := r.peak(length)
	close(stop)
	<-flooded
	r.plant.Settle()
	drain := time.Duration(r.plant.Published()/sustained) * time.Second
	r.plant.Complete(time.Minute + 3*drain)
	worst = max(worst, r.usage().rss)
	r.audit(time.Second)
	t.Logf("%d events in %s, at most %d MiB", r.plant.Published(), length, worst>>20)
	if worst > memoryBound {
		t.Errorf("the gateway takes %d MiB, at most %d", worst>>20, memoryBound>>20)
	}
}

// peak watches the gateway for a while and returns the most memory it had.
func (r *rig) peak(length time.Duration) (worst int) {
	for start := time.Now(); time.Since(start) < length; wait(200 * time.Millisecond) {
		worst = max(worst, r.usage().rss)
	}
	return worst
}

// TestOverloadOfQoS0IsCounted sends ten times what the functions can do through
// the embedded broker, with QoS 0: what was dropped and what was done are
// together what was sent, to the last event.
func TestOverloadOfQoS0IsCounted(t *testing.T) {
	length := seconds(t, "OVERLOAD_TIME", 3*time.Second)
	port := testbed.FreePort(t)
	r := newLedgerRig(t, ledgerOptions{
		app:     slowApp(t, "qos: 0, broker: local", "qos: 1, broker: plant"),
		gateway: "broker: {listen: '127.0.0.1:" + strconv.Itoa(port) + "', anonymous: true}\n",
	})
	c := client(t, "tcp://"+testbed.Addr(port))
	sent := 0
	var last paho.Token
	for start := time.Now(); time.Since(start) < length; wait(10 * time.Millisecond) {
		for due := int(time.Since(start).Seconds() * overload); sent < due; sent++ {
			last = c.Publish(fmt.Sprintf("in/k%03d", sent%50), 0, false, strconv.Itoa(sent))
		}
	}
	if err := token(last); err != nil {
		t.Fatal(err)
	}
	var dropped int64
	r.eventually("every event is done or dropped", func(s agent.Status) bool {
		dropped = s.Events.Dropped
		return s.Events.Events == int64(sent) && s.Events.Followups+dropped == int64(sent) // runs may be repeated unseen
	})
	worst := r.usage().rss
	r.proc.Stop()
	done, err := strconv.Atoi(readLedger(t, r.path("data/store"))["total"])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events sent, %d done, %d dropped, %d MiB", sent, done, dropped, worst>>20)
	if done+int(dropped) != sent || dropped == 0 {
		t.Errorf("%d done and %d dropped of %d sent", done, dropped, sent)
	}
	if worst > memoryBound {
		t.Errorf("the gateway takes %d MiB, at most %d", worst>>20, memoryBound>>20)
	}
}
