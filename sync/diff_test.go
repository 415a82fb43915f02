package fleetsync_test

import (
	"slices"
	"strings"
	"testing"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

const before = `apiVersion: skerry/v1
kind: App
metadata: {name: overheat, version: 1.0.0}
functions:
  alarm:
    module: {path: ./f.wasm}
    env: {LIMIT: "80"}
    secrets: [token]
    limits: {memory: 16Mi}
    permissions: {publish: ["alerts/#"], invoke: [central/notify]}
  old: {module: {path: ./f.wasm}, permissions: {http: [api.example.com]}}
triggers:
  - {name: hot, function: alarm, mqtt: {topic: sensors/+/t}, when: data.t > 80, then: [{publish: out/hot}]}
  - {name: gone, function: old, schedule: {every: 1m}}
`

const after = `apiVersion: skerry/v1
kind: App
metadata: {name: overheat, version: 1.1.0}
stateVersion: 2
requires: {memory: 64Mi}
functions:
  alarm:
    module: {path: ./g.wasm}
    env: {LIMIT: "90", MODE: fast}
    secrets: [token, pager]
    limits: {memory: 64Mi}
    permissions: {publish: ["#"], http: ["*.example.com"]}
  report: {module: {path: ./f.wasm}, permissions: {invoke: [central/reports]}, secrets: [token]}
triggers:
  - {name: hot, function: alarm, mqtt: {topic: sensors/#}, when: data.t > 80, then: [{publish: out/hot}, {invoke: central/pager}]}
  - {function: report, schedule: {every: 1h}}
`

func TestDiffMarksWhatIsGained(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.write("f.wasm", string(module(1, 5000)))
	b.write("g.wasm", string(module(2, 6000)))
	b.publish(b.write("app.yaml", before), "")
	r := b.open()
	p, err := r.Plan(b.write("app.yaml", after), "", fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	f, g := b.hexOf(1, 5000), b.hexOf(2, 6000)
	var want []string
	for _, line := range []string{
		"functions.alarm.env.LIMIT: 80 → 90",
		"functions.alarm.env.MODE: + fast",
		"functions.alarm.limits.memory: 16Mi → 64Mi",
		"functions.alarm.module: module " + f + " of 5000 bytes → module " + g + " of 6000 bytes",
		"GAINED functions.alarm.permissions.http: + *.example.com",
		"functions.alarm.permissions.invoke: - central/notify",
		"GAINED functions.alarm.permissions.publish: + #",
		"functions.alarm.permissions.publish: - alerts/#",
		"GAINED functions.alarm.secrets: + pager",
		"functions.old: - module " + f + " of 5000 bytes",
		"functions.report: + module " + f + " of 5000 bytes",
		"GAINED functions.report.permissions.invoke: + central/reports",
		"GAINED functions.report.secrets: + token",
		"requires.memory: + 64Mi",
		"stateVersion: + 2",
		`triggers.gone: - schedule {"every":"1m0s"} starts old`,
		"triggers.hot.mqtt.topic: sensors/+/t → sensors/#",
		"GAINED triggers.hot.then: + invoke central/pager",
		`triggers.hot.then: [{"publish":"out/hot"}] → [{"publish":"out/hot"},{"invoke":"central/pager"}]`,
		`triggers.report: + schedule {"every":"1h0m0s"} starts report`,
	} {
		head := ""
		if rest, gained := strings.CutPrefix(line, "GAINED "); gained {
			head, line = "GAINED ", rest
		}
		want = append(want, head+"overheat 1.0.0 → 1.1.0: "+line)
	}
	want = append(want, "assignments[0]: overheat@1.0.0 for every device → overheat@1.1.0 for every device")
	if got := lines(p.Diff()); !slices.Equal(got, want) {
		t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	push(t, r, p, nil)
	// what a fleet document brings back is compared as well
	p, err = r.Edit(func(f *fleetsync.Fleet) error { f.Assignments[0].Version = "1.0.0"; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(lines(p.Diff()), "\n"); !strings.Contains(text, "GAINED overheat 1.1.0 → 1.0.0: functions.alarm.permissions.invoke: + central/notify") {
		t.Errorf("going back:\n%s", text)
	}
}

func TestDiffOfAnAppThatStaysTheSame(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	p, err := b.open().Plan(b.app("overheat", "1.0.1", 1, 5000), "", fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, p.Diff(), "overheat 1.0.0 → 1.0.1: + the same but for its version",
		"assignments[0]: overheat@1.0.0 for every device → overheat@1.0.1 for every device")
	if p, err = b.open().Plan(b.app("overheat", "1.0.0", 1, 5000), "", fleetsync.Checks{}); err != nil || len(p.Diff()) != 0 || !p.Unchanged() {
		t.Errorf("the same again: %v, %v", err, lines(p.Diff()))
	}
}

func TestChangesAreOneHarmlessLine(t *testing.T) {
	for text, want := range map[string]string{
		"80 °C → 90":             "80 °C → 90",
		"a\x1b[1A\x1b[2K":        `"a\x1b[1A\x1b[2K"`,
		"two\nlines":             `"two\nlines"`,
		"\u202egnp.exe \u009b2K": `"\u202egnp.exe \u009b2K"`,
	} {
		if got := (fleetsync.Change{Path: text, Old: text, New: "b"}).String(); got != want+": "+want+" → b" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
