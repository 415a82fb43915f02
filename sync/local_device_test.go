package fleetsync_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// TestLocalDeploymentHasWhatAppsName binds an app to a device that has nothing.
func TestLocalDeploymentHasWhatAppsName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	app := write("app.yaml", `
apiVersion: skerry/v1
kind: App
metadata: {name: all, version: 1.0.0}
functions:
  f: {module: {path: f.js}, secrets: [token], permissions: {invoke: [central/a], publish: ["$broker/cloud/#"]}}
triggers:
  - {name: first, function: f, mqtt: {topic: x}}
  - {name: named, function: f, mqtt: {topic: x, broker: cellar}}
  - {name: line, source: {name: log}, then: [{invoke: central/b}]}
  - {name: order, http: {path: orders}, then: [{publish: y}]}
`)
	write("f.js", "export default () => 1")
	d, modules, err := fleetsync.LocalDeployment([]string{app}, fleetsync.Device{ID: "gw", Brokers: []string{"plant"}}, fleetsync.Checks{})
	if err != nil {
		t.Fatal(err)
	}
	var via []string
	for _, tr := range d.Triggers {
		via = append(via, tr.Via)
	}
	if got := strings.Join(via, " "); got != "plant cellar log http" || len(d.Functions) != 3 || len(modules) != 1 || modules[d.Functions[0].Digest] == nil {
		t.Errorf("triggers listen to %s; %d functions, %d modules", got, len(d.Functions), len(modules))
	}
	if _, _, err := fleetsync.LocalDeployment([]string{app, app}, fleetsync.Device{}, fleetsync.Checks{}); err == nil || !strings.Contains(err.Error(), "another app named all") {
		t.Errorf("the same app twice: %v", err)
	}
}
