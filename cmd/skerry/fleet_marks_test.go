package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// The marked app is published in four versions, whose functions put a mark of their
// version on all that they send. The first of its two functions has padding: from the 1st
// version to the 2nd, and from the 3rd to the 4th, it is patched; else it comes whole.
const (
	markedVersions = 4
	firstTwin      = 10_000_000 // numbers of the second function begin there
)

const markedApp = `apiVersion: skerry/v1
kind: App
metadata: {name: ledger, version: 1.0.%[1]d}
functions:
  ledger:
    module: {path: ./ledger.wasm}
    env: {SEEN: "1"}
    limits: {memory: 1Mi, state: 256Mi, timeout: 10s}
    permissions: {publish: ["out/#"], invoke: [central/central]}
  twin:
    module: {path: ./twin.wasm}
    env: {SEEN: "1"}
    limits: {memory: 1Mi, state: 64Mi, timeout: 10s}
    permissions: {publish: ["twn/#"], invoke: [central/central]}
triggers:
  - {name: in, function: ledger, mqtt: {topic: "in/#", qos: 1}}
  - {name: mark, function: twin, mqtt: {topic: "mark/#", qos: 1}}
`

// markedFleet gives every device one version, whatever becomes of it.
const markedFleet = `apiVersion: skerry/v1
kind: Fleet
metadata: {name: fleet}
assignments: [{app: ledger, version: 1.0.%d, health: {window: 1s, onFailure: keep}}]
`

// marked is a version's ledger.wasm: a mark instead of its media type, another
// beginning of what it publishes, and so many bytes of padding that no program is in.
func marked(t *testing.T, version int, out string, padding int) []byte {
	t.Helper()
	module, err := os.ReadFile(filepath.Join("..", "..", "internal", "testbed", "ledger", "ledger.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for old, text := range map[string]string{"text/plain": fmt.Sprintf("text/mark%d", version), "out/": out} {
		if bytes.Count(module, []byte(old)) != 1 {
			t.Fatalf("ledger.wasm says %q %d times: mend this test", old, bytes.Count(module, []byte(old)))
		}
		module = bytes.Replace(module, []byte(old), []byte(text), 1)
	}
	if padding == 0 {
		return module
	}
	section := append([]byte("\x03pad"), make([]byte, padding)...)
	src := rand.NewChaCha8([32]byte{byte(version-1) / 2})
	_, _ = src.Read(section[4:]) // never fails
	module = binary.AppendUvarint(append(module, 0), uint64(len(section)))
	return append(module, section...)
}

// fleetRig is a gateway that gets the marked app from a docker-registry over a bad
// link, and the plant around it.
type fleetRig struct {
	*rig
	ref      string
	registry *testbed.Registry
	link     *testbed.Proxy
	broker   *testbed.Mosquitto
	plant    *testbed.Plant
	books    *marks
	versions map[string]string // functions and their modules, by "ledger@1.0.1"
}

// newFleetRig publishes some of the versions, with padding, and assigns the 1st.
func newFleetRig(t *testing.T, gateway string, padding int, versions ...int) *fleetRig {
	t.Helper()
	f := &fleetRig{
		registry: testbed.StartRegistry(t, testbed.RegistryOptions{}), broker: testbed.StartMosquitto(t, testbed.MosquittoOptions{}),
		plant: testbed.StartPlant(t), versions: map[string]string{},
	}
	f.plant.Sensors(f.broker.URL)
	f.plant.Listen(f.broker.URL)
	f.books = newMarks(t, f.plant)
	f.link = testbed.StartProxy(t, f.registry.Addr())
	f.ref = "oci://" + f.registry.Addr() + "/acme/fleet:latest"
	f.rig = newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: %d}]
registry: {ref: 'oci://%s/acme/fleet:latest', root_file: root.json, poll: 1s}
%s`, f.broker.URL, f.books.URL, centralJobs, testbed.Addr(f.link.Port), gateway))
	for _, v := range versions {
		f.publishMarked(v, padding)
	}
	f.assign(1)
	return f
}

func (f *fleetRig) publishMarked(v, padding int) {
	f.t.Helper()
	f.write("ledger.wasm", string(marked(f.t, v, "out/", padding)))
	f.write("twin.wasm", string(marked(f.t, v, "twn/", 0)))
	f.write("app.yaml", fmt.Sprintf(markedApp, v))
	f.write("fleet.yaml", fmt.Sprintf(markedFleet, v))
	r, err := fleetsync.Publish(context.Background(), fleetsync.PublishOptions{
		Access: f.fleet(f.ref), AppFile: f.path("app.yaml"), FleetFile: f.path("fleet.yaml"), Checks: publishChecks(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	set := ""
	for _, m := range r.Modules {
		set += fmt.Sprintf(" ledger/%s=%s", strings.TrimPrefix(m.Function, "ledger/"), m.Digest)
	}
	f.versions[versionName(v)] = set
}

func versionName(v int) string { return fmt.Sprintf("ledger@1.0.%d", v) }

// assign gives the gateway a version.
func (f *fleetRig) assign(v int) {
	f.t.Helper()
	ctx := context.Background()
	repo, err := fleetsync.OpenFleet(ctx, f.fleet(f.ref))
	if err != nil {
		f.t.Fatal(err)
	}
	plan, err := repo.Edit(func(fleet *fleetsync.Fleet) error {
		fleet.Assignments[0].Version = fmt.Sprintf("1.0.%d", v)
		return nil
	})
	if err == nil {
		_, err = repo.Push(ctx, plan, nil)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// whole checks that what runs is one of the versions, all of it.
func (f *fleetRig) whole(s agent.Status) error {
	if len(s.Apps) == 0 && len(s.Functions) == 0 {
		return nil // not yet
	}
	set := ""
	for _, fn := range s.Functions {
		set += fmt.Sprintf(" %s=%s", fn.Name, fn.Digest)
	}
	if len(s.Apps) != 1 || f.versions[s.Apps[0]] != set {
		return fmt.Errorf("the apps %v run with the functions%s, want one of %v", s.Apps, set, f.versions)
	}
	return nil
}

// watch looks at what runs until stop is closed; a mixture is a mistake.
func (f *fleetRig) watch(stop <-chan struct{}) (done <-chan int) {
	looks := make(chan int, 1)
	go func() {
		n := 0
		defer func() { looks <- n }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			s, err := f.ask()
			if err != nil {
				continue // it is killed
			}
			n++
			if err := f.whole(s); err != nil {
				f.t.Error(err)
				return
			}
		}
	}()
	return looks
}

// marks is the central FaaS: it notes which version each event was run by, has the
// plant book the first function's numbers, and books the second one's itself.
//
// Epochs count the assignments, the first is 1; epoch e is of version (e-1)%4+1.
type marks struct {
	*httptest.Server
	t     *testing.T
	plant *testbed.Plant
	mu    sync.Mutex
	epoch int         // of the newest assignment
	seen  int         // of the newest mark that came
	least map[int]int // by number of the second function: the oldest epoch that may run it
	came  map[int]int // by number of the second function: how often its follow-up came
	ids   map[string]int
	total [markedVersions + 1]int // follow-ups by version
}

func newMarks(t *testing.T, plant *testbed.Plant) *marks {
	m := &marks{t: t, plant: plant, epoch: 1, least: map[int]int{}, came: map[int]int{}, ids: map[string]int{}}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *marks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off in mid-request: it comes again
	}
	version, err := strconv.Atoi(strings.TrimPrefix(r.Header.Get("Content-Type"), "text/mark"))
	if err != nil || version < 1 || version > markedVersions {
		m.t.Errorf("a follow-up is marked %q", r.Header.Get("Content-Type"))
		return
	}
	n, _ := strconv.Atoi(string(body))
	m.note(n, version, r.Header.Get("Ce-Id"))
	if n < firstTwin {
		r.Body = io.NopCloser(bytes.NewReader(body))
		m.plant.Central.Config.Handler.ServeHTTP(w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (m *marks) note(n, version int, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	epoch := m.epoch - (m.epoch-version)%markedVersions // the last one with this version
	m.total[version]++
	m.seen = max(m.seen, epoch)
	if n < firstTwin {
		return
	}
	m.came[n]++
	if epoch < m.least[n] {
		m.t.Errorf("event %d was run by version %d, when a newer one had run", n, version)
	}
	if was, known := m.ids[id]; known && was != n {
		m.t.Errorf("id %s stands for %d and for %d", id, was, n)
	}
	m.ids[id] = n
}

// assigned notes that there is another assignment, and gives its version.
func (m *marks) assigned() (version int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	return (m.epoch-1)%markedVersions + 1
}

// publish sends events for the second function, a hundred a second, until stop is
// closed: none may be run by a version that is older than one that has run before.
func (m *marks) publish(url string, stop <-chan struct{}) {
	c := paho.NewClient(paho.NewClientOptions().AddBroker(url).SetClientID("twins"))
	if err := token(c.Connect()); err != nil {
		m.t.Error(err)
		return
	}
	defer c.Disconnect(0)
	for n := firstTwin; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(10 * time.Millisecond):
		}
		m.mu.Lock()
		m.least[n] = m.seen
		m.mu.Unlock()
		if err := token(c.Publish(fmt.Sprintf("mark/k%02d", n%10), 1, false, strconv.Itoa(n))); err != nil {
			m.t.Error(err)
			return
		}
	}
}

// sees waits until the newest version has run events.
func (m *marks) sees(version string) {
	m.t.Helper()
	testbed.Eventually(m.t, time.Minute, version+" runs events", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.seen != m.epoch {
			return fmt.Errorf("the newest mark is of assignment %d, of %d", m.seen, m.epoch)
		}
		return nil
	})
}

// complete waits until each event of the second function had its one outcome.
func (m *marks) complete(within time.Duration) {
	m.t.Helper()
	testbed.Eventually(m.t, within, "every event of the second function has run", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.came) != len(m.least) || len(m.ids) != len(m.came) {
			return fmt.Errorf("%d of %d came, with %d ids", len(m.came), len(m.least), len(m.ids))
		}
		return nil
	})
}
