package fleetsync

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// How an app may stand in the history only.
const (
	stateRemoved   = "removed"     // the fleet assigns it here no more
	stateTakenBack = "rolled back" // quarantined, since a person went back from a version
)

// Deployments is what ran here when, and which apps a person may take back now.
func (p *Puller) Deployments() agent.Deployments {
	p.mu.Lock()
	back := append([]string{}, p.backTo...)
	p.mu.Unlock()
	return agent.Deployments{Entries: p.diary.entries(), Rollback: back}
}

// chronicle writes down what is new of the apps since the last entry. Was is what ran
// before; nil: it is not known. The turn is held.
func (p *Puller) chronicle(was *pinned) {
	p.mu.Lock()
	apps := p.appStatus(nil)
	p.mu.Unlock()
	last, now := p.diary.last(), map[string]stood{}
	var entries []agent.DeploymentEntry
	for i := range apps {
		app := &apps[i]
		s := p.stoodAs(app)
		now[app.Name] = s
		if before, known := last[app.Name]; !known || before.Is != s.Is {
			e := p.entry(app, before)
			if known || was != nil || app.State == stateProbation { // else it ran before there was a history
				e.What = p.whatChanged(was, app, e.From)
			}
			entries = append(entries, e)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if _, there := now[name]; !there {
			e := p.entry(&agent.AppStatus{Name: name, State: stateRemoved, Reason: "the fleet assigns it to this device no more"}, last[name])
			entries = append(entries, e)
		}
	}
	if len(entries) > 0 {
		p.diary.add(entries, now)
	}
}

// entry is without what changed in the app.
func (p *Puller) entry(app *agent.AppStatus, before stood) agent.DeploymentEntry {
	revision := int64(0)
	if p.runs != nil {
		revision = p.runs.Revision
	}
	return agent.DeploymentEntry{
		Time: p.opts.Time().UTC().Round(0), Unsure: !p.opts.Sure(), Generation: uint64(max(revision, 0)), Revision: revision,
		App: app.Name, From: before.Version, To: app.Version, Wanted: app.Wanted, State: toldState(app), Reason: cut(reasonFor(app, before), maxSentence),
	}
}

// toldState does not say of what a person took back that it failed.
func toldState(app *agent.AppStatus) string {
	if app.TakenBack {
		return stateTakenBack
	}
	return app.State
}

// reasonFor says why an app stands as it does, for people.
func reasonFor(app *agent.AppStatus, before stood) string {
	switch {
	case app.State == stateGood && before.State == stateProbation && before.Version == app.Version:
		return "it passed its health gate"
	case app.State == stateProbation && app.Previous == "":
		return "nothing ran before it: it runs on, should it fail its health gate"
	case app.State == stateProbation:
		return app.Previous + " runs again, should it fail its health gate"
	}
	return app.Reason
}

// stoodAs is what of an app's status makes an entry when it changes. Numbers in a
// reason, such as of what the disk has left, do not.
func (p *Puller) stoodAs(app *agent.AppStatus) stood {
	s, _ := p.now.standing(app.Name)
	reason := app.Reason
	if app.State == stateProbation {
		reason = "" // it is about a going back that waits
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", []string{app.Version, string(s.Digest), app.Wanted, app.State, varying.ReplaceAllString(reason, "#")})
	return stood{Version: app.Version, State: app.State, Is: fmt.Sprintf("%016x", h.Sum64())}
}

// whatChanged compares the document of what runs with the one that ran before, if that
// is at hand. What the app gained comes first.
func (p *Puller) whatChanged(was *pinned, app *agent.AppStatus, from string) []string {
	if app.Version == "" || app.Version == from {
		return nil
	}
	next := p.documentOf(p.runs, app.Name, app.Version)
	old := p.documentOf(was, app.Name, from)
	switch {
	case next == nil || old == nil && from != "":
		return nil
	case from == "":
		return whatLines("a new app", diffApps(nil, next))
	}
	return whatLines("the same but for its version", diffApps(old, next))
}

// documentOf looks for a version in what is, or was, and in what may be gone back to.
func (p *Puller) documentOf(in *pinned, app, version string) *App {
	v := agent.AppVersion{Name: app, Version: version}
	data := in.document(v)
	if s, _ := p.now.standing(app); data == nil && s.Trial != nil && s.Trial.Last != nil && s.Trial.Last.Version == version {
		data = s.Trial.Document
	}
	if data == nil {
		return nil
	}
	c := parseCandidate(v, data, p.opts.Checks)
	if c.wrong != nil {
		return nil
	}
	return c.app
}

// whatLines are changes as lines for people; head if there are none.
func whatLines(head string, changes []Change) []string {
	slices.SortStableFunc(changes, func(a, b Change) int {
		switch {
		case a.Gained == b.Gained:
			return 0
		case a.Gained:
			return -1
		}
		return 1
	})
	var out []string
	if len(changes) == 0 || strings.HasPrefix(head, "a new") {
		out = append(out, head)
	}
	for i, c := range changes {
		if len(out) == maxWhat-1 && len(changes)-i > 1 {
			return append(out, fmt.Sprintf("and %d more", len(changes)-i))
		}
		out = append(out, cut(c.String(), maxWhatLine))
	}
	return out
}
