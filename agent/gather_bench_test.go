package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// BenchmarkPutAside puts events of 10,000 keys aside in a real store, and tells
// what each costs: bytes written per event, memory per open key, and the
// time in which a restart finds all keys again.
func BenchmarkPutAside(b *testing.B) {
	const keys = 10_000
	dir := b.TempDir()
	s := openStore(b, dir)
	a, stop := runGather(b, s)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	data := []byte(`{"temperature":21.53,"humidity":48.2,"battery":3.71,"sequence":123456,"device":"a81758fffe03b1c5"}`)
	n := 0
	offer := func(count int) {
		var acked sync.WaitGroup
		room := make(chan struct{}, 512)
		for range count {
			ev := &agent.Event{
				Via: "plant", Source: "/gw7/mqtt/plant", Type: "io.skerry.mqtt", Subject: fmt.Sprintf("plant/line/%05d/temp", n%keys),
				Data: data, QoS: 1, Time: time.Now(),
			}
			n++
			room <- struct{}{}
			acked.Add(1)
			a.Offer(ev, func(error) { <-room; acked.Done() })
		}
		acked.Wait()
	}
	offer(keys)
	size := written(b)
	b.ResetTimer()
	events := 0
	for b.Loop() {
		offer(1000)
		events += 1000
	}
	b.StopTimer()
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(written(b)-size)/float64(events), "written-B/event")
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/keys, "heap-B/key")
	stop()
	began := time.Now()
	_, stop = runGather(b, s)
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-restart")
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric((float64(before.HeapAlloc)-float64(after.HeapAlloc))/keys, "agent-B/key")
}

func openStore(b *testing.B, dir string) *store.Store {
	s, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// runGather runs an agent that has one trigger with a window of a day, until
// stop is called.
func runGather(b *testing.B, s agent.Store) (a *agent.Agent, stop func()) {
	a = agent.New(s, guests{"app/f": func(context.Context, *agent.Invocation) error { return nil }}, nil,
		agent.Options{Device: "gw7", SpillAfter: time.Hour, Grace: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Inbox = 8 << 30
	tr := on("app/f", "plant/#")
	tr.Gather = agent.Gather{Kind: agent.GatherSession, Size: 24 * time.Hour}
	if err := a.Apply(context.Background(), agent.Deployment{Functions: []agent.Function{f}, Triggers: []agent.Trigger{tr}}); err != nil {
		b.Fatal(err)
	}
	return a, func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
}

// written is how many bytes this process has written so far, to the journal and
// to Badger.
func written(b *testing.B) (size int64) {
	b.Helper()
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Fatal(err)
	}
	var read int64
	if _, err := fmt.Sscanf(string(io), "rchar: %d\nwchar: %d", &read, &size); err != nil {
		b.Fatal(err)
	}
	return size
}
