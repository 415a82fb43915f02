package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// canary begins every planted secret; what follows says where it was planted.
const canary = "c4n4ry-"

var canaries = regexp.MustCompile(`(?i)c4n4ry-[a-z0-9_.-]*`)

// leaks fails if there is a planted secret in text, as it is, as part of a URL or
// of an Authorization header.
func leaks(t *testing.T, where, text string) {
	t.Helper()
	for _, found := range planted(text) {
		at := strings.Index(text, found)
		t.Errorf("%s holds %s: …%q…", where, found, text[max(0, at-200):min(len(text), at+len(found)+40)])
	}
}

// planted are the planted secrets in a text, each once, in base64 at any offset too.
func planted(text string) []string {
	found := canaries.FindAllString(text, -1)
	for shift := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
		if part := coded[(shift*8+5)/6 : len(coded)-4]; strings.Contains(text, part) {
			found = append(found, part)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(found)))
}

// gossip is a far side that repeats all it was sent, headers and address, as debug
// pages do.
func gossip(t *testing.T, status int) string {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said, err := httputil.DumpRequest(r, false)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Location", r.URL.String())
		w.WriteHeader(status)
		for _, line := range strings.Split(string(said), "\r\n") {
			if canaries.MatchString(line) || strings.Contains(line, "Basic ") { // first, as only the beginning is repeated
				fmt.Fprintln(w, line)
			}
		}
	}))
	t.Cleanup(far.Close)
	return far.URL
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// secretive are the options of each kind that hold credentials; $S stands for one,
// $URL for the far side. Kinds are the same but for what follows a dash.
var secretive = map[string]string{
	"azure":          "url: '$URL', function: f, token: $S",
	"cloudevents":    "url: '$URL/$Spath?key=$Squery', username: gw7, password: $S",
	"fission":        "url: '$URL', function: f, token: $S",
	"fn":             "url: '$URL', function: app/f, token: $S",
	"gcf":            "url: '$URL/$Spath'",
	"hookio":         "url: '$URL', function: owner/hook, token: $S",
	"http":           "url: '$URL/$Spath?key=$Squery', headers: ['X-Api-Key: $Sheader'], token: $S",
	"http-basic":     "url: '$URL', username: gw7, password_file: DIR/$N.password",
	"http-header":    "url: '$URL', auth: header, auth_header: X-Key, token_file: DIR/$N.token",
	"http-oauth":     "url: '$URL', auth: oauth2, token_url: '$URL/$Stoken', client_id: gw7, secret: $S",
	"http-hmac":      "url: '$URL', auth: hmac, secret: $S",
	"http-proxy":     "url: 'http://far.example/$Spath', token: $S",
	"ifttt":          "url: '$URL', event: e, token: $S",
	"kubeless":       "url: '$URL', namespace: n, token: $S",
	"lambda":         "endpoint: '$URL', region: eu-north-1, function: f, access_key_id: AK, secret_access_key: $S, session_token: $Ssession",
	"lambda-url":     "url: '$URL', region: eu-north-1, auth: iam, access_key_id: AK, secret_access_key: $S, session_token: $Ssession",
	"lambda-command": "endpoint: '$URL', region: eu-north-1, function: f, credential_command: [/bin/sh, -c, 'echo $Sstdout; echo $Sstderr >&2; exit 3', $Sarg]",
	"lambda-given":   `endpoint: '$URL', region: eu-north-1, function: f, credential_command: [/bin/sh, -c, 'echo "{\"Version\":1,\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"$Sgiven\",\"SessionToken\":\"$Sgiventoken\"}"']`,
	"lambda-file":    "endpoint: '$URL', region: eu-north-1, function: f, credentials_file: DIR/$N.credentials",
	"mqtt":           "url: 'tcp://$ADDR', topic: a, username: gw7, password: $S",
	"mqtt-url":       "url: 'tcp://gw7:$S@$ADDR', topic: a",
	"nuclio":         "url: '$URL', function: f, token: $S",
	"openfaas":       "url: '$URL', function: f, username: gw7, password: $S",
	"openlambda":     "url: '$URL', function: f, token: $S",
	"openwhisk":      "url: '$URL', action: a, token: 'whisk:$S'",
	"otlp":           "url: '$URL', token: $S",
	"picasso":        "url: '$URL', namespace: n, function: f, token: $S",
	"snafu":          "url: '$URL/$Spath', function: f",
	"stepfunctions":  "endpoint: '$URL', region: eu-north-1, state_machine: 'arn:aws:states:eu-north-1:123456789012:stateMachine:m', access_key_id: AK, secret_access_key: $S, session_token: $Ssession",
	"webtask":        "url: '$URL', path: /a/b, token: $S",
	"xray":           "endpoint: '$URL', region: eu-north-1, access_key_id: AK, secret_access_key: $S, session_token: $Ssession",
}

// places are where secrets stand in secretive, each with a word of its own, so that
// no secret is the beginning of another.
var places = regexp.MustCompile(`\$S([a-z]*)`)

// secretTargets are targets of all kinds at far sides that are closed, refuse the
// gateway, refuse the record, and take it.
func secretTargets(t *testing.T, r *rig) (yaml string, names []string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("targets:\n")
	for _, far := range []struct{ name, url string }{
		{"closed", "http://" + closedPort(t)}, {"hold", gossip(t, 401)}, {"dead", gossip(t, 400)}, {"gone", gossip(t, 302)}, {"taken", gossip(t, 200)},
	} {
		for _, kind := range slices.Sorted(maps.Keys(secretive)) {
			name := strings.ReplaceAll(kind, "lambda-url", "lambdaurl") + "-" + far.name
			r.write(name+".password", canary+"file-"+name+"\n")
			r.write(name+".token", canary+"file-"+name+"\n")
			r.write(name+".credentials", "[default]\naws_access_key_id = AK\naws_secret_access_key = "+canary+"file-"+name+"\naws_session_token = "+canary+"session-"+name+"\n")
			opts := strings.NewReplacer("$URL", far.url, "$ADDR", strings.TrimPrefix(far.url, "http://"), "$N", name).Replace(secretive[kind])
			opts = places.ReplaceAllString(opts, canary+"${1}-"+name)
			of, _, _ := strings.Cut(kind, "-")
			if kind == "lambda-url" {
				of = kind
			}
			fmt.Fprintf(&b, "  - {name: %s, kind: %s, timeout: 2s, %s}\n", name, of, opts)
			names = append(names, name)
		}
	}
	return b.String(), names
}

// bodies is what an OTLP receiver got, unpacked.
type bodies struct {
	mu     sync.Mutex
	all    bytes.Buffer
	traces int // requests
}

func (o *bodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(z)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Write(body)
	o.all.WriteByte('\n')
	if strings.HasSuffix(r.URL.Path, "/v1/traces") {
		o.traces++
	}
}

func (o *bodies) traced() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.traces
}

func (o *bodies) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

const tellingFunction = `export default (event, skerry) => {
  const pager = skerry.secret("pager"), site = skerry.secret("site")
  console.log("I was given " + pager + " and " + site)
  if (event.subject == "ask") return skerry.http({ method: "GET", url: skerry.config("URL") + "/" + site + "?key=" + pager, headers: { Authorization: "Bearer " + pager } }).status
  if (event.subject == "elsewhere") return skerry.http({ method: "GET", url: "http://" + pager + ".example/?key=" + pager }).status
  throw new Error("refused for " + pager + ", ` + visible + `")
}`

// visible is a word that is no secret, in the error of a function: where that is told it
// must be found, or the search finds nothing.
const visible = "pl41nly-visible"

// TestNoSecretGetsOut plants a secret wherever one can stand, has all of it work and
// fail in many ways, and looks for them in all that the agent tells.
func TestNoSecretGetsOut(t *testing.T) {
	up := &bodies{}
	otel := httptest.NewServer(up)
	t.Cleanup(otel.Close)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"gw7": canary + "broker"}})
	strict := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"gw7": "another"}})
	t.Setenv("SITE_KEY", canary+"env")
	t.Setenv("HTTP_PROXY", "http://gw7:"+canary+"proxy@"+closedPort(t))
	t.Setenv(pageEnv, "127.0.0.1:0")
	r := newRig(t, "")
	targets, names := secretTargets(t, r)
	r.write("page.token", pageToken+"\n")
	r.write("skerry.yaml", strings.ReplaceAll(secretConfig(t, broker.URL, strict.URL, targets, otel.URL), "DIR", r.dir))
	r.write("wrong.password", canary+"wrong\n")
	r.write("pager", canary+"pager\n")
	r.write("tell.js", tellingFunction)
	r.write("app.yaml", secretsApp(names))
	r.publish(r.path("app.yaml"))
	r.start()
	r.eventually("the agent runs", func(s agent.Status) bool {
		return slices.ContainsFunc(s.Sources, func(src agent.SourceStatus) bool { return src.Name == "plant" && len(src.Filters) == 4 })
	})
	c := clientAs(t, broker.URL, "gw7", canary+"broker")
	for _, topic := range []string{"go", "ask", "elsewhere", "fail"} {
		if err := token(c.Publish(topic, 1, false, `{"t":1}`)); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually("every target was tried", func(s agent.Status) bool { return allTried(t, s, names) })
	r.eventually("functions failed", func(s agent.Status) bool {
		return slices.ContainsFunc(s.Functions, func(f agent.FunctionStatus) bool { return f.Name == "tell/tell" && f.Dead == 3 && f.Denied > 0 })
	})
	told := tellAll(t, r, names, c)
	tellPage(t, r, told)
	tellTries(t, r, told)
	tellBundle(t, r, told, "bundle")
	r.proc.Stop()
	told["the agent's own log"] = r.proc.Output()
	tellBundle(t, r, told, "bundle at rest")
	r.start() // the last batch goes up
	testbed.Eventually(t, 60*time.Second, "logs and figures went up", func() error {
		if text := up.String(); !strings.Contains(text, "I was given [secret pager]") || !strings.Contains(text, "skerry.target.retries") || up.traced() == 0 {
			return fmt.Errorf("%d bytes so far, %d requests of traces", len(text), up.traced())
		}
		return nil
	})
	r.proc.Stop()
	told["what went up"] = up.String()
	told["the agent's own log"] += r.proc.Output()
	told["the data directory"] = filesIn(t, r.path("data"))
	findNothing(t, told)
}

// findNothing looks for secrets in all that was told, and makes sure that there was
// something to look at.
func findNothing(t *testing.T, told map[string]string) {
	t.Helper()
	for where, text := range told {
		if len(text) < 20 {
			t.Errorf("%s is empty: nothing was looked at", where)
		}
		leaks(t, where, text)
	}
	if !strings.Contains(told["logs --level debug"], "I was given [secret pager] and [secret site]") {
		t.Errorf("the function's line is not in the log")
	}
	for _, where := range whereVisible {
		if !strings.Contains(told[where], visible) {
			t.Errorf("the search does not find a word that is in %s: %.300s", where, told[where])
		}
	}
}

// secretConfig is a configuration with secrets wherever one can stand.
func secretConfig(t *testing.T, broker, strict, targets, otel string) string {
	t.Helper()
	return fmt.Sprintf(`
device: {id: gw7}
data: DIR/data
admin: {socket: DIR/s}
log: {level: debug}
registry: {ref: 'oci-layout:DIR/registry', root_file: root.json, poll: 1s}
brokers:
  - {name: plant, url: '%s', username: gw7, password: %sbroker}
  - {name: strict, url: '%s', username: gw7, password_file: DIR/wrong.password}
  - {name: away, url: 'tcp://%s', username: gw7, password: %saway}
broker: {listen: '127.0.0.1:0', users: [{name: sensor, password: %ssensor}]}
fleet: {name: west, broker: plant}
http_in: {listen: '127.0.0.1:0', token: %sin}
secrets: [{name: pager, file: DIR/pager}, {name: site, env: SITE_KEY}]
sources: [{name: meter, kind: process, command: [/bin/sh, -c, 'exit 3', %sargument], env: ['TOKEN=%sprocess']}]
telemetry: {target: otel, logs: debug, metrics: 5s, traces: {target: otel, sample: 1}}
page: {token_file: DIR/page.token}
%s  - {name: otel, kind: otlp, url: '%s/%spath', token: %sotel}
`, broker, canary, strict, closedPort(t), canary, canary, canary, canary, canary, targets, otel, canary, canary)
}

// retainedReport is what the device says of itself once all has failed.
func retainedReport(t *testing.T, c paho.Client) (text string) {
	t.Helper()
	var latest atomic.Pointer[string]
	take := func(_ paho.Client, m paho.Message) {
		text := string(m.Payload())
		latest.Store(&text)
	}
	if err := token(c.Subscribe("skerry/west/gw7/report", 1, take)); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, 2*time.Minute, "the report", func() error {
		now := latest.Load()
		if now == nil {
			return errors.New("there is none")
		}
		if text = *now; !strings.Contains(text, `"dead_letters":`) || strings.Contains(text, `"dead_letters":0`) {
			return fmt.Errorf("it is an early one: %s", text)
		}
		return nil
	})
	return text
}

// allTried tells whether each target has failed or delivered.
func allTried(t *testing.T, s agent.Status, names []string) bool {
	for _, name := range names {
		i := slices.IndexFunc(s.Targets, func(o agent.TargetStatus) bool { return o.Name == name })
		if i < 0 {
			t.Fatalf("no target %s", name)
		}
		if o := s.Targets[i]; o.Delivered+o.Dead+o.Drops.Refused == 0 && o.LastError == "" {
			return false
		}
	}
	return true
}

// secretsApp sends a follow-up to every target, and has a function that talks.
func secretsApp(names []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: skerry/v1
kind: App
metadata: {name: tell, version: 1.0.0}
functions:
  tell: {module: {path: tell.js}, secrets: [pager, site], env: {URL: 'http://127.0.0.1:9'}, permissions: {http: ['http://127.0.0.1:9', 127.0.0.0/8]}}
triggers:
  - {name: ask, function: tell, mqtt: {topic: ask}, retry: {maxAttempts: 1}}
  - {name: elsewhere, function: tell, mqtt: {topic: elsewhere}, retry: {maxAttempts: 1}}
  - {name: fail, function: tell, mqtt: {topic: fail}, retry: {maxAttempts: 1}}
`)
	n := 0
	for part := range slices.Chunk(names, 8) {
		fmt.Fprintf(&b, "  - name: go%d\n    mqtt: {topic: go}\n    then:\n", n)
		for _, name := range part {
			fmt.Fprintf(&b, "      - {invoke: central/%s}\n", name)
		}
		n++
	}
	return b.String()
}

// tellAll asks the agent everything that it can be asked.
func tellAll(t *testing.T, r *rig, names []string, c paho.Client) map[string]string {
	t.Helper()
	told := map[string]string{"the report": retainedReport(t, c)}
	for _, command := range []string{
		"status", "status -o json", "logs --level debug", "logs --level debug -o json", "uplink", "uplink -o json", "uplink why", "uplink why -o json",
		"deadletter list", "deadletter list -o json", "top --once --every 100ms", "top --once --every 100ms -o json", "deployments", "deployments -o json",
	} {
		told[command] = r.skerry(strings.Fields(command)...)
	}
	some := func(name string) bool {
		return name == "http-closed" || name == "http-hold" || name == "lambda-given-hold"
	}
	for _, name := range slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !some(name) }) {
		for _, command := range []string{"why", "show"} { // of all targets, why is above
			told["uplink "+command+" "+name] = r.skerry("uplink", command, name)
		}
	}
	for i, l := range regexp.MustCompile(`"id": ?(\d+)`).FindAllStringSubmatch(told["deadletter list -o json"], -1) {
		if i%16 == 0 { // as above
			told["deadletter show "+l[1]] = r.skerry("deadletter", "show", l[1])
		}
	}
	return told
}

// skerry is what a command that asks the rig's agent prints.
func (r *rig) skerry(args ...string) string {
	out, err := exec.Command(os.Args[0], append(args, "--socket", r.socket)...).CombinedOutput()
	if err != nil {
		r.t.Errorf("skerry %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all.String()
}
