package fleetsync_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// nothing is a store that keeps nothing, and loads functions that do nothing.
type nothing struct{}

func (nothing) Commit(context.Context, *agent.Frame) error                 { return nil }
func (nothing) Get(string, string) ([]byte, error)                         { return nil, nil }
func (nothing) Read(string, string) (agent.Write, error)                   { return agent.Write{}, nil }
func (nothing) Keys(string, string, int) ([]string, error)                 { return nil, nil }
func (nothing) Pending(string) []agent.Stub                                { return nil }
func (nothing) Queues() []string                                           { return nil }
func (nothing) Has(uint64) bool                                            { return false }
func (nothing) Record(uint64) (agent.Record, error)                        { return agent.Record{}, agent.ErrNotFound }
func (nothing) Load(context.Context, agent.Function) (agent.Module, error) { return nothing{}, nil }
func (nothing) Invoke(context.Context, *agent.Invocation) error            { return nil }
func (nothing) Close(context.Context) error                                { return nil }

// runningAgent is an agent that runs until the test ends.
func runningAgent(t testing.TB) *agent.Agent {
	a := agent.New(nothing{}, nothing{}, nil, agent.Options{Device: "gw7", DefaultBroker: "plant", Language: when.Language{}})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestEveryKeyOfATriggerCanBeApplied(t *testing.T) {
	d, _, err := bindApp(t, richApp, everything())
	if err != nil {
		t.Fatal(err)
	}
	if err := runningAgent(t).Apply(t.Context(), d); err != nil {
		t.Error(err)
	}
}

// mutator changes a document as its seed says: where a mistake is still a
// document, but for its meaning.
type mutator struct {
	*rand.Rand
	text string
}

// slot is a place in a document that can be given another value.
type slot struct {
	value  any
	set    func(any)
	remove func()
}

func slots(in any, put func(any)) (all []slot) {
	switch in := in.(type) {
	case map[string]any:
		for _, key := range sortedKeys(in) {
			all = append(all, slot{in[key], func(v any) { in[key] = v }, func() { delete(in, key) }})
			all = append(all, slots(in[key], func(v any) { in[key] = v })...)
		}
	case []any:
		for i := range in {
			all = append(all, slot{in[i], func(v any) { in[i] = v }, func() { put(slices.Delete(slices.Clone(in), i, i+1)) }})
			all = append(all, slots(in[i], func(v any) { in[i] = v })...)
		}
	}
	return all
}

func sortedKeys(m map[string]any) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// words are values that mean something somewhere.
var words = []any{
	"", "a/b", "a/{x}/#", "$share/g/{x}", "plant/+/{line}/temp", "{line}", "$broker/hall/{line}", "#", "started", "1ms", "31s", "700h", "1Mi",
	"none", "topic", "all", "run", "error", "local/watch", "central/notify", "scanner", "watch", "light",
	"data.t", "capture.line", `state("x") == 1`, "topic", "data.t > 1", "${data.t}", "${", "${result.x} of ${capture.line}", "level(1)", "true", "data.time",
	true, nil, 0, 1, 2, -1, 1e9, 0.5,
	[]any{},
	map[string]any{},
	[]any{"data.a", "data.b"},
	map[string]any{"every": "1m"},
}

func (m *mutator) mutate(doc map[string]any) {
	all := slots(doc["triggers"], func(v any) { doc["triggers"] = v })
	one, other := all[m.IntN(len(all))], all[m.IntN(len(all))]
	switch m.IntN(6) {
	case 0:
		one.remove()
	case 1:
		one.set(words[m.IntN(len(words))])
	case 2:
		one.set(clone(other.value))
	case 3:
		one.set(m.text)
	case 4:
		if in, ok := one.value.(map[string]any); ok { // a key from somewhere else
			if from, ok := other.value.(map[string]any); ok && len(from) > 0 {
				key := sortedKeys(from)[m.IntN(len(from))]
				in[key] = clone(from[key])
			}
		}
	case 5:
		if text, ok := one.value.(string); ok {
			at := m.IntN(len(text) + 1)
			one.set(text[:at] + m.text + text[at:])
		}
	}
}

func clone(v any) any {
	text, _ := json.Marshal(v)
	var out any
	_ = json.Unmarshal(text, &out)
	return out
}

// FuzzManifest changes a good document here and there. What passes the checks of
// publish reads back from what is published, fits a device that has everything,
// and can be applied: all of its expressions compile.
func FuzzManifest(f *testing.F) {
	for i := range uint64(20) {
		f.Add(i, uint8(i), "{x}")
	}
	f.Add(uint64(7), uint8(3), "${")
	a := runningAgent(f)
	f.Fuzz(func(t *testing.T, seed uint64, times uint8, text string) {
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(richApp), &doc); err != nil {
			t.Fatal(err)
		}
		m := mutator{rand.New(rand.NewPCG(seed, 1)), text}
		for range times % 8 {
			if list, ok := doc["triggers"].([]any); ok && len(list) > 0 {
				m.mutate(doc)
			}
		}
		written, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		app, err := fleetsync.ParseApp("app.json", written, realChecks)
		if err != nil {
			return
		}
		if err := runs(t.Context(), a, app); err != nil {
			t.Errorf("%v\n%s", err, written)
		}
	})
}

// runs publishes an app that passed, as it were, and applies it.
func runs(ctx context.Context, a *agent.Agent, app *fleetsync.App) error {
	published, err := json.Marshal(app)
	if err != nil {
		return err
	}
	again, err := fleetsync.ParseApp("published", published, realChecks)
	if err != nil {
		return fmt.Errorf("it does not read back: %w", err)
	}
	if second, err := json.Marshal(again); err != nil || string(second) != string(published) {
		return fmt.Errorf("it reads back as %s, not %s: %w", second, published, err)
	}
	fleet := &fleetsync.Fleet{Assignments: []fleetsync.Assignment{{App: app.Metadata.Name, Version: app.Metadata.Version}}}
	has := everything()
	for _, t := range again.Triggers {
		if t.Source != nil {
			has.Sources = append(has.Sources, t.Source.Name)
		}
		if t.MQTT != nil {
			has.Brokers = append(has.Brokers, t.MQTT.Broker)
		}
		for _, then := range t.Then {
			if broker, _, err := agent.SplitBroker(then.Publish); err == nil {
				has.Brokers = append(has.Brokers, broker)
			}
		}
		if t.Retry != nil {
			if broker, _, err := agent.SplitBroker(t.Retry.DeadLetter); err == nil {
				has.Brokers = append(has.Brokers, broker)
			}
		}
	}
	d, _, err := fleetsync.Resolve(fleet, []*fleetsync.App{again}, has)
	if err != nil {
		return err
	}
	return a.Apply(ctx, d)
}
