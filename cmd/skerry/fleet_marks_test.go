package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
