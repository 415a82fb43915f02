package manual

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var symptom = regexp.MustCompile("(?m)^\\| `([^`]+)`")

// TestSymptomsAreSentencesOfTheProgram looks for the sentences of docs/troubleshooting.md
// where the program has them.
func TestSymptomsAreSentencesOfTheProgram(t *testing.T) {
	root := filepath.Join("..", "..")
	var source strings.Builder
	for _, dir := range []string{"agent", "cmd", "internal", "sensors", "sync", "uplink", "wasm"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			source.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "troubleshooting.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := symptom.FindAllStringSubmatch(string(text), -1)
	if len(found) < 12 {
		t.Errorf("%d sentences, where are the others?", len(found))
	}
	for _, m := range found {
		for part := range strings.SplitSeq(m[1], "…") {
			if part = strings.TrimSpace(part); !strings.Contains(source.String(), part) {
				t.Errorf("docs/troubleshooting.md: the program never says %q", part)
			}
		}
	}
}
