package fleetsync

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// gate is a Health with the usual values where it says nothing.
type gate struct {
	window        time.Duration
	runs          int64         // of fewer no percentage is taken
	errors        float64       // percent of the runs
	p99           time.Duration // of a run; 0: any
	traps, memory int64         // -1, and 0: any
	keep          bool          // what fails runs on
}

const (
	usualWindow = 10 * time.Minute
	usualRuns   = 20
	usualErrors = 10
	maxUnclean  = 3 // ends of the agent in disorder, during one probation
	onKeep      = "keep"
)

// gate is the usual one for nil.
func (h *Health) gate() gate {
	if h == nil {
		h = &Health{}
	}
	g := gate{
		window: cmp.Or(time.Duration(h.Window), usualWindow), runs: int64(or(h.MinInvocations, usualRuns)), errors: usualErrors,
		p99: time.Duration(h.MaxP99), traps: int64(or(h.MaxTraps, -1)), memory: int64(h.MaxMemory), keep: h.OnFailure == onKeep,
	}
	if h.MaxErrorPercent != nil {
		g.errors = *h.MaxErrorPercent
	}
	return g
}

// tally is what a function did while its app was on probation.
type tally struct {
	Runs     int64 `json:"runs"`
	Failures int64 `json:"failures,omitempty"`
	Traps    int64 `json:"traps,omitempty"`
	Dead     int64 `json:"dead,omitempty"` // events that were given up
}

func (t tally) plus(o tally) tally {
	return tally{t.Runs + o.Runs, t.Failures + o.Failures, t.Traps + o.Traps, t.Dead + o.Dead}
}

// tallyOf counts what ends an instance as a trap: it, the death of the agent, and
// what asked for more memory than it may have.
func tallyOf(r *agent.ReleaseCounts) tally {
	faults := r.Faults[string(agent.FaultTrap)] + r.Faults[string(agent.FaultDeath)] + r.Faults[string(agent.FaultMemory)]
	return tally{r.Invocations, r.Failures, faults, r.Dead}
}

// tallies adds what functions did to what they did in earlier runs of the agent.
func tallies(functions []agent.FunctionStatus, earlier map[string]tally) map[string]tally {
	out := map[string]tally{}
	for i := range functions {
		fn := &functions[i]
		out[fn.Name] = tallyOf(&fn.Release).plus(earlier[fn.Name])
	}
	return out
}

// verdict is what a gate says.
type verdict uint8

const (
	undecided verdict = iota
	doubtful          // it fails if it stays so for a while, and does not pass meanwhile
	passed
	failed
)

// patience is how long doubts must last: one event that fails holds up those of its
// key for a while, whatever the version.
func (g *gate) patience() time.Duration { return g.window / 10 }

// judge looks at the functions of an app that is on probation for elapsed. Earlier is
// what they did before the agent started again. Why is a sentence for people.
func (g *gate) judge(functions []agent.FunctionStatus, earlier map[string]tally, elapsed time.Duration) (v verdict, why string) {
	var all tally
	var blocked int64
	sums, doubt := tallies(functions, earlier), ""
	for i := range functions {
		fn := &functions[i]
		sum := sums[fn.Name]
		all, blocked = all.plus(sum), blocked+fn.Release.Blocked
		if why := g.wrong(fn, sum); why != "" {
			return failed, why
		}
		doubt = cmp.Or(doubt, g.unserved(sum, fn.Release.Blocked, "of function "+shortName(fn.Name), fn))
	}
	if g.tooMany(all.Failures, all.Runs, all.Runs >= g.runs) {
		return failed, g.share(all, "of all functions together", worst(functions, sums))
	}
	doubt = cmp.Or(doubt, g.unserved(all, blocked, "of all functions together", worst(functions, sums)))
	switch {
	case doubt != "":
		return doubtful, doubt
	case elapsed < g.window:
		return undecided, ""
	}
	for i := range functions {
		if fn := &functions[i]; fn.Stateless != "" {
			return g.stateless(fn)
		}
	}
	return passed, ""
}

// stateless is about a function that waits for its state. What must run on waits on.
func (g *gate) stateless(fn *agent.FunctionStatus) (verdict, string) {
	if g.keep {
		return undecided, ""
	}
	return failed, fmt.Sprintf("function %s did not run within %s: %s", shortName(fn.Name), g.window, fn.Stateless)
}

// wrong is what speaks against a function; "" if nothing does.
func (g *gate) wrong(fn *agent.FunctionStatus, sum tally) string {
	name, p99 := shortName(fn.Name), time.Duration(fn.Release.P99us)*time.Microsecond
	// A function that is stopped makes no more runs to judge it by.
	enough := sum.Runs >= g.runs || fn.Breaker != nil
	switch {
	case g.traps >= 0 && sum.Traps > g.traps:
		return fmt.Sprintf("function %s trapped in %d of %d runs, where %d are allowed%s", name, sum.Traps, sum.Runs, g.traps, lastError(fn))
	case g.memory > 0 && fn.MemoryBytes > g.memory:
		return fmt.Sprintf("an instance of function %s takes %s of memory, where %s are allowed", name, agent.BytesText(fn.MemoryBytes), agent.BytesText(g.memory))
	case g.tooMany(sum.Failures, sum.Runs, enough):
		return g.share(sum, "of function "+name, fn)
	case g.p99 > 0 && fn.Release.Invocations >= g.runs && p99 > g.p99:
		return fmt.Sprintf("one run in a hundred of function %s takes %s or more (p99 of %d), where %s are allowed", name, p99, fn.Release.Invocations, g.p99)
	}
	return ""
}

// unserved tells of too many events that were given up, or wait behind ones that
// failed: those make few runs, and many events without an outcome.
func (g *gate) unserved(sum tally, blocked int64, whose string, example *agent.FunctionStatus) string {
	lost := sum.Dead + blocked
	all := sum.Runs - sum.Failures + lost
	if !g.tooMany(lost, all, all >= g.runs) {
		return ""
	}
	return fmt.Sprintf("%d of %d events %s failed or wait behind one that did (%.3g %%), where %g %% are allowed%s",
		lost, all, whose, float64(lost)*100/float64(all), g.errors, lastError(example))
}

func (g *gate) tooMany(bad, all int64, enough bool) bool {
	return enough && float64(bad)*100 > g.errors*float64(all)
}

// share says how many of some runs failed; example may be nil.
func (g *gate) share(sum tally, whose string, example *agent.FunctionStatus) string {
	percent := float64(sum.Failures) * 100 / float64(sum.Runs)
	return fmt.Sprintf("%d of %d runs %s failed (%.3g %%), where %g %% are allowed%s", sum.Failures, sum.Runs, whose, percent, g.errors, lastError(example))
}

// worst is the function that failed most often; nil if none did.
func worst(functions []agent.FunctionStatus, sums map[string]tally) *agent.FunctionStatus {
	if len(functions) == 0 {
		return nil
	}
	worst := slices.MaxFunc(functions, func(a, b agent.FunctionStatus) int {
		return cmp.Compare(sums[a.Name].Failures, sums[b.Name].Failures)
	})
	return &worst
}

const shownError = 200 // bytes

func lastError(fn *agent.FunctionStatus) string {
	if fn == nil || fn.LastError == "" {
		return ""
	}
	text := strings.ToValidUTF8(fn.LastError[:min(shownError, len(fn.LastError))], "")
	return "; the last error: " + strings.Join(strings.Fields(text), " ")
}

// shortName is a function's name within its app.
func shortName(name string) string {
	_, name, _ = strings.Cut(name, "/")
	return name
}
