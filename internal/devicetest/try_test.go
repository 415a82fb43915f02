package devicetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const tried = `export default (e, skerry) => {
  const n = (skerry.state.get("n") ?? 0) + 1;
  skerry.state.set("n", n);
  const what = e.data.do;
  if (what === "fail") throw new Error("no such sensor");
  if (what === "fetch") return {status: skerry.http({url: "http://127.0.0.1:9/x?key=1"}).status};
  if (what === "spin") for (;;) {}
  skerry.publish("alerts/" + e.data.id, {secret: skerry.secret("token").length});
  return {n};
}`

const more = `  - {name: slow, function: f, mqtt: {topic: "slow/+"}, rateLimit: {count: 1, per: 1h}}
  - {name: copy, mqtt: {topic: "in/+"}, then: [{publish: "copies", data: {was: "${subject}"}}]}
`

// report is what of an answer the tests look at.
type report struct {
	Outcome, Cause, Error string
	Result                struct{ Data struct{ N int } }
	Publishes             []struct{ Topic string }
	Usage                 struct{ Denied int }
	Notes                 []string
	Trigger, Function     string
	Triggers              []report
}

func (r *report) topics() string {
	var out []string
	for _, p := range r.Publishes {
		out = append(out, p.Topic)
	}
	return strings.Join(out, " ")
}

func (d *device) try(ask admin.TryRequest) (r report, err error) {
	err = admin.Try(context.Background(), d.path("s"), ask, &r)
	return r, err
}

func event(subject, data string) admin.TryEvent {
	return admin.TryEvent{Subject: subject, Data: json.RawMessage(data)}
}

// newTried is a device with the function that is tried, which ran once.
func newTried(t *testing.T) (*device, func() []string) {
	t.Helper()
	d := newDevice(t, "")
	d.publish("1.0.0", tried, more)
	d.start()
	d.becomes("1.0.0", "good")
	c := d.connect()
	var mu sync.Mutex
	var heard []string
	c.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasPrefix(m.Topic(), "in/") {
			heard = append(heard, m.Topic())
		}
	}).Wait()
	if r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"id":"a"}`), Commit: true}); err != nil || len(r.Triggers) != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	return d, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), heard...)
	}
}

// TestTryKeepsNothing: whatever a function that is tried does, the deployed one does
// not notice.
func TestTryKeepsNothing(t *testing.T) {
	t.Parallel()
	d, heard := newTried(t)
	hears(t, heard, 3) // out/7, alerts/a, copies
	for range 3 {
		r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"id":"b"}`)})
		if err != nil || r.Outcome != "committed" || r.Result.Data.N != 2 || r.topics() != "alerts/b out/7" || len(r.Notes) != 0 {
			t.Errorf("%+v, %v; want what the next event would do", r, err)
		}
	}
	for range 10 { // more than stop a function
		if r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"do":"fail"}`)}); err != nil || r.Outcome != "failed" || !strings.Contains(r.Cause, "no such sensor") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"do":"fetch"}`)}); err != nil || r.Outcome != "failed" || r.Usage.Denied != 1 || !strings.Contains(r.Cause, "only tried") {
		t.Errorf("a request: %+v, %v", r, err)
	}
	if r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"do":"fetch"}`), HTTP: true}); err != nil || r.Outcome != "failed" || strings.Contains(r.Cause, "only tried") {
		t.Errorf("a request that is allowed: %+v, %v", r, err)
	}
	if r, err := d.try(admin.TryRequest{Function: "hall/copy", Event: event("in/7", `{}`)}); err != nil || r.topics() != "copies" {
		t.Errorf("a rule: %+v, %v", r, err)
	}
	s, err := d.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Functions {
		if f.Invocations != 1 || f.Failures != 0 || f.Breaker != nil || f.Denied != 0 || f.Warm > 1 {
			t.Errorf("the tries are counted: %+v", f)
		}
	}
	hears(t, heard, 3)
}

// hears waits until n messages came, and sees that no more did.
func hears(t *testing.T, heard func() []string, n int) {
	t.Helper()
	testbed.Eventually(t, 10*time.Second, "messages come", func() error {
		if list := heard(); len(list) < n {
			return fmt.Errorf("heard %q, want %d", list, n)
		}
		return nil
	})
	if list := heard(); len(list) != n {
		t.Fatalf("heard %q, want %d", list, n)
	}
}

func TestTwoAreTriedAtOnce(t *testing.T) {
	t.Parallel()
	d, _ := newTried(t)
	var refused, stopped int
	var mu sync.Mutex
	var tries sync.WaitGroup
	for range 6 {
		tries.Go(func() {
			r, err := d.try(admin.TryRequest{Function: "hall/f", Event: event("in/7", `{"do":"spin"}`)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil && strings.Contains(err.Error(), "are being tried already"):
				refused++
			case err == nil && r.Outcome == "stopped":
				stopped++
			default:
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	tries.Wait()
	if stopped < 2 || stopped+refused != 6 || refused == 0 {
		t.Errorf("%d ran, %d were refused", stopped, refused)
	}
}

// TestTryForGood offers events as a source does.
func TestTryForGood(t *testing.T) {
	t.Parallel()
	d, heard := newTried(t)
	ask := func(subject, data string) (report, error) {
		return d.try(admin.TryRequest{Function: "hall/f", Event: event(subject, data), Commit: true})
	}
	r, err := ask("in/8", `{"id":"c"}`)
	outcomes := map[string]string{}
	for _, tr := range r.Triggers {
		outcomes[tr.Trigger] = fmt.Sprintf("%s %s %d", tr.Outcome, tr.topics(), tr.Result.Data.N)
	}
	if err != nil || outcomes["hall/t"] != "committed alerts/c out/8 2" || outcomes["hall/copy"] != "committed copies 0" {
		t.Errorf("%q, %v", outcomes, err)
	}
	hears(t, heard, 6)
	r, err = ask("in/8", `{"do":"fail"}`)
	for _, tr := range r.Triggers {
		if tr.Trigger == "hall/t" && (tr.Outcome != "dead-lettered" || !strings.Contains(tr.Error, "no such sensor")) {
			t.Errorf("%+v, %v", tr, err)
		}
	}
	if r, err := ask("slow/1", `{"id":"d"}`); err != nil || r.Triggers[0].Outcome != "committed" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := ask("slow/1", `{"id":"d"}`); err != nil || r.Triggers[0].Outcome != "kept back" {
		t.Errorf("what the gate keeps back: %+v, %v", r, err)
	}
	if _, err := ask("nowhere", `{}`); err == nil || !strings.Contains(err.Error(), "no trigger takes an event") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err := d.try(admin.TryRequest{Function: "hall/g", Event: event("in/1", `{}`), Commit: true}); err == nil || !strings.Contains(err.Error(), "no trigger of hall/g takes an event") {
		t.Errorf("another function: %v", err)
	}
}

func TestInvokeOnAnAgent(t *testing.T) {
	t.Parallel()
	d, _ := newTried(t)
	out := d.must("invoke", "-c", "skerry.yaml", "--agent", "hall/f", "--topic", "in/9", "-d", `{"id":"e"}`)
	for _, line := range []string{"committed in ", "publish   alerts/e (QoS 0)", "publish   out/9 (QoS 1)", "state     n = 2"} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in\n%s", line, out)
		}
	}
	out = d.must("invoke", "-c", "skerry.yaml", "--agent", "hall/f", "--topic", "in/9", "-d", `{"id":"e"}`, "--commit")
	if !strings.Contains(out, "trigger   hall/t starts hall/f: committed") {
		t.Errorf("--commit says\n%s", out)
	}
	for args, want := range map[string]struct {
		code int
		text string
	}{
		`--agent hall/f --topic in/9 -d {"do":"fail"}`:          {3, "no such sensor"},
		`--agent hall/f --topic in/9 -d {"do":"spin"}`:          {4, "the sandbox stopped hall/f: timeout"},
		`--agent hall/f --topic in/9 -d {"do":"fail"} --commit`: {3, "dead-lettered"},
		`--agent f --topic in/9`:                                {2, "app/function"},
		`--agent hall/f --grant publish=a`:                      {2, "--grant is not for --agent"},
		`hall.js --commit`:                                      {2, "add --agent"},
	} {
		_, stderr, code := d.skerry(append([]string{"invoke"}, append(strings.Fields(args), map[bool][]string{true: {"-c", "skerry.yaml"}}[strings.Contains(args, "--agent")]...)...)...)
		if code != want.code || !strings.Contains(stderr, want.text) {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
	}
}
