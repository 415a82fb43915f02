package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// killer is a server that functions call in the middle of a run: who asks for the path
// /poison tells asked, and waits.
func killer(t *testing.T) (url string, asked chan string) {
	asked = make(chan string, 16)
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		if r.URL.Path == "/poison" {
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(ended) })
	return server.URL, asked
}

func hears(t *testing.T, asked <-chan string, want string) {
	t.Helper()
	select {
	case got := <-asked:
		if got != want {
			t.Fatalf("%s runs, want %s", got, want)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("%s does not run", want)
	}
}

// TestDeathTwiceInOneEvent kills the agent twice in the middle of the same event:
// first before it is on disk, so that the broker delivers it again, then when it is in
// the inbox. It does not run a third time; other events of its function do, after a
// while. Before, the gateway was stopped in the middle of it, which is no death.
func TestDeathTwiceInOneEvent(t *testing.T) {
	t.Parallel()
	url, asked := killer(t)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}]\n", broker.URL))
	r.write("ask.js", `export default (event, skerry) => skerry.http({ method: "GET", url: skerry.config("URL") + "/" + event.data.is }).status`)
	r.write("app.yaml", strings.ReplaceAll(`
apiVersion: skerry/v1
kind: App
metadata: {name: ask, version: 1.0.0}
functions:
  f: {module: {path: ask.js}, env: {URL: 'AT'}, limits: {timeout: 10m}, permissions: {http: ['AT', 127.0.0.0/8]}}
triggers:
  - {name: on, function: f, mqtt: {topic: "x/+"}}
`, "AT", url))
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(1)
	c := client(t, broker.URL)
	if err := token(c.Publish("x/1", 1, false, `{"is":"poison"}`)); err != nil {
		t.Fatal(err)
	}
	hears(t, asked, "/poison")
	r.proc.Stop()
	r.start()
	hears(t, asked, "/poison")
	r.proc.Kill()
	r.start()
	hears(t, asked, "/poison")
	r.eventually("it is on disk", func(s agent.Status) bool { return s.Functions[0].Inbox == 1 })
	r.proc.Kill()
	r.start()
	r.eventually("it is dead, and its function stopped", func(s agent.Status) bool {
		return len(s.Functions) == 1 && s.Functions[0].Dead == 1 && s.Functions[0].Breaker != nil && s.Functions[0].Faults["death"] == 1
	})
	letters, err := admin.Box{Path: r.socket}.List(agent.DeadFilter{})
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Reason, "the agent died twice while it ran") || letters[0].Topic != "x/1" {
		t.Errorf("dead letters: %+v, %v", letters, err)
	}
	if err := token(c.Publish("x/2", 1, false, `{"is":"good"}`)); err != nil {
		t.Fatal(err)
	}
	hears(t, asked, "/good")
	r.eventually("it works again", func(s agent.Status) bool { return s.Functions[0].Breaker == nil })
	if out := r.proc.Output(); !strings.Contains(out, "stopped for a while") {
		t.Errorf("the log does not tell of it:\n%s", out)
	}
}

// TestUnderwayCountsWithinOneBoot keeps what the agent noted, but not over a boot of
// the machine, nor a stop that did not wait.
func TestUnderwayCountsWithinOneBoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), underwayFile)
	note := func(text string) (was string) {
		t.Helper()
		u, err := openUnderway(path)
		if err != nil {
			t.Fatal(err)
		}
		was = strings.Trim(string(u.memory()[:8]), "\x00")
		copy(u.memory(), text)
		if text == "stopped" {
			u.forget()
		}
		if err := u.close(); err != nil {
			t.Fatal(err)
		}
		return was
	}
	for _, step := range []struct{ finds, leaves string }{{"", "one"}, {"one", "two"}, {"two", "stopped"}, {"", "three"}} {
		if was := note(step.leaves); was != step.finds {
			t.Errorf("found %q, want %q", was, step.finds)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("of another boot"), 0)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if was := note("four"); was != "" {
		t.Errorf("of another boot: found %q", was)
	}
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	if was := note("five"); was != "" {
		t.Errorf("cut: found %q", was)
	}
}
