package tidy_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// folders are the rooms of the house; nothing is added without a decision note.
var folders = []string{"agent", "cmd", "docs", "examples", "firmware-notes", "internal", "sensors", "sync", "uplink", "wasm"}

func TestTopFoldersHaveAReadme(t *testing.T) {
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || e.Name() == "bin" {
			continue
		}
		if !slices.Contains(folders, e.Name()) {
			t.Errorf("%s/: a new top folder needs a decision note in docs/decisions and a line in internal/tidy/docs_test.go", e.Name())
		}
		if _, err := os.Stat(filepath.Join(root, e.Name(), "README.md")); err != nil {
			t.Errorf("%s/README.md:1: is missing: say on one screen what the folder is for, what goes in and out, what it promises and what it does not do", e.Name())
		}
	}
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("^\\s*(```|~~~)")
	code  = regexp.MustCompile("`[^`]*`")
)

// TestLinksResolve follows the relative links of every Markdown file, to files
// and to headings.
func TestLinksResolve(t *testing.T) {
	walk(t, func(name string) {
		if path.Ext(name) != ".md" {
			return
		}
		for i, line := range prose(t, name) {
			for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(line, ""), -1) {
				if why := broken(t, name, m[1]); why != "" {
					t.Errorf("%s:%d: link %s %s: mend the link or what it names", name, i+1, m[1], why)
				}
			}
		}
	})
}

// prose returns the lines of a Markdown file, those of code blocks emptied.
func prose(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	lines, inside := strings.Split(string(text), "\n"), false
	for i, l := range lines {
		if fence.MatchString(l) {
			inside = !inside
			lines[i] = ""
		} else if inside {
			lines[i] = ""
		}
	}
	return lines
}

// broken says why a link of a file leads nowhere, "" if it does not.
func broken(t *testing.T, from, to string) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		return "is no link"
	}
	if u.Scheme != "" || u.Host != "" {
		return "" // the outside world is not tested
	}
	target := from
	if u.Path != "" {
		target = path.Join(path.Dir(from), u.Path)
	}
	if strings.HasPrefix(target, "../") {
		return "leads out of the repository"
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "names no file"
	}
	if u.Fragment != "" && path.Ext(target) == ".md" && !slices.Contains(headings(t, target), u.Fragment) {
		return "names no heading of " + target
	}
	return ""
}

// headings returns the anchors of a Markdown file, as code hosts make them.
func headings(t *testing.T, name string) []string {
	t.Helper()
	var anchors []string
	for _, line := range prose(t, name) {
		text := strings.TrimLeft(line, "#")
		if text == line || !strings.HasPrefix(text, " ") {
			continue
		}
		anchors = append(anchors, anchor(text))
	}
	return anchors
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

func anchor(heading string) string {
	text := notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
	return strings.ReplaceAll(text, " ", "-")
}
