package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// sendTo is a function that sends its event's data to the targets it names.
func sendTo(targets ...string) func(context.Context, *agent.Invocation) error {
	return func(_ context.Context, inv *agent.Invocation) error {
		for _, target := range targets {
			if err := inv.Followup(target, "", inv.Event.Data); err != nil {
				return err
			}
		}
		return inv.SetResult(inv.Event.Data)
	}
}

func sender(name string, ways ...agent.TargetWay) agent.Function {
	f := fn(name)
	f.Permissions.Invoke, f.Ways = []string{"central/faas", "central/cloud"}, ways
	return f
}

func latestTo(target string) agent.TargetWay {
	return agent.TargetWay{Target: target, Way: agent.Way{Priority: 3, Latest: true}}
}

func TestFollowupsTravelAsTheirFunctionOrThenSays(t *testing.T) {
	clock := agent.NewClock(nil) // which is never right
	b := start(t, newMemory(), guests{"app/f": sendTo("faas", "cloud")}, agent.Options{Clock: clock})
	tr := on("app/f", "s")
	tr.Then = []agent.Then{
		{Invoke: "central/faas", Way: &agent.Way{Priority: 0}},
		{Invoke: "central/cloud"},
	}
	b.apply([]agent.Function{sender("app/f", agent.TargetWay{Target: "faas", Way: agent.Way{Priority: 9, TTL: time.Hour, Shed: true}})}, tr)
	b.offerAll("s", 1)
	for queue, want := range map[string]agent.Record{
		"target/faas/9":  {Priority: 9, Shed: true},
		"target/faas/0":  {Priority: 0},
		"target/cloud/5": {Priority: 5},
	} {
		waiting := b.store.queue(queue)
		if n := len(waiting); n != 1 && queue != "target/cloud/5" || n == 0 {
			t.Errorf("%d wait in %s", n, queue)
			continue
		}
		r := waiting[0]
		if r.Priority != want.Priority || r.Shed != want.Shed || r.Latest || r.Expires.IsZero() != (queue != "target/faas/9") {
			t.Errorf("%s holds %+v", queue, r)
		}
	}
	expires := b.store.queue("target/faas/9")[0].Expires
	if left := clock.Left(expires); clock.Past(expires) || left > time.Hour || left < 50*time.Minute {
		t.Errorf("it expires in %s, as the clock sees it, which is never right", left)
	}
}

func TestTheLatestTakesThePlaceOfItsOwnAlone(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": sendTo("faas", "faas", "cloud"), "app/g": sendTo("faas")}, agent.Options{})
	b.apply([]agent.Function{sender("app/f", latestTo("faas")), sender("app/g", latestTo("faas"))}, on("app/f", "s/+"), on("app/g", "s/1"))
	b.offerAll("s/1", 20)
	b.offerAll("s/2", 7)
	waiting := map[string]string{}
	for _, r := range b.store.queue("target/faas/3/latest") {
		waiting[r.Function+" "+r.Key] += string(r.Event.Data) + ","
	}
	for of, want := range map[string]string{"app/f s/1": "19,", "app/g s/1": "19,", "app/f s/2": "6,"} {
		if waiting[of] != want {
			t.Errorf("of %s %q wait, want %q", of, waiting[of], want)
		}
	}
	if n := len(b.store.queue("target/cloud/5")); n != 27 || len(waiting) != 3 {
		t.Errorf("%d of all wait for the other target, want 27; %v", n, waiting)
	}
	if all, of, other := b.status().Events.Replaced, b.Replaced("faas"), b.Replaced("cloud"); all != 39+19+13 || of != all || other != 0 {
		t.Errorf("replaced: %d, of the target %d, of the other %d", all, of, other)
	}
}

// TestWhatWasDeliveredIsNotReplaced has the target take each at once.
func TestWhatWasDeliveredIsNotReplaced(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": sendTo("faas")}, agent.Options{})
	b.apply([]agent.Function{sender("app/f", latestTo("faas"))}, on("app/f", "s"))
	for range 5 {
		b.offerAll("s", 1)
		for _, r := range b.store.queue("target/faas/3/latest") {
			if err := b.store.Commit(context.Background(), &agent.Frame{Done: []uint64{r.Seq}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := b.Replaced("faas"); n != 0 {
		t.Errorf("%d were replaced", n)
	}
}

// TestAFailedCommitReplacesNothing keeps the old record where its successor is lost.
func TestAFailedCommitReplacesNothing(t *testing.T) {
	store, full := fillable()
	b := start(t, store, guests{"app/f": sendTo("faas")}, agent.Options{})
	b.apply([]agent.Function{sender("app/f", latestTo("faas"))}, on("app/f", "s"))
	b.wait(b.offer("s", "old", agent.Origin{}))
	full.Store(true)
	acked := b.offer("s", "new", agent.Origin{})
	b.eventually("the store is full", func() error {
		if b.status().Functions[0].Retrying == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	if r := store.queue("target/faas/3/latest"); len(r) != 1 || string(r[0].Event.Data) != "old" || b.Replaced("faas") != 0 {
		t.Errorf("%d wait, %d were replaced", len(r), b.Replaced("faas"))
	}
	full.Store(false)
	b.wait(acked)
	if r := store.queue("target/faas/3/latest"); len(r) != 1 || string(r[0].Event.Data) != "new" || b.Replaced("faas") != 1 {
		t.Errorf("%d wait, %d were replaced", len(r), b.Replaced("faas"))
	}
}

// die has the target refuse what waits for it, for good.
func die(t *testing.T, store *memory, queue string) {
	t.Helper()
	for _, r := range store.queue(queue) {
		dead := r
		dead.Queue, dead.Kind, dead.Origin, dead.Reason = agent.QueueDead, agent.KindDead, queue, "refused"
		if err := store.Commit(context.Background(), &agent.Frame{Done: []uint64{r.Seq}, Add: []agent.Record{dead}}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLettersGoBackToTheirPriority(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/f": sendTo("faas")}, agent.Options{Clock: agent.NewClock(nil)})
	b.apply([]agent.Function{sender("app/f", agent.TargetWay{Target: "faas", Way: agent.Way{Priority: 8, Shed: true, TTL: time.Minute}})}, on("app/f", "s"))
	b.offerAll("s", 3)
	die(t, store, "target/faas/8")
	if n, err := b.DeadBox().Redrive(context.Background(), agent.DeadFilter{}, nil); n != 3 || err != nil {
		t.Fatalf("Redrive = %d, %v", n, err)
	}
	waiting := store.queue("target/faas/8")
	for i, r := range waiting {
		if r.Priority != 8 || !r.Shed || r.Kind != agent.KindFollowup || !r.Expires.IsZero() || string(r.Event.Data) != fmt.Sprint(i) {
			t.Errorf("%+v came back", r)
		}
	}
	if len(waiting) != 3 {
		t.Errorf("%d wait", len(waiting))
	}
}

// TestAnOldLetterTakesNobodysPlace sends one back that a newer one is ahead of, with
// an agent and without.
func TestAnOldLetterTakesNobodysPlace(t *testing.T) {
	const queue = "target/faas/3/latest"
	for _, offline := range []bool{false, true} {
		store := newMemory()
		b := start(t, store, guests{"app/f": sendTo("faas")}, agent.Options{})
		b.apply([]agent.Function{sender("app/f", latestTo("faas"))}, on("app/f", "s"))
		box := b.DeadBox()
		if offline {
			box = agent.OpenDeadBox(store)
		}
		redrive := func(want string) {
			t.Helper()
			if _, err := box.Redrive(context.Background(), agent.DeadFilter{}, nil); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, r := range store.queue(queue) {
				got += string(r.Event.Data) + " "
			}
			if got != want || len(store.queue(agent.QueueDead)) != 0 {
				t.Errorf("offline %v: %q wait, want %q; %d letters", offline, got, want, len(store.queue(agent.QueueDead)))
			}
		}
		send := func(data string) { b.wait(b.offer("s", data, agent.Origin{})) }
		send("old")
		die(t, store, queue)
		if offline {
			b.stop()
		}
		redrive("old ") // nothing newer waits
		if offline {
			b = start(t, store, guests{"app/f": sendTo("faas")}, agent.Options{})
			b.apply([]agent.Function{sender("app/f", latestTo("faas"))}, on("app/f", "s"))
			box = agent.OpenDeadBox(store)
		}
		die(t, store, queue)
		send("new")
		redrive("new ") // which is newer
		send("newer")
		redrive("newer ")
		b.stop()
	}
}

// TestTheLatestOnARealStore stops the machine in between.
func TestTheLatestOnARealStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	apply := func(b *bench) {
		b.apply([]agent.Function{sender("app/f", latestTo("faas"))}, on("app/f", "s/+"))
	}
	before := disk(t, dir)
	b := runWith(t, before, guests{"app/f": sendTo("faas")}, time.Hour)
	apply(b)
	for i := range 30 {
		b.wait(b.offer(fmt.Sprint("s/", i%3), fmt.Sprint("before ", i), agent.Origin{}))
	}
	after := disk(t, afterPowerCut(t, dir))
	b = runWith(t, after, guests{"app/f": sendTo("faas")}, time.Hour)
	apply(b)
	b.wait(b.offer("s/1", "after", agent.Origin{}))
	var got []string
	for _, stub := range after.Pending("target/faas/3/latest") {
		r, err := after.Record(stub.Seq)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(r.Event.Data))
	}
	if want := "before 27,before 29,after"; strings.Join(got, ",") != want {
		t.Errorf("%q wait, want %s", got, want)
	}
}

func TestWhatTheDeploymentSaysOfAFunction(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": sendTo()}, agent.Options{})
	f := sender("app/f")
	f.Limits = agent.DefaultLimits
	f.Limits.Uplink, f.Log = 1<<20, agent.LogRule{Stated: true, Level: slog.LevelWarn, Sample: 10}
	b.apply([]agent.Function{f})
	if b.UplinkLimit("app/f") != 1<<20 || b.LogRule("app/f") != f.Log {
		t.Errorf("%d bytes, logs by %+v", b.UplinkLimit("app/f"), b.LogRule("app/f"))
	}
	if b.UplinkLimit("app/g") != 0 || b.LogRule("app/g") != (agent.LogRule{}) {
		t.Error("a function that does not run has limits")
	}
}
