package fleetsync_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// everything is a device that has all that an app may name.
func everything() fleetsync.Device {
	d := device()
	d.Sources, d.HTTP = []string{"scanner"}, true
	return d
}

func bindApp(t *testing.T, text string, d fleetsync.Device) (agent.Deployment, []string, error) {
	t.Helper()
	app, err := fleetsync.ParseApp("app.yaml", []byte(text), fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	fleet := &fleetsync.Fleet{Assignments: []fleetsync.Assignment{{App: app.Metadata.Name, Version: app.Metadata.Version}}}
	return fleetsync.Resolve(fleet, []*fleetsync.App{app}, d)
}

func TestTriggersAreBound(t *testing.T) {
	d, _, err := bindApp(t, richApp, everything())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]agent.Trigger{}
	for _, tr := range d.Triggers {
		got[tr.Name] = tr
	}
	for _, want := range []agent.Trigger{
		{
			Name: "plant/hot", Function: "plant/watch", Via: "plant", QoS: 1,
			Filter: "plant/+/+/temp", Captures: []agent.Capture{{Name: "line", Level: 1}, {Name: "id", Level: 2}},
			When: `data.t > 80 and capture.line != "test" and state("armed") == true`, Key: "capture.line",
			Dedupe: agent.Dedupe{Key: "data.seq", Window: 5 * time.Minute},
			Gate: agent.Gate{
				OnChange: []string{"data.mode", "data.unit"},
				Deadband: agent.Deadband{Of: "data.t", By: 0.5}, Rate: agent.Rate{Count: 3, Per: 10 * time.Second},
			},
			Gather: agent.Gather{Kind: agent.GatherDebounce, Size: 500 * time.Millisecond, Most: 5 * time.Second},
			Retry:  agent.Retry{DeadLetter: "dead/{line}"},
			Then:   []agent.Then{{Publish: "alarms/{line}", Retain: true, Data: `{"line":"${capture.line}","n":[1,2.5,"x"],"ok":null,"t":"${data.t}"}`}},
		},
		{
			Name: "plant/minute", Function: "plant/watch", Via: "scanner", Filter: "codes/+", Captures: []agent.Capture{{Name: "gate", Level: 1}},
			Gather: agent.Gather{Kind: agent.GatherBatch, Count: 100, Bytes: 64 << 10, Size: 10 * time.Second},
		},
		{Name: "plant/post", Function: "plant/watch", Via: agent.ViaHTTP, Filter: "orders/+", Captures: []agent.Capture{{Name: "id", Level: 1}}, Unordered: true},
		{
			Name: "plant/slide", Function: "plant/watch", Via: "plant", Filter: "a/b", QoS: 1,
			Gather: agent.Gather{
				Kind: agent.GatherSliding, Size: 10 * time.Minute, Every: time.Minute,
				Time: "data.time", Lateness: 30 * time.Second, LateRuns: true,
			},
		},
		{
			Name: "plant/visit", Function: "plant/watch", Via: "plant", Filter: "a/c", QoS: 1,
			Gather: agent.Gather{Kind: agent.GatherSession, Size: 30 * time.Second, Most: 10 * time.Minute},
		},
		{
			Name: "plant/nightly", Function: "plant/watch", Via: agent.ViaSchedule, Filter: "plant/nightly",
			Schedule: agent.Schedule{Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Missed: agent.MissedAll, Jitter: 10 * time.Minute},
		},
		{
			Name: "plant/light", Function: "plant/light", Via: "plant", Filter: "door/+/open", Captures: []agent.Capture{{Name: "room", Level: 1}}, QoS: 1,
			Then: []agent.Then{{Publish: "light/{room}/set", QoS: 1, Data: `"on in ${capture.room}"`}},
		},
		{
			Name: "plant/broken", Function: "plant/broken", Via: agent.ViaInside, Filter: "failure/plant/+", Captures: []agent.Capture{{Name: "function", Level: 2}},
			Then: []agent.Then{{Publish: "alarms/broken", QoS: 1, Data: `{"who":"${capture.function}"}`}},
		},
	} {
		if !reflect.DeepEqual(got[want.Name], want) {
			t.Errorf("%s is bound as\n%+v, want\n%+v", want.Name, got[want.Name], want)
		}
	}
	var runs []string
	for _, fn := range d.Functions {
		runs = append(runs, fn.Name)
		rule := fn.Name != "plant/watch"
		if fn.Rule != rule || rule && (fn.Priority != 5 || fn.Limits.Concurrency == 0 || fn.Digest != "") || !rule && fn.Priority != 9 {
			t.Errorf("function %+v", fn)
		}
	}
	slices.Sort(runs)
	if want := []string{"plant/broken", "plant/light", "plant/watch"}; !slices.Equal(runs, want) {
		t.Errorf("it runs %v, want %v", runs, want)
	}
}

func TestWhatTheDeviceLacksNamesItsSection(t *testing.T) {
	for _, tt := range []struct {
		lacks func(*fleetsync.Device)
		want  string
	}{
		{func(*fleetsync.Device) {}, ""},
		{
			func(d *fleetsync.Device) { d.Sources = nil },
			`trigger plant/minute names the source "scanner", which this device does not have: add it under sources: in skerry.yaml`,
		},
		{
			func(d *fleetsync.Device) { d.Sources, d.Brokers = nil, []string{"plant", "scanner"} },
			`trigger plant/minute names the source "scanner", which is a broker of this device: write mqtt: {broker: scanner, topic: …} in the app`,
		},
		{
			func(d *fleetsync.Device) { d.HTTP = false },
			"trigger plant/post takes what is posted to /in/orders/{id}, and this device takes no requests: say where under http_in: in skerry.yaml",
		},
	} {
		d := everything()
		tt.lacks(&d)
		_, _, err := bindApp(t, richApp, d)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

const rulesAlone = `apiVersion: skerry/v1
kind: App
metadata: {name: doors, version: 1.0.0}
triggers:
  - {name: light, mqtt: {topic: "door/{room}/open"}, then: [{publish: "light/{room}/set", data: "on"}]}
  - {name: code, source: {name: scanner}, then: [{invoke: central/notify}]}
  - {name: post, http: {path: x}, then: [{publish: $broker/hall/x}]}
`

// An app of rules has no module to publish, to fetch or to keep.
func TestAppOfRulesAlone(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		res := b.publish(b.write("doors.yaml", rulesAlone), "")
		if want := "devices need: target notify, broker hall, source scanner, http_in"; len(res.Modules) != 0 || !slices.Contains(res.Warnings, want) {
			t.Errorf("published %v, warnings %q", res.Modules, res.Warnings)
		}
		if again := b.publish(b.write("doors.yaml", rulesAlone), ""); !again.Unchanged {
			t.Error("the same app again is a change")
		}
		p := b.pullerOf(b.ref, device(), fleetsync.Checks{})
		check(t, p)
		wantHeld(t, p, `source "scanner"`, "http_in: in skerry.yaml")
		b.run = &runner{}
		p = b.pullerOf(b.ref, everything(), fleetsync.Checks{})
		check(t, p)
		b.run.want(t, "doors@1.0.0")
		b.run = &runner{}
		p = b.pullerOf(b.ref, everything(), fleetsync.Checks{})
		restore(t, p)
		b.run.want(t, "doors@1.0.0")
		wantFine(t, p)
	})
}

func TestTriggerThatStartsItselfIsToldOf(t *testing.T) {
	for _, tt := range []struct{ listens, sends, want string }{
		{"a/#", "a/b", "trigger a/r publishes to a/b, which it listens to: unless its when says otherwise it starts itself for ever"},
		{`"a/{x}"`, `"a/{x}"`, "trigger a/r publishes to a/{x}, which it listens to"},
		{`"a/{x}/in"`, `"a/{x}/out"`, ""},
		{"$share/g/a/#", "a", "trigger a/r publishes to a, which it listens to"},
		{"a/+", "a/b/c", ""},
		{"a/b", "$broker/cloud/a/b", ""},
	} {
		text := `{apiVersion: skerry/v1, kind: App, metadata: {name: a, version: 1.0.0}, triggers: [{name: r, mqtt: {topic: ` + tt.listens + `}, then: [{publish: ` + tt.sends + `}]}]}`
		app, err := fleetsync.ParseApp("a.yaml", []byte(text), fleetsync.Checks{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(app.Warnings(), "\n"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s and %s: %q, want %q", tt.listens, tt.sends, got, tt.want)
		}
	}
}
