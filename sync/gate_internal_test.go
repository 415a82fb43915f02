package fleetsync

import (
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func status(name string, runs, failures int64) agent.FunctionStatus {
	return agent.FunctionStatus{Name: "app/" + name, Release: agent.ReleaseCounts{Invocations: runs, Failures: failures}}
}

func TestGate(t *testing.T) {
	percent, few, none := 5.0, 10, 0
	strict := &Health{Window: Duration(time.Minute), MinInvocations: &few, MaxErrorPercent: &percent, MaxP99: Duration(500 * time.Millisecond), MaxTraps: &none, MaxMemory: 1 << 20}
	trapped := status("f", 100, 1)
	trapped.Release.Faults = map[string]int64{"trap": 1}
	trapped.LastError = "trap: wasm error:\nunreachable"
	died := status("f", 1, 1)
	died.Release.Faults = map[string]int64{"death": 1}
	slow := status("f", 10, 0)
	slow.Release.P99us = 2_100_000
	slowButFew := status("f", 9, 0)
	slowButFew.Release.P99us = 2_100_000
	large := status("f", 1, 0)
	large.MemoryBytes = 3 << 20
	stopped := status("f", 9, 9)
	stopped.Breaker, stopped.LastError = &agent.BreakerStatus{}, "error: no such host"
	behind := status("f", 800, 20)
	behind.Release.Blocked, behind.LastError = 190, "error: x"
	dead := status("f", 15, 5)
	dead.Release.Dead, dead.Release.Blocked = 1, 8
	copying := status("f", 0, 0)
	copying.Stateless = "the disk is full"
	for _, tt := range []struct {
		name      string
		health    *Health
		functions []agent.FunctionStatus
		earlier   map[string]tally
		elapsed   time.Duration
		want      verdict
		why       string
	}{
		{"nothing happened yet", nil, []agent.FunctionStatus{status("f", 0, 0)}, nil, time.Minute, undecided, ""},
		{"nothing happened", nil, []agent.FunctionStatus{status("f", 0, 0)}, nil, 10 * time.Minute, passed, ""},
		{"no function", nil, nil, nil, 10 * time.Minute, passed, ""},
		{"too few to judge yet", nil, []agent.FunctionStatus{status("f", 19, 19)}, nil, time.Minute, undecided, ""},
		{"too few to judge", nil, []agent.FunctionStatus{status("f", 19, 19)}, nil, 10 * time.Minute, passed, ""},
		{"as much as is allowed", nil, []agent.FunctionStatus{status("f", 20, 2)}, nil, time.Minute, undecided, ""},
		{"too much", nil, []agent.FunctionStatus{status("f", 20, 3)}, nil, time.Second, failed, "3 of 20 runs of function f failed (15 %), where 10 % are allowed"},
		{"too much of one", strict, []agent.FunctionStatus{status("f", 1000, 0), status("g", 10, 1)}, nil, time.Second, failed, "1 of 10 runs of function g failed (10 %), where 5 % are allowed"},
		{"too much of all", nil, []agent.FunctionStatus{status("f", 15, 6), status("g", 15, 6)}, nil, time.Second, failed, "12 of 30 runs of all functions together failed (40 %)"},
		{"with what was before", nil, []agent.FunctionStatus{status("f", 10, 3)}, map[string]tally{"app/f": {Runs: 10, Failures: 3}, "app/gone": {Runs: 90}}, time.Second, failed, "6 of 20"},
		{"stopped", nil, []agent.FunctionStatus{stopped}, nil, time.Second, failed, "9 of 9 runs of function f failed (100 %), where 10 % are allowed; the last error: error: no such host"},
		{"trap", strict, []agent.FunctionStatus{trapped}, nil, time.Second, failed, "function f trapped in 1 of 100 runs, where 0 are allowed; the last error: trap: wasm error: unreachable"},
		{"trap, of which nothing is said", nil, []agent.FunctionStatus{trapped}, nil, time.Second, undecided, ""},
		{"the agent died", strict, []agent.FunctionStatus{died}, nil, time.Second, failed, "trapped in 1 of 1"},
		{"few runs, many events behind them", strict, []agent.FunctionStatus{behind}, nil, time.Minute, doubtful, "190 of 970 events of function f failed or wait behind one that did (19.6 %), where 5 % are allowed; the last error: error: x"},
		{"too few events to tell", nil, []agent.FunctionStatus{dead}, nil, time.Minute, undecided, ""},
		{"of which some are dead", nil, []agent.FunctionStatus{dead}, map[string]tally{"app/f": {Runs: 2, Dead: 1}}, time.Minute, doubtful, "10 of 22 events"},
		{"slow", strict, []agent.FunctionStatus{slow}, nil, time.Second, failed, "one run in a hundred of function f takes 2.1s or more (p99 of 10), where 500ms are allowed"},
		{"slow, but few", strict, []agent.FunctionStatus{slowButFew}, nil, time.Minute, passed, ""},
		{"large", strict, []agent.FunctionStatus{large}, nil, time.Second, failed, "an instance of function f takes 3.0 MiB of memory, where 1.0 MiB are allowed"},
		{"no state yet", strict, []agent.FunctionStatus{copying}, nil, time.Second, undecided, ""},
		{"no state, and nothing to go back to", &Health{OnFailure: "keep"}, []agent.FunctionStatus{copying}, nil, time.Hour, undecided, ""},
		{"no state", strict, []agent.FunctionStatus{copying}, nil, time.Minute, failed, "function f did not run within 1m0s: the disk is full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.health.gate()
			got, why := g.judge(tt.functions, tt.earlier, tt.elapsed)
			if got != tt.want || !strings.Contains(why, tt.why) || (why == "") != (tt.why == "") {
				t.Errorf("%d %q, want %d %q", got, why, tt.want, tt.why)
			}
		})
	}
}
