package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// block is one fenced block of commands, and what the document says it prints.
type block struct {
	line     int
	commands string
	prints   string // "" if the document does not say
}

var fences = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// blocksOf reads the blocks of a document; a text block belongs to the sh block before it.
func blocksOf(t *testing.T, name string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []block
	for _, at := range fences.FindAllSubmatchIndex(text, -1) {
		kind, body := string(text[at[2]:at[3]]), string(text[at[4]:at[5]])
		switch {
		case kind == "sh":
			blocks = append(blocks, block{line: 1 + strings.Count(string(text[:at[0]]), "\n"), commands: body})
		case len(blocks) > 0 && blocks[len(blocks)-1].prints == "":
			blocks[len(blocks)-1].prints = body
		default:
			t.Errorf("%s: a text block belongs to the commands right before it:\n%s", name, body)
		}
	}
	return blocks
}

func TestQuickstart(t *testing.T) { read(t, "quickstart.md") }

func TestTutorial(t *testing.T) { read(t, "tutorial.md") }

// read does what the document says, in a shell with a home of its own.
func read(t *testing.T, name string) {
	sh := openShell(t)
	blocks := blocksOf(t, name)
	if len(blocks) < 8 {
		t.Fatalf("%s has %d blocks of commands, where are the others?", name, len(blocks))
	}
	began := time.Now()
	for _, b := range blocks {
		start := time.Now()
		try(t, sh, name, b)
		t.Logf("line %d: %.1f s", b.line, time.Since(start).Seconds())
	}
	t.Logf("%s: %d blocks in %.1f s", name, len(blocks), time.Since(began).Seconds())
}

// try runs a block; one that only looks, again until it shows what it should.
func try(t *testing.T, sh *shell, name string, b block) {
	t.Helper()
	once := func() error {
		out := sh.run(b.commands)
		why := differs(out, sh.ports.Replace(b.prints))
		if why == "" && !strings.Contains(b.prints, "skerry:") && complaint.MatchString(out) {
			why = "a command complains"
		}
		if why == "" {
			return nil
		}
		return fmt.Errorf("docs/%s:%d: %s\n$ %s\n%s", name, b.line, why, b.commands, out)
	}
	if onlyLooks(b.commands) {
		testbed.Eventually(t, 2*time.Minute, fmt.Sprintf("docs/%s:%d", name, b.line), once)
	} else if err := once(); err != nil {
		t.Fatal(err)
	}
}

var (
	looks     = regexp.MustCompile(`^(for n in .* do )?(skerry (status|deployments|logs|deadletter list|uplink|uplink why|fleet show|events play|page)\b|sleep 1; cat |cat )`)
	changes   = regexp.MustCompile(`skerry uplink (retry|drop)|<<|cat >`)
	complaint = regexp.MustCompile(`(?m)^skerry: |command not found|[Nn]o such file`)
)

// onlyLooks tells that each line of a block may be typed again.
func onlyLooks(commands string) bool {
	for line := range strings.Lines(commands) {
		if !looks.MatchString(line) || changes.MatchString(line) {
			return false
		}
	}
	return true
}

// differs says which line of want is not in got, "" if all are, in their order. A line
// may stand for a part of one, … for anything in it, and a line of … for any lines.
func differs(got, want string) string {
	rest := strings.Split(got, "\n")
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line == "…" || line == "" {
			continue
		}
		parts := strings.Split(line, "…")
		for i := range parts {
			parts[i] = strings.Join(fieldPatterns(parts[i]), `\s+`)
		}
		pattern := regexp.MustCompile(strings.Join(parts, ".*"))
		for len(rest) > 0 && !pattern.MatchString(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return "it does not print: " + line
		}
		rest = rest[1:]
	}
	return ""
}

// fieldPatterns quotes the words of a text: how wide the columns of a table are does not count.
func fieldPatterns(text string) []string {
	words := strings.Fields(text)
	for i := range words {
		words[i] = regexp.QuoteMeta(words[i])
	}
	return words
}

func TestDiffers(t *testing.T) {
	for _, tt := range []struct{ got, want, why string }{
		{"a 1\nb  2\nc", "a …\nc", ""},
		{"a\nb", "b\na", "it does not print: a"},
		{"id 17 x", "id … x", ""},
		{"id   17", "id 17", ""},
		{"", "…", ""},
	} {
		if why := differs(tt.got, tt.want); why != tt.why {
			t.Errorf("differs(%q, %q) = %q, want %q", tt.got, tt.want, why, tt.why)
		}
	}
}

// buildOnce builds the program that the documents are about.
func buildOnce(t *testing.T, dir string) {
	t.Helper()
	if err := testbed.BuildSkerry(filepath.Join(dir, "skerry")); err != nil {
		t.Fatal(err)
	}
}
