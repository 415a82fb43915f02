package agent

import (
	"maps"
)

// ReleaseCounts are what a function did since the version of its app that runs took
// over, or the agent started: what a health gate judges.
type ReleaseCounts struct {
	Invocations int64            `json:"invocations"`
	Failures    int64            `json:"failures"`
	Faults      map[string]int64 `json:"faults,omitempty"` // by FaultKind
	P99us       int64            `json:"p99_us"`           // of a run
	Dead        int64            `json:"dead"`             // events that were given up
	Blocked     int64            `json:"blocked"`          // events that wait behind ones that failed, more than did at the beginning
}

// baseline is what functionStats were at some time.
type baseline struct {
	invocations, failures, dead, blocked int64

	faults  map[string]int64
	latency [256]int64
}

// countAnew has the counts of the function's release begin at zero.
func (fn *function) countAnew() {
	st := fn.stats
	b := &baseline{
		invocations: st.invocations.Load(), failures: st.failures.Load(), dead: st.dead.Load(),
		blocked: fn.blocked(), latency: st.latency.counts(),
	}
	st.mu.Lock()
	b.faults = maps.Clone(st.faults)
	st.mu.Unlock()
	fn.base.Store(b)
}

// countReleases has functions that did not change be counted anew where the version
// of their app did.
func (a *Agent) countReleases(old, next *deployed) {
	were := map[AppVersion]bool{}
	for _, v := range old.Apps {
		were[v] = true
	}
	changed := map[string]bool{}
	for _, v := range next.Apps {
		changed[v.Name] = !were[v]
	}
	for name, fn := range next.functions {
		if old.functions[name] == fn && changed[fn.App()] {
			fn.stats.memory.Store(0)
			fn.countAnew()
		}
	}
}

// blocked is how many events wait behind ones that failed: all that wait, while the
// function is stopped.
func (fn *function) blocked() (n int64) {
	stopped, _ := fn.breaker.status(fn.agent.now())
	for _, w := range fn.workers {
		w.mu.Lock()
		for _, pk := range w.parked {
			n += int64(len(pk.tasks))
		}
		if stopped != nil {
			n += int64(len(w.queue) - w.head)
		}
		w.mu.Unlock()
	}
	return n
}

// release counts since the baseline.
func (fn *function) release() ReleaseCounts {
	st, b := fn.stats, fn.base.Load()
	if b == nil {
		b = &baseline{}
	}
	counts := st.latency.counts()
	for i := range counts {
		counts[i] -= b.latency[i]
	}
	r := ReleaseCounts{
		Invocations: st.invocations.Load() - b.invocations, Failures: st.failures.Load() - b.failures, P99us: percentile(&counts, 99),
		Dead: st.dead.Load() - b.dead, Blocked: max(0, fn.blocked()-b.blocked),
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for kind, n := range st.faults {
		if n -= b.faults[kind]; n > 0 {
			if r.Faults == nil {
				r.Faults = map[string]int64{}
			}
			r.Faults[kind] = n
		}
	}
	return r
}
