package fleetsync_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// richApp has every key of a trigger once.
const richApp = `apiVersion: skerry/v1
kind: App
metadata: {name: plant, version: 1.0.0}
functions:
  watch:
    module: {digest: "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", size: 8}
    permissions: {publish: ["alarms/+"]}
    priority: 9
triggers:
  - name: hot
    function: watch
    mqtt: {topic: "plant/{line}/{id}/temp", qos: 1}
    when: data.t > 80 and capture.line != "test" and state("armed") == true
    key: capture.line
    dedupe: {key: data.seq, window: 5m}
    onChange: [data.mode, data.unit]
    deadband: {of: data.t, by: 0.5}
    rateLimit: {count: 3, per: 10s}
    debounce: {quiet: 500ms, atMost: 5s}
    retry: {deadLetter: "dead/{line}"}
    then:
      - {publish: "alarms/{line}", qos: 0, retain: true, data: {line: "${capture.line}", t: "${data.t}", ok: null, n: [1, 2.5, "x"]}}
  - name: minute
    function: watch
    source: {name: scanner, topic: "codes/{gate}"}
    batch: {count: 100, bytes: 64Ki, time: 10s}
  - name: post
    function: watch
    http: {path: "orders/{id}"}
    order: none
  - name: slide
    function: watch
    mqtt: {topic: a/b}
    window: {sliding: 10m, every: 1m, time: data.time, lateness: 30s, late: run}
  - name: visit
    function: watch
    mqtt: {topic: a/c}
    window: {session: 30s, atMost: 10m}
  - name: nightly
    function: watch
    schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, missed: all, jitter: 10m}
  - name: light
    mqtt: {topic: "door/{room}/open"}
    then:
      - {publish: "light/{room}/set", data: "on in ${capture.room}"}
  - name: broken
    inside: {topic: "failure/plant/{function}"}
    then: [{publish: alarms/broken, data: {who: "${capture.function}"}}]
`

var realChecks = fleetsync.Checks{Language: when.Language{}, Schedule: sensors.CheckSchedule}

// isRefusedIn wants one sentence for the one fault, which begins with v.want.
func (v variant) isRefusedIn(t *testing.T, document string) {
	t.Run(v.want, func(t *testing.T) {
		if !strings.Contains(document, v.from) {
			t.Fatalf("the document has no %q", v.from)
		}
		_, err := parseApp(t, "app.yaml", []byte(strings.Replace(document, v.from, v.to, 1)), realChecks)
		if err == nil || !strings.HasPrefix(err.Error(), v.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s is told as\n%v, want\n%s", v.to, err, v.want)
		}
	})
}

func TestEveryKeyOfATriggerIsRead(t *testing.T) {
	app, err := parseApp(t, "app.yaml", []byte(richApp), realChecks)
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseApp(t, "app.json", published, realChecks)
	if err != nil {
		t.Fatalf("what is published does not read back: %v\n%s", err, published)
	}
	if second, _ := json.Marshal(again); string(second) != string(published) {
		t.Errorf("reads back differently:\n%s\n%s", published, second)
	}
}

// A version is published once: written again, also by another release, it must be
// the same bytes, or publish takes it for other content.
func TestWhatIsPublishedStaysTheSame(t *testing.T) {
	app, err := parseApp(t, "app.yaml", []byte(richApp), realChecks)
	if err != nil {
		t.Fatal(err)
	}
	published, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "plant.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(published) + "\n"; got != string(golden) {
		t.Errorf("it is published as\n%s, and was before as\n%s", got, golden)
	}
}

func TestMistakesInWhatATriggerListensTo(t *testing.T) {
	last := richApp[strings.Index(richApp, "failure/plant"):]
	for _, v := range []variant{
		{`"plant/{line}/{id}/temp"`, `"plant/{line}/{line}/temp"`, `app.yaml:12: triggers[0].mqtt.topic: topic filter "plant/{line}/{line}/temp": {line} is captured twice; give each its own name`},
		{`{id}/temp"`, `x{id}/temp"`, `app.yaml:12: triggers[0].mqtt.topic: topic filter "plant/{line}/x{id}/temp": "x{id}" is no capture; write a whole level as {name}`},
		{`{id}/temp"`, `{1d}/temp"`, `app.yaml:12: triggers[0].mqtt.topic: topic filter "plant/{line}/{1d}/temp": "{1d}" is no capture`},
		{`"plant/{line}/{id}/temp"`, `"$share/{g}/{line}"`, `app.yaml:12: triggers[0].mqtt.topic: "$share/{g}/{line}": a capture names a level of the topic, not the group of a shared subscription: write the group out`},
		{"mqtt: {topic: a/b}", "mqtt: {qos: 1}", "app.yaml:33: triggers[3].mqtt: the topic is missing: mqtt: {topic: sensors/+/temperature}"},
		{"    mqtt: {topic: a/b}\n", "", "app.yaml:31: triggers[3]: a trigger listens to one thing, mqtt: {topic: …}, schedule: {every: …}, http: {path: …}, source: {name: …} or inside: {topic: …}; this one has none of them"},
		{"mqtt: {topic: a/b}", "mqtt: {topic: a/b}\n    inside: {topic: started}", "app.yaml:31: triggers[3]: a trigger listens to one thing, mqtt: {topic: …}, schedule: {every: …}, http: {path: …}, source: {name: …} or inside: {topic: …}; this one has mqtt and inside: write a trigger for each"},
		{"orders/{id}", "/orders/{id}", `app.yaml:29: triggers[2].http.path: "/orders/{id}": write it without the / at its front: the device puts /in/ before it`},
		{"orders/{id}", "orders//{id}", `app.yaml:29: triggers[2].http.path: "orders//{id}": no level is empty, . or ..: write orders/{id}, without a / at the end`},
		{"orders/{id}", "orders/../{id}", `app.yaml:29: triggers[2].http.path: "orders/../{id}": no level is empty`},
		{"orders/{id}", "$orders", `app.yaml:29: triggers[2].http.path: "$orders": no path begins with $: write another letter`},
		{"orders/{id}", "orders?id=1", `app.yaml:29: triggers[2].http.path: "orders?id=1": a query is no part of it, and letters are written as they are, not as %20: remove them`},
		{"orders/{id}", "orders/#/x", `app.yaml:29: triggers[2].http.path: topic filter "orders/#/x": # must be the last level`},
		{`{path: "orders/{id}"}`, `{path: ""}`, `app.yaml:29: triggers[2].http.path: the path is missing: http: {path: orders/{id}} takes what is posted to /in/orders/17`},
		{`{path: "orders/{id}"}`, `{}`, `app.yaml:29: triggers[2].http.path: the path is missing`},
		{"name: scanner", "name: schedule", "app.yaml:25: triggers[1].source.name: schedule is no source of a device's own: write schedule: {…} in place of source"},
		{"name: scanner", "name: my scanner", `app.yaml:25: triggers[1].source.name: "my scanner" is no name of a source: letters, digits, dots, dashes and underscores, at most 64`},
		{"name: scanner, ", "", "app.yaml:25: triggers[1].source: the name is missing: source: {name: scanner}, and its settings under sources: in the device's skerry.yaml"},
		{"codes/{gate}", "codes/#/x", `app.yaml:25: triggers[1].source.topic: topic filter "codes/#/x": # must be the last level`},
		{"failure/plant/{function}", "links/{function}/down", `app.yaml:47: triggers[7].inside.topic: "links/{function}/down" never happens: the topics are started, link/<broker>/up`},
		{"failure/plant/{function}", "failure/{function}", `app.yaml:47: triggers[7].inside.topic: "failure/{function}" never happens`},
		{last, "failure/plant/wach\"}\n    then: [{publish: x}]\n", `app.yaml:47: triggers[7].inside.topic: "failure/plant/wach": this app has no function or rule "wach"`},
		{last, "\"}\n    then: [{publish: x}]\n", `app.yaml:47: triggers[7].inside.topic: the topic is missing: inside: {topic: started}; the topics are started, link/<broker>/up`},
		{`{path: "orders/{id}"}`, "orders", "app.yaml:29: triggers[2].http: expected keys with values, not a text; known here: path"},
		{"mqtt: {topic: a/b}", "mqtt: a/b", "app.yaml:33: triggers[3].mqtt: expected keys with values, not a text; known here: broker, qos, retained, topic"},
		{"0 3 * * *", "0 3 31 2 *", `app.yaml:41: triggers[5].schedule: cron "0 3 31 2 *" never falls due: no month that it names has such a day`},
		{"0 3 * * *", "0 25 * * *", `app.yaml:41: triggers[5].schedule: cron "0 25 * * *"`},
		{"Europe/Berlin", "Europe/Bärlin", `app.yaml:41: triggers[5].schedule: time zone "Europe/Bärlin" is unknown: use a name like Europe/Berlin`},
		{"missed: all", "missed: both", `app.yaml:41: triggers[5].schedule.missed: "both" is not one of skip, once, all`},
		{`cron: "0 3 * * *", timezone: Europe/Berlin`, "every: 10m", "app.yaml:41: triggers[5].schedule.jitter: 10m is not shorter than the period of 10m: ticks would come out of order; write less"},
		{"jitter: 10m", "jitter: 25h", "app.yaml:41: triggers[5].schedule.jitter: 25h is out of range: up to 24h"},
	} {
		v.isRefusedIn(t, richApp)
	}
}

func TestMistakesInExpressions(t *testing.T) {
	for _, v := range []variant{
		{"data.t > 80 and", "data.t > and", `app.yaml:13: triggers[0].when: condition "data.t > and capture.line != \"test\" and state(\"armed\") == true": unexpected token Operator("and"), at column 10`},
		{`when: data.t > 80 and capture.line != "test" and state("armed") == true`, "when: topc > 80", `app.yaml:13: triggers[0].when: condition "topc > 80": unknown name "topc": did you mean topic? (at column 1)`},
		{`when: data.t > 80 and capture.line != "test" and state("armed") == true`, "when: topic > 80", `app.yaml:13: triggers[0].when: condition "topic > 80": invalid operation: > (mismatched types string and int), at column 7`},
		{"when: data.t > 80", "when: topic > 80", `app.yaml:13: triggers[0].when: condition "topic > 80 and capture.line != \"test\" and state(\"armed\") == true": invalid operation: > (mismatched types string and int), at column 7`},
		{`when: data.t > 80 and capture.line != "test" and state("armed") == true`, "when: topic", "app.yaml:13: triggers[0].when: condition \"topic\": it must yield true or false, not string: compare it with something"},
		{`capture.line != "test"`, `capture.lne != "test"`, `app.yaml:13: triggers[0].when: condition "data.t > 80 and capture.lne != \"test\" and state(\"armed\") == true": unknown capture "lne": the topic of the trigger captures line, id`},
		{"when: data.t > 80 and", `when: ""` + "\n    #", "app.yaml:13: triggers[0].when: it is empty: write an expression, such as data.temperature, or remove it"},
		{"key: capture.line", "key: capture.room", `app.yaml:14: triggers[0].key: expression "capture.room": unknown capture "room": the topic of the trigger captures line, id`},
		{"key: capture.line", `key: state("x")`, `app.yaml:14: triggers[0].key: expression "state(\"x\")": state is available in when only`},
		{"key: data.seq", "key: data.(seq", `app.yaml:15: triggers[0].dedupe.key: expression "data.(seq": expected name, at column 7`},
		{"[data.mode, data.unit]", "[data.mode, unit]", `app.yaml:16: triggers[0].onChange[1]: expression "unit": unknown name "unit": did you mean data.unit?`},
		{"[data.mode, data.unit]", `[data.mode, ""]`, "app.yaml:16: triggers[0].onChange[1]: it is empty: write an expression"},
		{"of: data.t,", "of: datas.t,", `app.yaml:17: triggers[0].deadband.of: expression "datas.t": unknown name "datas": did you mean data?`},
		{"time: data.time", "time: data.time +", `app.yaml:34: triggers[3].window.time: expression "data.time +": unexpected token EOF, at column 11`},
		{`"${capture.line}"`, `"${capture.lin}"`, `app.yaml:22: triggers[0].then[0].data.line: template "${capture.lin}": unknown capture "lin": the topic of the trigger captures line, id`},
		{`n: [1, 2.5, "x"]`, `n: [1, 2.5, "${data."]`, `app.yaml:22: triggers[0].then[0].data.n[2]: template "${data.": ${ without its }: close it`},
		{`"on in ${capture.room}"`, `"on in ${room}"`, `app.yaml:45: triggers[6].then[0].data: template "on in ${room}": unknown name "room": did you mean data.room?`},
		{`"on in ${capture.room}"`, `"` + strings.Repeat("x", 17000) + `"`, "app.yaml:45: triggers[6].then[0].data: 17002 bytes, at most 16384: have a function make it"},
	} {
		v.isRefusedIn(t, richApp)
	}
}

func TestMistakesInGatesAndGathering(t *testing.T) {
	debounce := "debounce: {quiet: 500ms, atMost: 5s}"
	batch := "batch: {count: 100, bytes: 64Ki, time: 10s}"
	slide := "window: {sliding: 10m, every: 1m, time: data.time, lateness: 30s, late: run}"
	visit := "window: {session: 30s, atMost: 10m}"
	for _, v := range []variant{
		{"{key: data.seq, window: 5m}", "{key: data.seq, by: [seq]}", "app.yaml:15: triggers[0].dedupe: it has either by, 1 to 4 fields of the event's JSON data, or key, an expression"},
		{"{key: data.seq, window: 5m}", "{window: 5m}", "app.yaml:15: triggers[0].dedupe: it has either by"},
		{"{key: data.seq, window: 5m}", "{by: []}", "app.yaml:15: triggers[0].dedupe.by: it names 1 to 4 fields of the event's JSON data, not 0: by: [source, id]"},
		{"[data.mode, data.unit]", "[]", "app.yaml:16: triggers[0].onChange: it has 1 to 8 expressions, not 0: onChange: [data.state]"},
		{"onChange: [data.mode, data.unit]", "onChange: data.mode", "app.yaml:16: triggers[0].onChange: expected a list, not a text: write [data.mode]"},
		{"of: data.t, ", "", "app.yaml:17: triggers[0].deadband: of is missing: deadband: {of: data.temperature, by: 0.5}"},
		{"by: 0.5", "by: 0.5, percent: 5", "app.yaml:17: triggers[0].deadband: it has either by or percent: write deadband: {of: data.temperature, by: 0.5}, or percent: 5"},
		{", by: 0.5", "", "app.yaml:17: triggers[0].deadband: it has either by or percent"},
		{"by: 0.5", "by: -1", "app.yaml:17: triggers[0].deadband.by: -1 is no difference: write a number above 0"},
		{"by: 0.5", "percent: 0", "app.yaml:17: triggers[0].deadband.percent: 0 is no percentage of change: write a number above 0, such as 5"},
		{"count: 3,", "", "app.yaml:18: triggers[0].rateLimit: count is missing: rateLimit: {count: 1, per: 10s}"},
		{"count: 3,", "count: 0,", "app.yaml:18: triggers[0].rateLimit.count: 0 is out of range: 1 to 10000"},
		{"per: 10s", "per: 25h", "app.yaml:18: triggers[0].rateLimit.per: 25h is out of range: 1ms to 24h"},
		{debounce, "debounce: {atMost: 5s}", "app.yaml:19: triggers[0].debounce: quiet is missing: debounce: {quiet: 500ms}"},
		{debounce, "debounce: {quiet: 10s, atMost: 5s}", "app.yaml:19: triggers[0].debounce.atMost: 5s is shorter than quiet, the pause of 10s: write more, or remove it"},
		{debounce, debounce + "\n    batch: {count: 5}", "app.yaml:20: triggers[0].batch: a trigger has only one of debounce, batch and window, and this one has debounce and batch: write a trigger for each"},
		{batch, "batch: {}", "app.yaml:26: triggers[1].batch: nothing ends it: give it at least one of count, bytes and time, as in batch: {count: 100, time: 10s}"},
		{batch, "batch: {count: 0}", "app.yaml:26: triggers[1].batch.count: 0 is out of range: 1 to 10000"},
		{batch, "batch: {count: 10001}", "app.yaml:26: triggers[1].batch.count: 10001 is out of range: 1 to 10000"},
		{batch, "batch: {count: 5, size: 3}", "app.yaml:26: triggers[1].batch.size: unknown key; known here: bytes, count, time"},
		{batch, "batch: {bytes: 2Mi}", "app.yaml:26: triggers[1].batch.bytes: 2Mi is more than 1Mi"},
		{batch, "batch: {time: 745h}", "app.yaml:26: triggers[1].batch.time: 745h is out of range: 1ms to 24h"},
		{slide, "window: {tumbling: 1m, sliding: 1m, every: 1s}", "app.yaml:34: triggers[3].window: it has one of tumbling, sliding and session: window: {tumbling: 1m}, {sliding: 10m, every: 1m} or {session: 30s}"},
		{slide, "window: {every: 1m, tumbling: 1m}", "app.yaml:34: triggers[3].window.every: it goes with sliding, how often such a window begins: remove it"},
		{slide, "window: {sliding: 1m}", "app.yaml:34: triggers[3].window: every is missing, how often such a window begins: window: {sliding: 10m, every: 1m}"},
		{slide, "window: {sliding: 1m, every: 2m}", "app.yaml:34: triggers[3].window.every: 2m is longer than the window of 1m, so events would be in none: write at most its length"},
		{slide, "window: {sliding: 10m, every: 1s}", "app.yaml:34: triggers[3].window.every: 1s puts each event into more than 100 windows of 10m: write at least 6s"},
		{slide, "window: {tumbling: 10ms}", "app.yaml:34: triggers[3].window.tumbling: 10ms is out of range: 100ms to 744h"},
		{slide, "window: {tumbling: 1m, atMost: 2m}", "app.yaml:34: triggers[3].window.atMost: it goes with session: remove it"},
		{slide, "window: {tumbling: 1m, lateness: 5s}", "app.yaml:34: triggers[3].window.lateness: without time no event is late, since its time is when it came: remove it, or add time: data.time"},
		{slide, "window: {tumbling: 1m, time: data.t, late: keep}", `app.yaml:34: triggers[3].window.late: "keep" is not one of drop, run`},
		{visit, "window: {session: 30s, atMost: 10s}", "app.yaml:38: triggers[4].window.atMost: 10s is shorter than session, the pause of 30s: write more, or remove it"},
		{visit, "window: {session: 30s}\n    order: none", "app.yaml:39: triggers[4].order: window looks at the events of a topic or key one after the other: remove order: none"},
		{visit, "rateLimit: {count: 1, per: 1s}\n    order: none", "app.yaml:39: triggers[4].order: rateLimit looks at the events of a topic or key one after the other: remove order: none"},
		{"order: none", "order: topic\n    key: capture.id", "app.yaml:30: triggers[2].order: events of one key run in order, those of different keys do not: remove order, or key"},
	} {
		v.isRefusedIn(t, richApp)
	}
}

func TestMistakesInRulesAndThen(t *testing.T) {
	for _, v := range []variant{
		{"  - name: light\n    mqtt", "  - mqtt", "app.yaml:42: triggers[6]: it has no function, so it is a rule, and a rule has a name: add name: my-rule, or function: and one of this app"},
		{"- name: light", "- name: watch", "app.yaml:42: triggers[6].name: a function of this app is called \"watch\" too: give the rule another name, or write function: watch"},
		{"    then: [{publish: alarms/broken, data: {who: \"${capture.function}\"}}]\n", "", "app.yaml:46: triggers[7]: it has no function, so it is a rule, and a rule says what it does: add then: [{publish: my/topic}], or function: and one of this app"},
		{"- name: light", "- name: light\n    function: \"\"", `app.yaml:43: triggers[6].function: this app has no function "": name one of its functions, or remove the key to make a rule of it`},
		{"- name: light", "- name: light\n    priority: 3", "app.yaml:43: triggers[6].priority: it belongs to the function: write it there; a rule has 5"},
		{"- name: light", "- name: light\n    permissions: {publish: [x]}", "app.yaml:43: triggers[6].permissions: they belong to the function: write them there; what then does needs none"},
		{"- name: light", "- name: broken", `app.yaml:46: triggers[7]: a second trigger is called "broken": give each a name of its own`},
		{"light/{room}/set", "light/{rom}/set", `app.yaml:45: triggers[6].then[0].publish: "light/{rom}/set": {rom} is not captured by this trigger, which has {room}: write one of them, or name that level of the topic it listens to`},
		{`"alarms/{line}"`, `"alarms/{line"`, `app.yaml:22: triggers[0].then[0].publish: "alarms/{line": a brace begins or ends a capture, as in {line}: write both, or another letter`},
		{`"alarms/{line}"`, `"$broker/{line}/x"`, `app.yaml:22: triggers[0].then[0].publish: "$broker/{line}/x": the broker is written out: a capture does not name one`},
		{`"alarms/{line}"`, `"alarms/+/{line}"`, `app.yaml:22: triggers[0].then[0].publish: topic "alarms/+/x": wildcards cannot be published to`},
		{"{publish: alarms/broken,", "{publish: \"\",", `app.yaml:48: triggers[7].then[0].publish: topic "": it is empty`},
		{`"dead/{line}"`, `"dead/{x}"`, `app.yaml:20: triggers[0].retry.deadLetter: "dead/{x}": {x} is not captured by this trigger, which has {line}, {id}`},
		{"{publish: alarms/broken,", "{publish: alarms/broken, invoke: local/watch,", "app.yaml:48: triggers[7].then[0]: it has either publish: <topic> or invoke: central/<target>"},
		{"{publish: alarms/broken,", "{invoke: local/watch, retain: true,", "app.yaml:48: triggers[7].then[0].retain: it goes with publish: remove it, a follow-up or an event waits until it is taken"},
		{"{publish: alarms/broken,", "{invoke: local/light,", `app.yaml:48: triggers[7].then[0].invoke: "local/light": this app has no function "light": name one of its functions`},
		{"qos: 0, retain", "qos: 3, retain", "app.yaml:22: triggers[0].then[0].qos: 3 is out of range: 0 to 2"},
		{"qos: 0, retain", "template: 0, retain", "app.yaml:22: triggers[0].then[0].template: unknown key; known here: data, invoke, keepLatest, over, priority, publish, qos, retain, ttl, when"},
		{"priority: 9", "priority: 10", "app.yaml:8: functions.watch.priority: 10 is out of range: 0 to 9"},
		{`["alarms/+"]`, `["alarms/{line}"]`, `app.yaml:7: functions.watch.permissions.publish[0]: "alarms/{line}": a permission is the same for all triggers and has no captures: write + in place of {line}`},
	} {
		v.isRefusedIn(t, richApp)
	}
	for _, v := range []variant{
		{"triggers: []", "", `a.yaml:1: functions: an app has 1 to 64 functions, not 0; without any it has rules`},
	} {
		_, err := parseApp(t, "a.yaml", []byte("{apiVersion: skerry/v1, kind: App, metadata: {name: a, version: 1.0.0}, "+v.from+"}"), realChecks)
		wantErr(t, err, v.want)
	}
}

func TestMistakesInData(t *testing.T) {
	from := `ok: null, n: [1, 2.5, "x"]`
	for _, v := range []variant{
		{from, "a: 1, a: 2", "app.yaml:22: triggers[0].then[0].data.a: it is given twice, first on line 22: remove one"},
		{from, "a: &x 1", "app.yaml:22: triggers[0].then[0].data.a: anchors and aliases are not read: write the value out"},
		{from, "a: ", "app.yaml:22: triggers[0].then[0].data.a: it is empty: give it a value, or write null"},
		{from, "a: 2026-01-01", `app.yaml:22: triggers[0].then[0].data.a: "2026-01-01" is no value of JSON: write it as 12, 0.5, 1e6, true, false or null, or put it in quotes`},
		{from, "a: 0x1F", `app.yaml:22: triggers[0].then[0].data.a: "0x1F" is no value of JSON`},
		{from, "a: .inf", `app.yaml:22: triggers[0].then[0].data.a: ".inf" is no value of JSON`},
		{from, "a: 007", `app.yaml:22: triggers[0].then[0].data.a: "007" is no value of JSON`},
		{from, "a: True", `app.yaml:22: triggers[0].then[0].data.a: "True" is no value of JSON`},
		{from, "1: x", "app.yaml:22: triggers[0].then[0].data.1: a key must be a text: put it in quotes"},
		{from, "a: !!binary aGk=", `app.yaml:22: triggers[0].then[0].data.a: "aGk=" is no value of JSON`},
		{from, "a: " + strings.Repeat("[", 17) + strings.Repeat("]", 17), "app.yaml:22: triggers[0].then[0].data.a" + strings.Repeat("[0]", 16) + ": more than 16 lists and objects in each other: make it flatter"},
		{`data: {line: "${capture.line}", t: "${data.t}", ok: null, n: [1, 2.5, "x"]}`, "data: ~", "app.yaml:22: triggers[0].then[0].data: it is empty: give it a value or remove the key"},
	} {
		v.isRefusedIn(t, richApp)
	}
}

// What is published is compared with what is written again: both must say the
// same in the same bytes.
func TestDataReadsBackAsPublished(t *testing.T) {
	for _, tt := range []struct{ data, want string }{
		{`{b: 1, a: [true, null, ~]}`, `{"a":[true,null,null],"b":1}`},
		{`{a: 1.0, b: -0.0, c: 1e21, d: 1e-7, e: 9007199254740993, f: 18446744073709551615}`, `{"a":1,"b":0,"c":1e+21,"d":1e-7,"e":9007199254740993,"f":18446744073709552000}`},
		{`"<${data.t > 3}>"`, `"\u003c${data.t \u003e 3}\u003e"`},
		{`yes`, `"yes"`},
		{`0`, `0`},
		{`false`, `false`},
		{`[]`, `[]`},
		{`{}`, `{}`},
		{`""`, `""`},
	} {
		text := `{apiVersion: skerry/v1, kind: App, metadata: {name: a, version: 1.0.0}, triggers: [{name: r, mqtt: {topic: a}, then: [{publish: b, data: ` + tt.data + `}]}]}`
		app, err := parseApp(t, "a.yaml", []byte(text), fleetsync.Checks{})
		if err != nil {
			t.Errorf("%s: %v", tt.data, err)
			continue
		}
		published, _ := json.Marshal(app)
		again, err := parseApp(t, "a.json", published, fleetsync.Checks{})
		if err != nil {
			t.Errorf("%s: published as %s: %v", tt.data, published, err)
			continue
		}
		for _, a := range []*fleetsync.App{app, again} {
			if got, _ := json.Marshal(a.Triggers[0].Then[0].Data); string(got) != tt.want {
				t.Errorf("%s is %s, want %s", tt.data, got, tt.want)
			}
		}
	}
}
