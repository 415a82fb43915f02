package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestSplitBroker(t *testing.T) {
	for _, tt := range []struct {
		text, broker, topic string
		ok                  bool
	}{
		{"a/b", "", "a/b", true},
		{"$SYS/x", "", "$SYS/x", true},
		{"$broker/cloud/a/b", "cloud", "a/b", true},
		{"$broker/cloud/#", "cloud", "#", true},
		{"$broker/cloud", "", "", false},
		{"$broker/cloud/", "", "", false},
		{"$broker//a", "", "", false},
		{"$broker/+/a", "", "", false},
	} {
		broker, topic, err := agent.SplitBroker(tt.text)
		if broker != tt.broker || topic != tt.topic || (err == nil) != tt.ok {
			t.Errorf("SplitBroker(%q) = %q, %q, %v", tt.text, broker, topic, err)
		}
	}
}

// TestPublishNamesItsBroker: with its effects kept and without.
func TestPublishNamesItsBroker(t *testing.T) {
	cloud, plant := &wire{}, &wire{}
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return errors.Join(inv.Publish("out/1", []byte("x"), 0, false), inv.Publish("$broker/cloud/out/2", []byte("y"), 1, false))
	}}, agent.Options{DefaultBroker: "plant", Publishers: map[string]agent.Publisher{"plant": plant, "cloud": cloud}})
	f := fn("app/f")
	f.Permissions.Publish = []string{"out/#", "$broker/cloud/out/+"}
	kept, volatile := on("app/f", "s"), on("app/f", "v")
	volatile.Name, volatile.Durability = "app/volatile", agent.DurabilityNone
	kept.Then = []agent.Then{{Publish: "$broker/cloud/done", On: agent.OnAlways}}
	b.apply([]agent.Function{f}, kept, volatile)
	b.wait(b.offer("s", "x", agent.Origin{}))
	for _, want := range [][2]string{{"broker/plant", "out/1"}, {"broker/cloud", "out/2"}} {
		if r := b.store.queue(want[0]); len(r) == 0 || r[0].Event.Subject != want[1] {
			t.Errorf("in %s: %+v", want[0], r)
		}
	}
	b.wait(b.offer("v", "x", agent.Origin{}))
	b.eventually("the volatile ones have left", func() error {
		cloud.mu.Lock()
		defer cloud.mu.Unlock()
		plant.mu.Lock()
		defer plant.mu.Unlock()
		if !slices.Equal(cloud.sent, []string{"out/2=y"}) || !slices.Equal(plant.sent, []string{"out/1=x"}) {
			return fmt.Errorf("cloud %q, plant %q", cloud.sent, plant.sent)
		}
		return nil
	})
}
