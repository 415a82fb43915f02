package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/skerry-edge/skerry/agent"
)

// printReports writes what was tried: one report, or a list of them.
func printReports(w io.Writer, reports []*invokeReport, output string, list bool) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if list {
			return enc.Encode(reports)
		}
		return enc.Encode(reports[0])
	}
	for i, r := range reports {
		if list {
			if _, err := fmt.Fprintf(w, "%sevent %-3d %s\n", strings.Repeat("\n", min(i, 1)), i+1, shown(r.Topic)); err != nil {
				return err
			}
		}
		if err := r.print(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *invokeReport) print(w io.Writer) error {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	u := r.Usage
	loaded := ""
	if u.Load > 0 {
		loaded = "; " + round(u.Load).String() + " to load"
	}
	p("%s in %s%s", r.Outcome, round(u.Run), loaded)
	p("used      %d fuel, %s memory, %s", u.Fuel, agent.BytesText(u.Memory), agent.CountText(u.Calls, "host call"))
	if u.Start > 0 {
		p("start     %d fuel more in each run, and its time in each but the first: a fresh\n          instance cannot be restored, and is started for each run", u.Start)
	}
	if r.Runs > 1 {
		p("runs      %d, median %s, slowest %s", r.Runs, round(r.Median), round(r.Slowest))
	}
	if r.Result != nil {
		p("result    %s", r.Result.show())
	}
	for _, m := range r.Publishes {
		retain := ""
		if m.Retain {
			retain = ", retained"
		}
		p("publish   %s (QoS %d%s)\n          %s", shown(m.Topic), m.QoS, retain, m.show())
	}
	for _, f := range append(r.Followups, r.Emits...) {
		kind := ""
		if f.ContentType != "" {
			kind = " (" + shown(f.ContentType) + ")"
		}
		what := "follow-up"
		if strings.HasPrefix(f.To, "local/") {
			what = "emit"
		}
		p("%-9s %s%s\n          %s", what, shown(f.To), kind, f.show())
	}
	r.printWrites(p)
	for _, l := range r.Start {
		p("start     %-5s %s", l.Level, shown(l.Text))
	}
	for _, l := range r.Log {
		p("log       %-5s %s", l.Level, shown(l.Text))
	}
	if r.Dropped > 0 {
		p("log       %s dropped", agent.CountText(r.Dropped, "more line"))
	}
	r.printDenied(p)
	for _, note := range r.Notes {
		p("note      %s", wrapped(note, 10))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *invokeReport) printWrites(p func(string, ...any)) {
	for _, w := range r.Writes {
		switch {
		case w.Deleted:
			p("state     %s deleted", shown(w.Key))
		case w.TTL > 0:
			p("state     %s = %s (for %s)", shown(w.Key), w.show(), time.Duration(w.TTL)*time.Second)
		default:
			p("state     %s = %s", shown(w.Key), w.show())
		}
	}
}

// printDenied says what to grant.
func (r *invokeReport) printDenied(p func(string, ...any)) {
	if r.Usage.Denied == 0 {
		return
	}
	p("denied    %s", agent.CountText(r.Usage.Denied, "call"))
	for _, what := range r.Usage.Refused {
		p("          %s", shown(what))
	}
	if r.File != "" { // on an agent it has what it was granted
		p("          grant here what is meant with --grant or --secret")
	}
}

const showBytes = 1000

// bytes are the data, also of a report that was read from JSON.
func (p *payload) bytes() []byte {
	switch {
	case p.raw != nil:
		return p.raw
	case p.Data != nil:
		return p.Data
	case p.Base64 != nil:
		return p.Base64
	}
	return []byte(p.Text)
}

// show is data for people.
func (p *payload) show() string {
	data := p.bytes()
	more := ""
	if len(data) > showBytes {
		data, more = data[:showBytes], fmt.Sprintf(" … (%d bytes in all, -o json has them)", len(data))
	}
	switch {
	case len(data) == 0:
		return "(empty)"
	case p.Base64 != nil:
		return fmt.Sprintf("% x", data) + more
	}
	return shown(strings.ToValidUTF8(string(data), "")) + more
}

// shown is text of a function as it may come to a terminal: in quotes if it
// holds anything that does not print.
func shown(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
