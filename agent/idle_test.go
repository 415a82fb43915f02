package agent_test

import (
	"context"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// wakes counts how often goroutines got a processor, every eighth time of each.
func wakes() (n uint64) {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	for _, c := range sample[0].Value.Float64Histogram().Counts {
		n += c
	}
	return n
}

// A gateway may run on a battery: what looks each few milliseconds for events that
// wait too long must rest when none waits, and look again when one does.
func TestAnIdleAgentRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newMemory(), guests{"app/slow": func(context.Context, *agent.Invocation) error {
			<-time.After(time.Second) // time in the story
			return nil
		}}, agent.Options{SpillAfter: 100 * time.Millisecond})
		f := fn("app/slow")
		f.Limits = agent.DefaultLimits
		f.Limits.Timeout = time.Minute
		b.apply([]agent.Function{f}, on("app/slow", "s"))
		for range 3 {
			began := time.Now()
			b.wait(b.offer("s", "1", agent.Origin{})) // once it is in the inbox
			if took := time.Since(began); took < 100*time.Millisecond || took > 200*time.Millisecond {
				t.Errorf("an event that waits was moved to the inbox after %s, want 100 ms", took)
			}
			before := wakes()
			<-time.After(time.Hour) // time in the story
			if n := wakes() - before; n > 5000 {
				t.Errorf("%d wakes in an idle hour, want a few thousand at most", 8*n)
			}
		}
		b.stop()
	})
}
