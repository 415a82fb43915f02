package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// BenchmarkOffer is the agent's own cost per event, with a function in Go and
// a store in memory: a miss, a run that decides nothing, and one that commits.
func BenchmarkOffer(b *testing.B) {
	for _, bench := range []struct {
		name, topic string
		run         func(context.Context, *agent.Invocation) error
	}{
		{"miss", "other/1/temperature", count},
		{"nothing", "sensors/1/temperature", func(context.Context, *agent.Invocation) error { return nil }},
		{"commit", "sensors/1/temperature", func(_ context.Context, inv *agent.Invocation) error {
			return inv.Publish("alerts/1", []byte("x"), 1, false)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			store := newMemory()
			store.fail = func(*agent.Frame) error {
				store.records, store.frames = store.records[:0], store.frames[:0]
				return nil
			}
			a := agent.New(store, guests{"app/f": bench.run}, nil, agent.Options{
				Device: "gw7", DefaultBroker: "plant", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- a.Run(ctx) }()
			f := fn("app/f")
			f.Limits = agent.DefaultLimits
			var triggers []agent.Trigger
			for i := range 50 {
				triggers = append(triggers, on("app/f", fmt.Sprintf("sensors/%d/+", i)))
			}
			if err := a.Apply(ctx, agent.Deployment{Functions: []agent.Function{f}, Triggers: triggers}); err != nil {
				b.Fatal(err)
			}
			window := make(chan struct{}, 1000)
			done := func(error) { <-window }
			data := []byte(`{"id":"s017","seq":1234567,"temperature":95.25}`)
			b.ReportAllocs()
			for b.Loop() {
				window <- struct{}{}
				a.Offer(&agent.Event{Via: "plant", Subject: bench.topic, Data: data, QoS: 1, Time: time.Time{}}, done)
			}
			for range cap(window) {
				window <- struct{}{}
			}
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
