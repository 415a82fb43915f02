package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const sourcesApp = `
apiVersion: skerry/v1
kind: App
metadata: {name: site, version: 1.0.0}
functions:
  price: {module: {path: price.js}}
triggers:
  - {name: price, function: price, http: {path: "price/{item}"}, retry: {maxAttempts: 1}}
  - {name: orders, http: {path: "orders/+"}, then: [{invoke: central/central}]}
  - {name: spool, source: {name: spool}, then: [{invoke: central/central}]}
  - {name: log, source: {name: log}, then: [{invoke: central/central}]}
  - {name: meter, source: {name: meter}, then: [{invoke: central/central}]}
`

// postTo sends an event to a gateway, under a key if there is one; it returns 0
// when nobody answers.
func postTo(t *testing.T, url, body, key string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// TestSourcesOfADevice has a gateway hear of requests, files, lines and a command,
// and kills it: what it took is not lost, and what came meanwhile is found.
func TestSourcesOfADevice(t *testing.T) {
	cloud, addr := newCentral(t), testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf(`
http_in: {listen: '%s', rate: 10000}
targets: [{name: central, kind: cloudevents, url: '%s'}]
sources:
  - {name: spool, kind: files, path: DIR/in, content: true, then: delete, settle: 10ms, poll: 10ms}
  - {name: log, kind: tail, path: DIR/app.log, poll: 10ms}
  - {name: meter, kind: process, command: [sh, -c, 'echo meter $$; exec sleep 1000']}
`, addr, cloud.URL))
	r.write("price.js", `export default (event) => { if (event.data.n < 0) throw new Error("no such number"); return { sum: event.data.n * 2 } }`)
	r.write("app.yaml", sourcesApp)
	r.write("in/first.csv", "file 1")
	r.write("app.log", "line 1\n")
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(5)

	url := "http://" + addr + "/in/"
	for _, tt := range []struct {
		path, body string
		status     int
		answer     string
	}{
		{"price/a?wait=20s", `{"n":21}`, 200, `{"sum":42}`},
		{"price/a?wait=20s", `{"n":-1}`, 422, "no such number"},
		{"orders/1", `"order 1"`, 202, `{"id":"gw7/`},
		{"elsewhere", "", 404, `"paths":["orders/+","price/+"]`},
	} {
		if status, answer := postTo(t, url+tt.path, tt.body, ""); status != tt.status || !strings.Contains(answer, tt.answer) {
			t.Errorf("%s: %d %s, want %d %s", tt.path, status, answer, tt.status, tt.answer)
		}
	}
	_, id := postTo(t, url+"orders/2", `"order 2"`, "k2")
	cloud.waitFor(t, 5, time.Minute) // two orders, file, line, command
	for round := range 3 {
		r.proc.Kill()
		<-r.proc.Done()
		r.write("in/second.csv", fmt.Sprintf("file of round %d", round))
		f, err := os.OpenFile(r.path("app.log"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "line of round %d\n", round)
		f.Close()
		r.start()
		r.running(5)
		if status, answer := postTo(t, url+"orders/1", fmt.Sprintf(`"order of round %d"`, round), ""); status != 202 {
			t.Errorf("round %d: %d %s", round, status, answer)
		}
		cloud.waitFor(t, 5+4*(round+1), time.Minute)
		if _, again := postTo(t, url+"orders/2", `"order 2"`, "k2"); again != id {
			t.Errorf("round %d: the same order again has the id %s, had %s", round, again, id)
		}
	}
	r.eventually("nothing waits", func(s agent.Status) bool {
		for _, src := range s.Sources {
			if src.Inflight > 0 {
				return false
			}
		}
		return true
	})
	if _, ids, bodies := cloud.counts(); ids != bodies {
		t.Errorf("%d follow-ups of %d events: some ran twice", ids, bodies)
	}
	if _, err := os.Stat(r.path("in/second.csv")); err == nil {
		t.Error("a file whose event is durable is still there")
	}
}

// TestSourcesOfADeviceThatIsKilled posts orders, appends lines and drops files
// without a pause while the gateway is killed again and again. Callers repeat
// what was not answered, under the same key. Everything happens exactly once.
func TestSourcesOfADeviceThatIsKilled(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 8, 25
	cloud, addr := newCentral(t), testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf(`
http_in: {listen: '%s', rate: 10000}
targets: [{name: central, kind: cloudevents, url: '%s', in_flight: 16}]
sources:
  - {name: spool, kind: files, path: DIR/in, content: true, then: delete, settle: 10ms, poll: 10ms}
  - {name: log, kind: tail, path: DIR/app.log, poll: 10ms}
  - {name: meter, kind: process, command: [sleep, "1000"]}
`, addr, cloud.URL))
	r.write("price.js", `export default () => null`)
	r.write("app.yaml", sourcesApp)
	r.write("in/.part", "")
	r.write("app.log", "")
	r.publish(r.path("app.yaml"))
	log, err := os.OpenFile(r.path("app.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for round := range rounds {
		r.start()
		for n := range perRound {
			name := fmt.Sprintf("%d-%d", round, n)
			fmt.Fprintln(log, "line "+name)
			r.write("in/.part", "file "+name)
			if err := os.Rename(r.path("in/.part"), r.path("in/"+name)); err != nil {
				t.Fatal(err)
			}
			if n == perRound/2 && round > 0 { // in the midst of things
				r.proc.Kill()
				<-r.proc.Done()
				r.start()
			}
			testbed.Eventually(t, time.Minute, "order "+name+" is taken", func() error {
				status, answer := postTo(t, "http://"+addr+"/in/orders/1", `"order `+name+`"`, name)
				if status != http.StatusAccepted {
					return fmt.Errorf("%d %s", status, answer)
				}
				return nil
			})
		}
		r.proc.Kill()
		<-r.proc.Done()
	}
	r.start()
	cloud.waitFor(t, 3*rounds*perRound, time.Minute)
	if _, ids, bodies := cloud.counts(); ids != bodies {
		t.Errorf("%d follow-ups of %d events: some ran twice", ids, bodies)
	}
}
