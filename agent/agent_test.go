package agent_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// count adds one to the total and asks the central FaaS for something.
func count(_ context.Context, inv *agent.Invocation) error {
	if _, err := inv.Add("total", 1); err != nil {
		return err
	}
	return inv.Followup("faas", "", inv.Event.Data)
}

func TestEffectsAndAcknowledgementCommitTogether(t *testing.T) {
	b := start(t, newMemory(), guests{"app/count": func(ctx context.Context, inv *agent.Invocation) error {
		if err := inv.Publish("alerts/1", []byte("hot"), 1, false); err != nil {
			return err
		}
		return count(ctx, inv)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	b.wait(b.offer("sensors/1", `{"t":1}`, agent.Origin{Slot: "plant/1", Hash: 1}))

	last := b.store.frames[len(b.store.frames)-1]
	if len(last.Add) != 2 || len(last.Writes) != 2 || last.Lazy { // total and mark
		t.Errorf("frame = %+v; want follow-up, publish, state and mark in one synced frame", last)
	}
	follow, publish := b.store.queue("target/faas"), b.store.queue("broker/plant")
	if len(follow) != 1 || string(follow[0].Event.Data) != `{"t":1}` || follow[0].Event.ContentType != "application/json" {
		t.Errorf("follow-ups = %+v", follow)
	}
	if len(publish) != 1 || publish[0].Event.Subject != "alerts/1" || publish[0].Event.QoS != 1 {
		t.Errorf("publishes = %+v", publish)
	}
	if want := regexp.MustCompile("^gw7/[a-z2-7]{6}/00001/00000001/app/count/7ae36a7a6bb1/0$"); !want.MatchString(follow[0].Event.ID) {
		t.Errorf("follow-up id = %q, want %s", follow[0].Event.ID, want)
	}
	other := start(t, newMemory(), guests{"app/count": count}, agent.Options{})
	other.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	other.wait(other.offer("sensors/1", `{"t":1}`, agent.Origin{}))
	if again := other.store.queue("target/faas")[0].Event.ID; again == follow[0].Event.ID {
		t.Errorf("a device with a new store repeats the id %q", again)
	}
}

func TestMissIsAcknowledgedAndCostsNoFrame(t *testing.T) {
	b := start(t, newMemory(), guests{"app/count": count}, agent.Options{})
	b.apply([]agent.Function{fn("app/count")}, on("app/count", "sensors/+"))
	before := len(b.store.frames)
	b.wait(b.offer("other/1", "x", agent.Origin{}))
	if got := len(b.store.frames); got != before {
		t.Errorf("%d frames for an event that no trigger wants", got-before)
	}
	if s := b.status(); s.Events.Filtered != 1 || s.Events.Invocations != 0 {
		t.Errorf("counts = %+v", s.Events)
	}
}

func TestFailureTakesNoEffectAndIsDeadLetteredWithItsCause(t *testing.T) {
	b := start(t, newMemory(), guests{"app/bad": func(ctx context.Context, inv *agent.Invocation) error {
		if err := count(ctx, inv); err != nil {
			return err
		}
		return &agent.Fault{Kind: agent.FaultTrap, Err: errors.New("unreachable")}
	}}, agent.Options{})
	tr := on("app/bad", "s/#")
	tr.Retry = agent.Retry{MaxAttempts: 3, Backoff: time.Millisecond, DeadLetter: "dlq/bad"}
	b.apply([]agent.Function{fn("app/bad")}, tr)
	b.wait(b.offer("s/1", "poison", agent.Origin{}))
	b.eventually("the event is dead-lettered", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 1 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
	dead := b.store.queue(agent.QueueDead)[0]
	if dead.Reason != "trap: unreachable" || dead.Attempts != 3 || string(dead.Event.Data) != "poison" || dead.Origin != "inbox/app/bad" {
		t.Errorf("dead letter = %+v", dead)
	}
	if n := len(b.store.queue("target/faas")); n != 0 {
		t.Errorf("%d follow-ups of failed runs", n)
	}
	if n := len(b.store.queue("inbox/app/bad")); n != 0 {
		t.Errorf("%d events left in the inbox", n)
	}
	if p := b.store.queue("broker/plant"); len(p) != 1 || p[0].Event.Subject != "dlq/bad" {
		t.Errorf("dead-letter notice = %+v", p)
	}
	s := b.status().Functions[0]
	if s.Failures != 3 || s.Faults["trap"] != 3 || s.Dead != 1 {
		t.Errorf("status = %+v", s)
	}
}

func TestRejectIsDeadLetteredAtOnce(t *testing.T) {
	b := start(t, newMemory(), guests{"app/picky": func(context.Context, *agent.Invocation) error {
		return fmt.Errorf("%w: no temperature in it", agent.ErrReject)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/picky")}, on("app/picky", "s"))
	b.wait(b.offer("s", "{}", agent.Origin{}))
	if s := b.status().Functions[0]; s.Invocations != 1 || s.Dead != 1 {
		t.Errorf("status = %+v", s)
	}
}

// order records which data ran, per topic.
type order struct {
	mu   sync.Mutex
	seen map[string][]string
}

func (o *order) add(ev *agent.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string][]string{}
	}
	o.seen[ev.Subject] = append(o.seen[ev.Subject], string(ev.Data))
}

func (o *order) of(topic string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen[topic])
}

func TestFailedKeyHoldsBackItsOwnEventsOnly(t *testing.T) {
	var ran order
	var mended atomic.Bool
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if inv.Event.Subject == "s/bad" && !mended.Load() {
			return errors.New("not yet")
		}
		ran.add(inv.Event)
		return nil
	}}, agent.Options{SpillAfter: 8 * time.Millisecond})
	tr := on("app/f", "s/+")
	tr.Retry = agent.Retry{MaxAttempts: 1000, Backoff: time.Millisecond}
	b.apply([]agent.Function{fn("app/f")}, tr)
	for i := range 5 { // acknowledged although they cannot run: they are in the inbox
		b.wait(b.offer("s/bad", strconv.Itoa(i), agent.Origin{}))
	}
	for i := range 50 {
		b.wait(b.offer("s/good", strconv.Itoa(i), agent.Origin{}))
	}
	if got := ran.of("s/good"); len(got) != 50 {
		t.Errorf("%d events of the other key ran, want 50", len(got))
	}
	if n := len(b.store.queue("inbox/app/f")); n != 5 {
		t.Errorf("%d events in the inbox, want 5", n)
	}
	mended.Store(true)
	b.eventually("the held events run", func() error {
		if n := len(ran.of("s/bad")); n != 5 {
			return fmt.Errorf("%d ran", n)
		}
		return nil
	})
	if got := strings.Join(ran.of("s/bad"), ""); got != "01234" {
		t.Errorf("order %q, want 01234", got)
	}
	b.eventually("the inbox is empty", func() error {
		if n := len(b.store.queue("inbox/app/f")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
}

func TestSlowFunctionDoesNotHoldUpItsNeighbour(t *testing.T) {
	release := make(chan struct{})
	var slow, fast order
	b := start(t, newMemory(), guests{
		"app/slow": func(_ context.Context, inv *agent.Invocation) error {
			<-release
			slow.add(inv.Event)
			return nil
		},
		"app/fast": func(_ context.Context, inv *agent.Invocation) error {
			fast.add(inv.Event)
			return nil
		},
	}, agent.Options{SpillAfter: 8 * time.Millisecond})
	b.apply([]agent.Function{fn("app/slow"), fn("app/fast")}, on("app/slow", "s"), on("app/fast", "s"))
	const events = 200 // in windows of 20, as mosquitto hands them out
	for i := 0; i < events; i += 20 {
		var acks []<-chan error
		for j := range 20 {
			acks = append(acks, b.offer("s", strconv.Itoa(i+j), agent.Origin{}))
		}
		for _, acked := range acks {
			b.wait(acked)
		}
	}
	if n := len(fast.of("s")); n != events {
		t.Errorf("the fast function ran %d events, want %d", n, events)
	}
	if n := len(b.store.queue("inbox/app/slow")); n != events {
		t.Errorf("%d events in the slow one's inbox, want %d", n, events)
	}
	close(release)
	b.eventually("the slow one catches up", func() error {
		if n := len(b.store.queue("inbox/app/slow")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
	for i, data := range slow.of("s") {
		if data != strconv.Itoa(i) {
			t.Fatalf("run %d was event %s", i, data)
		}
	}
}

func TestInboxSurvivesARestart(t *testing.T) {
	store := newMemory()
	block := make(chan struct{})
	b := start(t, store, guests{"app/f": func(ctx context.Context, _ *agent.Invocation) error {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return errors.New("stopped")
	}}, agent.Options{SpillAfter: 8 * time.Millisecond, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s/+"))
	for i := range 10 {
		b.wait(b.offer("s/"+strconv.Itoa(i%2), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i)}))
	}
	b.stop()

	var ran order
	b = start(t, store, guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		ran.add(inv.Event)
		return count(ctx, inv)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s/+"))
	// The broker, which never saw the acknowledgements, delivers them again.
	for i := range 10 {
		b.wait(b.offer("s/"+strconv.Itoa(i%2), strconv.Itoa(i), agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i), Redelivered: true}))
	}
	b.eventually("the inbox is empty", func() error {
		if n := len(store.queue("inbox/app/f")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
	if got := strings.Join(ran.of("s/0"), "") + strings.Join(ran.of("s/1"), ""); got != "0246813579" {
		t.Errorf("ran %q, want each event once, in order per key", got)
	}
	if v, _ := store.Get("state/app/f", "total"); string(v) != "10" {
		t.Errorf("total = %s, want 10", v)
	}
}

func TestRedeliveryRunsOnlyWhatHasNoOutcome(t *testing.T) {
	store := newMemory()
	hold := make(chan struct{})
	g := guests{
		"app/a": count,
		"app/b": func(ctx context.Context, inv *agent.Invocation) error {
			select {
			case <-hold:
				return count(ctx, inv)
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	functions := []agent.Function{fn("app/a"), fn("app/b")}
	triggers := []agent.Trigger{on("app/a", "s"), on("app/b", "s")}
	b := start(t, store, g, agent.Options{Grace: time.Millisecond, SpillAfter: time.Hour})
	b.apply(functions, triggers...)
	acked := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42})
	b.eventually("the first function has committed", func() error {
		if len(store.queue("target/faas")) != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	b.stop() // a crash between the two
	select {
	case <-acked:
		t.Fatal("acknowledged although one function had no outcome")
	default:
	}

	close(hold)
	b = start(t, store, g, agent.Options{})
	b.apply(functions, triggers...)
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true}))
	records := store.queue("target/faas")
	if len(records) != 2 {
		t.Fatalf("%d follow-ups, want one of each function", len(records))
	}
	event := func(r agent.Record) string { return strings.Join(strings.Split(r.Event.ID, "/")[:4], "/") }
	if event(records[0]) != event(records[1]) {
		t.Errorf("event ids %q and %q differ over the redelivery", records[0].Event.ID, records[1].Event.ID)
	}
	for _, name := range []string{"a", "b"} {
		if v, _ := store.Get("state/app/"+name, "total"); string(v) != "1" {
			t.Errorf("%s counted %s, want 1", name, v)
		}
	}
	// The same message again is recognised, a new one in the same slot is not.
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true}))
	b.wait(b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42}))
	if v, _ := store.Get("state/app/a", "total"); string(v) != "2" {
		t.Errorf("a counted %s, want 2", v)
	}
}

func TestRedeliveryWhileTheEventIsWorkedOnWaitsForIt(t *testing.T) {
	hold := make(chan struct{})
	b := start(t, newMemory(), guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		<-hold
		return count(ctx, inv)
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42})
	again := b.offer("s", "x", agent.Origin{Slot: "plant/7", Hash: 42, Redelivered: true})
	close(hold)
	b.wait(first)
	b.wait(again)
	if s := b.status(); s.Events.Invocations != 1 || s.Events.Duplicates != 1 {
		t.Errorf("counts = %+v", s.Events)
	}
}

func TestFailedCommitRunsTheGroupAndAllBehindItAgain(t *testing.T) {
	store := newMemory()
	var failures atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && failures.Add(1)%3 != 0 { // two of three frames fail
			return errors.New("input/output error")
		}
		return nil
	}
	var ran order
	b := start(t, store, guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		ran.add(inv.Event)
		n, err := inv.Add("total", 1)
		if err != nil {
			return err
		}
		return inv.Followup("faas", "", []byte(fmt.Sprintf("%s=%d", inv.Event.Data, n)))
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	var acks []<-chan error
	for i := range 20 {
		acks = append(acks, b.offer("s", strconv.Itoa(i+1), agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	for i, r := range store.queue("target/faas") {
		if want := fmt.Sprintf("%d=%d", i+1, i+1); string(r.Event.Data) != want {
			t.Errorf("follow-up %d = %s, want %s: each counted once, in order", i, r.Event.Data, want)
		}
	}
	if failures.Load() < 3 {
		t.Error("no commit failed: the test shows nothing")
	}
}

func TestWorkersNeverLoseAnUpdate(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Concurrency = 4
	b.apply([]agent.Function{f}, on("app/f", "s/+"))
	const events = 2000
	acks := make(chan (<-chan error), events)
	var offering sync.WaitGroup
	for g := range 4 {
		offering.Go(func() {
			for i := range events / 4 {
				acks <- b.offer(fmt.Sprintf("s/%d", g*1000+i%50), "x", agent.Origin{})
			}
		})
	}
	offering.Wait()
	close(acks)
	for acked := range acks {
		b.wait(acked)
	}
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != strconv.Itoa(events) {
		t.Errorf("total = %s, want %d", v, events)
	}
	if n := len(b.store.queue("target/faas")); n != events {
		t.Errorf("%d follow-ups, want %d", n, events)
	}
}

func TestEmittedEventRunsInTheOtherFunction(t *testing.T) {
	var got order
	b := start(t, newMemory(), guests{
		"app/first": func(_ context.Context, inv *agent.Invocation) error { return inv.Emit("other", []byte("hop")) },
		"app/other": func(_ context.Context, inv *agent.Invocation) error {
			got.add(inv.Event)
			return nil
		},
		"app/loop": func(_ context.Context, inv *agent.Invocation) error { return inv.Emit("loop", []byte("again")) },
	}, agent.Options{})
	b.apply([]agent.Function{fn("app/first"), fn("app/other"), fn("app/loop")}, on("app/first", "s"), on("app/loop", "l"))
	b.wait(b.offer("s", "x", agent.Origin{}))
	b.eventually("the other function ran", func() error {
		if n := len(got.of("s")); n != 1 {
			return fmt.Errorf("%d runs", n)
		}
		return nil
	})
	b.wait(b.offer("l", "x", agent.Origin{}))
	b.eventually("an endless chain ends in the dead-letter box", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 1 {
			return fmt.Errorf("%d dead letters", n)
		}
		return nil
	})
}

func TestThenSendsTheResult(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.SetResult([]byte(`{"c":21}`))
	}}, agent.Options{})
	tr := on("app/f", "s")
	tr.Then = []agent.Then{{Invoke: "central/faas"}, {Publish: "out/1"}, {Invoke: "central/errors", On: agent.OnError}}
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "x", agent.Origin{}))
	if r := b.store.queue("target/faas"); len(r) != 1 || string(r[0].Event.Data) != `{"c":21}` {
		t.Errorf("follow-ups = %+v", r)
	}
	if len(b.store.queue("broker/plant")) != 1 || len(b.store.queue("target/errors")) != 0 {
		t.Error("want one publish and no error report")
	}
}

// wire is a Publisher that remembers.
type wire struct {
	mu   sync.Mutex
	sent []string
}

func (w *wire) Publish(topic string, data []byte, _ uint8, _ bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, topic+"="+string(data))
	return nil
}

func TestQoS0EffectsLeaveAtOnceAndAreDroppedWhenThereIsNoRoom(t *testing.T) {
	hold := make(chan struct{})
	out := &wire{}
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		<-hold
		return inv.Publish("out", inv.Event.Data, 0, false)
	}}, agent.Options{Publishers: map[string]agent.Publisher{"plant": out}})
	f := fn("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Queue = 10
	b.apply([]agent.Function{f}, on("app/f", "s"))
	frames := len(b.store.frames)
	for i := range 100 {
		b.Offer(&agent.Event{Via: "plant", Subject: "s", Data: []byte(strconv.Itoa(i))}, nil)
	}
	close(hold)
	b.eventually("what was kept has run", func() error {
		s := b.status().Events
		if s.Invocations+s.Dropped != 100 || s.Dropped < 80 {
			return fmt.Errorf("%d ran, %d dropped", s.Invocations, s.Dropped)
		}
		return nil
	})
	b.stop()
	if len(out.sent) == 0 || out.sent[0] != "out=0" {
		t.Errorf("sent %v", out.sent)
	}
	if n := len(b.store.frames) - frames; n != 0 {
		t.Errorf("%d frames for publishes that need not survive", n)
	}
}

func TestApplyIsAllOrNothingAndLosesNoEvent(t *testing.T) {
	var ran order
	version := func(v string) func(context.Context, *agent.Invocation) error {
		return func(ctx context.Context, inv *agent.Invocation) error {
			ran.add(&agent.Event{Subject: inv.Event.Subject, Data: []byte(string(inv.Event.Data) + v)})
			return count(ctx, inv)
		}
	}
	g := guests{"app/f": version("a")}
	b := start(t, newMemory(), g, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(b.offer("s", "0", agent.Origin{}))

	missing := agent.Deployment{Functions: []agent.Function{fn("app/f"), fn("app/none")}, Triggers: []agent.Trigger{on("app/none", "s")}}
	if err := b.Apply(context.Background(), missing); err == nil || !strings.Contains(err.Error(), "app/none") {
		t.Fatalf("Apply with a module that cannot be loaded: %v", err)
	}
	b.wait(b.offer("s", "1", agent.Origin{}))

	g["app/f"] = version("b")
	next := fn("app/f")
	next.Digest = "sha256:0123456789ab"
	acks := make(chan (<-chan error), 400)
	var offering sync.WaitGroup
	offering.Go(func() {
		for i := range 400 {
			acks <- b.offer("s", strconv.Itoa(2+i)+"-", agent.Origin{})
		}
		close(acks)
	})
	b.apply([]agent.Function{next}, on("app/f", "s"))
	offering.Wait()
	for acked := range acks {
		b.wait(acked)
	}
	if v, _ := b.store.Get("state/app/f", "total"); string(v) != "402" {
		t.Errorf("total = %s, want 402", v)
	}
	got := ran.of("s")
	for i, data := range got[2:] {
		if !strings.HasPrefix(data, strconv.Itoa(2+i)+"-") {
			t.Fatalf("run %d was %s: order broken by the switch", i+2, data)
		}
	}
	if last := got[len(got)-1]; !strings.HasSuffix(last, "b") {
		t.Errorf("the last event ran in %q, want the new version", last)
	}

	b.apply(nil)
	b.wait(b.offer("s", "gone", agent.Origin{}))
}

func TestRemovedFunctionsEventsWaitForItAndAreThenDeadLettered(t *testing.T) {
	var mended atomic.Bool
	g := guests{"app/f": func(ctx context.Context, inv *agent.Invocation) error {
		if !mended.Load() {
			return errors.New("not yet")
		}
		return count(ctx, inv)
	}}
	tr := on("app/f", "s")
	tr.Retry = agent.Retry{Backoff: time.Hour}
	store := newMemory()
	b := start(t, store, g, agent.Options{SpillAfter: 8 * time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "x", agent.Origin{}))
	b.apply(nil)
	if n := len(store.queue("inbox/app/f")); n != 1 {
		t.Fatalf("%d events in the inbox of the removed function, want 1", n)
	}
	for _, r := range store.queue("inbox/app/f") { // due now
		f := &agent.Frame{Touch: []agent.Touch{{Seq: r.Seq, Attempts: 1}}}
		if err := store.Commit(context.Background(), f); err != nil {
			t.Fatal(err)
		}
	}
	mended.Store(true)
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.eventually("its event runs when the function is back", func() error {
		if n := len(store.queue("target/faas")); n != 1 {
			return fmt.Errorf("%d follow-ups", n)
		}
		return nil
	})

	mended.Store(false)
	b.wait(b.offer("s", "y", agent.Origin{}))
	b.stop()
	b = start(t, store, g, agent.Options{OrphanAfter: time.Millisecond})
	b.apply([]agent.Function{fn("app/other")}[:0])
	b.eventually("its event is dead-lettered when it stays away", func() error {
		dead := store.queue(agent.QueueDead)
		if len(dead) != 1 || dead[0].Origin != "inbox/app/f" || !strings.Contains(dead[0].Reason, "removed") ||
			len(store.queue("inbox/app/f")) != 0 {
			return fmt.Errorf("dead letters: %+v", dead)
		}
		return nil
	})
}

func TestFunctionRemovedWhileCommitsFailLeavesNoEventBehind(t *testing.T) {
	store, failing := fillable()
	started, gate := make(chan struct{}, 8), make(chan struct{})
	b := start(t, store, guests{"app/f": func(context.Context, *agent.Invocation) error {
		started <- struct{}{}
		<-gate
		return nil
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "0", agent.Origin{Slot: "plant/1", Hash: 1})
	<-started
	second := b.offer("s", "1", agent.Origin{Slot: "plant/2", Hash: 2})
	failing.Store(true)
	b.apply(nil)
	close(gate)
	b.wait(first)
	failing.Store(false)
	b.wait(second)
	if n := len(store.queue(agent.QueueDead)); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

// door is a Source that offers one event as soon as it runs.
type door struct{ acked chan error }

func (d *door) Run(ctx context.Context, offer agent.Offer) error {
	offer(&agent.Event{Via: "plant", Subject: "s", Data: []byte("early"), QoS: 1}, func(err error) { d.acked <- err })
	<-ctx.Done()
	return nil
}

func (d *door) Follow([]agent.Trigger) {}

func TestSourcesWaitForTheFirstDeployment(t *testing.T) {
	store, early := newMemory(), &door{make(chan error, 1)}
	a := agent.New(store, guests{"app/f": count}, []agent.Source{early}, agent.Options{Device: "gw7", DefaultBroker: "plant"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	b := &bench{Agent: a, t: t, store: store}
	b.eventually("the start is counted", func() error {
		if v, _ := store.Get("agent", "starts"); v == nil {
			return errors.New("not yet")
		}
		return nil
	})
	select {
	case <-early.acked:
		t.Error("an event was acknowledged before there was a deployment that could handle it")
	default:
	}
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(early.acked)
	if n := len(store.queue("target/faas")); n != 1 {
		t.Errorf("%d follow-ups, want 1", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestConditionsDecideBeforeTheFunctionRuns(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{
		Compile: func(expr string) (agent.Predicate, error) {
			if expr == "bad" {
				return nil, errors.New("unexpected token")
			}
			return equals(expr), nil
		},
	})
	tr := on("app/f", "s")
	tr.When = "hot"
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s", "cold", agent.Origin{}))
	b.wait(b.offer("s", "hot", agent.Origin{}))
	if s := b.status().Events; s.Filtered != 1 || s.Invocations != 1 {
		t.Errorf("counts = %+v", s)
	}
	tr.When = "bad"
	err := b.Apply(context.Background(), agent.Deployment{Functions: []agent.Function{fn("app/f")}, Triggers: []agent.Trigger{tr}})
	if err == nil || !strings.Contains(err.Error(), "unexpected token") {
		t.Errorf("Apply with a bad condition: %v", err)
	}
}

type equals string

func (e equals) Match(ev *agent.Event) (bool, error) { return string(ev.Data) == string(e), nil }

func followups(store *memory) string {
	got := ""
	for _, r := range store.queue("target/faas") {
		got += string(r.Event.Data)
	}
	return got
}

func TestOrderSurvivesASpillAndARestart(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/f": func(ctx context.Context, _ *agent.Invocation) error {
		<-ctx.Done()
		return ctx.Err()
	}}, agent.Options{SpillAfter: 20 * time.Millisecond, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 4)
	b.stop()
	b = start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.eventually("all run", func() error {
		if got := followups(store); got != "0123" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
}

func TestOrderSurvivesFailedCommitsOneAfterTheOther(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var commits atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) == 0 {
			return nil
		}
		switch commits.Add(1) {
		case 1: // a sync that hangs, then fails
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
			return errors.New("input/output error")
		case 2:
			return errors.New("input/output error")
		}
		return nil
	}
	var runs atomic.Int32
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if runs.Add(1) == 6 {
			close(gate)
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.offerAll("s", 8)
	if got := followups(store); got != "01234567" {
		t.Errorf("order %q", got)
	}
}

func TestRerunThatFailsStillHoldsBackItsKey(t *testing.T) {
	store, gate := newMemory(), make(chan struct{})
	var once, firsts atomic.Int32
	store.fail = func(f *agent.Frame) error {
		if len(f.Add) > 0 && once.Add(1) == 1 {
			store.mu.Unlock()
			<-gate
			store.mu.Lock()
			return errors.New("input/output error")
		}
		return nil
	}
	var runs atomic.Int32
	b := start(t, store, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if runs.Add(1) == 4 {
			close(gate)
		}
		if string(inv.Event.Data) == "0" && firsts.Add(1) == 2 {
			return errors.New("the second run fails")
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{SpillAfter: time.Hour})
	tr := on("app/f", "s")
	tr.Retry.Backoff = 100 * time.Millisecond
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.offerAll("s", 4)
	if got := followups(store); got != "0123" {
		t.Errorf("order %q", got)
	}
}

func TestFullStoreStopsOnlyWhoNeedsRoom(t *testing.T) {
	store, full := fillable()
	full.Store(true)
	b := start(t, store, guests{
		"app/asks": func(_ context.Context, inv *agent.Invocation) error { return inv.Followup("faas", "", nil) },
		"app/counts": func(_ context.Context, inv *agent.Invocation) error {
			_, err := inv.Add("n", 1)
			return err
		},
	}, agent.Options{Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/asks"), fn("app/counts")}, on("app/asks", "a"), on("app/counts", "c"))
	asked := b.offer("a", "", agent.Origin{})
	for range 20 {
		b.wait(b.offer("c", "", agent.Origin{}))
	}
	select {
	case <-asked:
		t.Error("acknowledged although there was no room for its outcome")
	default:
	}
	if s := b.status().Functions[0]; s.Failures != 0 {
		t.Errorf("waiting for room counts as failure: %+v", s)
	}
	full.Store(false)
	b.wait(asked)
}

func TestRedeliveriesOfAnUnfinishedEventDoNotPileUp(t *testing.T) {
	hold := make(chan struct{})
	b := start(t, newMemory(), guests{"app/f": func(context.Context, *agent.Invocation) error {
		<-hold
		return nil
	}}, agent.Options{SpillAfter: time.Hour})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	var acks []<-chan error
	for i := range 10 {
		acks = append(acks, b.offer("s", "x", agent.Origin{Slot: "plant/1", Hash: 1, Redelivered: i > 0}))
	}
	for i, acked := range acks[:6] {
		if err := <-acked; err == nil {
			t.Errorf("delivery %d was acknowledged, though newer ones wait", i)
		}
	}
	close(hold)
	for _, acked := range acks[6:] {
		b.wait(acked)
	}
}

// A rollback must not wait for room in the store: the function that comes back
// may be the one that makes it.
func TestFunctionThatComesBackWhileTheStoreIsFullRuns(t *testing.T) {
	store, full := fillable()
	started, gate := make(chan struct{}, 8), make(chan struct{})
	b := start(t, store, guests{"app/f": func(context.Context, *agent.Invocation) error {
		started <- struct{}{}
		<-gate
		return nil
	}}, agent.Options{SpillAfter: time.Hour, Grace: time.Millisecond})
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	first := b.offer("s", "1", agent.Origin{Slot: "plant/1", Hash: 1})
	<-started
	held := b.offer("s", "2", agent.Origin{Slot: "plant/2", Hash: 2})
	full.Store(true) // so its dead letter finds no room
	b.apply(nil)
	close(gate)
	b.wait(first)
	b.apply([]agent.Function{fn("app/f")}, on("app/f", "s"))
	b.wait(b.offer("s", "3", agent.Origin{Slot: "plant/3", Hash: 3}))
	b.wait(held)
	if n := len(store.queue(agent.QueueDead)); n != 0 {
		t.Errorf("%d dead letters, want none: the function is back", n)
	}
}
