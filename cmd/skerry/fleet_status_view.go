package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// fleetView is what `skerry fleet status` shows, as JSON.
type fleetView struct {
	At      time.Time    `json:"at"`
	Fleet   string       `json:"fleet"`
	Newest  int64        `json:"newest"`           // revision, of all that are reported and hinted at
	Hinted  int64        `json:"hinted,omitempty"` // by the publisher, or whoever
	Totals  fleetTotals  `json:"totals"`
	Apps    []appCount   `json:"apps"`
	Agents  []agentCount `json:"agents"`
	Devices []deviceView `json:"devices"`
}

// fleetTotals are numbers of devices.
type fleetTotals struct {
	Devices    int `json:"devices"`
	Online     int `json:"online"`
	Offline    int `json:"offline"`
	Behind     int `json:"behind"`
	RolledBack int `json:"rolled_back"`
	Held       int `json:"held_back"`
	Probation  int `json:"on_probation"`
}

// appCount are the devices that a version of an app is on.
type appCount struct {
	App        string `json:"app"`
	Version    string `json:"version"`
	Devices    int    `json:"devices"`      // run it
	Probation  int    `json:"on_probation"` // of those
	RolledBack int    `json:"rolled_back"`  // went back from it
	Held       int    `json:"held_back"`    // cannot run it, or it did not start
}

// agentCount are the devices with a release of the agent.
type agentCount struct {
	Agent   string `json:"agent"`
	Arch    string `json:"arch"`
	Devices int    `json:"devices"`
}

// deviceView is one device.
type deviceView struct {
	Device       string            `json:"device"`
	Online       bool              `json:"online"`
	OfflineSince time.Time         `json:"offline_since,omitzero"` // if it was seen to go
	Behind       bool              `json:"behind"`
	Troubles     []trouble         `json:"troubles,omitempty"`
	Report       *fleetsync.Report `json:"report,omitempty"`
}

// trouble is something that a person may want to look at.
type trouble struct {
	Kind string `json:"kind"` // one of troubleKinds
	Text string `json:"text"`
}

// Kinds of trouble.
const (
	rolledBack = "rolled back"
	gateFailed = "failing, and runs on"
	heldBack   = "held back"
	notSynced  = "not synced"
	behind     = "behind"
	stopped    = "stopped functions"
	fullDisk   = "disk nearly full"
	stuck      = "waiting for a day or longer"
	unread     = "unreadable"
	offline    = "offline"
)

// troubleKinds are in the order in which they are shown.
var troubleKinds = []string{rolledBack, gateFailed, heldBack, notSynced, behind, stopped, fullDisk, stuck, unread, offline}

// fill counts the devices that the flags ask for.
func (v *fleetView) fill(all []*reported, o *fleetStatusOptions) {
	apps, agents := map[agent.AppVersion]*appCount{}, map[agentCount]int{}
	v.Devices = []deviceView{}
	for _, d := range all {
		dv := v.device(d)
		if o.behind && !dv.Behind || o.app != "" && !d.has(o.app) {
			continue
		}
		v.Devices = append(v.Devices, dv)
		v.Totals.count(&dv)
		if d.report == nil {
			continue
		}
		agents[agentCount{Agent: d.report.Agent, Arch: d.report.Arch}]++
		for i := range d.report.Apps {
			if app := &d.report.Apps[i]; o.app == "" || app.Name == o.app {
				countApp(apps, app)
			}
		}
	}
	v.Apps, v.Agents = []appCount{}, []agentCount{}
	for _, c := range apps {
		v.Apps = append(v.Apps, *c)
	}
	slices.SortFunc(v.Apps, func(a, b appCount) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Version, b.Version))
	})
	for c, n := range agents {
		c.Devices = n
		v.Agents = append(v.Agents, c)
	}
	slices.SortFunc(v.Agents, func(a, b agentCount) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Arch, b.Arch))
	})
}

// has tells whether a device runs an app, or should.
func (d *reported) has(app string) bool {
	return d.report != nil && slices.ContainsFunc(d.report.Apps, func(a agent.AppStatus) bool { return a.Name == app })
}

func countApp(apps map[agent.AppVersion]*appCount, app *agent.AppStatus) {
	at := func(version string) *appCount {
		v := agent.AppVersion{Name: app.Name, Version: version}
		if apps[v] == nil {
			apps[v] = &appCount{App: app.Name, Version: version}
		}
		return apps[v]
	}
	if app.Version != "" {
		at(app.Version).Devices++
	}
	wanted := cmp.Or(app.Wanted, app.Version)
	switch app.State {
	case "probation":
		at(app.Version).Probation++
	case "quarantined":
		at(wanted).RolledBack++
	case "held":
		at(wanted).Held++
	}
}

func (t *fleetTotals) count(d *deviceView) {
	t.Devices++
	if d.Online {
		t.Online++
	} else {
		t.Offline++
	}
	if d.Behind {
		t.Behind++
	}
	states := map[string]bool{}
	if d.Report != nil {
		for _, app := range d.Report.Apps {
			states[app.State] = true
		}
	}
	for state, n := range map[string]*int{"quarantined": &t.RolledBack, "held": &t.Held, "probation": &t.Probation} {
		if states[state] {
			*n++
		}
	}
}

// device judges what one device says.
func (v *fleetView) device(d *reported) deviceView {
	dv := deviceView{Device: d.device, Online: d.online, Report: d.report}
	add := func(kind, format string, args ...any) {
		dv.Troubles = append(dv.Troubles, trouble{kind, fmt.Sprintf(format, args...)})
	}
	if d.unreadable != "" {
		add(unread, "its report: %s", d.unreadable)
	}
	if !d.online {
		dv.OfflineSince = d.offlineSince
		add(offline, "%s", v.away(d))
	}
	r := d.report
	if r == nil {
		return dv
	}
	for _, app := range r.Apps {
		switch app.State {
		case "quarantined":
			add(rolledBack, "%s", unwanted(&app))
		case "failed":
			add(gateFailed, "%s", unwanted(&app))
		case "held":
			add(heldBack, "%s", unwanted(&app))
		}
	}
	if r.Error != "" {
		add(notSynced, "%s", r.Error)
	}
	if dv.Behind = r.Revision < v.Newest; dv.Behind {
		add(behind, "at revision %d", r.Revision)
	}
	for _, name := range r.Stopped {
		add(stopped, "%s", name)
	}
	if r.Disk.Low {
		add(fullDisk, "%s of %s used, %s free beside it", agent.BytesText(r.Disk.Used), agent.BytesText(r.Disk.Quota), agent.BytesText(r.Disk.Free))
	}
	if old := r.Outbox.Oldest; !old.IsZero() && r.Time.Sub(old) >= 24*time.Hour {
		add(stuck, "%d records, when it reported", r.Outbox.Waiting)
	}
	return dv
}

// unwanted says why an app does not run as the fleet wants.
func unwanted(app *agent.AppStatus) string {
	wanted := cmp.Or(app.Wanted, app.Version)
	if strings.HasPrefix(app.Reason, app.Name+"@") { // it says the rest too
		return app.Reason
	}
	text := fmt.Sprintf("%s %s, runs %s", app.Name, wanted, cmp.Or(app.Version, "nothing"))
	if app.Reason != "" {
		text += ": " + app.Reason
	}
	return text
}

// away says in steps how long a device is away, so that many can be told together.
func (v *fleetView) away(d *reported) string {
	since, what := d.offlineSince, "went"
	if since.IsZero() && d.report != nil {
		since, what = d.report.Time, "reported last"
	}
	if since.IsZero() {
		return "never reported"
	}
	switch ago := v.At.Sub(since); {
	case ago < time.Hour:
		return what + " less than an hour ago"
	case ago < 24*time.Hour:
		return what + " less than a day ago"
	case ago < 7*24*time.Hour:
		return what + " less than a week ago"
	}
	return what + " more than a week ago"
}

// troubleGroup are the devices with the same trouble; figures in it may differ.
type troubleGroup struct {
	text    string
	devices []*deviceView
}

// groups are the troubles of a kind, the most frequent first.
func (v *fleetView) groups(kind string) []troubleGroup {
	found := map[string]*troubleGroup{}
	for i := range v.Devices {
		for _, t := range v.Devices[i].Troubles {
			if t.Kind != kind {
				continue
			}
			key := t.Text
			if kind != behind {
				key = numbers.ReplaceAllString(key, "#")
			}
			if found[key] == nil {
				found[key] = &troubleGroup{text: t.Text}
			}
			found[key].devices = append(found[key].devices, &v.Devices[i])
		}
	}
	return slices.SortedFunc(func(yield func(troubleGroup) bool) {
		for _, key := range slices.Sorted(maps.Keys(found)) {
			if !yield(*found[key]) {
				return
			}
		}
	}, func(a, b troubleGroup) int {
		return cmp.Or(cmp.Compare(len(b.devices), len(a.devices)), cmp.Compare(a.text, b.text))
	})
}
