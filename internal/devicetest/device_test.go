// Package devicetest has people do to a running agent what they may do to it: see what
// ran when, take an app back, try an event. It uses the real program.
package devicetest

import (
	"context"
	"errors"
	"fmt"
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

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "devicetest")
	if err == nil {
		err = os.Setenv("DEVICETEST_TOKEN", "s3cret")
	}
	if err == nil {
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "skerry")
		err = testbed.BuildSkerry(binary)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// device is an agent with a broker and a fleet of its own.
type device struct {
	t      *testing.T
	dir    string
	broker string
	proc   *testbed.Proc
}

// newDevice begins a fleet and writes the configuration; policy is what its owner allows.
func newDevice(t *testing.T, policy string) *device {
	t.Helper()
	d := &device{t: t, dir: t.TempDir(), broker: testbed.Addr(testbed.FreePort(t))}
	d.must("fleet", "init", "oci-layout:"+d.path("registry"), "--name", "hall", "--device-config", d.path("example.yaml"))
	d.write("skerry.yaml", strings.NewReplacer("DIR", d.dir, "BROKER", d.broker, "POLICY", policy).Replace(`device: {id: gw7}
data: DIR/data
admin: {socket: DIR/s}
page: {listen: 'off'}
broker: {listen: 'BROKER', anonymous: true}
registry: {ref: 'oci-layout:DIR/registry', root_file: DIR/keys/root.json, poll: 1s}
policy: {POLICY}
secrets: [{name: token, env: DEVICETEST_TOKEN}]
`))
	return d
}

func (d *device) path(name string) string { return filepath.Join(d.dir, name) }

func (d *device) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// skerry runs a command of the program, and gives what it says and its exit code.
func (d *device) skerry(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "SKERRY_KEYS="+d.path("keys"), "XDG_CACHE_HOME="+d.path("cache"), "XDG_CONFIG_HOME="+d.path("config"))
	var out, say strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &say
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		d.t.Fatal(err)
	}
	return out.String(), say.String(), cmd.ProcessState.ExitCode()
}

func (d *device) must(args ...string) string {
	d.t.Helper()
	stdout, stderr, code := d.skerry(args...)
	if code != 0 {
		d.t.Fatalf("skerry %s ends with %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// publish puts an app of one function in JavaScript into the fleet, with a short probation.
func (d *device) publish(version, code, more string) {
	d.t.Helper()
	d.write("f.js", code)
	d.write("app.yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: hall, version: %s}
functions:
  f: {module: {path: ./f.js}, secrets: [token], permissions: {publish: ["alerts/#"], http: ["http://127.0.0.1:9"]}, limits: {timeout: 2s}}
triggers:
  - {name: t, function: f, mqtt: {topic: "in/{line}"}, retry: {maxAttempts: 2, backoff: 100ms}, then: [{publish: "out/{line}"}]}
%s`, version, more))
	d.write("fleet.yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: Fleet
metadata: {name: hall}
assignments: [{app: hall, version: %s, health: {window: 3s, minInvocations: 3}}]
`, version))
	d.must("publish", "app.yaml", "fleet.yaml", "--yes")
}

func (d *device) start() {
	d.t.Helper()
	d.proc = testbed.Start(d.t, "", func() error { _, err := d.status(); return err }, binary, "run", "-c", d.path("skerry.yaml"))
}

func (d *device) status() (agent.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return admin.Status(ctx, d.path("s"))
}

// becomes waits until the app stands so.
func (d *device) becomes(version, state string) {
	d.t.Helper()
	testbed.Eventually(d.t, 30*time.Second, version+" is "+state, func() error {
		s, err := d.status()
		if err != nil || len(s.Sync.Apps) != 1 || s.Sync.Apps[0].Version != version || s.Sync.Apps[0].State != state {
			return fmt.Errorf("%+v, %w", s.Sync.Apps, err)
		}
		return nil
	})
}

// connect is a client of the device's broker.
func (d *device) connect() paho.Client {
	d.t.Helper()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + d.broker).SetClientID("person"))
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		d.t.Fatalf("connect to the agent's broker: %v", token.Error())
	}
	d.t.Cleanup(func() { c.Disconnect(0) })
	return c
}
