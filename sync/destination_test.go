package fleetsync_test

import (
	"strings"
	"testing"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// TestBrokersToPublishTo: a device that does not have one of them holds the
// app back.
func TestBrokersToPublishTo(t *testing.T) {
	fleet, err := fleetsync.ParseFleet("f", []byte("apiVersion: skerry/v1\nkind: Fleet\nmetadata: {name: f}\nassignments: [{app: a, version: 1.0.0}]"))
	if err != nil {
		t.Fatal(err)
	}
	text := `apiVersion: skerry/v1
kind: App
metadata: {name: a, version: 1.0.0}
functions:
  f:
    module: {digest: 'DIGEST', size: 8}
    permissions: {publish: ["x", "$broker/cloud/x/#"]}
triggers:
  - function: f
    schedule: {every: 1m}
    then: [{publish: $broker/panel/x}]
    retry: {deadLetter: $broker/cloud/dead}
`
	app, err := fleetsync.ParseApp("a", []byte(strings.Replace(text, "DIGEST", string(digestOf(nil)), 1)), fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ brokers, want string }{
		{"plant cloud panel", ""},
		{"plant panel", `function a/f publishes to the broker "cloud", which this device does not have`},
		{"plant cloud", `trigger a/f publishes to the broker "panel", which this device does not have`},
	} {
		_, _, err := fleetsync.Resolve(fleet, []*fleetsync.App{app}, fleetsync.Device{ID: "gw7", Brokers: strings.Fields(tt.brokers)})
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("with %s: %v, want %q", tt.brokers, err, tt.want)
		}
	}
}
