package fleetsync_test

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// sendApp says how follow-ups travel wherever that can be said.
const sendApp = `apiVersion: skerry/v1
kind: App
metadata: {name: send, version: 1.0.0}
functions:
  watch:
    module: {digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size: 8}
    limits: {uplink: 2Mi}
    permissions: {invoke: [central/notify, central/readings, local/watch]}
    followups:
      - {target: notify, priority: 9, ttl: 24h, over: wait}
      - {target: readings, priority: 0, keepLatest: true, over: drop, ttl: 10m}
    log: {level: warn, sample: 10}
triggers:
  - name: hot
    function: watch
    mqtt: {topic: a/b}
    then:
      - {invoke: central/readings, keepLatest: false, over: wait}
      - {invoke: central/notify}
      - {invoke: local/watch}
  - name: rule
    mqtt: {topic: a/c}
    then: [{invoke: central/readings, priority: 1, ttl: 1h, keepLatest: true, over: drop}]
`

func TestWaysOfFollowupsAreBound(t *testing.T) {
	d := device()
	d.Targets = append(d.Targets, "readings")
	bound, _, err := bindApp(t, sendApp, d)
	if err != nil {
		t.Fatal(err)
	}
	readings := agent.Way{Priority: 0, TTL: 10 * time.Minute, Latest: true, Shed: true}
	watch := bound.Functions[0]
	if want := []agent.TargetWay{{Target: "notify", Way: agent.Way{Priority: 9, TTL: 24 * time.Hour}}, {Target: "readings", Way: readings}}; !reflect.DeepEqual(watch.Ways, want) {
		t.Errorf("its follow-ups go by %+v, want %+v", watch.Ways, want)
	}
	if want := (agent.LogRule{Stated: true, Level: slog.LevelWarn, Sample: 10}); watch.Log != want || watch.Limits.Uplink != 2<<20 {
		t.Errorf("logs go by %+v, want %+v; %d bytes a day", watch.Log, want, watch.Limits.Uplink)
	}
	for i, want := range []*agent.Way{{Priority: 0, TTL: 10 * time.Minute}, nil, nil} {
		if got := bound.Triggers[0].Then[i].Way; !reflect.DeepEqual(got, want) {
			t.Errorf("then[%d] goes by %+v, want %+v", i, got, want)
		}
	}
	if got, want := bound.Triggers[1].Then[0].Way, (agent.Way{Priority: 1, TTL: time.Hour, Latest: true, Shed: true}); got == nil || *got != want {
		t.Errorf("the rule sends by %+v, want %+v", got, want)
	}
}

func TestWaysReadBackAsPublished(t *testing.T) {
	app, err := parseApp(t, "app.yaml", []byte(sendApp), realChecks)
	if err != nil {
		t.Fatal(err)
	}
	published, _ := json.Marshal(app)
	again, err := parseApp(t, "app.json", published, realChecks)
	if err != nil || !reflect.DeepEqual(app, again) {
		t.Errorf("%s\nreads back as %+v: %v", published, again, err)
	}
}

func TestLogLevels(t *testing.T) {
	for text, want := range map[string]agent.LogRule{
		"{level: debug}": {Stated: true, Level: slog.LevelDebug},
		"{level: info}":  {Stated: true, Level: slog.LevelInfo},
		"{level: error}": {Stated: true, Level: slog.LevelError},
		"{level: off}":   {Stated: true, Off: true},
		"{sample: 5}":    {Sample: 5},
	} {
		d := device()
		d.Targets = append(d.Targets, "readings")
		bound, _, err := bindApp(t, strings.Replace(sendApp, "{level: warn, sample: 10}", text, 1), d)
		if err != nil || bound.Functions[0].Log != want {
			t.Errorf("log: %s is %+v, want %+v: %v", text, bound.Functions[0].Log, want, err)
		}
	}
}

func TestMistakesInFollowupsAndLog(t *testing.T) {
	for _, v := range []variant{
		{"target: notify, ", "", "app.yaml:10: functions.watch.followups[0]: target is missing: followups: [{target: alerts, priority: 9}]"},
		{"target: notify, ", `target: "", `, "app.yaml:10: functions.watch.followups[0]: target is missing"},
		{"target: notify, ", "target: central/notify, ", `app.yaml:10: functions.watch.followups[0].target: "central/notify": here a target stands alone: write notify`},
		{"target: notify, ", "target: my notify, ", `app.yaml:10: functions.watch.followups[0].target: "my notify" is no target: write 1 to 63 letters, digits, dots, hyphens and underscores`},
		{"target: notify, ", "target: notfy, ", `app.yaml:10: functions.watch.followups[0].target: the function may not send to "notfy": add central/notfy to its permissions.invoke, or remove the entry; follow-ups of then have these keys there`},
		{"target: notify, ", "target: watch, ", `app.yaml:10: functions.watch.followups[0].target: the function may not send to "watch"`},
		{"target: readings, ", "target: notify, ", `app.yaml:11: functions.watch.followups[1].target: "notify" has an entry already: say all of it in one`},
		{"priority: 9", "priority: 10", "app.yaml:10: functions.watch.followups[0].priority: 10 is out of range: 0 to 9"},
		{"priority: 9", "priority: -1", "app.yaml:10: functions.watch.followups[0].priority: -1 is out of range: 0 to 9"},
		{"priority: 9", "priority: high", "app.yaml:10: functions.watch.followups[0].priority: expected a whole number, not a text"},
		{"ttl: 24h", "ttl: 100ms", "app.yaml:10: functions.watch.followups[0].ttl: 100ms is out of range: 1s to 8760h"},
		{"ttl: 24h", "ttl: 8761h", "app.yaml:10: functions.watch.followups[0].ttl: 8761h is out of range: 1s to 8760h"},
		{"ttl: 24h", "ttl: 0s", `app.yaml:10: functions.watch.followups[0].ttl: "0s" is shorter than 1ms`},
		{"ttl: 24h", "TTL: 24h", "app.yaml:10: functions.watch.followups[0].TTL: unknown key; write it ttl"},
		{"over: wait}\n", "over: lose}\n", `app.yaml:10: functions.watch.followups[0].over: "lose" is not one of wait, drop`},
		{"keepLatest: true, over: drop, ttl", "keepLatest: yes, over: drop, ttl", "app.yaml:11: functions.watch.followups[1].keepLatest: expected true or false, not a text"},
		{"uplink: 2Mi", "uplink: 100", "app.yaml:7: functions.watch.limits.uplink: 100 a day is less than a request takes: write 1Ki or more"},
		{"level: warn", "level: warning", `app.yaml:12: functions.watch.log.level: "warning" is not one of debug, info, warn, error, off`},
		{"sample: 10", "sample: 0", "app.yaml:12: functions.watch.log.sample: 0 is out of range: 1 to 1000000"},
		{"level: warn", "level: off", "app.yaml:12: functions.watch.log.sample: level: off sends no line, so sample has no meaning: remove one of them"},
		{"{level: warn, sample: 10}", "{}", "app.yaml:12: functions.watch.log: it says nothing: write log: {level: warn}, or remove it"},
		{"{level: warn, sample: 10}", "warn", "app.yaml:12: functions.watch.log: expected keys with values, not a text; known here: level, sample"},
		{"over: wait}\n      - {invoke: central/notify}", "over: no}\n      - {invoke: central/notify}", `app.yaml:18: triggers[0].then[0].over: "no" is not one of wait, drop`},
		{"{invoke: central/notify}", "{invoke: central/notify, priority: 11}", "app.yaml:19: triggers[0].then[1].priority: 11 is out of range: 0 to 9"},
		{"{invoke: central/notify}", "{invoke: central/notify, ttl: 1ms}", "app.yaml:19: triggers[0].then[1].ttl: 1ms is out of range: 1s to 8760h"},
		{"{invoke: local/watch}", "{invoke: local/watch, ttl: 1h}", "app.yaml:20: triggers[0].then[2].ttl: it goes with invoke: central/<target>: remove it"},
		{"{invoke: local/watch}", "{publish: a, keepLatest: true}", "app.yaml:20: triggers[0].then[2].keepLatest: it goes with invoke: central/<target>: remove it"},
		{"  - name: rule\n", "  - name: rule\n    followups: []\n", "app.yaml:22: triggers[1].followups: they belong to the function: write them there; a then has priority, ttl, keepLatest and over of its own"},
		{"  - name: rule\n", "  - name: rule\n    log: {}\n", "app.yaml:22: triggers[1].log: it belongs to the function: write it there"},
	} {
		v.isRefusedIn(t, sendApp)
	}
}
