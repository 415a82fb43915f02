package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/skerry-edge/skerry/agent"
)

// everyCommand calls check with each command that people see.
func everyCommand(check func(cmd *cobra.Command)) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		check(cmd)
		for _, sub := range shownCommands(cmd) {
			walk(sub)
		}
	}
	walk(rootCommand())
}

// TestEveryCommandHelps looks at what --help says: a summary, an example that could be
// typed, flags with a word each, lines that fit a terminal.
func TestEveryCommandHelps(t *testing.T) {
	everyCommand(func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || cmd.Short[0] < 'A' || cmd.Short[0] > 'Z' {
			t.Errorf("%s: Short is a sentence without its full stop, not %q", path, cmd.Short)
		}
		if cmd.HasParent() && !cmd.HasSubCommands() && cmd.Name() != "version" && !strings.Contains(cmd.Example, "skerry "+strings.TrimPrefix(path, "skerry ")) {
			t.Errorf("%s: no Example has it: %q", path, cmd.Example)
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: an example begins with two blanks: %q", path, line)
			}
		}
		for line := range strings.Lines(cmd.Long) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 90 {
				t.Errorf("%s: a line of Long has %d characters: %s", path, n, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || strings.ToUpper(f.Usage[:1]) == f.Usage[:1] && strings.ToUpper(f.Usage[:2]) != f.Usage[:2] && f.Usage[0] >= 'A' {
				t.Errorf("%s --%s: its text begins small and has no full stop: %q", path, f.Name, f.Usage)
			}
		})
	})
}

func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	if err := writeManual(rootCommand(), dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 40 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	out, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput()
	if err != nil {
		t.Errorf("mandoc -T lint: %v; install it with: bash .ci/deps.sh\n%s", err, out)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	for page, wants := range map[string][]string{
		"skerry.1":            {".SH FILES", ".SH ENVIRONMENT", ".SH EXIT STATUS", ".BR skerry\\-top (1)"},
		"skerry-uplink-why.1": {".SH SYNOPSIS", "skerry uplink why alerts 1042", ".B \\-\\-socket string", ".BR skerry\\-uplink (1),"},
	} {
		for _, want := range wants {
			if !strings.Contains(read(page), want) {
				t.Errorf("%s has no %q", page, want)
			}
		}
	}
	again := t.TempDir()
	if err := writeManual(rootCommand(), again); err != nil {
		t.Fatal(err)
	}
	one, err := os.ReadFile(filepath.Join(again, "skerry.1"))
	if err != nil || string(one) != read("skerry.1") {
		t.Errorf("it is another page each time: %v", err)
	}
}

func TestShellsCompleteWhatTheAgentKnows(t *testing.T) {
	var status atomic.Pointer[agent.Status]
	status.Store(&agent.Status{
		Apps: []string{"boiler@1.2.0"}, Functions: []agent.FunctionStatus{{Name: "boiler/alarm"}, {Name: "boiler/mean"}},
		Targets: []agent.TargetStatus{{Name: "cloud", Kind: "http", Waiting: 3}, {Name: "plant", Kind: brokerKind}},
	})
	socket := statusOnly(t, &status)
	for _, tt := range []struct {
		words string
		want  string
	}{
		{"logs --socket S ", "boiler/alarm\nboiler/mean\nboiler\t1.2.0\n:4\n"},
		{"logs --socket S boiler/m", "boiler/mean\n:4\n"},
		{"logs --socket S boiler/mean ", ":4\n"},
		{"logs --level ", "debug\ninfo\nwarn\nerror\n:4\n"},
		{"status -o ", "text\njson\n:4\n"},
		{"uplink why --socket S ", "cloud\thttp, 3 wait\n:4\n"},
		{"uplink why --socket /none ", ":4\n"},
		{"sync --socket S --retry ", "boiler\t1.2.0\n:4\n"},
		{"deadletter list --socket S --function boiler/a", "boiler/alarm\n:4\n"},
		{"completion ", "bash\nzsh\nfish\n:4\n"},
		{"run ", ":4\n"},
	} {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		root.SetArgs(append([]string{"__complete"}, strings.Split(strings.ReplaceAll(tt.words, " S ", " "+socket+" "), " ")...))
		if err := root.Execute(); err != nil || out.String() != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.words, out.String(), err, tt.want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out bytes.Buffer
		root := rootCommand()
		root.SetOut(&out)
		root.SetArgs([]string{"completion", shell})
		if err := root.Execute(); err != nil || !strings.Contains(out.String(), "__complete") {
			t.Errorf("%s: %v, %d bytes", shell, err, out.Len())
		}
	}
}

func TestNamesThatNobodyHas(t *testing.T) {
	var status atomic.Pointer[agent.Status]
	status.Store(&agent.Status{
		Functions: []agent.FunctionStatus{{Name: "boiler/alarm"}},
		Sync:      agent.SyncStatus{Apps: []agent.AppStatus{{Name: "held", State: "held"}}},
	})
	socket := statusOnly(t, &status)
	for _, name := range []string{"", "boiler", "boiler/alarm", "held"} {
		if err := knownName(t.Context(), socket, name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := knownName(t.Context(), socket, "boil"); err == nil || err.Error() != `no function or app is called "boil"; there are boiler/alarm` {
		t.Errorf("%v", err)
	}
}

// TestHelpListsEveryCommandOnce keeps a new command from standing below all groups.
func TestHelpListsEveryCommandOnce(t *testing.T) {
	root := rootCommand()
	for _, cmd := range shownCommands(root) {
		if cmd.GroupID == "" {
			t.Errorf("%s is for nobody: name it in commandGroups", cmd.Name())
		}
	}
	for _, g := range commandGroups {
		for name := range strings.FieldsSeq(g.commands) {
			if cmd, _, err := root.Find([]string{name}); name != "help" && (err != nil || cmd.GroupID != g.id) {
				t.Errorf("%s is no command of %s: %v", name, g.id, err)
			}
		}
	}
}
