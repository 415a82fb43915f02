package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestStatusSaysWhyAFunctionIsStoppedAndUntilWhen(t *testing.T) {
	s := agent.Status{Functions: []agent.FunctionStatus{
		{Name: "boiler/alarm", Queued: 1, Breaker: &agent.BreakerStatus{
			State: "open", Failures: 9, RetryAt: time.Now().Add(42*time.Second + 300*time.Millisecond), Cause: "trap: no\x1b[2Jscale",
		}},
		{Name: "boiler/report", Inbox: 3, Breaker: &agent.BreakerStatus{State: "half-open", Failures: 12, Cause: "x"}},
		{Name: "boiler/idle", Breaker: &agent.BreakerStatus{State: "half-open", Failures: 8, Cause: "x"}},
		{Name: "boiler/fine"},
	}}
	var out bytes.Buffer
	if err := printStatus(&out, s, "text"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`boiler/alarm is stopped, its events wait: 9 failures in a row, the last: "trap: no\x1b[2Jscale"; one event tries in 42s`,
		"boiler/report is stopped, its events wait: 12 failures in a row, the last: x; one event tries now",
		"boiler/idle is stopped: 8 failures in a row, the last: x; the next event tries",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "boiler/fine is stopped") {
		t.Error("a function that runs is told to be stopped")
	}
}

// TestStatusKeepsItsTable: whatever functions say, a row is a row, and of what can be read.
func TestStatusKeepsItsTable(t *testing.T) {
	var filters []string
	for i := range 60 {
		filters = append(filters, fmt.Sprintf("presses/p%d/pressure", i))
	}
	s := agent.Status{
		Events: agent.Counts{P99us: 917504},
		Functions: []agent.FunctionStatus{
			{Name: "boiler/alarm", Workers: 1, Digest: "sha256:0123456789abcdef", P99us: 983040, LastError: "error: \x1b[2J\tred\r\nat " + strings.Repeat("long", 500)},
			{Name: "boiler/rule", Workers: 1},
		},
		Sources: []agent.SourceStatus{{Name: "plant", Note: "refused: \x1b[2Jgone"}, {Name: "http", Filters: filters}},
		Store:   agent.StoreStatus{Dead: 1},
	}
	var out bytes.Buffer
	if err := printStatus(&out, s, "text"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"p99 918ms to the durable outcome", "0 of 1  0", "983ms", "0 records wait, 1 dead letter, ", "presses/p0/pressure presses/p1/pressure", " and 55 more", `"refused: \x1b[2Jgone"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status lacks %q:\n%q", want, &out)
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.ContainsAny(line, "\x1b\t\r") || len(line) > 250 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		if strings.HasPrefix(line, "boiler/rule") && strings.Contains(line, "of 1") {
			t.Errorf("a rule has instances: %q", line)
		}
	}
}

func TestStatusTellsWhoSignedWhatRuns(t *testing.T) {
	day := time.Date(2027, 11, 21, 12, 0, 0, 0, time.UTC)
	good := agent.SyncStatus{Registry: "oci://h/fleet:latest", Fleet: "plant", Revision: 42, Checked: time.Now(), Verified: true, Root: 3, Expires: day}
	late := good
	late.Notes = []string{"the fleet's signatures end on 2027-11-21: publish again, which renews them"}
	bad := good
	bad.Verified, bad.Error = false, "nothing new is taken from oci://h/fleet:latest: timestamp.json: it is older than what was accepted here before"
	for _, tt := range []struct {
		sync agent.SyncStatus
		want []string
	}{
		{agent.SyncStatus{}, []string{"registry  none configured"}},
		{agent.SyncStatus{Registry: "oci://h/fleet:latest", Checked: time.Now(), Verified: true, Root: 1, Expires: day, Error: "nothing is published there"}, []string{"oci://h/fleet:latest, signed until 2027-11-21 (root 1), answered 0s ago  (nothing is published there)"}},
		{good, []string{"registry  oci://h/fleet:latest, plant at revision 42, signed until 2027-11-21 (root 3), answered 0s ago"}},
		{late, []string{"signed until 2027-11-21", "the fleet's signatures end on 2027-11-21: publish again"}},
		{bad, []string{"plant at revision 42, NOT VERIFIED, answered 0s ago  (nothing new is taken from", "older than what was accepted here before)"}},
	} {
		var out bytes.Buffer
		if err := printStatus(&out, agent.Status{Sync: tt.sync}, "text"); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("status lacks %q:\n%s", want, &out)
			}
		}
	}
}

// TestStatusTellsHowFarAProbationIs: in the words of the page.
func TestStatusTellsHowFarAProbationIs(t *testing.T) {
	for runs, want := range map[int64]string{
		0: ": 0 of at least 20 runs, 0 % failed where 10 % may", 30: ": 30 runs of the function that ran least, 0 % failed where 10 % may",
	} {
		if got := progressText(&agent.Progress{Runs: runs, MinRuns: 20, Limit: 10}); got != want {
			t.Errorf("of %d runs it says %q, want %q", runs, got, want)
		}
	}
}

// TestStatusTellsOnceWhyAnAppIsHeldBack: in the line of the app.
func TestStatusTellsOnceWhyAnAppIsHeldBack(t *testing.T) {
	until := time.Now().Add(90 * time.Second)
	s := agent.SyncStatus{
		Registry: "oci://h/fleet:latest", Fleet: "plant", Revision: 42, Checked: time.Now(), Verified: true,
		Error: "ask h: no route; b@2 failed here; m@3 does not start; it is tried again at " + until.Format(time.RFC3339),
		Apps: []agent.AppStatus{
			{Name: "b", Version: "1", Wanted: "2", State: "quarantined", Reason: "b@2 failed here"},
			{Name: "p", Version: "1", Wanted: "2", State: "quarantined", TakenBack: true, Reason: "p@2 was taken back here"},
			{Name: "m", Wanted: "3", State: "held", Reason: "m@3 does not start", Until: until},
		},
	}
	var out bytes.Buffer
	if err := printStatus(&out, agent.Status{Sync: s}, "text"); err != nil {
		t.Fatal(err)
	}
	for text, n := range map[string]int{
		"answered 0s ago  (ask h: no route)\n": 1, "b@2 failed here": 1, "p 1: rolled back, 2 is wanted, ": 1, "quarantined": 1, "m@3 does not start": 1,
		"m does not run: held, 3 is wanted, tried again in ": 1, "tried again at": 0,
	} {
		if got := strings.Count(out.String(), text); got != n {
			t.Errorf("%q is told %d times, want %d:\n%s", text, got, n, &out)
		}
	}
}
