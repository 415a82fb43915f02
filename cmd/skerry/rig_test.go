package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// rig is a gateway under test: a folder, a configuration, and the real binary.
type rig struct {
	t      *testing.T
	dir    string
	socket string
	fleets map[string]string // folders of keys, by reference
	proc   *testbed.Proc
}

// newRig writes a configuration of the given sections; DIR in them is the
// rig's folder. The registry is the layout in DIR/registry unless they name one,
// and its root of keys is in DIR/root.json.
func newRig(t *testing.T, sections string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	if !strings.Contains(sections, "registry:") {
		sections += "\nregistry: {ref: 'oci-layout:DIR/registry', root_file: root.json, poll: 1s}\n"
		r.fleet("oci-layout:" + r.path("registry"))
	}
	text := "device: {id: gw7, labels: [site=west]}\ndata: DIR/data\nadmin: {socket: DIR/s}\n" + sections
	r.write("skerry.yaml", strings.ReplaceAll(text, "DIR", dir))
	return r
}

// newCounterRig is a gateway that runs examples/counter for a real mosquitto.
func newCounterRig(t *testing.T) (*rig, *testbed.Mosquitto, *central) {
	t.Helper()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: 16}]
`, broker.URL, cloud.URL))
	r.publish(filepath.Join("..", "..", "examples", "counter", "app.yaml"))
	r.start()
	r.running(1)
	return r, broker, cloud
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.path(name)), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// publish puts the app described by appFile into the rig's registry.
func (r *rig) publish(appFile string) {
	r.t.Helper()
	r.publishTo("oci-layout:"+r.path("registry"), appFile)
}

func (r *rig) publishTo(ref, appFile string) {
	r.t.Helper()
	_, err := fleetsync.Publish(context.Background(), fleetsync.PublishOptions{Access: r.fleet(ref), AppFile: appFile, Checks: publishChecks()})
	if err != nil {
		r.t.Fatalf("publish %s: %v", appFile, err)
	}
}

// fleet is the way to publish to ref. The first time it makes the fleet there, and
// puts its root of keys into DIR/root.json.
func (r *rig) fleet(ref string) fleetsync.Access {
	r.t.Helper()
	access := fleetsync.Access{Ref: ref, Keys: r.fleets[ref]}
	if access.Keys == "" {
		if r.fleets == nil {
			r.fleets = map[string]string{}
		}
		access.Keys = r.path(fmt.Sprint("keys", len(r.fleets)))
		made, err := fleetsync.InitFleet(context.Background(), fleetsync.InitOptions{Access: access})
		if err != nil {
			r.t.Fatalf("make a fleet: %v", err)
		}
		r.write("root.json", string(made.Root))
		r.fleets[ref] = access.Keys
	}
	return access
}

// start runs the agent and waits until it answers.
func (r *rig) start() {
	r.t.Helper()
	r.proc = testbed.Start(r.t, "", func() error { _, err := r.ask(); return err }, os.Args[0], "run", "-c", r.path("skerry.yaml"))
}

func (r *rig) ask() (agent.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return admin.Status(ctx, r.socket)
}

func (r *rig) status() agent.Status {
	r.t.Helper()
	s, err := r.ask()
	if err != nil {
		r.t.Fatalf("status: %v\n%s", err, r.proc.Output())
	}
	return s
}

// eventually polls the agent's status until ok accepts it.
func (r *rig) eventually(what string, ok func(agent.Status) bool) {
	r.t.Helper()
	testbed.Eventually(r.t, 60*time.Second, what, func() error {
		s, err := r.ask()
		if err == nil && !ok(s) {
			err = fmt.Errorf("status is %+v", s)
		}
		return err
	})
}

// running waits until the agent runs n functions and every source is up.
func (r *rig) running(n int) {
	r.t.Helper()
	r.eventually("the agent runs", func(s agent.Status) bool {
		for _, src := range s.Sources {
			if !src.Connected || (src.Kind == "mqtt" || src.Kind == "broker") && len(src.Filters) == 0 {
				return false
			}
		}
		return len(s.Functions) == n
	})
}

// central is a central FaaS: it remembers CloudEvents by id and by body.
type central struct {
	*httptest.Server
	mu     sync.Mutex
	ids    map[string]int
	bodies map[string]int
}

func newCentral(t *testing.T) *central {
	c := &central{ids: map[string]int{}, bodies: map[string]int{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *central) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[r.Header.Get("Ce-Id")]++
	c.bodies[string(body)]++
	w.WriteHeader(http.StatusAccepted)
}

// counts are: requests, different ids, different bodies.
func (c *central) counts() (requests, ids, bodies int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.ids {
		requests += n
	}
	return requests, len(c.ids), len(c.bodies)
}

// waitFor waits until follow-ups of n different bodies have arrived.
func (c *central) waitFor(t *testing.T, n int, within time.Duration) {
	t.Helper()
	testbed.Eventually(t, within, "every follow-up arrives", func() error {
		if _, _, bodies := c.counts(); bodies != n {
			return fmt.Errorf("follow-ups of %d of %d events arrived", bodies, n)
		}
		return nil
	})
}

func (c *central) has(body string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bodies[body] > 0
}

// client is an MQTT client for tests.
func client(t *testing.T, url string) paho.Client { return clientAs(t, url, "", "") }

// clientAs is one with a name and a password.
func clientAs(t *testing.T, url, name, password string) paho.Client {
	t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("test-" + t.Name()).SetConnectRetry(true).
		SetUsername(name).SetPassword(password).SetConnectRetryInterval(50 * time.Millisecond))
	if err := token(c.Connect()); err != nil {
		t.Fatalf("connect to %s: %v", url, err)
	}
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func token(tok paho.Token) error {
	if !tok.WaitTimeout(20 * time.Second) {
		return errors.New("no answer from the broker for 20 s")
	}
	return tok.Error()
}
