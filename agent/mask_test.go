package agent_test

import (
	"context"
	"fmt"
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

// refusing refuses requests with what they hold, as whoever makes them might.
type refusing struct{}

func (refusing) Fetch(context.Context, *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	return nil, fmt.Errorf(`c4n4ry"quoted is not reached: %w`, agent.ErrDenied)
}

// What it was refused does not either, though that is quoted and cut.
func TestSecretsAreMaskedInWhatIsRefused(t *testing.T) {
	fn := &agent.Function{Name: "a/f", Secrets: []string{"pager"}, Limits: agent.DefaultLimits, Permissions: agent.Permissions{HTTP: []string{"http://far.example"}}}
	const secret = `c4n4ry"quoted`
	inv := agent.NewInvocation(fn, nil, agent.Outside{Secrets: func(string) (string, bool) { return secret, true }, Fetch: refusing{}})
	inv.Begin(&agent.Event{}, "t", 1)
	if _, err := inv.Secret("pager"); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"publish": inv.Publish("a/"+secret, nil, 1, false), "follow-up": inv.Followup(secret, "", nil), "emit": inv.Emit(secret, nil),
	} {
		if err == nil || strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := inv.Fetch(t.Context(), &agent.HTTPRequest{Method: "GET", URL: "http://far.example/"}); err == nil {
		t.Error("it was fetched")
	}
	for _, text := range inv.Usage.Refused {
		if strings.Contains(text, "c4n4ry") {
			t.Errorf("told: %s", text)
		}
	}
	if len(inv.Usage.Refused) < 4 {
		t.Errorf("told only %q", inv.Usage.Refused)
	}
}
