package agent_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

// deadBench is an agent whose function rejects what it is given until it is
// mended; n letters for one key lie in the box.
func deadBench(t *testing.T, n int) (b *bench, mended *atomic.Bool) {
	mended = &atomic.Bool{}
	b = start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if !mended.Load() {
			return fmt.Errorf("%w: no scale", agent.ErrReject)
		}
		return inv.Followup("faas", "", inv.Event.Data)
	}}, agent.Options{})
	tr := on("app/f", "s")
	tr.Then = []agent.Then{{Invoke: "central/errors", On: agent.OnError}}
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.offerAll("s", n)
	return b, mended
}

func TestDeadLettersGoAgainInTheirOrder(t *testing.T) {
	b, mended := deadBench(t, 5)
	box, ctx := b.DeadBox(), context.Background()
	letters, err := box.List(agent.DeadFilter{Function: "app/f"})
	if err != nil || len(letters) != 5 {
		t.Fatalf("List = %+v, %v", letters, err)
	}
	first := letters[0]
	if first.Queue != "inbox/app/f" || first.Attempts != 1 || !strings.HasSuffix(first.Reason, "no scale") || first.Topic != "s" || first.Size != 1 || first.Data != nil {
		t.Errorf("letter %+v", first)
	}
	one, err := box.List(agent.DeadFilter{IDs: []uint64{letters[3].ID}})
	if err != nil || len(one) != 1 || string(one[0].Data) != "3" {
		t.Errorf("List of one = %+v, %v", one, err)
	}
	mended.Store(true)
	if n, err := box.Redrive(ctx, agent.DeadFilter{IDs: []uint64{letters[4].ID, letters[0].ID, letters[2].ID}}, nil); n != 3 || err != nil {
		t.Fatalf("Redrive = %d, %v", n, err)
	}
	b.eventually("they run in the order of their deaths", func() error {
		if got := followups(b.store); got != "024" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
	if n, err := box.Redrive(ctx, agent.DeadFilter{IDs: []uint64{letters[1].ID}}, []byte("mended")); n != 1 || err != nil {
		t.Fatalf("Redrive with new data = %d, %v", n, err)
	}
	b.eventually("the edited one runs", func() error {
		if got := followups(b.store); got != "024mended" {
			return fmt.Errorf("follow-ups %q", got)
		}
		return nil
	})
	if n, err := box.Drop(ctx, agent.DeadFilter{}); n != 1 || err != nil {
		t.Errorf("Drop = %d, %v", n, err)
	}
	if len(b.store.queue(agent.QueueDead)) != 0 || b.status().Functions[0].Inbox != 0 {
		t.Errorf("left over: %+v, status %+v", b.store.queue(agent.QueueDead), b.status().Functions[0])
	}
	var ids []string
	for _, queue := range []string{"target/faas/5", "target/errors/5"} {
		for _, r := range b.store.queue(queue) {
			ids = append(ids, r.Event.ID)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 9 {
		t.Errorf("outputs of a death and of a later run share an id, so that a far side would drop one: %q", ids)
	}
}

func TestRedriveRefuses(t *testing.T) {
	b, _ := deadBench(t, 2)
	box, ctx := b.DeadBox(), context.Background()
	if _, err := box.Redrive(ctx, agent.DeadFilter{IDs: []uint64{99}}, nil); !errors.Is(err, agent.ErrNotFound) || !strings.Contains(err.Error(), "99") {
		t.Errorf("an id that is not there: %v", err)
	}
	if _, err := box.Redrive(ctx, agent.DeadFilter{}, []byte("x")); !errors.Is(err, agent.ErrInvalid) {
		t.Errorf("the same data for two: %v", err)
	}
	b.apply(nil)
	if _, err := box.Redrive(ctx, agent.DeadFilter{}, nil); err == nil || !strings.Contains(err.Error(), "does not run here") {
		t.Errorf("a function that is gone: %v", err)
	}
	if n := len(b.store.queue(agent.QueueDead)); n != 2 {
		t.Errorf("%d letters after what was refused, want 2", n)
	}
}

// TestRedriveStopsWhereTheInboxIsFull keeps the rest in the box.
func TestRedriveStopsWhereTheInboxIsFull(t *testing.T) {
	b, _ := deadBench(t, 10)
	f := fn("app/f")
	f.Digest, f.Limits = "sha256:0123456789ab", agent.DefaultLimits
	f.Limits.Inbox = 500
	b.apply([]agent.Function{f}, on("app/f", "s"))
	b.eventually("the new version has taken over", func() error {
		n, err := b.DeadBox().Redrive(context.Background(), agent.DeadFilter{}, nil)
		if !errors.Is(err, agent.ErrFull) || !strings.Contains(err.Error(), "finds no room in the inbox of app/f") {
			return fmt.Errorf("redrove %d: %v", n, err)
		}
		return nil
	})
	b.eventually("nothing is lost: what went is rejected again", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 10 {
			return fmt.Errorf("%d letters", n)
		}
		return nil
	})
}

// TestLettersOfTargetsGoBackToThem redrives without an agent, as the command
// line does when none runs.
func TestLettersOfTargetsGoBackToThem(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	for i, queue := range []string{"target/faas/5", "broker/plant", "inbox/app/f"} {
		f := &agent.Frame{Add: []agent.Record{{
			Queue: agent.QueueDead, Kind: agent.KindDead, Origin: queue, Function: "app/f", Reason: "refused", Attempts: 3,
			Event: agent.Event{ID: strconv.Itoa(i)},
		}}}
		if err := store.Commit(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := agent.OpenDeadBox(store).Redrive(ctx, agent.DeadFilter{}, nil); n != 3 || err != nil {
		t.Fatalf("Redrive = %d, %v", n, err)
	}
	for queue, kind := range map[string]agent.RecordKind{
		"target/faas/5": agent.KindFollowup, "broker/plant": agent.KindPublish, "inbox/app/f": agent.KindEvent,
	} {
		r := store.queue(queue)
		if len(r) != 1 || r[0].Kind != kind || r[0].Attempts != 0 || r[0].Reason != "" || r[0].Origin != "" {
			t.Errorf("%s holds %+v", queue, r)
		}
	}
}
