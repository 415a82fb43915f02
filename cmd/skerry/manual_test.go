package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/examples"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestManifestReferenceIsTrue publishes the documents of docs/manifest.md.
func TestManifestReferenceIsTrue(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "manifest.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	module, err := examples.Files.ReadFile("overheat/overheat.wasm")
	if err != nil {
		t.Fatal(err)
	}
	write("overheat.wasm", string(module))
	fleet := fleetsync.Access{Ref: "oci-layout:" + filepath.Join(dir, "fleet"), Keys: filepath.Join(dir, "keys")}
	if _, err := fleetsync.InitFleet(context.Background(), fleetsync.InitOptions{Access: fleet}); err != nil {
		t.Fatal(err)
	}
	publish := func(opts fleetsync.PublishOptions) {
		t.Helper()
		opts.Access, opts.Checks = fleet, publishChecks()
		if _, err := fleetsync.Publish(context.Background(), opts); err != nil {
			t.Error(err)
		}
	}
	apps, fleets := 0, 0
	for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		switch doc := block[1]; {
		case strings.Contains(doc, "kind: App"):
			apps++
			publish(fleetsync.PublishOptions{AppFile: write("app.yaml", doc)})
			next := strings.Replace(doc, "version: 1.4.0 ", "version: 1.5.0-rc.1 ", 1) // which the fleet names too
			publish(fleetsync.PublishOptions{AppFile: write("next.yaml", next)})
		case strings.Contains(doc, "kind: Fleet"):
			fleets++
			publish(fleetsync.PublishOptions{FleetFile: write("fleet.yaml", doc)})
		}
	}
	if apps != 1 || fleets != 1 {
		t.Errorf("%d apps and %d fleets in the reference, want one of each", apps, fleets)
	}
}
