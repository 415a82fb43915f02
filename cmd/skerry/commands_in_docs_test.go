package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	fencedOrIndented = regexp.MustCompile("(?ms)^```[a-z]*\n.*?^```$|^    [^ \n].*$|`[^`\n]+`")
	commandLine      = regexp.MustCompile(`(?:^|[\s;|&($"'` + "`" + `/])skerry ([a-z][^\n|;&)` + "`" + `#]*)`)
)

// TestCommandsInTheDocsExist takes every command line of the documentation and of
// --help, and looks for its command and its flags.
func TestCommandsInTheDocsExist(t *testing.T) {
	root := filepath.Join("..", "..")
	lines := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" || filepath.Base(path) == "CHANGELOG.md" || strings.Contains(path, "docs/decisions") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, code := range fencedOrIndented.FindAllString(string(text), -1) {
			lines += checkLines(t, path, code)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	everyCommand(func(cmd *cobra.Command) { lines += checkLines(t, cmd.CommandPath()+" --help", cmd.Example) })
	if lines < 250 {
		t.Errorf("%d command lines were found, where are the others?", lines)
	}
}

// checkLines looks at the command lines in a text, and returns how many there are.
func checkLines(t *testing.T, where, text string) int {
	t.Helper()
	found := commandLine.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1)
	for _, m := range found {
		words := strings.Fields(m[1])
		if words[0] == "from" { // import of AssemblyScript
			continue
		}
		if why := noSuchLine(words); why != "" {
			t.Errorf("%s: skerry %s: %s", where, strings.TrimSpace(m[1]), why)
		}
	}
	return len(found)
}

// noSuchLine says what of a command line does not exist, "" if all does.
func noSuchLine(words []string) string {
	cmd := rootCommand()
	for len(words) > 0 {
		sub, _, err := cmd.Find(words[:1])
		if err != nil || sub == cmd {
			break
		}
		cmd, words = sub, words[1:]
	}
	if !cmd.HasParent() && !strings.HasPrefix(words[0], "-") {
		return "there is no such command"
	}
	if cmd.HasSubCommands() && len(words) > 0 && cmd.RunE == nil && cmd.Run == nil && !strings.HasPrefix(words[0], "-") && strings.ToLower(words[0]) == words[0] {
		return "it has no command " + words[0]
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range words {
		name, _, _ := strings.Cut(strings.Trim(word, "[]\"',.:"), "=")
		switch {
		case strings.HasPrefix(name, "--") && len(name) > 2:
			if cmd.Flag(name[2:]) == nil {
				return "there is no flag " + name
			}
		case regexp.MustCompile(`^-[a-zA-Z]$`).MatchString(name):
			if cmd.Flags().ShorthandLookup(name[1:]) == nil && cmd.InheritedFlags().ShorthandLookup(name[1:]) == nil {
				return "there is no flag " + name
			}
		}
	}
	return ""
}
