package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// printUplink shows targets, links, and what they take.
func printUplink(w io.Writer, s agent.UplinkStatus, output string) error {
	if output == "json" {
		return printJSON(w, s)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	if len(s.Targets) == 0 {
		p("nothing waits for any target, and none is configured")
	} else {
		p("TARGET\tSTATE\tWAITING\tBY PRIORITY\tON DISK\tOLDEST\tNEXT TRY\tDELIVERED\tRETRIES\tDEAD\tGIVEN UP\tLINK")
	}
	for i := range s.Targets {
		o := &s.Targets[i]
		p("%s\t%s\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s", o.Name, targetState(o), o.Waiting, prioritiesText(o.ByPriority), agent.BytesText(o.WaitingBytes),
			ageText(o.Oldest), nextTry(o), o.Delivered, o.Retries, o.Dead, dropsText(o.Drops), cmp.Or(o.Link, "-"))
	}
	printLinks(p, s.Links)
	p("")
	if s.Disk.Limit > 0 {
		p("disk\t%s of %s taken by what waits; when it is full: %s", agent.BytesText(s.Disk.Used), agent.BytesText(s.Disk.Limit), fullText(s.Disk.Full))
	}
	if s.Flash.Written >= 0 {
		p("flash\t%s", flashText(s.Flash))
	}
	for i := range s.Targets {
		for _, text := range troubles(&s.Targets[i]) {
			p("%s: %s", s.Targets[i].Name, shown(text))
		}
	}
	return t.Flush()
}

func printLinks(p func(string, ...any), links []agent.LinkStatus) {
	if len(links) == 0 {
		return
	}
	p("\nLINK\tTODAY\tTHIS MONTH\tRATE\tKEPT FOR 8 AND 9\tLIMITS COUNT")
	for i := range links {
		l := &links[i]
		p("%s\t%s\t%s\t%s\t%s\t%s%s", l.Name, accountText(l.Day), accountText(l.Month), rateText(l.Rate), keptText(l.Reserve), countsText(l), note(l.Note))
	}
}

// troubles tell what keeps a target from working, or soon may.
func troubles(o *agent.TargetStatus) (text []string) {
	switch b := o.Breaker; {
	case b == nil && o.LastError+o.OverBudget != "":
		text = append(text, cmp.Or(o.LastError, o.OverBudget))
	case b == nil:
	case b.State == "half-open":
		text = append(text, fmt.Sprintf("failed %s in a row, one record tries now; the last: %s", agent.CountText(b.Failures, "time"), b.Cause))
	case b.Failures == 0:
		text = append(text, fmt.Sprintf("asked for a pause, which ends %s: %s", retryText(b.RetryAt), b.Cause))
	default:
		text = append(text, fmt.Sprintf("failed %s in a row and is tried again %s; the last: %s", agent.CountText(b.Failures, "time"), retryText(b.RetryAt), b.Cause))
	}
	return append(text, o.Notes...)
}

// targetState says in a few words what a target's outbox does.
func targetState(o *agent.TargetStatus) string {
	switch {
	case o.Kind == "":
		return "no agent runs"
	case o.Kind == noKind:
		return "not configured any more"
	case o.Paused:
		return "paused"
	case o.Breaker != nil && o.Breaker.State == "half-open":
		return "away, one record tries"
	case o.Breaker != nil:
		return "away"
	case o.Waiting == 0:
		return "nothing waits"
	case o.OverBudget != "":
		return "over budget"
	}
	return "sending"
}

// prioritiesText tells how many of each priority wait: "9:1 5:200".
func prioritiesText(n [10]int) string {
	var parts []string
	for p := 9; p >= 0; p-- {
		if n[p] > 0 {
			parts = append(parts, fmt.Sprintf("%d:%d", p, n[p]))
		}
	}
	return cmp.Or(strings.Join(parts, " "), "-")
}

func ageText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return max(since(t), 0).String()
}

func nextTry(o *agent.TargetStatus) string {
	switch {
	case o.RetryAt.IsZero() || o.Paused || o.Waiting == 0:
		return "-"
	default:
		return retryText(o.RetryAt)
	}
}

// dropsText tells why records were given up: "3 expired, 1 evicted".
func dropsText(d agent.DropCounts) string {
	var parts []string
	for _, c := range []struct {
		n    int64
		what string
	}{{d.Expired, "expired"}, {d.Evicted, "evicted"}, {d.OverBudget, "over budget"}, {d.Replaced, "replaced"}, {d.Dropped, "dropped"}, {d.Refused, "refused"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func accountText(a agent.Account) string {
	if a.Limit == 0 {
		return agent.BytesText(a.Used) + ", no limit"
	}
	return fmt.Sprintf("%s of %s, %s left", agent.BytesText(a.Used), agent.BytesText(a.Limit), agent.BytesText(max(a.Limit-a.Used, 0)))
}

func rateText(rate int64) string {
	if rate == 0 {
		return "-"
	}
	return agent.BytesText(rate) + "/s"
}

func keptText(reserve int64) string {
	if reserve == 0 {
		return "-"
	}
	return agent.BytesText(reserve)
}

// countsText says when the limits of a link count.
func countsText(l *agent.LinkStatus) string {
	if len(l.Metered) == 0 {
		return "always"
	}
	now, next := "not now", "again"
	if l.Counts {
		now, next = "now", "no more"
	}
	text := fmt.Sprintf("%s (%s)", now, strings.Join(l.Metered, "; "))
	if !l.Changes.IsZero() {
		text += fmt.Sprintf(", %s in %s", next, max(time.Until(l.Changes).Round(time.Second), 0))
	}
	return text
}

func fullText(full string) string {
	if full == uplink.FullHold {
		return "nothing is dropped (uplink.full: hold)"
	}
	return "what has expired goes, then the lowest priority, then the oldest"
}

func flashText(f agent.FlashStatus) string {
	text := agent.BytesText(f.Written) + " written to the device since the start"
	for _, per := range []struct {
		n    int64
		what string
	}{{f.Accepted, "of events that came in"}, {f.Delivered, "sent up"}} {
		if per.n > 0 {
			text += fmt.Sprintf(", %.1f per byte %s", float64(f.Written)/float64(per.n), per.what)
		}
	}
	return text
}

// printBacklog lists what waits for a target, one record a line.
func printBacklog(w io.Writer, target string, list []agent.Waiting, limit int, output string) error {
	if output == "json" {
		return printJSON(w, append([]agent.Waiting{}, list...))
	}
	if len(list) == 0 {
		_, err := fmt.Fprintf(w, "nothing waits for %s\n", target)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tPRIORITY\tFUNCTION\tEVENT OF\tEXPIRES\tSIZE\tKEY") // Flush tells of errors
	for i := range list {
		r := &list[i]
		priority := fmt.Sprint(r.Priority)
		if r.Latest {
			priority += ", latest"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, priority, cmp.Or(r.Function, r.Trigger, "-"), timeText(r.Time), leftText(r),
			agent.BytesText(int64(r.Size)), shown(cmp.Or(r.Key, "-")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(list) == limit {
		_, err := fmt.Fprintf(w, "there may be more: --limit %d shows them\n", 10*limit)
		return err
	}
	return nil
}

func timeText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// leftText says when a record expires.
func leftText(w *agent.Waiting) string {
	left := (time.Duration(w.Left) * time.Millisecond).Round(time.Second)
	switch {
	case !w.Expires:
		return "never"
	case w.Left == 0:
		return "not known"
	case left <= 0:
		return "now"
	}
	return "in " + left.String()
}

// printWaiting shows a record with its data.
func printWaiting(w io.Writer, r agent.Waiting, output string) error {
	data := payloadOf(r.Data)
	if output == "json" {
		return printJSON(w, struct {
			agent.Waiting
			Data   json.RawMessage `json:"data,omitempty"`
			Text   string          `json:"text,omitempty"`
			Base64 []byte          `json:"data_base64,omitempty"`
		}{r, data.Data, data.Text, data.Base64})
	}
	over := "waits"
	if r.Shed {
		over = "dropped"
	}
	latest := ""
	if r.Latest {
		latest = "only the newest of its key goes"
	}
	return printFields(w, [][2]string{
		{"id", fmt.Sprint(r.ID)},
		{"for", r.Target},
		{"priority", fmt.Sprint(r.Priority)},
		{"keep latest", latest},
		{"over budget", over},
		{"key", r.Key},
		{"function", r.Function},
		{"trigger", r.Trigger},
		{"event", r.Event},
		{"type", r.Type},
		{"of", r.Time.UTC().Format("2006-01-02 15:04:05.000Z")},
		{"expires", leftText(&r)},
		{"content type", r.ContentType},
		{"data", agent.BytesText(int64(r.Size))},
	}, data.raw)
}

// printWhy shows sentences, one a line.
func printWhy(w io.Writer, sentences []string, output string) error {
	if output == "json" {
		return printJSON(w, map[string][]string{"why": append([]string{}, sentences...)})
	}
	for _, s := range sentences {
		if _, err := fmt.Fprintln(w, shown(s)); err != nil {
			return err
		}
	}
	return nil
}
