package fleetsync_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

const goodApp = `apiVersion: skerry/v1
kind: App
metadata: {name: overheat, version: 1.4.0-rc.1}
functions:
  threshold:
    module: {path: ./threshold.wasm}
    env: {LIMIT: "31.5"}
    secrets: [token]
    limits: {memory: 32Mi, timeout: 2s, concurrency: 4, queue: 10, inbox: 1GiB, state: 1Mi, output: 65536, outputs: 16, fuel: 5000000, calls: 500}
    permissions:
      publish: ["alerts/+/overheat"]
      invoke: [central/notify, local/threshold]
      http: ["*.example.com", "http://10.2.0.5:8080", "10.2.0.0/16"]
    isolation: fresh
    idleAfter: 10m
triggers:
  - name: hot
    function: threshold
    mqtt: {topic: sensors/+/temperature, broker: hall, qos: 0, retained: ignore}
    when: data.t > 30
    durability: sync
    retry: {maxAttempts: 3, backoff: 1s, deadLetter: dlq/overheat}
    then:
      - {invoke: central/notify, when: error}
      - {publish: out/topic}
  - {name: tick, function: threshold, order: none, dedupe: {by: [source, id], window: 1h}, durability: interval(250ms), schedule: {cron: "*/5 * * * *", timezone: Europe/Berlin}}
`

const goodFleet = `apiVersion: skerry/v1
kind: Fleet
metadata: {name: plant-west, revision: 43}
sync: {pollInterval: 6h, jitter: 30m}
assignments:
  - app: overheat
    version: 1.4.0
    selector:
      matchLabels: {site: west}
      matchExpressions: [{key: hw, operator: In, values: [pi5]}]
    percent: 10
  - {app: overheat, version: none}
`

// strict is a language that only says what is wrong.
type strict func(text string) error

func (s strict) Condition(text string, _ []string) (stateless, stateful agent.Predicate, err error) {
	return nil, nil, s(text)
}
func (s strict) Value(text string, _ []string) (agent.Value, error)       { return nil, s(text) }
func (s strict) Template(text string, _ []string) (agent.Template, error) { return nil, s(text) }

func refuseBad(text string) error {
	if strings.Contains(text, "bad") {
		return errors.New("unknown name bad")
	}
	return nil
}

// strictChecks refuse what contains "bad".
var strictChecks = fleetsync.Checks{
	Language: strict(refuseBad),
	Schedule: func(s agent.Schedule) error {
		if strings.Contains(s.Cron, "bad") {
			return errors.New("bad is no minute")
		}
		return nil
	},
}

// variants replace a part of a good document and give the complaint expected.
type variant struct{ from, to, want string }

func TestAppVariantsAreRefused(t *testing.T) {
	for _, v := range []variant{
		{"apiVersion: skerry/v1\n", "", "app.yaml:1: apiVersion is missing"},
		{"skerry/v1", "skerry/v9", `app.yaml:1: apiVersion: "skerry/v9" is not known`},
		{"kind: App", "kind: Fleet", `app.yaml:1: kind: "Fleet", where kind: App`},
		{"name: overheat", "name: Over_heat", `app.yaml:3: metadata.name: "Over_heat" is no name`},
		{"version: 1.4.0-rc.1", "version: v1.4", `app.yaml:3: metadata.version: "v1.4" is no version`},
		{"version: 1.4.0-rc.1", "version: 1.4", `app.yaml:3: metadata.version: "1.4" is no version: write three numbers`},
		{"functions:", "extra: 1\nfunctions:", "app.yaml:4: extra: unknown key; known here: apiVersion"},
		{"{path: ./threshold.wasm}", "{ref: x}", "app.yaml:6: functions.threshold.module: the module is missing"},
		{"{path: ./threshold.wasm}", "{digest: abc, size: 9}", `app.yaml:6: functions.threshold.module.digest: "abc" is no digest`},
		{`"31.5"`, "31.5", "app.yaml:7: functions.threshold.env.LIMIT: expected a text, not a number"},
		{"env:", "abi: x\n    env:", "app.yaml:7: functions.threshold.abi: the ABI is detected"},
		{"env:", "entrypoint: x\n    env:", "app.yaml:7: functions.threshold.entrypoint: the entry point"},
		{"[token]", "[token, token]", `app.yaml:8: functions.threshold.secrets[1]: "token" is given twice`},
		{"32Mi", "32MiBi", `"32MiBi" is no size`},
		{"32Mi", "32MB", `app.yaml:9: functions.threshold.limits.memory: "32MB" is no size`},
		{"32Mi", "1Ki", "app.yaml:9: functions.threshold.limits.memory: 1Ki is out of range"},
		{"timeout: 2s", "timeout: 2 seconds", `"2 seconds" is no duration`},
		{"timeout: 2s", "Timeout: 2s", "app.yaml:9: functions.threshold.limits.Timeout: unknown key; write it timeout"},
		{"timeout: 2s", "timeout: 2s, timeout: 3s", "app.yaml:9: functions.threshold.limits.timeout: it is given twice"},
		{"concurrency: 4", "concurrency: 0", "limits.concurrency: 0 is out of range: 1 to 1024"},
		{"state: 1Mi", "state: 1Gi", "app.yaml:9: functions.threshold.limits.state: 1Gi is more than 256Mi"},
		{"queue: 10", "queue: many", "limits.queue: expected a whole number, not a text"},
		{"alerts/+/overheat", "alerts/+x", "app.yaml:11: functions.threshold.permissions.publish[0]: topic filter"},
		{"permissions:", "permissions:\n      kv: [state]", "app.yaml:11: functions.threshold.permissions.kv: state needs no permission"},
		{"permissions:", "permissions:\n      hosts: [x]", "permissions.hosts: hosts are granted by http"},
		{"permissions:", "permissions:\n      paths: {/x: ro}", "permissions.paths: files of the device are not supported"},
		{"central/notify, local/threshold", "remote/notify", "app.yaml:12: functions.threshold.permissions.invoke[0]"},
		{"local/threshold]", "local/other]", `permissions.invoke[1]: "local/other": this app has no function`},
		{"name: hot\n", "name: tick\n", "a second trigger is called"},
		{"    function: threshold\n", "    function: other\n", `app.yaml:18: triggers[0].function: this app has no function "other"`},
		{"sensors/+/temperature", "sensors/#/temperature", "app.yaml:19: triggers[0].mqtt.topic: topic filter"},
		{"sensors/+/temperature", "$share/g", `triggers[0].mqtt.topic: "$share/g": a shared subscription is $share/<group>/<filter>`},
		{"qos: 0", "qos: 3", "triggers[0].mqtt.qos: 3 is out of range: 0 to 2"},
		{"retained: ignore", "retained: maybe", "app.yaml:19: triggers[0].mqtt.retained"},
		{"data.t > 30", "bad > 1", "app.yaml:20: triggers[0].when: unknown name bad"},
		{"durability: sync", "durability: always", `app.yaml:21: triggers[0].durability: "always" is not one of sync, none, interval(50ms)`},
		{"durability: sync", "dedupe: {window: 1m}", "app.yaml:21: triggers[0].dedupe: it has either by, 1 to 4 fields"},
		{"durability: sync", "dedupe: {by: [id], window: 48h}", "app.yaml:21: triggers[0].dedupe.window: 48h is out of range: 1s to 24h"},
		{"durability: sync", "durability: interval(2d)", `app.yaml:21: triggers[0].durability: "2d" is no duration`},
		{"durability: sync", "durability: interval(2m)", `app.yaml:21: triggers[0].durability: 2m is longer than 1m`},
		{"maxAttempts: 3", "maxAttempts: 0", "app.yaml:22: triggers[0].retry.maxAttempts"},
		{"dlq/overheat", "dlq/#", "triggers[0].retry.deadLetter: topic"},
		{"{publish: out/topic}", "{when: error}", "app.yaml:25: triggers[0].then[1]: it has either publish"},
		{"{publish: out/topic}", "{publish: out/+}", "app.yaml:25: triggers[0].then[1].publish"},
		{"{publish: out/topic}", "{publish: $broker/cloud}", "app.yaml:25: triggers[0].then[1].publish: \"$broker/cloud\": a broker is named as $broker/<name>/<topic>"},
		{"alerts/+/overheat", "$broker/+/overheat", "app.yaml:11: functions.threshold.permissions.publish[0]: \"$broker/+/overheat\": a broker is named as"},
		{"*/5 * * * *", "bad", "app.yaml:26: triggers[1].schedule: bad is no minute"},
		{`cron: "*/5 * * * *"`, `every: 1m`, "app.yaml:26: triggers[1].schedule.timezone: a time zone needs cron"},
		{`cron: "*/5 * * * *"`, `every: 1m, cron: "* * * * *"`, "app.yaml:26: triggers[1].schedule: a schedule has either"},
		{"env: {LIMIT", "env: &x {LIMIT", "app.yaml:7: functions.threshold.env: anchors and aliases are not read"},
		{`{LIMIT: "31.5"}`, "", "app.yaml:7: functions.threshold.env: it is empty"},
		{"kind: App\n", "kind: App\n\tx\n", "not readable as YAML"},
		{"triggers:", "---\ntriggers:", "a second document follows"},
	} {
		v.isRefused(t)
	}
}

func (v variant) isRefused(t *testing.T) {
	t.Run(v.want, func(t *testing.T) {
		text := strings.Replace(goodApp, v.from, v.to, 1)
		_, err := parseApp(t, "app.yaml", []byte(text), strictChecks)
		wantErr(t, err, v.want)
	})
}

func TestVariantsOfHowAFunctionRunsAreRefused(t *testing.T) {
	for _, v := range []variant{
		{"memory: 32Mi", "memory: 2Gi", "app.yaml:9: functions.threshold.limits.memory: 2Gi is out of range: 64Ki to 1Gi"},
		{"timeout: 2s", "timeout: 16m", "limits.timeout: 16m0s is longer than 15m"},
		{"fuel: 5000000", "fuel: -1", "app.yaml:9: functions.threshold.limits.fuel: -1 is no amount of fuel"},
		{"fuel: 5000000", "fuel: 1.5", "limits.fuel: expected a whole number, not a number"},
		{"outputs: 16", "outputs: 0", "limits.outputs: 0 is out of range: 1 to 1000"},
		{"outputs: 16", "outputs: 1001", "limits.outputs: 1001 is out of range: 1 to 1000"},
		{"calls: 500", "calls: 0", "limits.calls: 0 is out of range: 1 to 10000000"},
		{"calls: 500", "calls: 10000001", "limits.calls: 10000001 is out of range: 1 to 10000000"},
		{"isolation: fresh", "isolation: cold", `app.yaml:14: functions.threshold.isolation: "cold" is not one of warm, fresh`},
		{"idleAfter: 10m", "idleAfter: 10ms", "app.yaml:15: functions.threshold.idleAfter: 10ms is out of range: 1s to 24h"},
		{"idleAfter: 10m", "idleAfter: 25h", "functions.threshold.idleAfter: 25h0m0s is out of range: 1s to 24h"},
		{"idleAfter: 10m", "idleAfter: 10m\n    keepWarm: true", "app.yaml:15: functions.threshold.idleAfter: keepWarm: true never closes an instance, so idleAfter has no meaning: remove one of them"},
		{"idleAfter: 10m", "keepWarm: yes", "functions.threshold.keepWarm: expected true or false, not a text"},
		{"idleAfter: 10m", "idleafter: 10m", "app.yaml:15: functions.threshold.idleafter: unknown key; write it idleAfter"},
		{"http://10.2.0.5:8080", "ftp://api", `app.yaml:13: functions.threshold.permissions.http[1]: http permission "ftp://api": want a host`},
		{`"*.example.com"`, `"api.*.com"`, `app.yaml:13: functions.threshold.permissions.http[0]: http permission "api.*.com"`},
		{`"*.example.com"`, `"10.2.0.0/16"`, `permissions.http[2]: "10.2.0.0/16" is given twice`},
		{`"*.example.com", "http://10.2.0.5:8080", `, ``, "app.yaml:13: functions.threshold.permissions.http: networks only say where granted names may lead"},
	} {
		v.isRefused(t)
	}
}

func TestFleetVariantsAreRefused(t *testing.T) {
	for _, v := range []variant{
		{"name: plant-west", "name: Plant", `fleet.yaml:3: metadata.name: "Plant" is no name`},
		{"revision: 43", "revision: -1", "fleet.yaml:3: metadata.revision: -1 is no revision"},
		{"revision: 43", "revision: 9223372036854775807", "fleet.yaml:3: metadata.revision: 9223372036854775807 is no revision"},
		{"revision: 43", "revision: 1.5", "fleet.yaml:3: metadata.revision: expected a whole number"},
		{"pollInterval: 6h", "pollInterval: 6", `fleet.yaml:4: sync.pollInterval: "6" is no duration`},
		{"jitter: 30m", "keepVersions: 11", "fleet.yaml:4: sync.keepVersions: 11 is out of range: 1 to 10"},
		{"version: 1.4.0", "version: latest", `fleet.yaml:7: assignments[0].version: "latest" is no version`},
		{"matchLabels: {site: west}", "matchLabel: {site: west}", "fleet.yaml:9: assignments[0].selector.matchLabel: unknown key"},
		{"operator: In", "operator: Is", `fleet.yaml:10: assignments[0].selector.matchExpressions[0].operator: "Is" is not one of`},
		{"values: [pi5]", "values: []", "fleet.yaml:10: assignments[0].selector.matchExpressions[0]: In needs values"},
		{"operator: In", "operator: Exists", "Exists takes no values"},
		{"percent: 10", "percent: 101", "fleet.yaml:11: assignments[0].percent: 101 is no percentage"},
		{"percent: 10", "percent: .nan", "fleet.yaml:11: assignments[0].percent: expected a number"},
		{"percent: 10", "notBefore: 2026-01-01", "fleet.yaml:11: assignments[0].notBefore: start times are not supported"},
		{goodFleet[strings.Index(goodFleet, "assignments"):], "assignments: []\n", "fleet.yaml:5: assignments: a fleet has 1 to 1000"},
	} {
		t.Run(v.want, func(t *testing.T) {
			text := strings.Replace(goodFleet, v.from, v.to, 1)
			_, err := parseFleet(t, "fleet.yaml", []byte(text))
			wantErr(t, err, v.want)
		})
	}
}

func TestJSONIsReadStrictly(t *testing.T) {
	app, err := parseApp(t, "app.yaml", []byte(goodApp), strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	compact, _ := json.Marshal(app)
	again, err := parseApp(t, "app.json", compact, strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := json.Marshal(again); string(second) != string(compact) {
		t.Errorf("reads back differently:\n%s\n%s", compact, second)
	}
	for _, v := range []variant{
		{`"kind"`, "\n\n" + `"Kind"`, "app.json:3: Kind: unknown key; write it kind"},
		{`"kind":"App"`, `"kind":"App","kind":"App"`, "kind: it is given twice"},
		{`"LIMIT":"31.5"`, `"LIMIT":31.5`, "functions.threshold.env.LIMIT: expected a text, not a number"},
		{`"LIMIT":"31.5"`, `"LIMIT":null`, "functions.threshold.env.LIMIT: it is empty"},
	} {
		text := strings.Replace(string(compact), v.from, v.to, 1)
		_, err := parseApp(t, "app.json", []byte(text), strictChecks)
		wantErr(t, err, v.want)
	}
	_, err = parseApp(t, "big.yaml", make([]byte, 1<<20+1), strictChecks)
	wantErr(t, err, "big.yaml", "at most 1048576")
}

func FuzzParseApp(f *testing.F) {
	f.Add([]byte(goodApp))
	f.Add([]byte(sendApp))
	f.Add([]byte(`{"apiVersion":"skerry/v1","kind":"App","functions":{"a":{"module":{"path":"x"}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		app, err := fleetsync.ParseApp("app", data, fleetsync.Checks{})
		if err != nil {
			return
		}
		text, err := json.Marshal(app)
		if err != nil {
			t.Fatalf("a good app cannot be written: %v", err)
		}
		if _, err := fleetsync.ParseApp("again", text, fleetsync.Checks{}); err != nil {
			t.Fatalf("a good app does not read back: %v\n%s", err, text)
		}
	})
}

func FuzzParseFleet(f *testing.F) {
	f.Add([]byte(goodFleet))
	f.Fuzz(func(t *testing.T, data []byte) {
		fleet, err := fleetsync.ParseFleet("fleet", data)
		if err != nil {
			return
		}
		text, err := json.Marshal(fleet)
		if err != nil {
			t.Fatalf("a good fleet cannot be written: %v", err)
		}
		if _, err := fleetsync.ParseFleet("again", text); err != nil {
			t.Fatalf("a good fleet does not read back: %v\n%s", err, text)
		}
	})
}

func resolve(t *testing.T, assignments string, d fleetsync.Device) string {
	t.Helper()
	fleet, err := fleetsync.ParseFleet("fleet.yaml", []byte("apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: f, revision: 9}\nassignments:\n"+assignments))
	if err != nil {
		t.Fatal(err)
	}
	var apps []*fleetsync.App
	for _, v := range []string{"1.0.0", "2.0.0"} {
		for _, name := range []string{"a", "b"} {
			app, err := fleetsync.ParseApp("app.yaml", fmt.Appendf(nil, `apiVersion: skerry/v1
kind: App
metadata: {name: %s, version: %s}
functions: {f: {module: {digest: "%s", size: 8}}}`, name, v, digestOf([]byte(v))), fleetsync.Checks{})
			if err != nil {
				t.Fatal(err)
			}
			apps = append(apps, app)
		}
	}
	out, _, err := fleetsync.Resolve(fleet, apps, d)
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, a := range out.Apps {
		names = append(names, a.Name+"@"+a.Version)
	}
	return strings.Join(names, " ")
}

func TestSelection(t *testing.T) {
	for _, tt := range []struct{ assignments, want string }{
		{"- {app: a, version: 1.0.0}", "a@1.0.0"},
		{"- {app: a, version: 1.0.0}\n- {app: a, version: 2.0.0}\n- {app: b, version: 2.0.0}", "a@1.0.0 b@2.0.0"},
		{"- {app: a, version: none}\n- {app: a, version: 2.0.0}", ""},
		{"- {app: a, version: 2.0.0, selector: {matchLabels: {site: east}}}\n- {app: a, version: 1.0.0}", "a@1.0.0"},
		{"- {app: a, version: 2.0.0, selector: {matchLabels: {site: west, hw: pi5}}}", ""},
		{"- {app: a, version: 2.0.0, selector: {matchLabels: {arch: arm64}}}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, selector: {devices: [gw7, gw8]}}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, selector: {devices: [gw8]}}", ""},
		{"- {app: a, version: 2.0.0, selector: {matchExpressions: [{key: site, operator: In, values: [east, west]}]}}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, selector: {matchExpressions: [{key: site, operator: NotIn, values: [west]}]}}", ""},
		{"- {app: a, version: 2.0.0, selector: {matchExpressions: [{key: hw, operator: NotIn, values: [pi5]}]}}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, selector: {matchExpressions: [{key: site, operator: Exists}]}}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, selector: {matchExpressions: [{key: site, operator: DoesNotExist}]}}", ""},
		{"- {app: a, version: 2.0.0, percent: 0}\n- {app: a, version: 1.0.0}", "a@1.0.0"},
		{"- {app: a, version: 2.0.0, percent: 100}", "a@2.0.0"},
		{"- {app: a, version: 2.0.0, paused: true}\n- {app: a, version: 1.0.0}", ""},
		{"- {app: a, version: 3.0.0}", "the fleet assigns a@3.0.0, which was not published: publish that version"},
	} {
		if got := resolve(t, tt.assignments, device()); got != tt.want {
			t.Errorf("%s\ngives %q, want %q", tt.assignments, got, tt.want)
		}
	}
}

func TestPercentIsMonotonic(t *testing.T) {
	fleets := map[int]*fleetsync.Fleet{}
	for _, percent := range []int{1, 10, 25} {
		fleet, err := fleetsync.ParseFleet("f", fmt.Appendf(nil, "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: f}\nassignments: [{app: a, version: 1.0.0, percent: %d}]", percent))
		if err != nil {
			t.Fatal(err)
		}
		fleets[percent] = fleet
	}
	app, err := fleetsync.ParseApp("a", []byte("apiVersion: skerry/v1\nkind: App\nmetadata: {name: a, version: 1.0.0}\nfunctions: {f: {module: {digest: '"+string(digestOf(nil))+"', size: 8}}}"), fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	const devices = 10_000
	count := map[int]int{}
	for i := range devices {
		in := map[int]bool{}
		for percent, fleet := range fleets {
			d, _, err := fleetsync.Resolve(fleet, []*fleetsync.App{app}, fleetsync.Device{ID: fmt.Sprintf("gw-%d", i)})
			if err != nil {
				t.Fatal(err)
			}
			if in[percent] = len(d.Apps) == 1; in[percent] {
				count[percent]++
			}
		}
		if in[1] && !in[10] || in[10] && !in[25] {
			t.Fatalf("gw-%d leaves when the percentage rises: %v", i, in)
		}
	}
	for percent, n := range count {
		want := devices * percent / 100
		if n < want-want/5-20 || n > want+want/5+20 {
			t.Errorf("%d %% are %d of %d devices", percent, n, devices)
		}
	}
}

func TestBindingNamesTheNextStep(t *testing.T) {
	app, err := fleetsync.ParseApp("app.yaml", []byte(strings.Replace(goodApp, "{path: ./threshold.wasm}", `{digest: "`+string(digestOf(nil))+`", size: 8}`, 1)), strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := fleetsync.ParseFleet("f", []byte("apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: f, revision: 9}\nassignments: [{app: overheat, version: 1.4.0-rc.1}]"))
	if err != nil {
		t.Fatal(err)
	}
	bare := fleetsync.Device{ID: "gw7", Brokers: []string{"plant"}}
	_, _, err = fleetsync.Resolve(fleet, []*fleetsync.App{app}, bare)
	wantErr(t, err, `target "notify"`, "bind it under targets: in skerry.yaml", `secret "token"`, "secrets: in skerry.yaml", `broker "hall"`, "it has plant")

	d, _, err := fleetsync.Resolve(fleet, []*fleetsync.App{app}, device())
	if err != nil {
		t.Fatal(err)
	}
	hot := d.Triggers[0]
	if d.Generation != 9 || hot.Via != "hall" || hot.QoS != 0 || hot.Unordered || hot.Durability != agent.DurabilitySync || hot.Retry.MaxAttempts != 3 ||
		hot.Then[0] != (agent.Then{Invoke: "central/notify", On: agent.OnError}) || hot.Then[1] != (agent.Then{Publish: "out/topic", QoS: 1}) {
		t.Errorf("trigger %+v", hot)
	}
	if tick := d.Triggers[1]; tick.Schedule.TimeZone != "Europe/Berlin" || tick.Durability != agent.DurabilityInterval || tick.Within != 250*time.Millisecond || !tick.Unordered || len(tick.Dedupe.By) != 2 || tick.Dedupe.Window != time.Hour {
		t.Errorf("schedule %+v", tick)
	}
	if state := d.Functions[0].Limits.State; state != 1<<20 {
		t.Errorf("limits.state is %d", state)
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for ref, want := range map[string]string{
		"oci://ghcr.io/acme/fleet":           "oci://ghcr.io/acme/fleet:latest",
		"oci://localhost:5000/f:stable":      "oci://localhost:5000/f:stable",
		"oci-layout:/mnt/usb":                "oci-layout:/mnt/usb:latest",
		"oci-layout:///mnt/usb:x":            "oci-layout:/mnt/usb:x",
		"ghcr.io/acme/fleet":                 "",
		"oci://ghcr.io":                      "",
		"oci-layout:":                        "",
		"oci://h/r@" + string(digestOf(nil)): "",
	} {
		reg, err := fleetsync.NewRegistry(ref, fleetsync.RegistryOptions{})
		switch {
		case want == "" && err == nil:
			t.Errorf("%s is accepted as %s", ref, reg)
		case want != "" && (err != nil || reg.String() != want):
			t.Errorf("%s is %v, want %s: %v", ref, reg, want, err)
		}
	}
}

// What cannot be read is told once: a check of the zero in its place would
// only contradict it.
func TestOneSentenceForAFault(t *testing.T) {
	for _, v := range []variant{
		{"version: 1.4.0-rc.1", "version: 2", `app.yaml:3: metadata.version: "2" is no version: write three numbers, as in 1.4.0`},
		{"version: 1.4.0-rc.1", "version: ~", `app.yaml:3: metadata.version: "" is no version: write three numbers, as in 1.4.0`},
		{`cron: "*/5 * * * *", timezone: Europe/Berlin`, "every: 0s", `app.yaml:26: triggers[1].schedule.every: "0s" is shorter than 1ms`},
		{`cron: "*/5 * * * *", timezone: Europe/Berlin`, "every: soon", `app.yaml:26: triggers[1].schedule.every: "soon" is no duration: write 500ms, 2s, 1m30s or 6h`},
		{"queue: 10", "queue: many", "app.yaml:9: functions.threshold.limits.queue: expected a whole number, not a text"},
	} {
		_, err := fleetsync.ParseApp("app.yaml", []byte(strings.Replace(goodApp, v.from, v.to, 1)), strictChecks)
		if err == nil || err.Error() != v.want {
			t.Errorf("%s is told as\n%v, want\n%s", v.to, err, v.want)
		}
	}
	_, err := fleetsync.ParseFleet("fleet.yaml", []byte(strings.Replace(goodFleet, "version: 1.4.0", "version: 2", 1)))
	if want := `fleet.yaml:7: assignments[0].version: "2" is no version: write one as in 1.4.0, or none`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
