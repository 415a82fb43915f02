package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// said is what a version of the app in TestBadReleaseReturnsWithItsState says of an event.
type said struct{ V, I, N int }

// TestBadReleaseReturnsWithItsState: a version that fails every fifth event, and keeps
// its state in another shape, goes back by itself. The version before finds its state
// as it was, and every event has had one outcome, in the one or the other.
func TestBadReleaseReturnsWithItsState(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("\nbrokers: [{name: plant, url: '%s'}]\n", broker.URL))
	const before = `export default (e, skerry) => { const n = (skerry.state.get("n") ?? 0) + 1; skerry.state.set("n", n); return {v: 1, i: e.data.i, n}; }`
	const bad = `export default (e, skerry) => {
  const was = skerry.state.get("n"), n = (was.n ?? was) + 1;
  skerry.state.set("n", {n});
  if (e.data.i % 5 === 0) throw new Error("no such sensor");
  return {v: 2, i: e.data.i, n};
}`
	r.publishGated("1.0.0", 1, before)
	r.start()
	r.running(1)
	var mu sync.Mutex
	var all []said
	c := client(t, broker.URL)
	if err := token(c.Subscribe("out", 1, func(_ paho.Client, m paho.Message) {
		var s said
		if err := json.Unmarshal(m.Payload(), &s); err != nil {
			t.Error(err)
		}
		mu.Lock()
		all = append(all, s)
		mu.Unlock()
	})); err != nil {
		t.Fatal(err)
	}
	i := 0
	send := func(n int) {
		for range n {
			i++
			if err := token(c.Publish(fmt.Sprintf("in/%d", i%20), 1, false, fmt.Sprintf(`{"i":%d}`, i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(50)
	r.publishGated("1.1.0", 2, bad)
	r.runs("gated@1.1.0")
	app := agent.AppStatus{}
	r.eventually("the bad release goes back", func(s agent.Status) bool {
		if i < 1000 {
			send(10)
		}
		for _, a := range s.Sync.Apps {
			app = a
		}
		return app.State == "quarantined"
	})
	if app.Version != "1.0.0" || app.Wanted != "1.1.0" {
		t.Errorf("app %+v", app)
	}
	r.runs("gated@1.0.0")
	send(50)
	testbed.Eventually(t, 30*time.Second, "each event has its outcome", func() error {
		mu.Lock()
		defer mu.Unlock()
		return outcomesOf(all, i)
	})
	r.proc.Stop()
}

// outcomesOf checks that events 1 to n have had one outcome each, and that the first
// version has counted its own without a gap.
func outcomesOf(all []said, n int) error {
	seen, counted, versions := map[int]bool{}, map[int]bool{}, [3]int{}
	for _, s := range all {
		if seen[s.I] {
			return fmt.Errorf("event %d has two outcomes", s.I)
		}
		seen[s.I] = true
		versions[s.V]++
		if s.V == 1 {
			counted[s.N] = true
		}
	}
	for i := 1; i <= versions[1]; i++ {
		if !counted[i] {
			return fmt.Errorf("the version before counted %d events, but never %d", versions[1], i)
		}
	}
	if len(seen) != n || versions[2] == 0 {
		return fmt.Errorf("%d of %d events have an outcome, %d in the bad version", len(seen), n, versions[2])
	}
	return nil
}

// publishGated publishes a version of an app, with a strict gate.
func (r *rig) publishGated(version string, shape int, source string) {
	r.t.Helper()
	r.write("gated.js", source)
	r.write("gated.yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: gated, version: %s}
stateVersion: %d
functions: {f: {module: {path: ./gated.js}, permissions: {publish: [out]}}}
triggers: [{function: f, mqtt: {topic: in/+}, retry: {backoff: 1s, maxAttempts: 20}, then: [{publish: out}]}]
`, version, shape))
	r.write("gated-fleet.yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: Fleet
metadata: {name: registry}
assignments: [{app: gated, version: %s, health: {window: 2m, minInvocations: 20, maxErrorPercent: 5}}]
`, version))
	_, err := fleetsync.Publish(context.Background(), fleetsync.PublishOptions{
		Access: r.fleet("oci-layout:" + r.path("registry")), AppFile: r.path("gated.yaml"), FleetFile: r.path("gated-fleet.yaml"), Checks: publishChecks(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
}
