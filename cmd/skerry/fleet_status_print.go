package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	fewDevices  = 20 // so many have a line each without being asked for
	namedEach   = 5  // devices of a trouble that are named
	groupsEach  = 8  // different troubles of a kind
	shownReason = 100
)

// printText shows the sums first, then what is wrong, and each device if there are few.
func (v *fleetView) printText(w io.Writer, o *fleetStatusOptions) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	n := v.Totals
	p("fleet %s, revision %d: %s, %d online, %d offline; %d behind, %d rolled back, %d held back, %d on probation",
		cmp.Or(v.Fleet, "(none)"), v.Newest, agent.CountText(n.Devices, "device"), n.Online, n.Offline, n.Behind, n.RolledBack, n.Held, n.Probation)
	if len(v.Apps) > 0 {
		p("\nAPP\tVERSION\tRUNS ON\tON PROBATION\tROLLED BACK\tHELD BACK")
	}
	for _, a := range v.Apps {
		p("%s\t%s\t%d\t%d\t%d\t%d", a.App, a.Version, a.Devices, a.Probation, a.RolledBack, a.Held)
	}
	if len(v.Agents) > 1 {
		p("\nAGENT\tARCH\tDEVICES")
		for _, a := range v.Agents {
			p("%s\t%s\t%d", a.Agent, a.Arch, a.Devices)
		}
	}
	for _, kind := range troubleKinds {
		printGroups(p, kind, v.groups(kind))
	}
	if o.all || len(v.Devices) <= fewDevices {
		v.printDevices(p)
	}
	return t.Flush()
}

func printGroups(p func(string, ...any), kind string, groups []troubleGroup) {
	if len(groups) == 0 {
		return
	}
	p("\n%s", kind)
	for _, g := range groups[:min(groupsEach, len(groups))] {
		var names []string
		for _, d := range g.devices[:min(namedEach, len(g.devices))] {
			names = append(names, d.Device)
		}
		more := ""
		if left := len(g.devices) - len(names); left > 0 {
			more = fmt.Sprintf(" and %d more", left)
		}
		p("  %s\n    %d: %s%s", shortened(g.text, 2*shownReason), len(g.devices), strings.Join(names, ", "), more)
	}
	if left := len(groups) - groupsEach; left > 0 {
		p("  and %d other reasons: see them with --all or -o json", left)
	}
}

func (v *fleetView) printDevices(p func(string, ...any)) {
	p("\nDEVICE\tSTATE\tREVISION\tAGENT\tAPPS\tWAITING\tDEAD\tFREE\tREPORTED\tWHAT IS WRONG")
	for i := range v.Devices {
		d := &v.Devices[i]
		state := "offline"
		if d.Online {
			state = "online"
		}
		if !d.OfflineSince.IsZero() {
			state += " for " + shortSince(v.At.Sub(d.OfflineSince))
		}
		var wrong []string
		for _, t := range d.Troubles {
			if t.Kind != offline {
				wrong = append(wrong, t.Kind+": "+t.Text)
			}
		}
		what := shortened(strings.Join(wrong, "; "), shownReason)
		r := d.Report
		if r == nil {
			p("%s\t%s\t\t\t\t\t\t\t\t%s", d.Device, state, what)
			continue
		}
		var apps []string
		for _, a := range r.Apps {
			apps = append(apps, a.Name+" "+cmp.Or(a.Version, "-"))
		}
		p("%s\t%s\t%d\t%s\t%s\t%d\t%d\t%s\t%s ago\t%s", d.Device, state, r.Revision, r.Agent, shortened(strings.Join(apps, ", "), shownReason),
			r.Outbox.Waiting, r.Dead, agent.BytesText(max(r.Disk.Free, 0)), shortSince(v.At.Sub(r.Time)), what)
	}
}

// shortSince is a span in its largest unit.
func shortSince(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// shortened is the beginning of a text.
func shortened(text string, n int) string {
	letters := []rune(text)
	if len(letters) <= n {
		return text
	}
	return string(letters[:n-1]) + "…"
}
