package fleetsync_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func TestConcurrentPublishIsRefused(t *testing.T) {
	carriers(t, func(t *testing.T, b *bench) {
		b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
		other := newBench(t, b.ref)
		other.keys[b.ref] = copyKeys(t, b.access().Keys) // on another computer
		mine, theirs := b.app("overheat", "1.1.0", 2, 5000), other.app("chiller", "1.0.0", 3, 5000)
		once := false
		_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: mine, Progress: func(string, int64, int64) {
			if !once {
				once = true
				if res := other.publish(theirs, ""); res.Unassigned || res.Revision != 2 {
					t.Errorf("an app that the fleet never named: %+v", res)
				}
			}
		}})
		if !errors.Is(err, fleetsync.ErrMoved) {
			t.Fatalf("publish across another: %v", err)
		}
		b.publish(mine, "")
		check(t, b.puller(b.ref))
		b.run.want(t, "overheat@1.1.0", "chiller@1.0.0")
	})
}

func TestPublishRefuses(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	var done, total int64
	app := b.app("overheat", "1.0.0", 1, 5000)
	if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: app, Progress: func(_ string, d, n int64) { done, total = d, n }}); err != nil {
		t.Fatal(err)
	}
	if done == 0 || done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	publish := func(app, fleet string) error {
		_, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: b.access(), AppFile: app, FleetFile: fleet})
		return err
	}
	fleet := func(text string) string {
		return b.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\n"+text)
	}
	wantErr(t, publish(b.app("overheat", "1.0.0", 9, 5000), ""), "overheat@1.0.0", "metadata.version", "bump it")
	wantErr(t, publish("", fleet("metadata: {name: plant, revision: 1}\nassignments: [{app: overheat, version: 1.0.0}]")), "revision 1", "leave it out")
	wantErr(t, publish("", fleet("metadata: {name: plant}\nassignments: [{app: overheat, version: 3.0.0}]")), "overheat@3.0.0", "not published")
	wantErr(t, publish("", fleet("metadata: {name: other}\nassignments: [{app: overheat, version: 1.0.0}]")), `"plant"`, `"other"`,
		"write metadata.name: plant in ", "fleet.yaml, or publish to another reference")
	wantErr(t, publish("", ""), "nothing to publish")
	b.app("text", "1.0.0", 1, 5000)
	b.write("text.wasm", "console.log(1)")
	wantErr(t, publish(b.dir+"/text.yaml", ""), "no WebAssembly module")
	if err := publish("", fleet("metadata: {name: plant, revision: 7}\nassignments: [{app: overheat, version: 1.0.0, percent: 50}]")); err != nil {
		t.Fatal(err)
	}
	res := b.publish(b.app("overheat", "1.1.0", 2, 5000), "")
	if !res.Unassigned || res.Revision != 7 {
		t.Errorf("an assignment with percent must not move: %+v", res)
	}
}

func TestPublishTellsWhatDevicesNeed(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir())
	b.app("overheat", "1.0.0", 1, 5000)
	app := b.write("overheat.yaml", `apiVersion: skerry/v1
kind: App
metadata: {name: overheat, version: 1.0.0}
functions:
  f: {module: {path: ./overheat.wasm}, secrets: [pager-token], permissions: {invoke: [local/f, central/alerts]}}
triggers:
  - {name: a, function: f, mqtt: {topic: a, broker: plant}, then: [{publish: x}, {invoke: central/alerts}, {invoke: central/Backup}]}
  - {name: b, function: f, mqtt: {topic: b}}
`)
	if res := b.publish(app, ""); len(res.Warnings) != 1 || res.Warnings[0] != "devices need: target Backup, target alerts, secret pager-token, broker plant" {
		t.Errorf("warnings %q", res.Warnings)
	}
	plain := b.write("plain.yaml", "apiVersion: skerry/v1\nkind: App\nmetadata: {name: plain, version: 1.0.0}\nfunctions: {f: {module: {path: ./overheat.wasm}}}\n")
	if res := b.publish(plain, ""); len(res.Warnings) != 0 {
		t.Errorf("an app that needs nothing: %q", res.Warnings)
	}
}

func TestPublishWarnsOfAssignmentsNeverReached(t *testing.T) {
	b := newBench(t, "oci-layout:"+t.TempDir()+"/plant")
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	b.publish(b.app("rollup", "1.0.0", 2, 5000), "")
	for _, tt := range []struct{ assignments, want string }{
		{
			"[{app: overheat, version: 1.0.0}, {app: rollup, version: 1.0.0}, {app: overheat, version: none, percent: 5}]",
			"assignment 2 of overheat is never reached: assignment 1 is for every device",
		},
		{
			"[{app: rollup, version: none, percent: 5}, {app: rollup, version: none}, {app: rollup, version: 1.0.0, selector: {devices: [gw7]}}]",
			"assignment 3 of rollup is never reached: assignment 2 is for every device",
		},
		{"[{app: rollup, version: 1.0.0, percent: 5}, {app: rollup, version: none}]", ""},
		{"[{app: rollup, version: 1.0.0, selector: {devices: [gw7]}}, {app: rollup, version: none}]", ""},
		{"[{app: rollup, version: 1.0.0, paused: true}, {app: rollup, version: 1.0.0}]", ""},
	} {
		res := b.publish("", b.write("fleet.yaml", "apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: plant}\nassignments: "+tt.assignments))
		if got := strings.Join(res.Warnings, "\n"); got != tt.want {
			t.Errorf("%s\nwarns %q, want %q", tt.assignments, got, tt.want)
		}
	}
}
