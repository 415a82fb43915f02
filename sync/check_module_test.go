package fleetsync_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// importing stands in for the runtime: every module imports these, and needs 1 MiB.
func importing(names ...string) fleetsync.Checks {
	return fleetsync.Checks{Module: func(module []byte, memory int64) ([]string, error) {
		if memory < 1<<20 {
			return nil, errors.New("it needs 1 MiB: raise limits.memory")
		}
		return names, nil
	}}
}

// appWith writes an app of functions f and g that share a module; keys are those of f.
func (b *bench) appWith(version, keys string) string {
	b.write("f.wasm", string(module(7, 5000)))
	return b.write("app.yaml", fmt.Sprintf(`apiVersion: skerry/v1
kind: App
metadata: {name: alarm, version: %s}
functions:
  f:
    module: {path: ./f.wasm}
    %s
  g: {module: {path: ./f.wasm}, secrets: [], permissions: {publish: [], invoke: [], http: []}}
triggers: [{function: f, mqtt: {topic: a}}]
`, version, keys))
}

func TestPublishComparesImportsWithGrants(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	for _, tt := range []struct{ imports, keys, want string }{
		{"kv_get log", "env: {}", ""},
		{
			"publish", "permissions: {invoke: [local/g]}",
			`app.yaml: functions.f.permissions.publish: the module imports publish, and this grants it nothing: ` +
				`add permissions: {publish: ["<topic filter>"]} to function f, or permissions: {publish: []} if it needs none`,
		},
		{"publish", "permissions: {publish: [a/#]}", ""},
		{"publish", "permissions: {publish: []}", ""},
		{"followup", "permissions: {publish: [a/#]}", "functions.f.permissions.invoke: the module imports followup, and this grants it nothing: add permissions: {invoke: [central/<target>]}"},
		{"emit", "env: {}", "add permissions: {invoke: [local/<function>]} to function f, or permissions: {invoke: []} if it needs none"},
		{"emit followup", "permissions: {invoke: [local/g, central/x]}", ""},
		{"emit followup", "permissions: {invoke: []}", ""},
		{"http", "permissions: {publish: []}", "functions.f.permissions.http: the module imports http, and this grants it nothing: add permissions: {http: [<host>]}"},
		{"http", "permissions: {http: [api.example.com]}", ""},
		{"secret_get", "env: {}", "functions.f.secrets: the module imports secret_get, and this grants it nothing: add secrets: [<name>] to function f, or secrets: []"},
		{"secret_get", "secrets: [token]", ""},
		{"kv_get", "limits: {memory: 64Ki}", "functions.f.module.path: "},
	} {
		b.ref = "oci-layout:" + t.TempDir()
		_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{
			Access: b.access(), AppFile: b.appWith("1.0.0", tt.keys), Checks: importing(strings.Fields(tt.imports)...),
		})
		var wrong *fleetsync.DocumentError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s with %s: %v", tt.imports, tt.keys, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !errors.As(err, &wrong)):
			t.Errorf("%s with %s: %v, want %s", tt.imports, tt.keys, err, tt.want)
		}
	}
}

func TestPublishWarnsOfGrantsOfTheOtherKind(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	res, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{
		Access: b.access(), AppFile: b.appWith("1.0.0", "permissions: {invoke: [local/g]}"), Checks: importing("followup", "emit"),
	})
	want := "function f imports followup, and no entry of its permissions.invoke starts with central/: each such call will be denied"
	if err != nil || len(res.Warnings) != 1 || res.Warnings[0] != want {
		t.Errorf("warnings %q, %v", res.Warnings, err)
	}
}

// A device does not trust that publish has checked: another release may have.
func TestDeviceHoldsBackWhatItsModulesAreNotGranted(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		checks := importing("publish")
		p := b.pullerOf(b.ref, device(), checks)
		b.publish(b.appWith("1.0.0", "permissions: {publish: []}"), "")
		b.publish(b.app("rollup", "1.0.0", 2, 5000), "") // nor granted: left out
		check(t, p)
		b.run.want(t, "alarm@1.0.0")
		wantHeld(t, p, "rollup@1.0.0 cannot run on this device and is left out: apps/rollup/1.0.0.json: functions.f.permissions.publish: the module imports publish")

		b.publish(b.appWith("1.1.0", "env: {}"), "")
		b.publish(b.appWith("1.2.0", "limits: {memory: 64Ki}"), "")
		check(t, p)
		b.run.want(t, "alarm@1.0.0")
		held := []string{"alarm@1.2.0 cannot run on this device and is held back, alarm@1.0.0 runs on", "module of function f: it needs 1 MiB: raise limits.memory"}
		wantHeld(t, p, held...)

		p = b.pullerOf(b.ref, device(), checks)
		restore(t, p)
		check(t, p)
		b.run.want(t, "alarm@1.0.0")
		wantHeld(t, p, held...)

		b.publish(b.appWith("1.3.0", `permissions: {publish: ["a/#"]}`), "")
		check(t, p)
		b.run.want(t, "alarm@1.3.0")
	})
}

func TestBadHTTPGrantIsHeldBackOnTheDevice(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	p := b.puller(b.ref)
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	b.publish(b.appWith("1.0.0", "permissions: {http: [api.example.com]}"), "")
	b.meddle("api.example.com", "api*example.com")
	check(t, p)
	b.run.want(t, "rollup@1.0.0")
	wantHeld(t, p, "alarm@1.0.0 cannot run on this device and is left out", "functions.f.permissions.http[0]: http permission")
}

// meddle replaces text in all documents and publishes them: what another release
// might have done.
func (b *bench) meddle(from, to string) {
	b.t.Helper()
	err := fleetsync.PublishRaw(b.t.Context(), b.access(), func(docs map[string][]byte) {
		for name, data := range docs {
			docs[name] = bytes.ReplaceAll(data, []byte(from), []byte(to))
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestJavaScriptTravelsAsItIs(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		source := "export default (event) => event.json().t * 2 // °C\n"
		b.write("handler.js", source)
		b.publish(b.write("app.yaml", `apiVersion: skerry/v1
kind: App
metadata: {name: double, version: 1.0.0}
functions: {f: {module: {path: handler.js}}}
triggers: [{function: f, mqtt: {topic: a}}]
`), "")
		check(t, b.puller(b.ref))
		b.run.want(t, "double@1.0.0")
		if got, err := b.cache.Blob(digestOf([]byte(source))); err != nil || string(got) != source {
			t.Errorf("arrived as %q, %v", got, err)
		}
	})
}

func TestLimitsAndIsolationAreBound(t *testing.T) {
	text := strings.Replace(goodApp, "{path: ./threshold.wasm}", `{digest: "`+string(digestOf(nil))+`", size: 8}`, 1)
	text = strings.Replace(text, "\ntriggers:", "\n  plain: {module: {digest: \""+string(digestOf(nil))+"\", size: 8}, keepWarm: true}\ntriggers:", 1)
	app, err := fleetsync.ParseApp("app.yaml", []byte(text), strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := fleetsync.ParseFleet("f", []byte("apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: f, revision: 9}\nassignments: [{app: overheat, version: 1.4.0-rc.1}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		interpreted bool
		timeout     time.Duration
	}{{false, time.Second}, {true, 10 * time.Second}} {
		dev := device()
		dev.Interpreted = tt.interpreted
		d, _, err := fleetsync.Resolve(fleet, []*fleetsync.App{app}, dev)
		if err != nil {
			t.Fatal(err)
		}
		plain, fn := d.Functions[0], d.Functions[1]
		if fn.Isolation != agent.IsolationFresh || fn.KeepWarm || fn.IdleAfter != 10*time.Minute || fn.Limits.Fuel != 5_000_000 ||
			fn.Limits.Outputs != 16 || fn.Limits.Calls != 500 || fn.Limits.Timeout != 2*time.Second || len(fn.Permissions.HTTP) != 3 {
			t.Errorf("as written: %+v", fn)
		}
		if plain.Isolation != agent.IsolationWarm || !plain.KeepWarm || plain.IdleAfter != 0 || plain.Limits.Fuel != 0 ||
			plain.Limits.Outputs != 64 || plain.Limits.Calls != 10_000 || plain.Limits.Timeout != tt.timeout {
			t.Errorf("interpreted %v, defaults: %+v", tt.interpreted, plain)
		}
	}
}

func TestEmptyListsStayEmptyLists(t *testing.T) {
	text := strings.Replace(goodApp, `publish: ["alerts/+/overheat"]`, "publish: []", 1)
	app, err := fleetsync.ParseApp("app.yaml", []byte(text), strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(app)
	if err != nil || !strings.Contains(string(data), `"publish":[]`) {
		t.Errorf("%v: %s", err, data)
	}
}
