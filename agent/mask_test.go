package agent_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// What a function says to people does not hold the secrets that it was given, in
// this run or an earlier one.
func TestSecretsAreMasked(t *testing.T) {
	fn := &agent.Function{Name: "a/f", Secrets: []string{"pager", "pin"}, Limits: agent.DefaultLimits}
	values := map[string]string{"pager": "c4n4ry-value", "pin": "12"}
	inv := agent.NewInvocation(fn, nil, agent.Outside{Secrets: func(name string) (string, bool) { v, ok := values[name]; return v, ok }})
	inv.Begin(&agent.Event{}, "t", 1)
	inv.Log(slog.LevelInfo, "before it is read nothing is known: c4n4ry-value")
	for _, name := range fn.Secrets {
		if v, err := inv.Secret(name); err != nil || v != values[name] {
			t.Fatalf("%s: %q, %v", name, v, err)
		}
	}
	inv.Begin(&agent.Event{}, "t", 1)
	inv.Log(slog.LevelInfo, "token=c4n4ry-value; pin=12 "+strings.Repeat("x", 5000))
	inv.SetError("401 for c4n4ry-value/c4n4ry-value")
	if got := inv.Effects.Logs[0].Text; !strings.HasPrefix(got, "token=[secret pager]; pin=12 ") {
		t.Errorf("logged %.60q", got)
	}
	if got := inv.Effects.Err; got != "401 for [secret pager]/[secret pager]" {
		t.Errorf("failed with %q", got)
	}
}
