package agent_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
)

// plant is n triggers, each of 10 topics of its own, with all that a trigger may
// say; every tenth is also about topics of others.
func plant(tb testing.TB, n int) []agent.Trigger {
	var triggers []agent.Trigger
	for i := range n {
		text := fmt.Sprintf("plant/line%d/m%d/{sensor}", i/20, i)
		if i%10 == 0 {
			text = fmt.Sprintf("plant/line%d/{id}/s%d", i/20, i/10%10)
		}
		tr := on("app/f", text)
		var err error
		if tr.Filter, tr.Captures, err = agent.ParseFilter(text); err != nil {
			tb.Fatal(err)
		}
		tr.Name = "app/t" + strconv.Itoa(i)
		tr.When = fmt.Sprintf("data.t > %d", i) // no two are alike
		tr.Gate.OnChange = []string{"data.state"}
		tr.Then = []agent.Then{{Publish: "out/" + strconv.Itoa(i), QoS: 1, Data: `{"t":"${data.t}"}`}}
		triggers = append(triggers, tr)
	}
	return triggers
}

// plantTopics are the topics of plant.
func plantTopics(n int) (topics []string) {
	for i := range n {
		for s := range 10 {
			topics = append(topics, fmt.Sprintf("plant/line%d/m%d/s%d", i/20, i, s))
		}
	}
	return topics
}

// runPlant applies n triggers, and returns the agent with what it runs.
func runPlant(tb testing.TB, n int, run func(context.Context, *agent.Invocation) error) (*agent.Agent, agent.Deployment) {
	a := agent.New(newMemory(), guests{"app/f": run}, nil, agent.Options{Device: "gw7", DefaultBroker: "plant", Language: when.Language{}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	d := agent.Deployment{Functions: []agent.Function{f}, Triggers: plant(tb, n)}
	if err := a.Apply(ctx, d); err != nil {
		tb.Fatal(err)
	}
	return a, d
}

func nothing(context.Context, *agent.Invocation) error { return nil }

// BenchmarkTriggers is what 1,000 triggers over 10,000 topics cost: an event that
// finds its triggers and meets no condition, one more trigger, and their memory.
func BenchmarkTriggers(b *testing.B) {
	const n = 1000
	b.Run("event", func(b *testing.B) {
		a, _ := runPlant(b, n, nothing)
		data, topics, i := []byte(`{"t":-1,"state":"on","unit":"C"}`), plantTopics(n), 0
		ev := &agent.Event{}
		b.ReportAllocs()
		for b.Loop() {
			*ev = agent.Event{Via: "plant", Subject: topics[i%len(topics)], Data: data}
			a.Offer(ev, nil)
			i += 7
		}
	})
	b.Run("one more", func(b *testing.B) {
		a, d := runPlant(b, n, nothing)
		more := plant(b, n+1)
		for i := 0; b.Loop(); i++ {
			d.Triggers = more[:n+i%2]
			if err := a.Apply(context.Background(), d); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/apply")
	})
	b.Run("memory", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(float64(heapPerTrigger(b, n)), "B/trigger")
		}
	})
}

// heapPerTrigger is what each of n triggers adds to the heap.
func heapPerTrigger(tb testing.TB, n int) int64 {
	a, d := runPlant(tb, 1, nothing)
	before := heap()
	d.Triggers = plant(tb, n)
	if err := a.Apply(context.Background(), d); err != nil {
		tb.Fatal(err)
	}
	d = agent.Deployment{}
	after := heap()
	runtime.KeepAlive(a)
	return (after - before) / int64(n)
}

func TestATriggerTakesLittleMemory(t *testing.T) {
	if n := heapPerTrigger(t, 1000); n > 4<<10 {
		t.Errorf("a trigger takes %d bytes of memory, want 4 kB at most", n)
	}
}

// TestNoEventIsLostWhileTriggersCome offers events while triggers come and go.
func TestNoEventIsLostWhileTriggersCome(t *testing.T) {
	var ran atomic.Int64
	a, d := runPlant(t, 20, func(context.Context, *agent.Invocation) error { ran.Add(1); return nil })
	var acked sync.WaitGroup
	var offered int64
	stop := make(chan struct{})
	var offering sync.WaitGroup
	offering.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			acked.Add(1)
			offered++
			data := fmt.Sprintf(`{"t":1000,"state":%d}`, offered)
			a.Offer(&agent.Event{Via: "plant", Subject: "plant/line0/m1/s5", Data: []byte(data), QoS: 1}, func(error) { acked.Done() })
			if offered%64 == 0 {
				acked.Wait() // no more than a source may have outstanding
			}
		}
	})
	more := plant(t, 40)
	for i := range 50 {
		d.Triggers = more[:20+i%20]
		if i%5 == 0 {
			d.Functions[0].Env = map[string]string{"release": strconv.Itoa(i)} // and one that is loaded anew
		}
		if err := a.Apply(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	offering.Wait()
	acked.Wait()
	if ran.Load() != offered {
		t.Errorf("%d events offered, %d ran", offered, ran.Load())
	}
}

// counted counts what is compiled.
type counted struct {
	agent.Language
	n int
}

func (c *counted) Condition(text string, captures []string) (stateless, stateful agent.Predicate, err error) {
	c.n++
	return c.Language.Condition(text, captures)
}

func TestOnlyWhatIsNewIsCompiled(t *testing.T) {
	language := &counted{Language: when.Language{}}
	b := start(t, newMemory(), guests{"app/f": nothing}, agent.Options{Language: language})
	triggers := plant(t, 20)
	triggers[1].When = triggers[0].When // which names other captures
	triggers[3].When, triggers[3].Captures = triggers[2].When, triggers[2].Captures
	for _, tt := range []struct{ triggers, compiled int }{{10, 9}, {10, 9}, {11, 10}, {5, 10}, {10, 15}} {
		b.apply([]agent.Function{fn("app/f")}, triggers[:tt.triggers]...)
		if language.n != tt.compiled {
			t.Errorf("with %d triggers: %d conditions compiled so far, want %d", tt.triggers, language.n, tt.compiled)
		}
	}
}
