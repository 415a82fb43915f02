package powercut

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const (
	install  = "make deps"
	diskSize = 256 << 20
	module   = "../testbed/ledger/ledger.wasm"
)

// gateway is an agent in a machine, and the plant around it.
type gateway struct {
	*testbed.Plant
	t       *testing.T
	boot    Boot
	disk    *Disk
	image   string
	machine *Machine
}

// options of a gateway.
type options struct {
	tags     string // build tags of the agent
	size     int64  // of the disk; 0 means diskSize
	app      string // instead of the ledger's app.yaml
	embedded bool   // sensors come to the agent's own broker, not to one outside
}

// newGateway builds the agent, formats a disk and prepares a machine. The
// broker, the central FaaS and the sensors are outside of it and keep their
// power.
func newGateway(t *testing.T, opts options) *gateway {
	t.Helper()
	dir := t.TempDir()
	g := &gateway{t: t, Plant: testbed.StartPlant(t)}
	binary := build(t, filepath.Join(dir, "skerry"), opts.tags)
	app := cmp.Or(opts.app, filepath.Join("..", "testbed", "ledger", "app.yaml"))
	keys := filepath.Join(dir, "keys")
	run(t, binary, "fleet", "init", "oci-layout:"+filepath.Join(dir, "fleet"), "--keys", keys, "--device-config", filepath.Join(dir, "skerry.yaml"))
	// Some events are meant to fail: a health gate would complain of that.
	fleet := filepath.Join(dir, "fleet.yaml")
	if err := os.WriteFile(fleet, []byte(`apiVersion: skerry/v1
kind: Fleet
metadata: {name: fleet}
assignments: [{app: ledger, version: 1.0.0, health: {maxErrorPercent: 100}}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, binary, "publish", app, fleet, "--keys", keys, "--yes", "--no-build")
	root, err := os.ReadFile(filepath.Join(keys, "root.json"))
	if err != nil {
		t.Fatal(err)
	}
	g.prepareBoot(dir, Guest{Binary: binary, Fleet: filepath.Join(dir, "fleet"), Config: fmt.Sprintf(`
device: {id: gw7}
data: /data/skerry
admin: {socket: /tmp/s}
log: {level: warn}
%s
registry: {ref: 'oci-layout:/fleet', root: '%s', poll: 1h}
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: 16}]
`, g.broker(opts.embedded), root, strings.ReplaceAll(g.Central.URL, "127.0.0.1", "10.0.2.2"))})
	g.prepareDisk(dir, opts.size)
	return g
}

// broker is the part of the agent's configuration that says what the sensors
// publish to. An embedded broker is there when the agent is.
func (g *gateway) broker(embedded bool) string {
	g.t.Helper()
	if embedded {
		g.boot.Forward = testbed.FreePort(g.t)
		return "broker: {listen: '0.0.0.0:1883', anonymous: true}"
	}
	broker := testbed.StartMosquitto(g.t, testbed.MosquittoOptions{})
	g.Sensors(broker.URL)
	g.Listen(broker.URL)
	return fmt.Sprintf("brokers: [{name: plant, url: 'tcp://10.0.2.2:%d', keepalive: 5s}]", broker.Port)
}

// build makes the agent as it runs in the machine.
func build(t *testing.T, path, tags string) string {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", path, "-tags", tags, "../../cmd/skerry")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v\n%s", err, out)
	}
	return path
}

// writeApp writes the ledger's app with other triggers, and returns its path.
func writeApp(t *testing.T, triggers string) string {
	t.Helper()
	wasm, err := filepath.Abs(module)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.yaml")
	text := `apiVersion: skerry/v1
kind: App
metadata: {name: ledger, version: 1.0.0}
functions:
  ledger:
    module: {path: ` + wasm + `}
    env: {SEEN: "1"}
    limits: {memory: 1Mi, state: 256Mi, timeout: 10s}
    permissions: {publish: ["out/#"], invoke: [central/central]}
` + triggers
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s\nif it is missing, run: %s", cmd, err, out, install)
	}
}

func (g *gateway) prepareBoot(dir string, guest Guest) {
	g.t.Helper()
	cache, err := CacheDir()
	if err != nil {
		g.t.Fatal(err)
	}
	g.boot.Initrd = filepath.Join(dir, "initrd")
	if g.boot.Kernel, err = kernel(cache); err != nil {
		g.t.Fatal(err)
	}
	if err := guest.pack(cache, g.boot.Initrd); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) prepareDisk(dir string, size int64) {
	g.t.Helper()
	if size == 0 {
		size = diskSize
	}
	g.image = filepath.Join(dir, "disk")
	g.boot.Socket = filepath.Join(dir, "nbd")
	f, err := os.Create(g.image)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Close())
	}
	if err != nil {
		g.t.Fatal(err)
	}
	run(g.t, "/usr/sbin/mkfs.ext4", "-q", "-F", "-b", strconv.Itoa(sector), g.image)
	if g.disk, err = OpenDisk(g.image); err != nil {
		g.t.Fatal(err)
	}
	l, err := net.Listen("unix", g.boot.Socket)
	if err != nil {
		g.t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		_ = g.disk.Serve(l) // until it is closed
		close(served)
	}()
	g.t.Cleanup(func() { // behind the machine's, which uses it
		l.Close()
		<-served
		g.disk.Close()
	})
}

// on turns the power on and waits until the agent is started.
func (g *gateway) on() {
	g.t.Helper()
	g.disk.PowerOn()
	m, err := boot(g.boot)
	if err != nil {
		g.t.Fatal(err)
	}
	g.machine = m
	g.t.Cleanup(func() { m.Kill() })
	g.said("GUEST agent starts", 90*time.Second)
	if m.Said("GUEST no ") > 0 {
		g.t.Fatalf("the machine is not whole:\n%s", m.Output())
	}
}

// said waits until the machine has said a line that begins with text.
func (g *gateway) said(text string, within time.Duration) {
	g.t.Helper()
	testbed.Eventually(g.t, within, "the machine says: "+text, func() error {
		if g.machine.Said(text) > 0 {
			return nil
		}
		select {
		case <-g.machine.Done():
			g.t.Fatalf("the machine has ended before it said %q:\n%s", text, g.machine.Output())
		default:
		}
		return fmt.Errorf("it has said:\n%s", g.machine.Output())
	})
}

func (g *gateway) tell(command string) {
	g.t.Helper()
	if err := g.machine.Tell(command); err != nil {
		g.t.Fatal(err)
	}
}

// cut takes the power away in mid-write; loss is the chance of each sector in
// the disk's cache to be lost. A machine that writes nothing is cut off too.
func (g *gateway) cut(loss float64) {
	g.t.Helper()
	select {
	case <-g.disk.CutAt(1+rand.IntN(20), loss):
	case <-time.After(2 * time.Second):
	}
	if err := errors.Join(g.disk.Cut(), g.machine.Kill()); err != nil {
		g.t.Fatal(err)
	}
}

// start is how long it took from the agent's start to the first event that came
// through, on the clock and on the emulated processor. The latter does not
// depend on what else this computer does.
type start struct{ wall, processor time.Duration }

// recovered waits until something new comes out of the machine.
func (g *gateway) recovered() start {
	g.t.Helper()
	began, used := time.Now(), g.machine.Used()
	select {
	case at := <-g.FirstNew():
		return start{at.Sub(began), g.machine.Used() - used}
	case <-g.machine.Done():
		g.t.Fatalf("the machine ended by itself:\n%s", g.machine.Output())
	case <-time.After(2 * time.Minute):
		g.tell("/skerry status -c /skerry.yaml -o json; killall -QUIT skerry; echo GUEST asked")
		g.said("GUEST asked", time.Minute)
		g.t.Fatalf("no event came through within 2 minutes of the agent's start, of %d that are acknowledged %d did:\n%s",
			g.Published(), g.Heard(), g.machine.Output())
	}
	return start{}
}

// books stops the machine in order and reads the gateway's state from its disk.
func (g *gateway) books() map[string]string {
	g.t.Helper()
	g.tell("off")
	g.said("GUEST off", 60*time.Second)
	if err := g.machine.Kill(); err != nil {
		g.t.Fatal(err)
	}
	dir := g.t.TempDir()
	run(g.t, "/usr/sbin/debugfs", "-R", "rdump /skerry/store "+dir, g.image)
	st, err := store.Open(filepath.Join(dir, "store"), store.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	defer st.Close()
	return testbed.ReadLedger(g.t, st)
}

// complaints are what the machine said that it should not have had to say.
func (g *gateway) complaints() []string {
	return regexp.MustCompile(`(?m)^.*(level=ERROR|GUEST agent ended|GUEST no |EXT4-fs error|panic|SIGBUS).*$`).
		FindAllString(g.machine.Output(), -1)
}

// pressing publishes as fast as the machine works, with at most window numbers
// on their way, until stop is called. An emulated processor on a busy computer
// would never work off what comes at a rate of its own.
func (g *gateway) pressing(window int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		g.Press(window, ctx.Done())
		close(done)
	}()
	stop = func() {
		cancel()
		<-done
	}
	g.t.Cleanup(stop)
	return stop
}
