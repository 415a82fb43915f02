package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

const talkingApp = `apiVersion: skerry/v1
kind: App
metadata: {name: talk, version: 1.0.0}
functions:
  say:   {module: {path: say.js}}
  quiet: {module: {path: say.js}, log: {level: error}}
  some:  {module: {path: say.js}, log: {level: debug, sample: 10}}
triggers:
  - {name: say, function: say, mqtt: {topic: say}, retry: {maxAttempts: 1}}
  - {name: quiet, function: quiet, mqtt: {topic: quiet}}
  - {name: some, function: some, mqtt: {topic: some}}
`

// newTalkingRig is a gateway whose functions log what they are sent.
func newTalkingRig(t *testing.T, sections string) (*rig, func(topic, text string)) {
	t.Helper()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}]\n%s", broker.URL, sections))
	r.write("say.js", `export default (event) => { console.log("heard " + event.data.text); if (event.data.text == "bad") throw new Error("cannot stand it") }`)
	r.write("app.yaml", talkingApp)
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(3)
	c := client(t, broker.URL)
	return r, func(topic, text string) {
		t.Helper()
		if err := token(c.Publish(topic, 1, false, fmt.Sprintf(`{"text":%q}`, text))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTelemetryGoesUp has a gateway tell of itself over a target that fails at
// first: what goes up is what the device and the functions' manifests ask for, and
// nothing of the target's own trouble.
func TestTelemetryGoesUp(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	down.Store(true)
	up := &bodies{}
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		up.ServeHTTP(w, r)
	}))
	t.Cleanup(far.Close)
	r, publish := newTalkingRig(t, fmt.Sprintf("targets: [{name: otel, kind: otlp, url: '%s'}]\ntelemetry: {target: otel, metrics: 5s}\n", far.URL))
	for i := range 20 {
		publish("say", "the same")
		publish("quiet", fmt.Sprint("quiet ", i))
		publish("some", fmt.Sprint("some ", i))
	}
	publish("say", "bad")
	r.eventually("all ran, and the target failed", func(s agent.Status) bool { return s.Events.Invocations == 61 && s.Targets[0].Retries > 0 })
	if local := r.skerry("logs"); !strings.Contains(local, "target fails target=otel") || !strings.Contains(local, "talk/quiet: heard quiet 19") {
		t.Errorf("the device's own log:\n%s", local)
	}
	r.proc.Stop()
	if own := r.proc.Output(); strings.Count(own, `text="heard the same"`) != 2 || !strings.Contains(own, "repeated=19") {
		t.Errorf("the run is not folded:\n%s", own)
	}
	down.Store(false)
	r.start()
	testbed.Eventually(t, 60*time.Second, "logs and figures went up", func() error {
		for _, want := range []string{
			"skerry starts", "heard the same", "log.repeated", "heard some 0", "heard some 10", "event dead-lettered", "cannot stand it",
			"skerry.events.bytes", "skerry.function.invocations", "talk/quiet",
		} {
			if !strings.Contains(up.String(), want) {
				return fmt.Errorf("%q did not go up", want)
			}
		}
		return nil
	})
	text := up.String()
	for _, bad := range []string{"heard quiet", "heard some 1\x12", "target fails"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q went up", bad)
		}
	}
}

// TestLogsCommand shows what is kept and what comes, as text and as JSON.
func TestLogsCommand(t *testing.T) {
	t.Parallel()
	r, publish := newTalkingRig(t, "")
	publish("say", "first")
	publish("quiet", "other")
	r.eventually("both ran", func(s agent.Status) bool { return s.Events.Invocations == 2 })
	stamp := regexp.MustCompile(`(?m)^[A-Z][a-z]{2} [ \d]\d [\d:.]{12} `)
	if got := stamp.ReplaceAllString(r.skerry("logs", "talk/say"), ""); !strings.HasSuffix(got, "INFO talk/say: heard first\n") || strings.Contains(got, "talk/quiet") {
		t.Errorf("of one function:\n%s", got)
	}
	if got := r.skerry("logs", "talk", "--level", "warn"); got != "" {
		t.Errorf("warnings of an app:\n%s", got)
	}
	lines := strings.Split(strings.TrimSpace(r.skerry("logs", "talk/quiet", "--since", "1h", "-o", "json")), "\n")
	var last struct{ Level, Function, Text, Event string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Text != "heard other" || last.Level != "INFO" || last.Event == "" {
		t.Errorf("%v: %+v of %q", err, last, lines)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	follow := exec.CommandContext(ctx, os.Args[0], "logs", "-f", "talk/say", "--socket", r.socket)
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewScanner(out)
	for read.Scan() && !strings.HasSuffix(read.Text(), "heard first") {
		continue
	}
	publish("say", "second")
	if !read.Scan() || !strings.HasSuffix(read.Text(), "INFO talk/say: heard second") {
		t.Errorf("then came %q", read.Text())
	}
	stop()
	if err := follow.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	for args, want := range map[string]string{
		"logs --level loud": "use debug, info, warn or error", "logs --since -1s": "cannot be negative", "logs a b": "does not know what to do with", "logs -o xml": "use text or json",
	} {
		out, err := exec.Command(os.Args[0], strings.Fields(args)...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), want) {
			t.Errorf("skerry %s: %v\n%s", args, err, out)
		}
	}
}

// TestFiguresAreDocumented compares the names of metrics with docs/telemetry.md.
func TestFiguresAreDocumented(t *testing.T) {
	s := agent.Status{
		Functions: make([]agent.FunctionStatus, maxPoints+5), Sources: make([]agent.SourceStatus, 1), Targets: make([]agent.TargetStatus, 1),
		Links: []agent.LinkStatus{{Day: agent.Account{Limit: 1}}}, Sync: agent.SyncStatus{Checked: time.Now(), Expires: time.Now()},
	}
	var names []string
	for _, m := range figuresOf(&s, time.Now()) {
		names = append(names, m.Name)
		if len(m.Points) > maxPoints {
			t.Errorf("%s has %d points", m.Name, len(m.Points))
		}
	}
	doc, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, line := range strings.Split(string(doc), "\n") {
		if !strings.HasPrefix(line, "| `skerry.") {
			continue
		}
		for _, m := range regexp.MustCompile("`(skerry[a-z0-9._]*)`").FindAllStringSubmatch(strings.SplitN(line, "|", 3)[1], -1) {
			told = append(told, m[1])
		}
	}
	slices.Sort(names)
	slices.Sort(told)
	if !slices.Equal(names, told) {
		t.Errorf("docs/telemetry.md names\n%v\nand there are\n%v", told, names)
	}
}

// TestTraces has a share of the events traced, the same ones in each function.
func TestTraces(t *testing.T) {
	kept := make(chan uplink.Span, 4096)
	tr := newTracer(0.25, func(_ context.Context, spans []uplink.Span) error {
		for _, s := range spans {
			kept <- s
		}
		return nil
	})
	tr.clock = func() (time.Time, bool) { return time.Now(), true }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		tr.run(ctx, func(n int64, err error) { t.Errorf("%d missing: %v", n, err) })
		close(ended)
	}()
	runs := 0
	for i := range 1000 {
		ev := &agent.Event{ID: fmt.Sprintf("gw7/x/%d", i), Time: time.Now()}
		for _, name := range []string{"a/f", "a/g"} {
			inv := agent.NewInvocation(&agent.Function{Name: name}, nil, agent.Outside{})
			inv.Event, inv.Usage.Took = ev, 30*time.Millisecond
			var err error
			if name == "a/g" {
				err = errors.New("no luck")
			}
			if uplink.Sampled(ev, 0.25) {
				runs++
			}
			tr.Ran(inv, err)
			testbed.Eventually(t, 10*time.Second, "room", func() error {
				if len(tr.waiting) > maxTraces/2 {
					return errors.New("none yet")
				}
				return nil
			})
		}
	}
	stop()
	<-ended
	byTrace := map[string]int{}
	for range len(kept) {
		s := <-kept
		took := s.End.Sub(s.Start)
		if byTrace[s.Trace]++; (s.Fault != "") != (s.Name == "a/g") || s.Kind == uplink.SpanRun && took != 30*time.Millisecond {
			t.Errorf("span %+v", s)
		}
	}
	if len(byTrace) < 180 || len(byTrace) > 320 || runs != 2*len(byTrace) {
		t.Errorf("%d traces of 1000 events, %d runs", len(byTrace), runs)
	}
	for id, n := range byTrace {
		if n != 3 {
			t.Errorf("trace %s has %d spans: want its arrival and two runs", id, n)
		}
	}
	if uplink.Sampled(&agent.Event{ID: "x"}, 0) || !uplink.Sampled(&agent.Event{ID: "x"}, 1) {
		t.Error("0 is none and 1 is all")
	}
}
