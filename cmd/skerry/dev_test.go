package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/testbed"
)

const devApp = `apiVersion: skerry/v1
kind: App
metadata: {name: counter, version: 1.0.0}
functions:
  count: {module: {path: count.js}, permissions: {publish: ["counts/#"]}}
triggers:
  - {function: count, mqtt: {topic: "$share/many/things/+"}}
`

const devFunction = `export default (event, skerry) => {
  if (event.text() === "bad") throw new Error("no such thing");
  skerry.publish("counts/" + event.text(), WORD + skerry.state.add("n"));
};`

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
	r.save("count.js", strings.ReplaceAll(devFunction, "WORD", word))
}

// startDev runs skerry dev until the test is over.
func startDev(t *testing.T, o devOptions) *devRig {
	t.Helper()
	r := &devRig{t: t, dir: t.TempDir(), ended: make(chan error, 1)}
	r.save("app.yaml", devApp)
	r.saveWord(`"one "`)
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

// TestDevPutsWhatIsSavedInPlace goes through what an author does: events, a change
// that keeps the state, one that does not start, a manifest that is wrong, tests.
func TestDevPutsWhatIsSavedInPlace(t *testing.T) {
	r := startDev(t, devOptions{test: true})
	r.says("counter@1.0.0 runs (built in ", "listens to things/+", "there is no *_test.yaml")
	r.typeIn("things/a x")
	r.says("things/a  x\n", "publish   counts/x  one 1\n")
	r.typeIn("else/a x")
	r.says("no trigger listens to it")
	r.typeIn("things/a bad")
	r.says("failed    count, attempt 1: error: Error: no such thing")
	r.typeIn("wrong/# x")
	r.says("type TOPIC DATA")

	r.save("a_test.yaml", "apiVersion: skerry/v1\nkind: Test\ntests:\n  - name: it counts\n    events: [{topic: things/a, text: y}]\n"+
		"    expect: [{publish: {topic: counts/y, text: two 1}}]\n")
	r.says("1 test failed")
	r.saveWord(`"two "`)
	r.says("runs now, with the state it had", "ok    it counts")
	r.typeIn("things/a x")
	r.says("publish   counts/x  two 2\n")

	r.saveWord(`throw`)
	r.says("does not start: ", "the version before runs on")
	r.save("app.yaml", devApp+"nonsense: 1\n")
	r.says("nonsense: unknown key", "; the version before runs on")
	r.typeIn("things/a x")
	r.says("publish   counts/x  two 3\n")
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
		if err := token(c.Publish("things/a", 1, false, "x")); err != nil {
			return err
		}
		for _, r := range []*devRig{quiet, loud} {
			r.mu.Lock()
			text := r.text.String()
			r.mu.Unlock()
			if !strings.Contains(text, "publish   counts/x  one 1") {
				return fmt.Errorf("one says %q", text)
			}
		}
		return nil
	})
	if got := <-seen; got != "one 1" {
		t.Errorf("published %q", got)
	}
	select {
	case got := <-seen:
		if got == "one 1" {
			t.Error("published twice: also by the one that was not asked to")
		}
	default:
	}
}

// TestDevPlaysAFileAgain plays a list of events to each version, from its start.
func TestDevPlaysAFileAgain(t *testing.T) {
	list := filepath.Join(t.TempDir(), "event.json")
	text := `[{"topic": "things/a", "contentType": "text/plain", "data": "x"}, {"topic": "things/b", "contentType": "text/plain", "data": "y"}]`
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startDev(t, devOptions{events: list})
	r.says("counts/x  one 1\n", "counts/y  one 2\n", "2 events played; waiting for the next save")
	r.save("app.yaml", "nonsense")
	r.says("; waiting for the next save")
	r.save("app.yaml", devApp)
	r.saveWord(`"two "`)
	r.says("counts/y  two 2\n")
}
