package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func statusCommand() *cobra.Command {
	var path, socket, output string
	cmd := &cobra.Command{
		Use:     "status [-c skerry.yaml]",
		Short:   "Show what the running agent does",
		Example: "  skerry status -c /etc/skerry/skerry.yaml\n  skerry status --socket /var/lib/skerry/skerry.sock -o json",
		Args:    args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			socket, err := agentSocket(socket, path)
			if err != nil {
				return err
			}
			s, err := admin.Status(cmd.Context(), socket)
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), s, output)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent")
	cmd.Flags().StringVar(&socket, "socket", "", "the agent's unix socket, instead of a configuration file")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printStatus(w io.Writer, s agent.Status, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	apps := "no app"
	if len(s.Apps) > 0 {
		apps = strings.Join(s.Apps, ", ")
	}
	p("%s  skerry %s, up %s, generation %d: %s", s.Device, s.Version, since(s.Started), s.Generation, apps)
	p("events\t%d in (%s), %d filtered, %d duplicate, %d dropped", s.Events.Events, agent.BytesText(s.Events.Bytes),
		s.Events.Filtered, s.Events.Duplicates, s.Events.Dropped)
	p("runs\t%d, %d failed, %d dead-lettered; p50 %s, p99 %s to the durable outcome", s.Events.Invocations,
		s.Events.Failures, s.Events.Dead, micros(s.Events.P50us), micros(s.Events.P99us))
	p("memory\t%s", agent.BytesText(s.RSSBytes))
	p("disk\tjournal %s of %s, %d records wait, %s, %s%s", agent.BytesText(s.Store.JournalBytes),
		agent.BytesText(s.Store.QuotaBytes), s.Store.Records, agent.CountText(s.Store.Dead, "dead letter"), agent.CountText(s.Store.Gaps, "gap"), note(s.Store.Error))
	if s.Page != "" {
		p("page\t%s (for a link that lets you in: skerry page)", s.Page)
	}
	printSync(p, s.Sync)
	printFunctions(p, s.Functions)
	p("\nSOURCE\tKIND\tSTATE\tUNACKED\tFILTERS")
	for _, src := range s.Sources {
		p("%s\t%s\t%s\t%d\t%s%s", src.Name, src.Kind, up(src.Connected), src.Inflight, filtersText(src.Filters), note(src.Note))
	}
	printTargets(p, s.Targets)
	printLinks(p, s.Links)
	return t.Flush()
}

func printSync(p func(string, ...any), s agent.SyncStatus) {
	s.Error = fleetsync.ReportOf("", s).Error // without what the apps say themselves
	switch {
	case s.Registry == "":
		p("registry\tnone configured")
	case s.Checked.IsZero() && s.Fleet == "":
		p("registry\t%s, no answer since the start%s", s.Registry, note(s.Error))
	case s.Checked.IsZero():
		p("registry\t%s, no answer since the start: %s at revision %d runs%s", s.Registry, s.Fleet, s.Revision, note(s.Error))
	case s.Fleet == "":
		p("registry\t%s, %s, answered %s ago%s", s.Registry, signedText(s), since(s.Checked), note(s.Error))
	default:
		p("registry\t%s, %s at revision %d, %s, answered %s ago%s", s.Registry, s.Fleet, s.Revision, signedText(s), since(s.Checked), note(s.Error))
	}
	for _, text := range s.Notes {
		p("\t%s", text)
	}
	printApps(p, s.Apps)
}

// printApps shows the apps of which there is something to say.
func printApps(p func(string, ...any), apps []agent.AppStatus) {
	for i := range apps {
		a := &apps[i]
		text := a.State
		if a.TakenBack { // by a person: it did not fail
			text = "rolled back"
		}
		switch {
		case a.State == "good" && a.Wanted == "":
			continue
		case a.State == "probation":
			text = "on probation for another " + max(0, time.Until(a.Until)).Round(time.Second).String()
			if a.Previous != "" {
				text += ", after " + a.Previous
			}
			text += progressText(a.Progress)
		case a.Wanted != "":
			text += ", " + a.Wanted + " is wanted"
		}
		if a.State == "held" && !a.Until.IsZero() {
			text += ", tried again " + retryText(a.Until)
		}
		p("app\t%s %s: %s, since %s ago%s", a.Name, cmp.Or(a.Version, "does not run"), text, since(a.Since), note(a.Reason))
	}
}

// progressText says what a probation has seen; nil says nothing.
func progressText(p *agent.Progress) string {
	if p == nil {
		return ""
	}
	runs := fmt.Sprintf("%d of at least %d runs", p.Runs, p.MinRuns)
	if p.Runs >= p.MinRuns {
		runs = fmt.Sprintf("%d runs of the function that ran least", p.Runs)
	}
	return fmt.Sprintf(": %s, %g %% failed where %g %% may", runs, p.Errors, p.Limit)
}

// signedText tells whether what the registry offers is signed, and for how long.
func signedText(s agent.SyncStatus) string {
	if !s.Verified {
		return "NOT VERIFIED"
	}
	return fmt.Sprintf("signed until %s (root %d)", s.Expires.UTC().Format(time.DateOnly), s.Root)
}

func printFunctions(p func(string, ...any), functions []agent.FunctionStatus) {
	p("\nFUNCTION\tDIGEST\tRUNS\tFAILED\tDEAD\tDENIED\tWAITING\tWARM\tFUEL/RUN\tP50\tP99")
	for _, f := range functions {
		warm := "-" // rules have no instances
		if f.Digest != "" {
			warm = fmt.Sprintf("%d of %d", f.Warm, f.Workers)
		}
		p("%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%s\t%s%s", f.Name, cmp.Or(f.Digest.Short(), "rule"), f.Invocations, f.Failures, f.Dead,
			f.Denied, f.Queued+f.Inbox, warm, f.Fuel/max(f.Invocations, 1), micros(f.P50us), micros(f.P99us), note(oneLine(f.LastError)))
	}
	for i := range functions {
		f := &functions[i]
		if b := f.Breaker; b != nil {
			waits := ""
			if f.Queued+f.Inbox > 0 {
				waits = ", its events wait"
			}
			p("%s is stopped%s: %s in a row, the last: %s; %s", f.Name, waits, agent.CountText(b.Failures, "failure"), shown(spaced(b.Cause)), triesText(f))
		}
		if f.Stateless != "" {
			p("%s does not run yet, its events wait: %s", f.Name, shown(f.Stateless))
		}
		for _, text := range f.Refused {
			p("%s was denied: %s", f.Name, shown(text))
		}
	}
}

func printTargets(p func(string, ...any), targets []agent.TargetStatus) {
	p("\nTARGET\tKIND\tSTATE\tWAITING\tDELIVERED\tFAILED THERE\tRETRIES\tDEAD\tGIVEN UP\tSENT UP")
	for i := range targets {
		o := &targets[i]
		p("%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s", o.Name, o.Kind, targetState(o), o.Waiting, o.Delivered, o.FnErrors, o.Retries, o.Dead,
			dropsText(o.Drops), agent.BytesText(o.BytesUp))
	}
	for i := range targets {
		for _, text := range troubles(&targets[i]) {
			p("%s: %s", targets[i].Name, shown(text))
		}
	}
}

// triesText says what a function that is stopped tries next.
func triesText(f *agent.FunctionStatus) string {
	if f.Queued+f.Inbox == 0 && time.Until(f.Breaker.RetryAt) <= 0 {
		return "the next event tries"
	}
	return "one event tries " + retryText(f.Breaker.RetryAt)
}

// retryText says when something that is stopped may try again.
func retryText(at time.Time) string {
	if left := time.Until(at).Round(time.Second); left > 0 {
		return "in " + left.String()
	}
	return "now"
}

func note(text string) string {
	if text == "" {
		return ""
	}
	return "  (" + shown(spaced(strings.ReplaceAll(text, "\n", "; "))) + ")"
}

// spaced is text in one line, with single spaces.
func spaced(text string) string { return strings.Join(strings.Fields(text), " ") }

// filtersText names the first of them, and how many more there are: a device of many
// functions has hundreds.
func filtersText(filters []string) string {
	text := ""
	for i, f := range filters {
		if i > 0 && len(text)+len(f) > 100 {
			return fmt.Sprintf("%s and %d more", text, len(filters)-i)
		}
		text = strings.TrimSpace(text + " " + f)
	}
	return text
}

func up(connected bool) string {
	if connected {
		return "up"
	}
	return "down"
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Second) }

func micros(us int64) string { return round(time.Duration(us) * time.Microsecond).String() }
