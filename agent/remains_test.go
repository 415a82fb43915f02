package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// keepBoth is a function that keeps what comes, in its state and in that of its app.
func keepBoth(_ context.Context, inv *agent.Invocation) error {
	key := string(inv.Event.Data)
	if err := inv.Set(key, []byte("value"), 0); err != nil {
		return err
	}
	return inv.Set("/"+key, []byte("shared"), 0)
}

// states counts the keys of a scope.
func (m *memory) states(scope string) int {
	keys, _ := m.Keys(scope, "", 1<<20)
	return len(keys)
}

// keeping starts an agent with functions that have one key in each of their states.
func keeping(t *testing.T, store *memory, opts agent.Options) *bench {
	t.Helper()
	b := start(t, store, guests{"old/f": keepBoth, "old/g": keepBoth, "new/f": keepBoth}, opts)
	b.deploy("old/f", "old/g", "new/f")
	b.wait(b.offer("s/1", "k", agent.Origin{}))
	<-time.After(2 * time.Second) // it is known now
	return b
}

func (b *bench) deploy(names ...string) {
	b.t.Helper()
	var functions []agent.Function
	var triggers []agent.Trigger
	for _, name := range names {
		functions, triggers = append(functions, fn(name)), append(triggers, on(name, "s/+"))
	}
	b.apply(functions, triggers...)
}

func TestStateOfWhatIsGoneIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var log bytes.Buffer
		b := keeping(t, store, agent.Options{OrphanAfter: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
		b.deploy("old/g", "new/f") // its app is still there
		<-time.After(59 * time.Minute)
		if n := store.states("state/old/f"); n != 1 {
			t.Errorf("before its time %d keys are left, want 1", n)
		}
		<-time.After(3 * time.Minute)
		if own, app := store.states("state/old/f"), store.states("state/old"); own != 0 || app != 1 {
			t.Errorf("of the function %d keys are left, of its app, which is there, %d", own, app)
		}
		b.deploy("new/f")
		<-time.After(62 * time.Minute)
		for scope, want := range map[string]int{"state/old/g": 0, "state/old": 0, "state/new/f": 1, "state/new": 1, "states": 2} {
			if n := store.states(scope); n != want {
				t.Errorf("%s has %d keys, want %d", scope, n, want)
			}
		}
		b.deploy("old/f", "new/f")
		b.wait(b.offer("s/1", "k", agent.Origin{}))
		if s := b.status().Functions[0]; s.StateBytes != 70 {
			t.Errorf("back, and empty, it has %d bytes of state, want 70", s.StateBytes)
		}
		b.stop()
		if !strings.Contains(log.String(), "scope=state/old/f keys=1 bytes=70") {
			t.Errorf("the log does not tell of it:\n%s", &log)
		}
	})
}

func TestStateIsFoundByWhatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		b := keeping(t, store, agent.Options{OrphanAfter: time.Hour})
		for range 5 {
			b.deploy("new/f")
			<-time.After(40 * time.Minute)
			b.deploy("old/f", "old/g", "new/f")
			<-time.After(40 * time.Minute)
		}
		if own, app := store.states("state/old/f"), store.states("state/old"); own != 1 || app != 1 {
			t.Errorf("it finds %d and %d keys, want 1 and 1", own, app)
		}
		b.stop()
	})
}

// TestStateStaysWhileNothingIsSettled of an app that is left out: it may be that it
// does not start, or that nobody has asked the registry since.
func TestStateStaysWhileNothingIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		var settled atomic.Bool
		b := keeping(t, store, agent.Options{OrphanAfter: time.Hour, Settled: settled.Load})
		b.deploy("new/f")
		<-time.After(3 * time.Hour)
		settled.Store(true)
		<-time.After(30 * time.Minute)
		settled.Store(false)
		<-time.After(time.Hour)
		if n := store.states("state/old/f"); n != 1 {
			t.Errorf("%d keys are left, want 1", n)
		}
		settled.Store(true)
		<-time.After(2 * time.Minute)
		if n := store.states("state/old/f"); n != 0 {
			t.Errorf("when all is settled %d keys are left, want 0", n)
		}
		b.stop()
	})
}

// TestStateIsDeletedInPieces, and the time that it stays goes on over a restart.
func TestStateIsDeletedInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		b := keeping(t, store, agent.Options{OrphanAfter: time.Hour})
		f := &agent.Frame{}
		for i := range 2500 {
			f.Writes = append(f.Writes, agent.Write{Scope: "state/old/f", Key: fmt.Sprint(i), Value: []byte("v")})
		}
		if err := store.Commit(context.Background(), f); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			b.deploy("new/f")
			<-time.After(20 * time.Minute)
			b.stop()
			store.frames = nil
			b = start(t, store, guests{"new/f": keepBoth}, agent.Options{OrphanAfter: time.Hour})
		}
		b.deploy("new/f")
		<-time.After(time.Minute)
		if n := store.states("state/old/f"); n != 0 {
			t.Errorf("%d keys are left, want 0", n)
		}
		b.stop()
		for i := range store.frames {
			if n := len(store.frames[i].Writes); n > 1000 {
				t.Errorf("a frame has %d writes, at most 1000", n)
			}
		}
	})
}
