package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const reading = `{"id":"s017","seq":%d,"ts":1763689000123456,"temperature":%g,"humidity":45.2,"unit":"C","site":"hall-3","fw":"1.4.2"}`

func TestDemoSummary(t *testing.T) {
	for _, offline := range []time.Duration{0, 3 * time.Second} {
		t.Run("offline="+offline.String(), func(t *testing.T) {
			var out bytes.Buffer
			opts := demoOptions{length: 8 * time.Second, offline: offline, output: "json", rate: 500}
			if err := runDemo(context.Background(), opts, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			var s demoSummary
			if err := json.Unmarshal(out.Bytes(), &s); err != nil {
				t.Fatalf("%v in %s", err, out.Bytes())
			}
			t.Logf("%s", out.Bytes())
			if s.Events < 1000 || s.FollowupsEmitted == 0 || s.FollowupsEmitted != s.FollowupsDelivered ||
				s.Failures != 0 || s.BytesUp == 0 || s.BytesUp*10 >= s.BytesIn {
				t.Errorf("summary = %+v", s)
			}
		})
	}
}

// TestEverythingIsAwayAtStart starts with what is cached while registry, cloud
// and broker are gone; the function runs as soon as a broker is there.
func TestEverythingIsAwayAtStart(t *testing.T) {
	t.Parallel()
	registry := testbed.StartRegistry(t, testbed.RegistryOptions{})
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	cloudURL := cloud.URL
	ref := "oci://" + registry.Addr() + "/acme/fleet:latest"
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: alerts, kind: cloudevents, url: '%s'}]
registry: {ref: '%s', root_file: root.json, poll: 1s}
`, broker.URL, cloudURL, ref))
	r.publishTo(ref, filepath.Join("..", "..", "examples", "overheat", "app.yaml"))
	r.start()
	r.running(1)
	r.proc.Stop()
	registry.Stop()
	broker.Stop()
	cloud.Close()

	r.start()
	r.eventually("the cached function is there", func(s agent.Status) bool { return len(s.Functions) == 1 })
	broker.Restart()
	r.running(1)
	c := client(t, broker.URL)
	if err := token(c.Publish("sensors/line-1/s017/temperature", 1, false, fmt.Sprintf(reading, 1, 95.25))); err != nil {
		t.Fatal(err)
	}
	r.eventually("the follow-up waits for the cloud", func(s agent.Status) bool {
		for _, o := range s.Targets {
			if o.Name == "alerts" && o.Waiting == 1 {
				return s.Events.Followups == 1
			}
		}
		return false
	})
}

// TestHostileFunctionsAreStoppedAndTheirNeighbourNeverNotices runs a function
// that loops for ever, one that takes memory without end and one that traps
// beside one that works.
func TestHostileFunctionsAreStoppedAndTheirNeighbourNeverNotices(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: alerts, kind: cloudevents, url: '%s'}, {name: central, kind: cloudevents, url: '%s'}]
`, broker.URL, cloud.URL, cloud.URL))
	hostile := []string{"loop", "grower", "trap"}
	app := "apiVersion: skerry/v1\nkind: App\nmetadata: {name: hostile, version: 1.0.0}\nfunctions:\n"
	triggers := "triggers:\n"
	for _, name := range hostile {
		module, err := filepath.Abs(filepath.Join("..", "..", "wasm", "testdata", name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		app += fmt.Sprintf("  %s: {module: {path: %s}, limits: {memory: 4Mi, timeout: 200ms}}\n", name, module)
		triggers += fmt.Sprintf("  - {name: %s, function: %s, mqtt: {topic: 'count/#', qos: 1}, retry: {maxAttempts: 2, backoff: 50ms}}\n", name, name)
	}
	r.write("hostile.yaml", app+triggers)
	r.publish(r.path("hostile.yaml"))
	r.publish(filepath.Join("..", "..", "examples", "counter", "app.yaml"))
	r.start()
	r.running(4)
	c := client(t, broker.URL)
	const events = 20
	for i := range events {
		if err := token(c.Publish(fmt.Sprintf("count/line-1/s%03d", i), 1, false, fmt.Sprintf(`{"n":%d}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	cloud.waitFor(t, events, 20*time.Second) // the neighbour has done its work
	early := r.status()
	r.eventually("the hostile ones are stopped", func(s agent.Status) bool {
		for _, f := range s.Functions {
			if f.Name != "counter/counter" && (f.Breaker == nil || f.Dead+int64(f.Inbox) != events) {
				return false
			}
		}
		return true
	})
	s := r.status()
	for _, f := range s.Functions {
		t.Logf("%s: %d runs, %d failed, %d dead, faults %v, p99 %d us", f.Name, f.Invocations, f.Failures, f.Dead, f.Faults, f.P99us)
		name := strings.TrimPrefix(f.Name, "hostile/")
		switch kind := map[string]string{"loop": "timeout", "trap": "trap"}[name]; {
		case f.Name == "counter/counter":
			if f.Failures != 0 {
				t.Errorf("the neighbour failed %d times", f.Failures)
			}
		case f.Failures != f.Invocations || f.Failures >= 2*events:
			t.Errorf("%s = %+v; want it stopped before every event has failed twice", f.Name, f)
		case kind != "" && f.Faults[kind] != f.Failures:
			t.Errorf("%s: faults %v, want all of kind %s", f.Name, f.Faults, kind)
		}
	}
	t.Logf("memory %d MiB with the hostile ones at work, %d MiB after", early.RSSBytes>>20, s.RSSBytes>>20)
}

// TestDamagedModuleIsRefusedAndTheOldOneKeepsRunning publishes an update whose
// module is damaged on the registry's disk.
func TestDamagedModuleIsRefusedAndTheOldOneKeepsRunning(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: cloudevents, url: '%s'}, {name: alerts, kind: cloudevents, url: '%s'}]
`, broker.URL, cloud.URL, cloud.URL))
	counter, err := filepath.Abs(filepath.Join("..", "..", "examples", "counter"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(counter, "app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first := strings.ReplaceAll(string(text), "./counter.wasm", filepath.Join(counter, "counter.wasm"))
	r.write("app.yaml", first)
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(1)
	old := r.status().Functions[0].Digest

	overheat := filepath.Join(filepath.Dir(counter), "overheat", "overheat.wasm")
	second := strings.ReplaceAll(first, filepath.Join(counter, "counter.wasm"), overheat)
	second = strings.Replace(second, "version: 1.0.0", "version: 1.0.1", 1)
	second = strings.Replace(second, "permissions:", "permissions:\n      publish: []", 1) // which overheat imports
	if second == first || !strings.Contains(second, "1.0.1") {
		t.Fatal("the example's version is not 1.0.0 any more: mend this test")
	}
	r.write("app.yaml", second)
	r.proc.Stop() // so that it cannot see the new version before it is damaged
	r.publish(r.path("app.yaml"))
	damageModules(t, r.path("registry"))
	r.start()
	r.eventually("the damage is told", func(s agent.Status) bool {
		return strings.Count(s.Sync.Error, "sha256:") >= 2
	})
	s := r.status()
	t.Logf("told: %s", s.Sync.Error)
	if len(s.Functions) != 1 || s.Functions[0].Digest != old {
		t.Errorf("functions = %+v, want the old digest %s still running", s.Functions, old)
	}
	if err := token(client(t, broker.URL).Publish("count/line-1/s001", 1, false, `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 20*time.Second, "the old function works", func() error {
		if !cloud.has(`{"n":1}`) {
			return fmt.Errorf("no follow-up yet")
		}
		return nil
	})
}

// damageModules flips a byte of each module and each patch that a layout holds.
func damageModules(t *testing.T, layout string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := 0
	for _, file := range files {
		blob, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(blob, []byte("{")) {
			continue // a document
		}
		blob[len(blob)/2] ^= 1
		if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, blob, 0o600)); err != nil {
			t.Fatal(err)
		}
		damaged++
	}
	if damaged == 0 {
		t.Fatal("the registry holds no module")
	}
}

func TestSIGTERMDrainsAndStopsWithin5s(t *testing.T) {
	r, broker, cloud := newCounterRig(t)
	ctx, stop := context.WithCancel(context.Background())
	published := make(chan int, 1)
	go func() { published <- flood(ctx, t, broker.URL) }()
	r.eventually("events flow", func(s agent.Status) bool { return s.Events.Invocations > 200 })
	begin := time.Now()
	if err := syscall.Kill(r.proc.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-r.proc.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("still running 10 s after SIGTERM")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopped after %s, want at most 5 s", took)
	}
	if out := r.proc.Output(); strings.Contains(out, "the hard way") || strings.Contains(out, "level=ERROR") || strings.Contains(out, "not kept") {
		t.Errorf("not a clean stop:\n%s", out)
	}
	r.start()
	stop()
	events := <-published
	cloud.waitFor(t, events, 60*time.Second)
	if _, ids, _ := cloud.counts(); ids != events {
		t.Errorf("%d different ids for %d events", ids, events)
	}
}

// TestWholeStoryOverRealParts is a newcomer's first day: publish to a real
// registry, run, an alarm goes to the broker and to the cloud, an update
// arrives by itself.
func TestWholeStoryOverRealParts(t *testing.T) {
	t.Parallel()
	registry := testbed.StartRegistry(t, testbed.RegistryOptions{})
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	ref := "oci://" + registry.Addr() + "/acme/fleet:latest"
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: alerts, kind: cloudevents, url: '%s'}]
registry: {ref: '%s', root_file: root.json, poll: 1s}
`, broker.URL, cloud.URL, ref))
	r.publishTo(ref, filepath.Join("..", "..", "examples", "overheat", "app.yaml"))
	r.start()
	r.running(1)

	c := client(t, broker.URL)
	alerts := make(chan string, 10)
	if err := token(c.Subscribe("alerts/#", 1, func(_ paho.Client, m paho.Message) {
		alerts <- m.Topic() + " " + string(m.Payload())
	})); err != nil {
		t.Fatal(err)
	}
	for i, temperature := range []float64{60, 95.25, 97, 60, 99} { // up, still up, down, up again: two alarms
		if err := token(c.Publish("sensors/line-1/s017/temperature", 1, false, fmt.Sprintf(reading, i, temperature))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		select {
		case a := <-alerts:
			if !strings.HasPrefix(a, "alerts/s017/overheat ") {
				t.Errorf("alert %q", a)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no alert; the agent said:\n%s", r.proc.Output())
		}
	}
	testbed.Eventually(t, 20*time.Second, "two follow-ups arrive", func() error {
		if _, ids, _ := cloud.counts(); ids != 2 {
			return fmt.Errorf("%d arrived", ids)
		}
		return nil
	})

	r.publishTo(ref, filepath.Join("..", "..", "examples", "rollup", "app.yaml"))
	r.running(2)
	if s := r.status(); s.Sync.Revision != 2 || !s.Sync.Verified {
		t.Errorf("sync = %+v, want revision 2, verified", s.Sync)
	}
}

// TestFollowupReachesLambda signs for a Lambda API that checks signatures.
func TestFollowupReachesLambda(t *testing.T) {
	t.Parallel()
	moto := testbed.StartMoto(t)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets:
  - {name: central, kind: lambda, function: %s, region: %s, endpoint: '%s', access_key_id: %s, secret_access_key_file: DIR/secret}
`, broker.URL, moto.Function, moto.Region, moto.Endpoint, moto.AccessKeyID))
	r.write("secret", moto.SecretAccessKey+"\n")
	r.publish(filepath.Join("..", "..", "examples", "counter", "app.yaml"))
	r.start()
	r.running(1)
	if err := token(client(t, broker.URL).Publish("count/a", 1, false, `{"n":1}`)); err != nil {
		t.Fatal(err)
	}
	r.eventually("Lambda has the follow-up", func(s agent.Status) bool { return s.Targets[0].Delivered == 1 })
	var text strings.Builder
	if err := printStatus(&text, r.status(), "text"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"gw7", "counter@1.0.0", "counter/counter", "count/#", "lambda", "signed until 20", "1 in"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("status does not show %q:\n%s", want, text.String())
		}
	}
}
