package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// gated is an agent whose function keeps what it saw.
type gated struct {
	*bench
	seen order
	fail func(data string) error
}

func startGated(t *testing.T, store *memory, g agent.Gate, opts agent.Options, change ...func(*agent.Trigger)) *gated {
	b := &gated{fail: func(string) error { return nil }}
	opts.Language = words{"t": field("t"), "id": field("id"), "state last": func(t agent.Terms) (any, error) {
		last, err := t.State("last")
		return string(last) != string(t.Event.Data), err
	}}
	b.bench = start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if err := b.fail(string(inv.Event.Data)); err != nil {
			return err
		}
		b.seen.add(inv.Event)
		return inv.Set("last", inv.Event.Data, 0)
	}}, opts)
	tr := on("app/f", "s/+")
	tr.Gate, tr.Retry.Backoff = g, time.Millisecond
	for _, c := range change {
		c(&tr)
	}
	b.apply([]agent.Function{fn("app/f")}, tr)
	return b
}

// through offers events of a topic one by one and tells which ran.
func (b *gated) through(topic string, data ...string) string {
	b.t.Helper()
	before := len(b.seen.of(topic))
	for _, d := range data {
		b.wait(b.offer(topic, d, agent.Origin{}))
	}
	return strings.Join(b.seen.of(topic)[before:], " ")
}

func readings(ts ...float64) (data []string) {
	for _, t := range ts {
		data = append(data, fmt.Sprintf(`{"t":%v}`, t))
	}
	return data
}

func joined(ts ...float64) string { return strings.Join(readings(ts...), " ") }

func TestOnChangeLetsNewValuesThrough(t *testing.T) {
	store := newMemory()
	b := startGated(t, store, agent.Gate{OnChange: []string{"t"}}, agent.Options{})
	if got, want := b.through("s/1", readings(1, 1, 2, 2, 1)...), joined(1, 2, 1); got != want {
		t.Errorf("through: %s, want %s", got, want)
	}
	if got, want := b.through("s/2", readings(1)...), joined(1); got != want {
		t.Errorf("another key: %s, want %s", got, want)
	}
	if s := b.status().Functions[0]; s.Gated != 2 || s.Invocations != 4 {
		t.Errorf("status = %+v", s)
	}
	b.stop()
	b = startGated(t, store, agent.Gate{OnChange: []string{"t"}}, agent.Options{})
	if got, want := b.through("s/1", readings(1, 3)...), joined(3); got != want {
		t.Errorf("after a restart: %s, want %s", got, want)
	}
}

// TestWhatAGateKeptBackStaysSo: an event comes again because its acknowledgement
// was lost; meanwhile the gate has let another value through.
func TestWhatAGateKeptBackStaysSo(t *testing.T) {
	b := startGated(t, newMemory(), agent.Gate{OnChange: []string{"t"}}, agent.Options{})
	data := readings(1, 1, 2)
	for _, again := range []bool{false, true} {
		for i, d := range data {
			b.wait(b.offer("s/a", d, agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i + 1), Redelivered: again}))
		}
	}
	if got, want := strings.Join(b.seen.of("s/a"), " "), strings.Join(readings(1, 2), " "); got != want {
		t.Errorf("ran %s, want %s", got, want)
	}
	b.wait(b.offer("s/a", readings(1)[0], agent.Origin{Slot: "plant/1", Hash: 9, Redelivered: true}))
	if n := len(b.seen.of("s/a")); n != 3 {
		t.Errorf("%d runs after another event in the slot, want 3", n)
	}
}

func TestDeadband(t *testing.T) {
	for _, tt := range []struct {
		band    agent.Deadband
		in, out []float64
	}{
		{agent.Deadband{Of: "t", By: 0.5}, []float64{20.1, 20.4, 20.6, 20.2, 20.1, 20.1}, []float64{20.1, 20.6, 20.1}},
		{agent.Deadband{Of: "t", Percent: 10}, []float64{100, 109, 110, 100, 99, -99}, []float64{100, 110, 99, -99}},
		{agent.Deadband{Of: "t", Percent: 10}, []float64{0, 0, 0.001, 0}, []float64{0, 0.001, 0}},
	} {
		b := startGated(t, newMemory(), agent.Gate{Deadband: tt.band}, agent.Options{})
		if got, want := b.through("s/1", readings(tt.in...)...), joined(tt.out...); got != want {
			t.Errorf("%+v: %s, want %s", tt.band, got, want)
		}
		if got := b.through("s/1", `{"t":"hot"}`, `{}`, `no JSON`); got != "" {
			t.Errorf("what is no number went through: %s", got)
		}
		if s := b.status().Functions[0]; s.ConditionErrors != 3 || int(s.Gated) != len(tt.in)-len(tt.out)+3 {
			t.Errorf("status = %+v", s)
		}
	}
}

func TestRateCountsInAnyTime(t *testing.T) {
	store, clock := newMemory(), agent.NewManualClock(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	began := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	b := startGated(t, store, agent.Gate{Rate: agent.Rate{Count: 2, Per: time.Minute}}, agent.Options{Clock: clock})
	var got []string
	for _, second := range []int{0, 50, 59, 60, 61, 109, 110, 120} {
		b.Advance(began.Add(time.Duration(second) * time.Second))
		if b.through("s/1", strconv.Itoa(second)) != "" {
			got = append(got, strconv.Itoa(second))
		}
	}
	if want := []string{"0", "50", "60", "110", "120"}; !slices.Equal(got, want) {
		t.Errorf("through at the seconds %v, want %v", got, want)
	}
	for _, w := range store.state {
		if w.Scope == "gate/app/f-on-s/+" && w.Expires.IsZero() {
			t.Error("a rate is kept for ever")
		}
	}
}

func TestGatesKeepNothingOfWhatFailed(t *testing.T) {
	b := startGated(t, newMemory(), agent.Gate{OnChange: []string{"t"}}, agent.Options{},
		func(tr *agent.Trigger) { tr.Retry.MaxAttempts = 2 })
	b.fail = func(data string) error {
		if strings.Contains(data, "13") {
			return errors.New("it fails")
		}
		return nil
	}
	b.through("s/1", readings(1, 13, 1, 2)...)
	b.eventually("1 is what the third is compared with, not the dead letter", func() error {
		if got, want := strings.Join(b.seen.of("s/1"), " "), joined(1, 2); got != want {
			return fmt.Errorf("through: %s, want %s", got, want)
		}
		return nil
	})
}

func TestStatefulConditionsSeeWhatTheFunctionWrote(t *testing.T) {
	b := startGated(t, newMemory(), agent.Gate{}, agent.Options{}, func(tr *agent.Trigger) { tr.When = "state last" })
	var acks []<-chan error
	for _, data := range []string{"a", "a", "b", "b", "a"} { // at once: what is read is not durable yet
		acks = append(acks, b.offer("s/1", data, agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	if got := strings.Join(b.seen.of("s/1"), ""); got != "aba" {
		t.Errorf("ran: %s, want aba", got)
	}
}

func TestKeysOfExpressions(t *testing.T) {
	byID := func(tr *agent.Trigger) { tr.Key = "id" }
	for _, unordered := range []bool{false, true} {
		b := startGated(t, newMemory(), agent.Gate{OnChange: []string{"t"}}, agent.Options{}, byID,
			func(tr *agent.Trigger) { tr.Unordered = unordered })
		if got := b.through("s/1", `{"id":7,"t":1}`); got == "" {
			t.Error("the first event of a key did not run")
		}
		if got := b.through("s/2", `{"id":7,"t":1}`, `{"id":"7","t":1}`, `{"id":8,"t":1}`); got != `{"id":8,"t":1}` {
			t.Errorf("unordered %v: through on another topic: %s; want the one with another id", unordered, got)
		}
		if got := b.through("s/3", `{"t":1}`, `{"t":1}`); got != `{"t":1}` {
			t.Errorf("events without a key: %s; want them by topic", got)
		}
		if s := b.status().Functions[0]; s.ConditionErrors == 0 {
			t.Error("a key that cannot be told is not counted")
		}
	}
}

func TestDedupeByExpression(t *testing.T) {
	b := startGated(t, newMemory(), agent.Gate{}, agent.Options{},
		func(tr *agent.Trigger) { tr.Dedupe = agent.Dedupe{Key: "id", Window: time.Hour} })
	got := b.through("s/1", `{"id":1}`, `{"id":2}`, `{"id":1,"again":true}`, `{}`, `{}`)
	if want := `{"id":1} {"id":2} {} {}`; got != want {
		t.Errorf("ran: %s, want %s", got, want)
	}
}

func TestStateOfGatesThatAreGoneIsDeleted(t *testing.T) {
	b := startGated(t, newMemory(), agent.Gate{OnChange: []string{"t"}}, agent.Options{OrphanAfter: time.Millisecond})
	b.through("s/1", readings(1, 2)...)
	kept := func() (n int) {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		for k := range b.store.state {
			if strings.HasPrefix(k[0], "gate") {
				n++
			}
		}
		return n
	}
	if n := kept(); n != 2 { // a key, and the trigger
		t.Fatalf("%d values of gates", n)
	}
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "other"))
	b.eventually("what the gate kept is deleted", func() error {
		if n := kept(); n != 0 {
			return fmt.Errorf("%d values of gates", n)
		}
		return nil
	})
}

func TestGatesForgetTheOldestOfTooManyKeys(t *testing.T) {
	const most = 10_000
	b := startGated(t, newMemory(), agent.Gate{OnChange: []string{"t"}}, agent.Options{OrphanAfter: time.Millisecond})
	b.store.failing(func(*agent.Frame) error { b.store.frames = nil; return nil })
	for i := range most + 1 {
		b.offer("s/"+strconv.Itoa(i), `{"t":1}`, agent.Origin{})
	}
	kept := func(topic int) bool {
		value, err := b.store.Get("gate/app/f-on-s/+", "s/"+strconv.Itoa(topic))
		return err == nil && value != nil
	}
	b.eventually("the oldest go, and the newest stay", func() error {
		if kept(0) || kept(1000) || !kept(1001) || !kept(most) {
			return fmt.Errorf("kept: %v %v %v %v", kept(0), kept(1000), kept(1001), kept(most))
		}
		return nil
	})
}

// TestApplyDoesNotWaitForGates has the look at what gates keep take long, as it does
// where there are many.
func TestApplyDoesNotWaitForGates(t *testing.T) {
	store := newMemory()
	b := startGated(t, store, agent.Gate{OnChange: []string{"t"}}, agent.Options{OrphanAfter: time.Millisecond})
	b.wait(b.offer("s/1", `{"t":1}`, agent.Origin{}))
	looks, hold := make(chan struct{}, 1), make(chan struct{})
	store.mu.Lock()
	store.unreadable = func(scope, key string) error {
		if key == "" && strings.HasPrefix(scope, "gate/") {
			select {
			case looks <- struct{}{}:
			default:
			}
			<-hold
		}
		return nil
	}
	store.mu.Unlock()
	<-looks
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	applied := make(chan error, 1)
	go func() { applied <- b.Apply(ctx, agent.Deployment{Generation: 2}) }()
	select {
	case err := <-applied:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("a deployment waits until what gates keep was looked at")
	}
	close(hold)
}
