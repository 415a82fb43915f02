package agent_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestApplyNamesEveryFunctionThatDoesNotLoad(t *testing.T) {
	g := guests{"app/f": count}
	b := start(t, newMemory(), g, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	err := b.Apply(context.Background(), agent.Deployment{
		Functions: []agent.Function{fn("b/none"), fn("app/f"), fn("a/none")}, Triggers: []agent.Trigger{on("a/none", "s")},
	})
	var load *agent.LoadError
	if !errors.As(err, &load) || !slices.Equal(slices.Sorted(maps.Keys(load.Causes)), []string{"a/none", "b/none"}) {
		t.Fatalf("Apply says %v", err)
	}
	if want := "apply generation 0: load function a/none: no such module; load function b/none: no such module"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	b.wait(b.offer("s", "1", agent.Origin{}))
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != "1" {
		t.Errorf("total = %s, want 1: what ran must run on", v)
	}
}
