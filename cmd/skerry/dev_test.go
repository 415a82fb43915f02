package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// devApp is a rule, so that nothing has to be compiled. It remembers what it let through.
const devApp = `apiVersion: skerry/v1
kind: App
metadata: {name: things, version: 1.0.0}
triggers:
  - name: tell
    mqtt: {topic: "$share/many/things/{id}"}
    onChange: [data.t]
    then: [{publish: "counts/{id}", data: "WORD ${data.t}"}]
  - name: order
    http: {path: "orders/{id}"}
    when: data.t > 0
    then: [{publish: "orders/kept", data: "${capture.id}"}]
`

// devRig is skerry dev with an app in a folder of its own.
type devRig struct {
	t     *testing.T
	dir   string
	input *io.PipeWriter
	mu    sync.Mutex
	text  bytes.Buffer // all that it said
	ended chan error
}

func (r *devRig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *devRig) save(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *devRig) typeIn(line string) {
	if _, err := io.WriteString(r.input, line+"\n"); err != nil {
		r.t.Error(err)
	}
}

// says waits until it says all of that, since the last time.
func (r *devRig) says(want ...string) {
	r.t.Helper()
	testbed.Eventually(r.t, 30*time.Second, strings.Join(want, " and "), func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, text := range want {
			if !strings.Contains(r.text.String(), text) {
				return fmt.Errorf("it says\n%s", r.text.String())
			}
		}
		r.text.Reset()
		return nil
	})
}

func (r *devRig) saveWord(word string) {
	r.save("app.yaml", strings.ReplaceAll(devApp, "WORD", word))
}

// startDev runs skerry dev until the test is over.
func startDev(t *testing.T, o devOptions) *devRig {
	t.Helper()
	r := &devRig{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	r.saveWord("one")
	in, input := io.Pipe()
	r.input, o.output = input, "text"
	ctx, stop := context.WithCancel(context.Background())
	d := &dev{devOptions: o, file: filepath.Join(r.dir, "app.yaml"), in: in, out: r, said: &turnWriter{w: r}}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- d.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		input.Close()
	})
	return r
}

// TestDevPutsWhatIsSavedInPlace goes through what an author does: events, a test, a
// change that keeps the state, a manifest that is wrong, a module that is none.
func TestDevPutsWhatIsSavedInPlace(t *testing.T) {
	r := startDev(t, devOptions{test: true})
	r.says("things@1.0.0 runs (built in ", "listens to things/+", "there is no *_test.yaml")
	r.typeIn(`things/a {"t":1}`)
	r.says("things/a  {\"t\":1}\n", "publish   counts/a  one 1\n")
	r.typeIn(`things/a {"t":1}`)
	r.says("its trigger did not let it through")
	r.typeIn("else/a x")
	r.says("no trigger listens to it")
	r.typeIn("wrong/# x")
	r.says("type TOPIC DATA")
	r.typeIn("POST")
	r.says("type TOPIC DATA")
	r.typeIn(`POST /in/orders/17 {"t":1}`)
	r.says("orders/17  {\"t\":1}\n", "publish   orders/kept  17\n", "answer    200  {\"t\":1}\n")
	r.typeIn(`POST orders/18?wait=10s {"t":0}`)
	r.says("orders/18  {\"t\":0}\n          answer    204\n")
	r.typeIn(`POST http://127.0.0.1:9181/in/orders/19 {"t":1}`)
	r.says("a path stands here as in the manifest: orders/7 for POST /in/orders/7")
	r.typeIn(`POST orders/20 {"t":"x"}`)
	r.says("an expression of its trigger cannot be evaluated for it", "answer    204\n")

	r.save("a_test.yaml", "apiVersion: skerry/v1\nkind: Test\ntests:\n  - name: it tells\n    events: [{topic: things/a, data: {t: 7}}]\n"+
		"    expect: [{publish: {topic: counts/a, text: two 7}}]\n")
	r.says("1 test failed")
	r.saveWord("two")
	r.says("runs now, with the state it had", "ok    it tells")
	r.typeIn(`things/a {"t":1}`)
	r.says("its trigger did not let it through")
	r.typeIn(`things/a {"t":2}`)
	r.says("publish   counts/a  two 2\n")

	r.save("app.yaml", devApp+"nonsense: 1\n")
	r.says("nonsense: unknown key", "; the version before runs on")
	r.save("f.wasm", "\x00asm\x07\x00\x00\x00")
	r.save("app.yaml", devApp+"  - {name: f, function: f, mqtt: {topic: f}}\nfunctions: {f: {module: {path: f.wasm}}}\n")
	r.says("the app does not start: things/f: WebAssembly binary version 07 ", "; the version before runs on")
	r.typeIn(`things/a {"t":3}`)
	r.says("publish   counts/a  two 3\n")
}

// TestDevTakesEventsOfABroker gets what its triggers listen to, beside whoever shares
// the subscription, and publishes only when asked.
func TestDevTakesEventsOfABroker(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	quiet, loud := startDev(t, devOptions{broker: broker.URL}), startDev(t, devOptions{broker: broker.URL, publish: true})
	quiet.says("connected to the broker")
	loud.says("connected to the broker")
	c := client(t, broker.URL)
	seen := make(chan string, 10)
	if err := token(c.Subscribe("counts/#", 1, func(_ paho.Client, m paho.Message) { seen <- string(m.Payload()) })); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 30*time.Second, "both are subscribed", func() error {
		if err := token(c.Publish("things/a", 1, false, `{"t":1}`)); err != nil {
			return err
		}
		for _, r := range []*devRig{quiet, loud} {
			r.mu.Lock()
			text := r.text.String()
			r.mu.Unlock()
			if !strings.Contains(text, "publish   counts/a  one 1") {
				return fmt.Errorf("one says %q", text)
			}
		}
		return nil
	})
	if got := <-seen; got != "one 1" {
		t.Errorf("published %q", got)
	}
	if len(seen) > 0 {
		t.Error("published twice: also by the one that was not asked to")
	}
}

// TestDevPlaysAFileAgain plays a list of events to each version, from its start.
func TestDevPlaysAFileAgain(t *testing.T) {
	list := filepath.Join(t.TempDir(), "event.json")
	text := `[{"topic": "things/a", "data": {"t": 1}}, {"topic": "things/b", "data": {"t": 2}}]`
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startDev(t, devOptions{events: list})
	r.says("counts/a  one 1\n", "counts/b  one 2\n", "2 events played; waiting for the next save")
	r.save("app.yaml", "nonsense")
	r.says("; waiting for the next save")
	r.saveWord("two")
	r.says("counts/a  two 1\n", "counts/b  two 2\n")
}

// TestDevForgetsModulesOfOldVersions: who saves all day long does not fill the memory.
func TestDevForgetsModulesOfOldVersions(t *testing.T) {
	version := func(n byte) modulesOf { return modulesOf{agent.Digest([]byte{n}): {n}} }
	m := &devModules{all: version(1)}
	has := func(want ...byte) {
		t.Helper()
		for n := byte(1); n <= 3; n++ {
			module, err := m.Blob(agent.Digest([]byte{n}))
			if here := module != nil; err != nil || here != slices.Contains(want, n) {
				t.Errorf("the module of version %d is there: %v, %v", n, here, err)
			}
		}
	}
	if err := m.change(version(2), func() error { has(1, 2); return nil }); err != nil {
		t.Error(err)
	}
	has(2)
	if m.change(version(3), func() error { return io.EOF }) == nil {
		t.Error("it does not say that the version did not start")
	}
	has(2)
}
