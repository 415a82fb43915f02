package fleetsync

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/skerry-edge/skerry/agent"
)

// Change is one difference between what is published and what is to be.
type Change struct {
	App     string `json:"app,omitempty"`     // "" for the fleet document and the keys
	Version string `json:"version,omitempty"` // of the app
	Was     string `json:"was,omitempty"`     // the version it is compared with; "" for a new app
	Path    string `json:"path,omitempty"`    // "functions.alarm.permissions.publish"; "" for the app as a whole
	Old     string `json:"old,omitempty"`     // "" if it was not there
	New     string `json:"new,omitempty"`     // "" if it is gone
	Gained  bool   `json:"gained,omitempty"`  // the app may do more than before
}

// String is a line for people:
// `GAINED overheat 1.3.0 → 1.4.0: functions.alarm.permissions.publish: + alerts/#`.
func (c Change) String() string {
	var b strings.Builder
	if c.Gained {
		b.WriteString("GAINED ")
	}
	switch {
	case c.App != "" && c.Was != "":
		fmt.Fprintf(&b, "%s %s → %s: ", c.App, c.Was, c.Version)
	case c.App != "":
		fmt.Fprintf(&b, "%s@%s: ", c.App, c.Version)
	}
	if c.Path != "" {
		b.WriteString(harmless(c.Path) + ": ")
	}
	switch was, is := harmless(c.Old), harmless(c.New); {
	case was == "":
		b.WriteString("+ " + is)
	case is == "":
		b.WriteString("- " + was)
	default:
		b.WriteString(was + " → " + is)
	}
	return b.String()
}

// harmless quotes what would do something to a terminal, such as take back the line
// that tells what an app gains.
func harmless(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// Diff is what the plan changes: of the apps, then of the fleet document, then of
// the keys.
func (p *Plan) Diff() []Change {
	var was *Fleet
	if data, there := p.base[fleetFile]; there {
		was, _ = parsePublishedFleet(data) // it was read before
	}
	out := published{p.base, was}.changes(published{p.docs, p.fleet})
	if p.rekey != nil {
		out = append(out, Change{Path: "keys", New: p.rekeyed})
	}
	return out
}

// published is a state of the documents; fleet is nil if there is none.
type published struct {
	docs  documents
	fleet *Fleet
}

func (was published) changes(to published) []Change {
	var out []Change
	for _, v := range was.docs.apps() {
		if to.docs.revoked(appFile(v)) {
			out = append(out, Change{App: v.Name, Version: v.Version, Old: "published", New: "revoked"})
		} else if !to.docs.has(v) {
			out = append(out, Change{App: v.Name, Version: v.Version, Old: "published"})
		}
	}
	for _, v := range to.docs.apps() {
		if was.docs.has(v) && (was.assigns(v) || !to.assigns(v)) {
			continue
		}
		out = append(out, was.appChanges(to, v)...)
	}
	return append(out, fleetChanges(was.fleet, to.fleet)...)
}

func (p published) assigns(v agent.AppVersion) bool { return p.fleet != nil && p.fleet.assigns(v) }

// appChanges compares a version with the one that devices most likely run.
func (was published) appChanges(to published, v agent.AppVersion) []Change {
	app, err := to.docs.app(v)
	if err != nil {
		return []Change{{App: v.Name, Version: v.Version, New: "not readable by this release: " + oneLine(err)}}
	}
	base := was.base(v)
	var old *App
	if base != "" {
		if old, err = was.docs.app(agent.AppVersion{Name: v.Name, Version: base}); err != nil {
			old, base = nil, ""
		}
	}
	out := diffApps(old, app)
	if base == "" {
		out = append([]Change{{New: "a new app"}}, out...)
	} else if len(out) == 0 {
		out = []Change{{New: "the same but for its version"}}
	}
	for i := range out {
		out[i].App, out[i].Version, out[i].Was = v.Name, v.Version, base
	}
	return out
}

// base is the version of the app to compare v with: the newest that is assigned,
// else the newest.
func (was published) base(v agent.AppVersion) string {
	newest := ""
	for _, other := range was.docs.apps() { // the newest of each app first
		if other.Name != v.Name || other == v {
			continue
		}
		if was.assigns(other) {
			return other.Version
		}
		newest = cmp.Or(newest, other.Version)
	}
	return newest
}

// fleetChanges compares two fleet documents, either of which may be nil.
func fleetChanges(old, next *Fleet) []Change {
	if next == nil {
		return nil
	}
	if old == nil {
		old = &Fleet{}
	}
	out := diffLeaves(old.settings(), next.settings())
	matched := pairAssignments(old.Assignments, next.Assignments)
	last, reordered := -1, false
	for i := range next.Assignments {
		c := Change{Path: fmt.Sprintf("assignments[%d]", i), New: next.Assignments[i].text()}
		if j := matched[i]; j >= 0 {
			c.Old = old.Assignments[j].text()
			reordered = reordered || j < last
			last = j
		}
		if c.Old != c.New {
			out = append(out, c)
		}
	}
	for j := range old.Assignments {
		if !slices.Contains(matched, j) {
			out = append(out, Change{Path: fmt.Sprintf("assignments[%d]", j), Old: old.Assignments[j].text()})
		}
	}
	if reordered {
		out = append(out, Change{Path: "assignments", New: "in another order, and the first that matches counts"})
	}
	return out
}

// settings are the fleet document's values but for its assignments.
func (f *Fleet) settings() leaves {
	bare := *f
	bare.Assignments, bare.Metadata = nil, FleetMetadata{}
	out := leaves{}
	out.add("", asJSON(bare))
	for _, key := range []string{"apiVersion", "kind", "assignments", "metadata.name"} {
		delete(out, leaf{path: key})
	}
	return out
}

// pairAssignments gives for each new assignment the old one that it continues, -1
// if there is none: the same one, or else the same version for the same devices,
// or else another version for them.
func pairAssignments(old, next []Assignment) []int {
	out, taken := slices.Repeat([]int{-1}, len(next)), make([]bool, len(old))
	for _, same := range []func(a *Assignment) string{
		(*Assignment).text,
		func(a *Assignment) string { return a.App + "@" + a.Version + " " + a.devices() },
		func(a *Assignment) string { return a.App + " " + a.devices() },
	} {
		free := map[string][]int{} // of the old ones
		for j := range old {
			if !taken[j] {
				free[same(&old[j])] = append(free[same(&old[j])], j)
			}
		}
		for i := range next {
			if list := free[same(&next[i])]; out[i] < 0 && len(list) > 0 {
				out[i], taken[list[0]] = list[0], true
				free[same(&next[i])] = list[1:]
			}
		}
	}
	return out
}

// devices is the selector in words, "every device" without one.
func (a *Assignment) devices() string {
	if a.Selector == nil {
		return "every device"
	}
	return "devices with " + jsonText(a.Selector)
}

// text is "overheat@1.4.0 for 10 % of every device".
func (a *Assignment) text() string {
	out := a.App + "@" + a.Version + " for "
	if a.Percent != nil {
		out += fmt.Sprintf("%g %% of ", *a.Percent)
	}
	if out += a.devices(); a.Paused {
		out += ", paused"
	}
	if a.Health != nil {
		out += ", health " + jsonText(a.Health)
	}
	return out
}

func jsonText(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
