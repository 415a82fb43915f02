package fleetsync_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestSnippetsOfTheManifestReferenceAreTrue takes each as a part of a trigger, or
// as triggers. (The whole documents are published by a test in cmd/skerry.)
func TestSnippetsOfTheManifestReferenceAreTrue(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "docs", "manifest.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(manual), "\n### triggers\n")
	text, _, _ = strings.Cut(text, "\n## Conditions\n")
	blocks := yamlBlock.FindAllStringSubmatch(text, -1)
	if len(blocks) < 10 {
		t.Errorf("%d snippets, where are the others?", len(blocks))
	}
	for _, block := range blocks {
		triggers := block[1]
		if !strings.Contains(triggers, "\n- name:") {
			triggers = asTrigger(triggers)
		}
		doc := "apiVersion: skerry/v1\nkind: App\nmetadata: {name: a, version: 1.0.0}\n" +
			"functions: {f: {module: {path: f.wasm}}}\ntriggers:\n" + triggers
		if _, err := parseApp(t, "manifest.md", []byte(doc), realChecks); err != nil {
			t.Errorf("%v\n%s", err, doc)
		}
	}
}

var (
	listens  = regexp.MustCompile(`(?m)^(mqtt|schedule|http|source|inside):`)
	function = regexp.MustCompile(`(?m)^permissions:.*\n`)
)

// asTrigger adds to a part of a trigger what makes one of it.
func asTrigger(part string) string {
	part = function.ReplaceAllString(part, "") // stands beside it
	if !listens.MatchString(part) {
		part = "mqtt: {topic: \"a/{line}/{id}\"}\n" + part
	}
	return "  - function: f\n    " + strings.ReplaceAll(part, "\n", "\n    ")
}
