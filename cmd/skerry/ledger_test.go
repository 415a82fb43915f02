package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const centralJobs = 16 // requests to the central FaaS at a time

// ledgerRig is a gateway that keeps the books of a plant, and the plant.
type ledgerRig struct {
	*rig
	plant  *testbed.Plant
	broker *testbed.Mosquitto
}

// ledgerOptions may be left zero.
type ledgerOptions struct {
	broker  func(url string) string // how the gateway reaches the broker at url
	central func(url string) string // and the central FaaS
	app     string                  // instead of internal/testbed/ledger/app.yaml
	gateway string                  // more of the gateway's configuration
	link    string                  // more keys of the broker in it
}

// newLedgerRig starts mosquitto, the plant around it, and the gateway.
func newLedgerRig(t *testing.T, opts ledgerOptions) *ledgerRig {
	t.Helper()
	direct := func(url string) string { return url }
	if opts.broker == nil {
		opts.broker = direct
	}
	if opts.central == nil {
		opts.central = direct
	}
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	plant := testbed.StartPlant(t)
	plant.Sensors(broker.URL)
	plant.Listen(broker.URL)
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'%s}]
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: %d}]
%s`, opts.broker(broker.URL), opts.link, opts.central(plant.Central.URL), centralJobs, opts.gateway))
	r.publish(cmp.Or(opts.app, filepath.Join("..", "..", "internal", "testbed", "ledger", "app.yaml")))
	r.start()
	r.running(1)
	return &ledgerRig{rig: r, plant: plant, broker: broker}
}

// audit waits until everything that the broker acknowledged has arrived, stops
// the gateway and compares all books.
func (r *ledgerRig) audit(within time.Duration) {
	r.t.Helper()
	r.plant.Settle()
	r.plant.Complete(within)
	r.proc.Stop()
	for _, wrong := range r.plant.Audit(readLedger(r.t, r.path("data/store"))) {
		r.t.Error(wrong)
	}
}

// readLedger reads the books in the store of a stopped gateway.
func readLedger(t *testing.T, dir string) map[string]string {
	t.Helper()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	return testbed.ReadLedger(t, st)
}

// seconds reads a length from the environment: how a rig is told to run longer
// than a test may.
func seconds(t *testing.T, variable string, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return d
}

// usage is what a process takes: resident bytes, how many of them are not pages
// of files, goroutines, open files.
type usage struct{ rss, anon, goroutines, files int }

// usage asks the gateway what it takes.
func (r *rig) usage() (u usage) {
	r.t.Helper()
	u.goroutines = r.goroutines()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.proc.Pid()))
	if err != nil {
		r.t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.proc.Pid()))
	if err != nil {
		r.t.Fatal(err)
	}
	kib := func(name string) (n int) {
		_, rest, _ := strings.Cut(string(status), "\n"+name+":")
		if _, err := fmt.Sscan(rest, &n); err != nil {
			r.t.Fatalf("no %s in %s", name, status)
		}
		return n << 10
	}
	u.files, u.rss, u.anon = len(files), kib("VmRSS"), kib("RssAnon")
	return u
}
