package agent_test

import (
	"context"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// TestApplyThatWasKeptIsApplied, all of it, when who asked for it went away meanwhile:
// else a function would be there that takes events and is never started.
func TestApplyThatWasKeptIsApplied(t *testing.T) {
	for range 20 { // a select of two that can be done takes either
		b := start(t, newMemory(), guests{"app/f": count, "app/g": count}, agent.Options{})
		f, g := fn("app/f"), fn("app/g")
		f.Limits, g.Limits = agent.DefaultLimits, agent.DefaultLimits
		ctx, stop := context.WithCancel(t.Context())
		d := agent.Deployment{
			Functions: []agent.Function{f, g}, Triggers: []agent.Trigger{on("app/f", "f"), on("app/g", "g")},
			Keep: func() error { stop(); return nil },
		}
		if err := b.Apply(ctx, d); err != nil {
			t.Fatal(err)
		}
		b.wait(b.offer("f", "1", agent.Origin{}))
		b.wait(b.offer("g", "1", agent.Origin{}))
	}
}
