package fleetsync

import (
	"math"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// How an app stands, see agent.AppStatus.
const (
	stateGood       = "good"
	stateProbation  = "probation"
	stateFailed     = "failed"
	stateHeld       = "held"
	stateQuarantine = "quarantined"
)

// tellApps keeps for Status how the apps stand that run. The lock is held.
func (p *Puller) tellApps(run *pinned) {
	p.apps, p.backTo = nil, p.backable()
	for _, v := range run.Chosen {
		s, _ := p.now.standing(v.Name)
		app := agent.AppStatus{Name: v.Name, Version: v.Version, State: stateGood, Since: s.Since}
		switch {
		case s.Trial != nil:
			app.State = stateProbation
			if s.Trial.Last != nil {
				app.Previous = s.Trial.Last.Version
			}
		case s.Failed != "":
			app.State, app.Reason = stateFailed, s.Failed
		}
		p.apps = append(p.apps, app)
	}
}

// appStatus is how the apps stand that the fleet assigns to this device. Health is of
// the functions, for those on probation; nil: nobody asked. The lock is held.
func (p *Puller) appStatus(health []agent.FunctionStatus) []agent.AppStatus {
	apps, now := slices.Clone(p.apps), p.opts.Time()
	at := func(name string) *agent.AppStatus {
		i := slices.IndexFunc(apps, func(a agent.AppStatus) bool { return a.Name == name })
		if i < 0 {
			apps = append(apps, agent.AppStatus{Name: name})
			i = len(apps) - 1
		}
		return &apps[i]
	}
	for _, b := range p.probes {
		app := at(b.app)
		app.Until, app.Reason = now.Add(b.gate.window-b.elapsed(now)), b.trouble
		if health != nil {
			app.Progress = b.progress(health, now)
		}
	}
	for i := range p.held {
		h := &p.held[i]
		app := at(h.Want.Name)
		app.Wanted, app.State, app.Since, app.Reason, app.Until = h.Want.Version, stateHeld, h.Since, h.Reason, h.next
		if h.Refused {
			app.State, app.TakenBack = stateQuarantine, h.ByHand
		}
	}
	return apps
}

// progress is how far a probation is.
func (b *probe) progress(health []agent.FunctionStatus, now time.Time) *agent.Progress {
	functions := functionsOf(b.app, health)
	sums := tallies(functions, b.earlier)
	out := &agent.Progress{
		Left: int64(max(0, b.gate.window-b.elapsed(now)).Round(time.Second) / time.Second), MinRuns: b.gate.runs, Limit: b.gate.errors,
	}
	for i := range functions {
		t := sums[functions[i].Name]
		if i == 0 || t.Runs < out.Runs {
			out.Runs = t.Runs
		}
		lost := t.Dead + functions[i].Release.Blocked
		out.Errors = max(out.Errors, percent(t.Failures, t.Runs), percent(lost, t.Runs-t.Failures+lost))
	}
	return out
}

func percent(part, all int64) float64 {
	if all <= 0 {
		return 0
	}
	return math.Round(float64(part)*1000/float64(all)) / 10
}
