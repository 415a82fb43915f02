package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// skerry runs a command in this process and gives what it prints.
func skerry(line ...string) (string, error) {
	var out bytes.Buffer
	cmd := rootCommand()
	cmd.SetArgs(line)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetIn(strings.NewReader(`{"n": 3}`))
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

const pickyApp = `apiVersion: skerry/v1
kind: App
metadata: {name: picky, version: 1.0.0}
functions:
  f: {module: {path: ./f.js}, permissions: {invoke: [central/central]}}
triggers:
  - function: f
    mqtt: {topic: 'picky/#', qos: 1}
    retry: {maxAttempts: 1}
    then: [{invoke: central/central}]
`

// TestDeadLettersAreShownMendedAndRedriven is a user's session with the box of
// a running agent, and then with that of a stopped one.
func TestDeadLettersAreShownMendedAndRedriven(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	cloud := newCentral(t)
	r := newRig(t, fmt.Sprintf(`
brokers: [{name: plant, url: '%s'}]
targets: [{name: central, kind: cloudevents, url: '%s'}]
`, broker.URL, cloud.URL))
	r.write("picky.yaml", pickyApp)
	r.write("f.js", "export default (event) => { if (!event.data.n) throw new Error('no n in it'); return event.data }")
	r.publish(r.path("picky.yaml"))
	r.start()
	r.running(1)
	c := client(t, broker.URL)
	for i := range 3 {
		if err := token(c.Publish(fmt.Sprint("picky/", i), 1, false, fmt.Sprintf(`{"m":%d}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	r.eventually("all are dead", func(s agent.Status) bool { return s.Store.Dead == 3 })
	on := func(action string, more ...string) string {
		t.Helper()
		out, err := skerry(append([]string{"deadletter", action, "-c", r.path("skerry.yaml")}, more...)...)
		if err != nil {
			t.Fatalf("deadletter %s %v: %v\n%s", action, more, err, r.proc.Output())
		}
		return out
	}
	ids := listed(t, on("list", "-o", "json", "--function", "picky/f"))
	if out := on("list"); strings.Count(out, "no n in it") != 3 || !strings.Contains(out, "picky/2") {
		t.Errorf("list:\n%s", out)
	}
	if out := on("show", ids[1]); !strings.Contains(out, "no n in it") || !strings.HasSuffix(out, "\n{\"m\":1}\n") {
		t.Errorf("show:\n%s", out)
	}
	if out := on("redrive", ids[1], "--data", "-"); out != "redriven: 1\n" {
		t.Errorf("redrive: %s", out)
	}
	cloud.waitFor(t, 1, 20*time.Second)
	if !cloud.has(`{"n":3}`) {
		t.Errorf("the follow-up of the mended letter: %v", cloud.bodies)
	}

	r.proc.Stop()
	if left := listed(t, on("list", "-o", "json")); len(left) != 2 || left[0] != ids[0] {
		t.Errorf("%v are left of %v", left, ids)
	}
	if out := on("redrive", ids[2], "-d", `{"n": 4}`, "-o", "json"); out != "{\"redriven\":1}\n" {
		t.Errorf("redrive: %s", out)
	}
	if out := on("drop", "--all"); out != "dropped: 1\n" {
		t.Errorf("drop: %s", out)
	}
	r.start()
	cloud.waitFor(t, 2, 20*time.Second)
}

// listed gives the ids of a list in JSON.
func listed(t *testing.T, out string) []string {
	t.Helper()
	var list []agent.DeadLetter
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	var ids []string
	for _, l := range list {
		ids = append(ids, fmt.Sprint(l.ID))
	}
	return ids
}

// TestDeadLettersOfLongTopicsFitATable: show has the whole of it.
func TestDeadLettersOfLongTopicsFitATable(t *testing.T) {
	topic := "plant/" + strings.Repeat("level/", 40) + "temperature"
	var out bytes.Buffer
	if err := printLetters(&out, []agent.DeadLetter{{ID: 7, Queue: "inbox/boiler/alarm", Topic: topic, Attempts: 5, Reason: "timeout: ran longer than 1s; raise limits.timeout of the function if it needs more"}}, "text"); err != nil {
		t.Fatal(err)
	}
	row := strings.Split(out.String(), "\n")[1]
	for _, want := range []string{"plant/level/", "…", "/temperature", "if it needs more"} {
		if !strings.Contains(row, want) {
			t.Errorf("the row lacks %q: %s", want, row)
		}
	}
	if n := len([]rune(row)); n > 220 {
		t.Errorf("the row has %d characters: %s", n, row)
	}
}

func TestDeadLetterMistakesAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, "broker: {listen: '127.0.0.1:0'}")
	for _, tt := range []struct{ line, want string }{
		{"drop", "which letters?"},
		{"redrive --all 7", "--all means every letter"},
		{"show", "takes the id of a letter"},
		{"show x7", "no id of a letter"},
		{"list -o xml", "use text or json"},
		{"list", "no agent answers on"}, // and there is no data directory
		{"nope", "there is no command"},
	} {
		_, err := skerry(append(strings.Fields("deadletter "+tt.line), "-c", r.path("skerry.yaml"))...)
		if tt.line == "nope" {
			_, err = skerry("deadletter", "nope")
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("deadletter %s: %v, want %q", tt.line, err, tt.want)
		}
	}
}

func TestDataOfAnotherUserIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkOwner(dir, info, os.Geteuid()); err != nil {
		t.Error(err)
	}
	if err := checkOwner(dir, info, os.Geteuid()+1); err == nil || !strings.Contains(err.Error(), "sudo -u '#") {
		t.Errorf("as another user: %v", err)
	}
}
