package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestStatusSaysWhyAFunctionIsStoppedAndUntilWhen(t *testing.T) {
	s := agent.Status{Functions: []agent.FunctionStatus{
		{Name: "boiler/alarm", Breaker: &agent.BreakerStatus{
			State: "open", Failures: 9, RetryAt: time.Now().Add(42*time.Second + 300*time.Millisecond), Cause: "trap: no\x1b[2Jscale",
		}},
		{Name: "boiler/report", Breaker: &agent.BreakerStatus{State: "half-open", Failures: 12, Cause: "x"}},
		{Name: "boiler/fine"},
	}}
	var out bytes.Buffer
	if err := printStatus(&out, s, "text"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`boiler/alarm is stopped, its events wait: 9 failures in a row, the last: "trap: no\x1b[2Jscale"; one event tries in 42s`,
		"boiler/report is stopped, its events wait: 12 failures in a row, the last: x; one event tries now",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "boiler/fine is stopped") {
		t.Error("a function that runs is told to be stopped")
	}
}
