package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// TestWhatWaitsGoesByPriority fills the backlog of a target that is away, looks
// at it as a user does, and lets it drain.
func TestWhatWaitsGoesByPriority(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "", "")
	u.run()
	c := client(t, u.broker)
	for i := range 10 {
		for _, p := range []int{5, 0, 9} {
			u.send(c, fmt.Sprintf("in/%d/s%d", p, i), fmt.Sprintf(`{"p":%d,"i":%d}`, p, i))
		}
	}
	u.waits(30)
	u.until("it is found away", func(s agent.TargetStatus) bool { return s.Breaker != nil && s.Breaker.Failures > 1 })
	shows(t, u.on(), "alerts", "away", "30", "9:10 5:10 0:10", "failed", "503")
	shows(t, u.on("why"), "alerts", "30", "503")

	list := u.backlogOf("--limit", "25")
	if len(list) != 25 || list[0].Priority != 9 || list[24].Priority != 0 || list[24].Function != "levels/p0" {
		t.Errorf("the backlog is %+v", list)
	}
	id := fmt.Sprint(list[3].ID)
	shows(t, u.on("show", "alerts"), "levels/p9", "levels/p5", id, "there may be more")
	shows(t, u.on("show", "alerts", id), "priority", "levels/p9", `{"p":9,"i":3}`)
	shows(t, u.on("why", "alerts", id), "priority 9", "503")

	u.door.open()
	u.on("retry", "alerts")
	came := u.door.wait(t, 30)
	if late := slices.IndexFunc(came[1:], func(b string) bool { return !strings.HasPrefix(b, `{"p":9`) }); late < 9 {
		t.Errorf("the most urgent did not go first: %q", came)
	}
	if first := slices.IndexFunc(came[1:], func(b string) bool { return strings.HasPrefix(b, `{"p":0`) }); first < 18 {
		t.Errorf("the least urgent did not go last: %q", came)
	}
	u.until("nothing waits", func(s agent.TargetStatus) bool { return s.Waiting == 0 && s.Delivered == 30 && s.Breaker == nil })
	shows(t, u.on(), "nothing waits")
}

// TestAPausedTargetStaysPausedOverRestarts pauses and resumes.
func TestAPausedTargetStaysPausedOverRestarts(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "", "")
	u.door.open()
	u.run()
	c := client(t, u.broker)
	if out := u.on("pause", "alerts"); out != "paused: alerts\n" {
		t.Errorf("pause says %q", out)
	}
	u.send(c, "in/5/a", `{"n":1}`)
	u.waits(1)
	u.proc.Kill()
	u.run()
	u.until("it is paused still", func(s agent.TargetStatus) bool { return s.Paused && s.Waiting == 1 })
	shows(t, u.on(), "paused")
	shows(t, u.on("why", "alerts"), "paused", "skerry uplink resume alerts")
	if came := u.door.came(); len(came) > 0 {
		t.Errorf("while it was paused there came %q", came)
	}
	u.on("resume", "alerts", "-o", "json")
	u.door.wait(t, 1)
}

// TestOnlyTheNewestOfAKeyGoes has newer follow-ups take the place of older ones.
func TestOnlyTheNewestOfAKeyGoes(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "", "")
	u.run()
	c := client(t, u.broker)
	u.on("pause", "alerts")
	for n := range 5 {
		for k := range 3 {
			u.send(c, fmt.Sprintf("latest/k%d", k), fmt.Sprintf(`{"k":%d,"n":%d}`, k, n))
		}
	}
	u.waits(3)
	u.until("the others are counted", func(s agent.TargetStatus) bool { return s.Drops.Replaced == 12 })
	shows(t, u.on("show", "alerts"), "7, latest")
	shows(t, u.on("why", "alerts"), "12", "keepLatest")
	u.proc.Kill()
	u.run()
	u.send(c, "latest/k1", `{"k":1,"n":5}`)
	u.until("it took the place of the older one", func(s agent.TargetStatus) bool { return s.Drops.Replaced == 1 })
	u.door.open()
	u.on("resume", "alerts")
	came := u.door.wait(t, 3)
	u.waits(0)
	slices.Sort(came)
	if want := []string{`{"k":0,"n":4}`, `{"k":1,"n":5}`, `{"k":2,"n":4}`}; !slices.Equal(came, want) {
		t.Errorf("there came %q, want %q", came, want)
	}
}

// TestWhatWaitsIsDroppedByChoice drops by id, priority, function and age, with an
// agent that runs, then with none, and what is for a target that is gone.
func TestWhatWaitsIsDroppedByChoice(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "", "")
	u.run()
	c := client(t, u.broker)
	for i := range 4 {
		for p := range 4 {
			u.send(c, fmt.Sprintf("in/%d/s%d", p, i), fmt.Sprintf(`{"p":%d,"i":%d}`, p, i))
		}
	}
	u.waits(16)
	first := u.backlogOf()[0]
	for _, tt := range []struct {
		words []string
		left  int
	}{
		{[]string{fmt.Sprint(first.ID)}, 15},
		{[]string{"--priority", "3"}, 12},
		{[]string{"--function", "levels/p2"}, 8},
		{[]string{"--older", "1h"}, 8},
		{[]string{"--older", "1ns", "--priority", "1"}, 4},
	} {
		u.on(append([]string{"drop", "alerts"}, tt.words...)...)
		u.waits(tt.left)
	}
	u.until("they are counted", func(s agent.TargetStatus) bool { return s.Drops.Dropped == 12 })
	shows(t, u.on(), "12 dropped")
	_, err := u.try("show", "alerts", fmt.Sprint(first.ID))
	if err == nil || !strings.Contains(err.Error(), "does not wait for alerts") {
		t.Errorf("what was dropped: %v", err)
	}

	u.proc.Stop()
	shows(t, u.on(), "alerts", "4", "no agent runs")
	shows(t, u.on("show", "alerts"), "levels/p0")
	if out := u.on("drop", "alerts", fmt.Sprint(u.backlogOf()[0].ID)); out != "dropped: 1\n" {
		t.Errorf("drop says %q", out)
	}
	for _, word := range []string{"retry", "pause", "resume", "why"} {
		if _, err := u.try(word, "alerts"); err == nil || !strings.Contains(err.Error(), "skerry run") {
			t.Errorf("%s without an agent: %v", word, err)
		}
	}

	text, err := os.ReadFile(u.path("skerry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	u.write("skerry.yaml", strings.Replace(string(text), "name: alerts", "name: others", 1))
	u.start()
	u.until("it is an orphan", func(s agent.TargetStatus) bool { return s.Kind == noKind && s.Waiting == 3 })
	shows(t, u.on(), "not configured any more")
	shows(t, u.on("why", "alerts"), "3", "not in the configuration any more", "skerry uplink drop alerts")
	shows(t, u.on("show", "alerts"), "levels/p0")
	if _, err := u.try("retry", "alerts"); err == nil || !strings.Contains(err.Error(), "not in the configuration") {
		t.Errorf("retry of an orphan: %v", err)
	}
	if out := u.on("drop", "alerts", "--all", "-o", "json"); out != "{\"dropped\":3}\n" {
		t.Errorf("drop says %q", out)
	}
	u.until("nothing is left of it", func(s agent.TargetStatus) bool { return s.Name == "" })
}

// TestARefusedRecordGoesBackToItsPriority redrives a dead letter of a target, with
// other data.
func TestARefusedRecordGoesBackToItsPriority(t *testing.T) {
	t.Parallel()
	u := newUplinkRig(t, "", "")
	u.door.set(http.StatusUnprocessableEntity)
	u.run()
	u.send(client(t, u.broker), "in/8/a", `{"bad":true}`)
	u.eventually("it is a dead letter", func(s agent.Status) bool { return s.Store.Dead == 1 })
	shows(t, u.on("why", "alerts"), "dead", "skerry deadletter list")
	dead := func(words ...string) string {
		t.Helper()
		out, err := skerry(append(append([]string{"deadletter"}, words...), "-c", u.path("skerry.yaml"))...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	shows(t, dead("list"), "target alerts, priority 8", "422")
	ids := listed(t, dead("list", "-o", "json"))
	u.on("pause", "alerts")
	if out := dead("redrive", ids[0], "-d", `{"mended":true}`, "-o", "json"); out != "{\"redriven\":1}\n" {
		t.Errorf("redrive says %q", out)
	}
	u.waits(1)
	if list := u.backlogOf(); list[0].Priority != 8 || list[0].Function != "levels/p8" {
		t.Errorf("it waits as %+v", list[0])
	}
	u.door.open()
	u.on("resume", "alerts")
	if came := u.door.wait(t, 1); came[0] != `{"mended":true}` {
		t.Errorf("there came %q", came)
	}
}

func TestUplinkMistakesAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, "broker: {listen: '127.0.0.1:0'}")
	for _, tt := range []struct{ line, want string }{
		{"drop alerts", "which records?"},
		{"drop alerts --all 7", "--all means every record"},
		{"drop", "which target?"},
		{"drop alerts --priority 10", "from 0 to 9"},
		{"drop alerts --older -1h", "such as 24h"},
		{"show", "which target?"},
		{"show alerts x7", "no id of a record"},
		{"show alerts --limit 0", "--limit is how many"},
		{"retry", "which target?"},
		{"retry alerts --all", "which target?"},
		{"pause", "which target?"},
		{"why a 1 2", "does not know what to do with"},
		{"list -o xml", "use text or json"},
		{"list", "no agent answers on"}, // and there is no data directory
	} {
		_, err := skerry(append(strings.Fields("uplink "+tt.line), "-c", r.path("skerry.yaml"))...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("uplink %s: %v, want %q", tt.line, err, tt.want)
		}
	}
	if _, err := skerry("uplink", "shwo"); err == nil || !strings.Contains(err.Error(), "there is no command") {
		t.Errorf("uplink shwo: %v", err)
	}
}
