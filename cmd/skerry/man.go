package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page for each command into a folder: skerry.1, skerry-run.1 and so
on. They are made of what --help says, and are the same each time.`,
		Example: "  skerry man --dir /usr/local/share/man/man1\n  man skerry-uplink-why",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("where to? Name a folder: %s --dir DIR", cmd.CommandPath())}
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return writeManual(cmd.Root(), dir)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write to")
	return cmd
}

// writeManual writes the page of a command, and of those below it.
func writeManual(cmd *cobra.Command, dir string) error {
	if cmd.Hidden {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	if err := os.WriteFile(filepath.Join(dir, manName(cmd)+".1"), manPage(cmd), 0o644); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := writeManual(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes a page in the macros of man(7).
func manPage(cmd *cobra.Command) []byte {
	p := &roff{}
	name := manName(cmd)
	p.line(".TH %s 1 %s \"skerry %s\" \"Skerry\"", strings.ToUpper(manText(name)), manDate(), manText(version))
	p.line(".SH NAME\n%s \\-", manText(name))
	p.prose(lowerFirst(cmd.Short))
	p.line(".SH SYNOPSIS\n.nf\n%s\n.fi", manText(cmd.UseLine()))
	p.line(".SH DESCRIPTION")
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	p.paragraphs(about)
	if subs := shownCommands(cmd); len(subs) > 0 {
		p.line(".SH COMMANDS")
		for _, sub := range subs {
			p.line(".TP\n.BR %s (1)", manText(manName(sub)))
			p.prose(sub.Short)
		}
	}
	if cmd.HasAvailableLocalFlags() {
		p.line(".SH OPTIONS")
		cmd.LocalFlags().VisitAll(p.flag)
	}
	if cmd.Example != "" {
		p.line(".SH EXAMPLES\n.nf")
		for line := range strings.Lines(cmd.Example) {
			p.text(strings.TrimPrefix(strings.TrimRight(line, "\n"), "  "))
		}
		p.line(".fi")
	}
	if !cmd.HasParent() {
		p.line("%s", manRest)
	}
	p.seeAlso(cmd)
	return []byte(p.String())
}

// manDate is that of the sources, so that the pages of a release are the same each time.
func manDate() string {
	day := built()
	if day.Before(plausible) { // it is not known
		day = plausible
	}
	return day.UTC().Format(time.DateOnly)
}

// manRest is what stands on the page of skerry alone.
const manRest = `.SH EXIT STATUS
.TP
0
It is done.
.TP
1
It was tried and did not work.
.TP
2
The command line, the configuration, a manifest or a module is wrong, or
there are no keys, or nobody to ask; nothing was changed.
.TP
3
Of invoke: the function rejected the event, asked for a retry or failed.
.TP
4
Of invoke: the sandbox stopped the function.
.TP
5
Of events and logs: more came than was taken, and some is missing.
.SH ENVIRONMENT
.TP
SKERRY_...
Replaces a key of the configuration: registry.poll is SKERRY_REGISTRY_POLL.
.TP
SKERRY_KEYS, SKERRY_REGISTRY_REF
The folder of a fleet's keys, and where to publish.
.TP
SKERRY_PASSPHRASE_FILE, SKERRY_PASSPHRASE
A file with the passphrase of the keys, or itself.
.TP
CREDENTIALS_DIRECTORY
Where systemd puts the credentials of the service.
.TP
HTTPS_PROXY, HTTP_PROXY, NO_PROXY
The proxy that targets and the registry are reached through.
.TP
NO_COLOR
Set to anything: no colours.
.SH FILES
.TP
.I /etc/skerry/skerry.yaml
The configuration of the agent.
.TP
.I /var/lib/skerry
Its data: what must outlive a power cut, compiled functions, its identity.
.TP
.I /var/lib/skerry/skerry.sock
The socket through which commands ask it; for its user and group.
.TP
.I \(ti/.config/skerry/fleets
Keys of fleets, on the machine that publishes.
.TP
.I \(ti/.cache/skerry
Compiled code of inspect, invoke, publish and doctor; it may be removed.`

func shownCommands(cmd *cobra.Command) (subs []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			subs = append(subs, sub)
		}
	}
	return subs
}

// roff is a page that is being written.
type roff struct{ strings.Builder }

func (p *roff) line(format string, a ...any) { fmt.Fprintf(p, format+"\n", a...) }

// text writes a line that is no macro.
func (p *roff) text(line string) { p.line("%s", manText(line)) }

// prose writes text in lines that are not long.
func (p *roff) prose(text string) {
	for _, line := range folded(text, 70) {
		p.text(line)
	}
}

// paragraphs writes prose, and lines that are set in as they stand.
func (p *roff) paragraphs(text string) {
	for i, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		setIn := strings.HasPrefix(block, " ") || strings.Contains(block, "\n  ")
		switch {
		case setIn:
			p.line(".PP\n.nf")
		case i > 0:
			p.line(".PP")
		}
		if !setIn {
			p.prose(block)
			continue
		}
		for line := range strings.Lines(block) {
			p.text(strings.TrimRight(line, "\n"))
		}
		p.line(".fi")
	}
}

func (p *roff) flag(f *pflag.Flag) {
	if f.Hidden {
		return
	}
	word, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	p.line(".TP\n.B %s", manText(strings.TrimSpace(name+" "+word)))
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "[]" {
		usage += " (default " + f.DefValue + ")"
	}
	p.prose(usage)
}

func (p *roff) seeAlso(cmd *cobra.Command) {
	var names []string
	if cmd.HasParent() {
		names = append(names, manName(cmd.Parent()))
		for _, beside := range shownCommands(cmd.Parent()) {
			if beside != cmd {
				names = append(names, manName(beside))
			}
		}
	} else {
		names = append(names, "skerry-run", "skerry-status", "skerry-doctor")
	}
	p.line(".SH SEE ALSO")
	for i, name := range names {
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		p.line(".BR %s (1)%s", manText(name), comma)
	}
}

// manText keeps words from being taken for macros and escapes. Hyphens that people copy
// stay as they are.
func manText(text string) string {
	text = strings.NewReplacer(
		`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`,
		"…", "...", "←", `\(<-`, "→", `\(->`, "▶", ">", "·", `\(pc`, "µ", `\(mc`,
	).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

func lowerFirst(text string) string {
	return strings.ToLower(text[:1]) + text[1:]
}
