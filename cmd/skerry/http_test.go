package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestFunctionsReachWhatTheyWereGranted has functions ask servers on this
// machine: by a name with the network granted, by a granted address with a
// certificate of the configuration, by a name alone, and without a grant.
func TestFunctionsReachWhatTheyWereGranted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{} // by path
	note := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path]++
	})
	plain, secure := httptest.NewServer(note), httptest.NewTLSServer(note)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}]\nhttp: {ca_file: ca.pem}\n", broker.URL))
	r.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})))
	r.write("ask.js", `export default (event, skerry) => skerry.http({ method: "GET", url: skerry.config("URL") }).status`)
	byName := strings.Replace(plain.URL, "127.0.0.1", "localhost", 1)
	r.write("app.yaml", strings.NewReplacer("NAME", byName, "SECURE", secure.URL).Replace(`
apiVersion: skerry/v1
kind: App
metadata: {name: ask, version: 1.0.0}
functions:
  near:   {module: {path: ask.js}, env: {URL: NAME/near}, permissions: {http: [NAME, 127.0.0.0/8]}}
  secure: {module: {path: ask.js}, env: {URL: SECURE/secure}, permissions: {http: [SECURE]}}
  guess:  {module: {path: ask.js}, env: {URL: NAME/guess}, permissions: {http: [NAME]}}
  none:   {module: {path: ask.js}, env: {URL: NAME/none}}
triggers:
  - {name: near, function: near, mqtt: {topic: ask}}
  - {name: secure, function: secure, mqtt: {topic: ask}}
  - {name: guess, function: guess, mqtt: {topic: ask}, retry: {maxAttempts: 1}}
  - {name: none, function: none, mqtt: {topic: ask}, retry: {maxAttempts: 1}}
`))
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(4)
	if err := token(client(t, broker.URL).Publish("ask", 1, false, "")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ refused, grant string }{
		"near":   {},
		"secure": {},
		"guess":  {"request to " + strings.TrimPrefix(byName, "http://") + ": it leads to ", `or its network to permissions.http of the function`},
		"none":   {fmt.Sprintf("request to %q", byName), "add it to permissions.http of the function"},
	} {
		r.eventually(name+" ran", func(s agent.Status) bool {
			f := s.Functions[slices.IndexFunc(s.Functions, func(f agent.FunctionStatus) bool { return f.Name == "ask/"+name })]
			if want.refused == "" {
				return f.Invocations == 1 && f.Failures == 0 && f.Denied == 0 && f.Warm == 1
			}
			return f.Dead == 1 && f.Denied == 1 && len(f.Refused) == 1 && strings.HasPrefix(f.Refused[0], want.refused) &&
				strings.HasSuffix(f.Refused[0], want.grant) && strings.Contains(f.LastError, want.grant)
		})
	}
	testbed.Eventually(t, 10*time.Second, "the servers were asked", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(asked) != 2 || asked["/near"] != 1 || asked["/secure"] != 1 {
			return fmt.Errorf("%v", asked)
		}
		return nil
	})
	out, err := exec.Command(os.Args[0], "status", "--socket", r.socket).CombinedOutput()
	for _, want := range []string{"DENIED  WAITING  WARM    FUEL/RUN", "1 of 1", "\nask/none was denied: request to "} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("no %q: %v\n%s", want, err, out)
		}
	}
	t.Logf("%s", out)
}
