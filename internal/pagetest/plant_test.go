// Package pagetest uses the page of a running agent in a real browser, as people do.
package pagetest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// plant is an agent with something on every page: four apps, of which one fails
// always; a target that refuses for good, and one that is away.
type plant struct {
	t      *testing.T
	dir    string
	binary string
	config string // without whether the page may write
	broker string // host:port, as page
	page   string
	proc   *testbed.Proc
	client paho.Client
}

const token = "a-token-that-is-long-enough-for-a-test"

const configuration = `device: {id: gw-press-hall, labels: [site=west]}
data: DIR/data
admin: {socket: DIR/s}
page: {listen: 'PAGE', token_file: DIR/token, write: WRITE}
broker: {listen: 'BROKER', anonymous: true}
registry: {ref: 'oci-layout:DIR/registry', root_file: DIR/keys/root.json, poll: 1h}
policy: {rollback: true}
targets:
  - {name: alerts, kind: cloudevents, url: 'REFUSES'}
  - {name: history, kind: cloudevents, url: 'http://127.0.0.1:9/nobody', link: lte}
links:
  - {name: lte, day: 5MiB, month: 100MiB}
uplink: {disk: 16MiB}
limits: {disk: 64MiB}
`

// newPlant builds the binary, publishes the apps and starts the agent.
func newPlant(t *testing.T) *plant {
	t.Helper()
	p := &plant{t: t, dir: t.TempDir(), broker: testbed.Addr(testbed.FreePort(t)), page: testbed.Addr(testbed.FreePort(t))}
	p.binary = filepath.Join(p.dir, "skerry")
	if err := testbed.BuildSkerry(p.binary); err != nil {
		t.Fatal(err)
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this alarm centre takes no alarms of presses", http.StatusBadRequest)
	}))
	t.Cleanup(refuses.Close)
	p.config = strings.NewReplacer("DIR", p.dir, "PAGE", p.page, "BROKER", p.broker, "REFUSES", refuses.URL).Replace(configuration)
	p.configure(true)
	p.write("token", token+"\n")
	p.publish()
	p.start()
	p.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + p.broker).SetClientID("press-hall").SetAutoReconnect(true))
	if token := p.client.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("connect to the agent's broker: %v", token.Error())
	}
	t.Cleanup(func() { p.client.Disconnect(0) })
	return p
}

func (p *plant) path(name string) string { return filepath.Join(p.dir, name) }

func (p *plant) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// configure writes the configuration that the next start reads.
func (p *plant) configure(write bool) {
	p.t.Helper()
	p.write("skerry.yaml", strings.ReplaceAll(p.config, "WRITE", fmt.Sprint(write)))
}

func (p *plant) skerry(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append(os.Environ(), "SKERRY_KEYS="+p.path("keys"), "XDG_CACHE_HOME="+p.path("cache"), "XDG_CONFIG_HOME="+p.path("config"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("skerry %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// publish puts the apps into a fleet of its own: overheat in its first version.
func (p *plant) publish() {
	p.t.Helper()
	p.skerry("fleet", "init", "oci-layout:"+p.path("registry"), "--name", "plant", "--device-config", p.path("example.yaml"))
	if err := os.CopyFS(p.path("apps"), os.DirFS("testdata/plant")); err != nil {
		p.t.Fatal(err)
	}
	for from, to := range map[string]string{"overheat.wasm": "overheat.wasm", "app.yaml": "overheat.yaml"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "overheat", from))
		if err != nil {
			p.t.Fatal(err)
		}
		p.write("apps/"+to, string(text))
	}
	for _, app := range []string{"overheat", "press", "scale", "vibration"} {
		p.skerry("publish", p.path("apps/"+app+".yaml"), "--yes")
	}
}

// update publishes the next version of overheat, which is on probation then.
func (p *plant) update() {
	p.t.Helper()
	text, err := os.ReadFile(p.path("apps/overheat.yaml"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("apps/overheat.yaml", strings.NewReplacer("version: 1.0.0", "version: 1.1.0", `LIMIT: "80"`, `LIMIT: "75"`).Replace(string(text)))
	p.skerry("publish", p.path("apps/overheat.yaml"), p.path("apps/fleet.yaml"), "--yes")
}

func (p *plant) start() {
	p.t.Helper()
	p.proc = testbed.Start(p.t, "", func() error { _, err := p.ask(); return err }, p.binary, "run", "-c", p.path("skerry.yaml"))
	p.eventually("four functions run", func(s agent.Status) bool { return len(s.Functions) == 4 })
}

func (p *plant) ask() (agent.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return admin.Status(ctx, p.path("s"))
}

func (p *plant) eventually(what string, ok func(agent.Status) bool) {
	p.t.Helper()
	testbed.Eventually(p.t, 60*time.Second, what, func() error {
		s, err := p.ask()
		if err == nil && !ok(s) {
			err = fmt.Errorf("status is %+v", s)
		}
		return err
	})
}

// send publishes to the agent's broker.
func (p *plant) send(topic, data string) error {
	token := p.client.Publish(topic, 1, false, data)
	if !token.WaitTimeout(10 * time.Second) {
		return fmt.Errorf("publish to %s: no answer", topic)
	}
	return token.Error()
}

// work has the plant do a little of everything.
func (p *plant) work() {
	p.t.Helper()
	send := func(topic, format string, a ...any) {
		p.t.Helper()
		if err := p.send(topic, fmt.Sprintf(format, a...)); err != nil {
			p.t.Fatal(err)
		}
	}
	for i := range 60 {
		send(fmt.Sprintf("sensors/line-%d/s%d/temperature", i%3+1, i%5), `{"id":"s%d","seq":%d,"temperature":%.1f}`, i%5, i, 60+float64(i%25))
		send(fmt.Sprintf("machines/mill-%d/vibration", i%2), `{"rms":%.2f}`, 1+float64(i%7)/10)
		send(fmt.Sprintf("presses/p%d/pressure", i%4), `{"bar":%d}`, 120+i*2%110)
	}
	send("presses/p2/pressure", `{"bar":"high"}`)
	send("presses/p3/pressure", `{"bar":320}`)
	send("machines/mill-1/vibration", "not JSON")
	for i := range 8 {
		send(fmt.Sprintf("scales/s%d/weight", i), `{"kg":%d}`, i)
	}
	p.eventually("something waits and something was given up", func(s agent.Status) bool {
		waits, stopped := false, false
		for _, t := range s.Targets {
			waits = waits || t.Waiting > 50
		}
		for _, f := range s.Functions {
			stopped = stopped || f.Breaker != nil
		}
		return waits && stopped && s.Store.Dead >= 5
	})
}
