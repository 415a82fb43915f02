package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// disk opens the real store in dir.
func disk(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{SegmentSize: 64 << 10, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// afterPowerCut is a copy of dir as it is now, with everything running.
func afterPowerCut(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// runOn runs an agent over a real store, with app/a and app/b for each event.
func runOn(t *testing.T, s *store.Store, g guests) *bench {
	t.Helper()
	b := runWith(t, s, g, 30*time.Millisecond)
	b.apply([]agent.Function{fn("app/a"), fn("app/b")}, on("app/a", "s/+"), on("app/b", "s/+"))
	return b
}

// runWith runs an agent over a real store, with no functions yet.
func runWith(t *testing.T, s *store.Store, g guests, spillAfter time.Duration) *bench {
	t.Helper()
	a := agent.New(s, g, nil, agent.Options{Device: "gw7", SpillAfter: spillAfter, Grace: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return &bench{Agent: a, t: t}
}

// committed waits until there are n follow-ups of function, and gives their data.
func committed(b *bench, s *store.Store, function string, n int) (data string) {
	b.t.Helper()
	b.eventually(fmt.Sprint(n, " follow-ups of ", function), func() error {
		data = ""
		found := 0
		for _, stub := range s.Pending("target/faas/5") {
			r, err := s.Record(stub.Seq)
			if err != nil {
				return err
			}
			if r.Function == function {
				data += string(r.Event.Data)
				found++
			}
		}
		if found != n {
			return fmt.Errorf("%d", found)
		}
		return nil
	})
	return data
}

// TestPowerCutBetweenTwoFunctionsOfOneEvent has a commit and b at work when the
// power goes. The broker delivers all again: a runs nothing twice, b all once.
func TestPowerCutBetweenTwoFunctionsOfOneEvent(t *testing.T) {
	dir, hold := filepath.Join(t.TempDir(), "store"), make(chan struct{})
	slow := func(ctx context.Context, inv *agent.Invocation) error {
		select {
		case <-hold:
			return count(ctx, inv)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	before := disk(t, dir)
	b := runOn(t, before, guests{"app/a": count, "app/b": slow})
	const events = 6
	offer := func(b *bench, again bool) (acks []<-chan error) {
		for i := range events {
			acks = append(acks, b.offer("s/"+strconv.Itoa(i%2), strconv.Itoa(i),
				agent.Origin{Slot: "plant/" + strconv.Itoa(i), Hash: uint64(i), Redelivered: again}))
		}
		return acks
	}
	offer(b, false)
	committed(b, before, "app/a", events)
	cut := afterPowerCut(t, dir) // some of b's are in its inbox by now, or none

	close(hold)
	after := disk(t, cut)
	b = runOn(t, after, guests{"app/a": count, "app/b": count})
	for _, acked := range offer(b, true) {
		b.wait(acked)
	}
	committed(b, after, "app/a", events)
	order := committed(b, after, "app/b", events)
	for key, want := range map[string]string{"s/0": "024", "s/1": "135"} {
		if got := strings.Map(func(r rune) rune {
			if strings.ContainsRune(want, r) {
				return r
			}
			return -1
		}, order); got != want {
			t.Errorf("%s ran %q in b, want %q", key, got, want)
		}
	}
	for _, name := range []string{"a", "b"} {
		if v, err := after.Get("state/app/"+name, "total"); string(v) != strconv.Itoa(events) || err != nil {
			t.Errorf("%s counted %s (%v), want %d", name, v, err, events)
		}
	}
}

// TestOrderHoldsThroughRetryParkingAndAPowerCut has one key fail until the power
// has gone and come back.
func TestOrderHoldsThroughRetryParkingAndAPowerCut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	before := disk(t, dir)
	b := runOn(t, before, guests{"app/a": forward, "app/b": func(ctx context.Context, inv *agent.Invocation) error {
		if inv.Event.Subject == "s/bad" {
			return errors.New("not yet")
		}
		return forward(ctx, inv)
	}})
	b.offerAll("s/bad", 5) // acknowledged: they are in the inbox
	b.offerAll("s/good", 5)
	committed(b, before, "app/b", 5)
	after := disk(t, afterPowerCut(t, dir))
	b = runOn(t, after, guests{"app/a": forward, "app/b": forward})
	b.offerAll("s/bad", 5)
	if got := committed(b, after, "app/b", 15); got != "012340123401234" {
		t.Errorf("b ran %q", got)
	}
	b.eventually("the inbox is empty", func() error {
		if n := len(after.Pending("inbox/app/b")); n != 0 {
			return fmt.Errorf("%d left", n)
		}
		return nil
	})
}

// TestAnEventMayMatchAnyNumberOfTriggers has what is remembered of eight packet ids
// outgrow what a store takes as one value.
func TestAnEventMayMatchAnyNumberOfTriggers(t *testing.T) {
	s := disk(t, filepath.Join(t.TempDir(), "store"))
	b := runWith(t, s, guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		_, err := inv.Add("total", 1)
		return err
	}}, time.Hour)
	const many = 1000
	var triggers []agent.Trigger
	for i := range many {
		tr := on("app/f", "s/+")
		tr.Name = fmt.Sprintf("app/trigger-%d", i)
		triggers = append(triggers, tr)
	}
	b.apply([]agent.Function{fn("app/f")}, triggers...)
	for _, again := range []bool{false, true} {
		for i := range 8 {
			b.wait(b.offer("s/1", "x", agent.Origin{Slot: fmt.Sprintf("plant/%d", i), Hash: 1, Redelivered: again}))
		}
	}
	if v, err := s.Get("state/app/f", "total"); string(v) != strconv.Itoa(8*many) || err != nil {
		t.Errorf("%s runs, %v, want %d", v, err, 8*many)
	}
}
