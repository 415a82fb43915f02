package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// retainedAt keeps the last message of each topic.
type retainedAt struct {
	mu   sync.Mutex
	last map[string]string
}

func watchTopics(t *testing.T, url, filter string) *retainedAt {
	t.Helper()
	r := &retainedAt{last: map[string]string{}}
	take := func(_ paho.Client, m paho.Message) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.last[m.Topic()] = string(m.Payload())
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("watch-" + rand.Text()[:8]).
		SetMaxReconnectInterval(100 * time.Millisecond).SetOnConnectHandler(func(c paho.Client) { c.Subscribe(filter, 1, take) }))
	if err := token(c.Connect()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return r
}

func (r *retainedAt) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.last)
}

func (r *retainedAt) at(topic string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[topic]
}

func (r *retainedAt) is(t *testing.T, topic, want string) {
	t.Helper()
	testbed.Eventually(t, time.Minute, topic+" is "+want, func() error {
		if got := r.at(topic); got != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}

func (r *retainedAt) report(t *testing.T, topic string, ok func(fleetsync.Report) bool) (got fleetsync.Report) {
	t.Helper()
	testbed.Eventually(t, 90*time.Second, "the report", func() (err error) {
		text := r.at(topic)
		if got, err = fleetsync.ParseReport([]byte(text)); err == nil && !ok(got) {
			err = fmt.Errorf("it is %s", text)
		}
		return err
	})
	return got
}

// A device tells how it is; that it is gone is told by its will after kill -9 and by
// itself otherwise; the report comes again when the broker has lost it.
func TestDeviceReports(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: 'tcp://127.0.0.1:1'}, {name: hub, url: '%s', will_topic: gone}]
fleet: {name: west, broker: hub}
targets: [{name: far, kind: http, url: 'http://%s'}]
`, broker.URL, closedPort(t)))
	seen := watchTopics(t, broker.URL, "skerry/#")
	r.start()
	seen.is(t, "skerry/west/gw7/online", "1")
	got := seen.report(t, "skerry/west/gw7/report", func(rep fleetsync.Report) bool { return rep.Error != "" })
	if got.Device != "gw7" || got.Agent != version || got.Labels["site"] != "west" || got.Disk.Free <= 0 || got.Disk.Quota <= 0 ||
		got.Engine == "" || time.Since(got.Time) > time.Minute || got.Fleet != "west" {
		t.Errorf("the report is %+v", got)
	}
	r.proc.Kill()
	seen.is(t, "skerry/west/gw7/online", "0")

	r.start()
	seen.is(t, "skerry/west/gw7/online", "1")
	broker.Kill() // it keeps nothing
	seen.forget()
	broker.Restart()
	seen.is(t, "skerry/west/gw7/online", "1")
	seen.report(t, "skerry/west/gw7/report", func(rep fleetsync.Report) bool { return rep.Device == "gw7" })
	r.proc.Stop()
	seen.is(t, "skerry/west/gw7/online", "0")
}

// The embedded broker has the report too, and hands hints on, also to a device that
// gives its clients few rights.
func TestDeviceReportsToItsOwnBroker(t *testing.T) {
	t.Parallel()
	addr := testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf(`
broker: {listen: '%s', users: [{name: ops, password: pass, publish: ['skerry/+/hint']}]}
fleet: {name: west, broker: local}
log: {level: debug}
`, addr))
	r.start()
	out := skerryCommand(t, "fleet", "status", "--broker", "tcp://ops:pass@"+addr)
	testbed.Eventually(t, time.Minute, "the table", func() error {
		if text, err := out(); err != nil || !strings.Contains(text, "1 device, 1 online") {
			return fmt.Errorf("%v: %s", err, text)
		}
		return nil
	})
	err := publishHint(t.Context(), brokerAccess{URL: "tcp://ops:pass@" + addr}, "west", fleetsync.Hint{Revision: 2})
	if err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, time.Minute, "the hint", func() error {
		if !strings.Contains(r.proc.Output(), "the registry is asked soon") {
			return errors.New("nothing in the log")
		}
		return nil
	})
}

// skerryCommand is a command that can be run again and again.
func skerryCommand(t *testing.T, args ...string) func() (string, error) {
	t.Helper()
	return func() (string, error) {
		out, err := exec.Command(os.Args[0], args...).CombinedOutput()
		return string(out), err
	}
}

// link is a fleet link alone.
func startLink(t *testing.T, url string, tell func() fleetsync.Report, wake func()) {
	t.Helper()
	f := &fleetLink{
		name: "west", device: "gw7", tell: tell, log: slog.New(slog.DiscardHandler), up: make(chan struct{}, 1),
		news: news{daily: dailyReport}, hints: hints{wake: wake, log: slog.New(slog.DiscardHandler)},
	}
	var err error
	f.client, err = sensors.NewMQTT(sensors.MQTTOptions{Name: fleetSource, Device: "gw7", URL: url, Clean: true, Linked: f.linked, Log: f.log})
	if err != nil {
		t.Fatal(err)
	}
	f.client.Follow([]agent.Trigger{{Via: fleetSource, Filter: fleetsync.HintTopic("west"), QoS: 1}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// A hint wakes once, however often it comes; one that is kept for a device that was
// away wakes too. What is none does nothing.
func TestHintWakes(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	access := brokerAccess{URL: broker.URL}
	hint := func(revision int64) {
		t.Helper()
		if err := publishHint(t.Context(), access, "west", fleetsync.Hint{Revision: revision}); err != nil {
			t.Fatal(err)
		}
	}
	var woken atomic.Int64
	waitFor := func(n int64) {
		t.Helper()
		testbed.Eventually(t, 10*time.Second, "woken", func() error {
			if got := woken.Load(); got != n {
				return fmt.Errorf("%d times, want %d", got, n)
			}
			return nil
		})
	}
	hint(1)
	startLink(t, broker.URL, func() fleetsync.Report { return fleetsync.Report{Device: "gw7"} }, func() { woken.Add(1) })
	waitFor(1)
	c := client(t, broker.URL)
	for _, text := range []string{`{"revision":1}`, `{"revision":-4}`, "null", "", strings.Repeat("x", 100_000)} {
		if err := token(c.Publish("skerry/west/hint", 1, false, text)); err != nil {
			t.Fatal(err)
		}
	}
	hint(2)
	waitFor(2)
	if err := publishHint(t.Context(), brokerAccess{URL: "tcp://" + closedPort(t)}, "../west", fleetsync.Hint{}); err == nil {
		t.Error("a fleet with slashes is taken")
	}
}
