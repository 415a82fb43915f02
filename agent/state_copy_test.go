package agent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// countShared counts in the function's state and in its app's.
func countShared(ctx context.Context, inv *agent.Invocation) error {
	if _, err := inv.Add("/total", 1); err != nil {
		return err
	}
	return count(ctx, inv)
}

// in is a version of app/a and app/b with their state in a place.
func in(place, from string) []agent.Function {
	functions := []agent.Function{fn("app/a"), fn("app/b")}
	for i := range functions {
		functions[i].StateSpace, functions[i].StateFrom = place, from
		functions[i].Digest = agent.Digest("sha256:" + place + "00")
	}
	return functions
}

func (b *bench) deployIn(place, from string) {
	b.t.Helper()
	b.apply(in(place, from), on("app/a", "s/+"), on("app/b", "s/+"))
}

// wantState checks values by "scope key".
func (m *memory) wantState(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		scope, key, _ := strings.Cut(name, " ")
		if got, _ := m.Get(scope, key); string(got) != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// TestStateIsCopiedWhenAllOfTheOldVersionEnded: the copy has what runs that were
// under way at the switch wrote, in the app's state too, and the original stays as it is.
func TestStateIsCopiedWhenAllOfTheOldVersionEnded(t *testing.T) {
	store, entered, leave := newMemory(), make(chan struct{}, 1), make(chan struct{})
	g := guests{"app/a": countShared, "app/b": func(ctx context.Context, inv *agent.Invocation) error {
		if string(inv.Event.Data) == "slow" {
			entered <- struct{}{}
			<-leave
		}
		return countShared(ctx, inv)
	}}
	b := start(t, store, g, agent.Options{})
	b.deployIn("", "")
	b.offerAll("s/1", 10)
	slow := b.offer("s/1", "slow", agent.Origin{})
	<-entered
	b.eventually("it ran in app/a", func() error {
		if v, _ := store.Get("state/app/a", "total"); string(v) != "11" {
			return fmt.Errorf("total %s", v)
		}
		return nil
	})
	b.deployIn("p1", "")
	during := b.offer("s/1", "x", agent.Origin{})
	select {
	case <-during:
		t.Error("an event ran in the new version before all of the old one had ended")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	b.wait(slow)
	b.wait(during)
	before := map[string]string{"state/app/a total": "11", "state/app/b total": "11", "state/app /total": "22"}
	store.wantState(t, before)
	store.wantState(t, map[string]string{"state/app@p1/a total": "12", "state/app@p1/b total": "12", "state/app@p1 /total": "24"})
	if f := b.status().Functions[0]; f.StateBytes != agent.StateSize("total", []byte("12")) {
		t.Errorf("the copy counts %d bytes", f.StateBytes)
	}
	b.deployIn("", "") // back
	b.offerAll("s/1", 1)
	store.wantState(t, map[string]string{"state/app/a total": "12", "state/app /total": "24", "state/app@p1/a total": "12"})
	b.deployIn("p2", "")
	b.offerAll("s/1", 1)
	store.wantState(t, map[string]string{"state/app/a total": "12", "state/app@p2/a total": "13", "state/app@p2 /total": "26"})
}

func TestCopiedStateExpiresWhenItsOriginalDoes(t *testing.T) {
	store := newMemory()
	b := start(t, store, guests{"app/a": func(_ context.Context, inv *agent.Invocation) error {
		return inv.Set("brief", []byte("v"), time.Hour)
	}, "app/b": count}, agent.Options{})
	b.deployIn("", "")
	b.offerAll("s/1", 1)
	b.deployIn("p1", "")
	b.eventually("it is copied", func() error {
		was, _ := store.Read("state/app/a", "brief")
		if w, _ := store.Read("state/app@p1/a", "brief"); w.Value == nil || !w.Expires.Equal(was.Expires) {
			return fmt.Errorf("it expires at %v, its original at %v", w.Expires, was.Expires)
		}
		return nil
	})
}

// large is a state of several frames.
func large(t *testing.T, store *memory) {
	t.Helper()
	f := &agent.Frame{}
	for i := range 2500 {
		f.Writes = append(f.Writes, agent.Write{Scope: "state/app/a", Key: "k" + strconv.Itoa(i), Value: []byte("v")})
	}
	for i := range 20 {
		f.Writes = append(f.Writes, agent.Write{Scope: "state/app", Key: "/k" + strconv.Itoa(i), Value: make([]byte, 60_000)})
	}
	if err := store.Commit(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

func (m *memory) in(scope string) map[string]string {
	keys, _ := m.Keys(scope, "", 1<<20)
	out := map[string]string{}
	for _, key := range keys {
		value, _ := m.Get(scope, key)
		out[key] = string(value)
	}
	return out
}

// TestCopyThatIsCutShortBeginsAgain, in whatever frame: by a disk that fails, and by
// a stop, after which it may have to go on from rubbish.
func TestCopyThatIsCutShortBeginsAgain(t *testing.T) {
	frames := 0
	for cut := 1; ; cut++ {
		done := false
		synctest.Test(t, func(t *testing.T) {
			store := newMemory()
			large(t, store)
			var n int
			store.fail = func(f *agent.Frame) error {
				if len(f.Writes) > 1000+1 {
					t.Errorf("a frame of %d writes", len(f.Writes))
				}
				if last := f.Writes; len(last) > 0 && last[len(last)-1].Scope == "states" && strings.Contains(last[len(last)-1].Key, "@p1") {
					if n++; n >= cut {
						return errors.New("input/output error")
					}
				}
				return nil
			}
			b := start(t, store, guests{"app/a": count, "app/b": count}, agent.Options{})
			b.deployIn("p1", "")
			<-time.After(10 * time.Second)
			b.stop()
			frames, done = max(frames, n), n < cut
			store.fail = nil
			copies := map[string]string{"state/app@p1": "state/app", "state/app@p1/a": "state/app/a", "state/app@p1/b": "state/app/b"}
			rubbish := &agent.Frame{}
			if v, _ := store.Get("states", "state/app@p1"); string(v) != "held" {
				for scope := range copies {
					rubbish.Writes = append(rubbish.Writes, agent.Write{Scope: scope, Key: "rubbish", Value: []byte("x")})
				}
			}
			if err := store.Commit(context.Background(), rubbish); err != nil {
				t.Fatal(err)
			}
			b = start(t, store, guests{"app/a": count, "app/b": count}, agent.Options{})
			b.deployIn("p1", "")
			<-time.After(time.Minute)
			for copied, original := range copies {
				if got, want := store.in(copied), store.in(original); !maps.Equal(got, want) {
					t.Errorf("cut in frame %d: %s has %d keys, %s has %d", cut, copied, len(got), original, len(want))
				}
				if v, _ := store.Get("states", copied); string(v) != "held" {
					t.Errorf("cut in frame %d: %s is %q", cut, copied, v)
				}
			}
			if size := b.status().Functions[0].StateBytes; size != 2500*(64+1)+int64(keyBytes(2500)) {
				t.Errorf("cut in frame %d: %d bytes of state", cut, size)
			}
			b.stop()
		})
		if done {
			break
		}
	}
	if frames < 8 {
		t.Errorf("the copy took %d frames, which is not worth cutting", frames)
	}
}

func keyBytes(n int) (sum int) {
	for i := range n {
		sum += len("k" + strconv.Itoa(i))
	}
	return sum
}

// TestEventsWaitForTheCopy on disk, acknowledged, and run in their order.
func TestEventsWaitForTheCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stuck := newMemory(), atomic.Bool{}
		store.fail = func(f *agent.Frame) error {
			if stuck.Load() && len(f.Writes) > 0 && f.Writes[len(f.Writes)-1].Scope == "states" {
				return agent.ErrFull
			}
			return nil
		}
		var ran order
		b := start(t, store, guests{"app/a": func(ctx context.Context, inv *agent.Invocation) error {
			ran.add(inv.Event)
			return count(ctx, inv)
		}, "app/b": count}, agent.Options{SpillAfter: 100 * time.Millisecond})
		b.deployIn("", "")
		b.offerAll("s/1", 1)
		stuck.Store(true)
		b.deployIn("p1", "")
		var want []string
		var acks []<-chan error
		for i := range 50 {
			want = append(want, strconv.Itoa(i))
			acks = append(acks, b.offer("s/2", want[i], agent.Origin{}))
		}
		<-time.After(3 * time.Second)
		for _, acked := range acks {
			b.wait(acked)
		}
		if got := ran.of("s/2"); len(got) > 0 {
			t.Errorf("%d events ran without their state", len(got))
		}
		b.deployIn("p2", "") // a newer version takes over, and what waits
		<-time.After(3 * time.Second)
		stuck.Store(false)
		<-time.After(2 * time.Minute)
		if got := ran.of("s/2"); !slices.Equal(got, want) {
			t.Errorf("they ran as %q", got)
		}
		store.wantState(t, map[string]string{"state/app/a total": "1", "state/app@p2/a total": "51", "state/app@p1/a total": ""})
		b.stop()
	})
}

func TestNoCopyBeginsWithoutRoom(t *testing.T) {
	store := newMemory()
	large(t, store)
	room := int64(1 << 20)
	b := start(t, store, guests{"app/a": count, "app/b": count}, agent.Options{Room: func() int64 { return room }})
	b.deployIn("", "")
	d := agent.Deployment{Functions: in("p1", ""), Triggers: []agent.Trigger{on("app/a", "s/+")}}
	for i := range d.Functions {
		d.Functions[i].Limits = agent.DefaultLimits
	}
	err := b.Apply(context.Background(), d)
	var load *agent.LoadError
	if !errors.As(err, &load) || len(load.Causes) != 2 || !strings.Contains(err.Error(), "room for 1.0 MiB") {
		t.Errorf("Apply: %v", err)
	}
	b.offerAll("s/1", 1)
	store.wantState(t, map[string]string{"state/app/a total": "1", "state/app@p1/a total": ""})
	room = 4 << 20
	b.deployIn("p1", "")
	b.offerAll("s/1", 1)
	store.wantState(t, map[string]string{"state/app@p1/a total": "2"})
}

// TestOriginalStaysUntilNobodyNamesIt, and the copies of versions that are gone go.
func TestOriginalStaysUntilNobodyNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		b := start(t, store, guests{"app/a": countShared, "app/b": countShared}, agent.Options{OrphanAfter: time.Hour})
		want := func(there ...string) {
			t.Helper()
			<-time.After(3 * time.Hour)
			for _, place := range []string{"", "p1", "p2"} {
				scope, n := "state/app@"+place, 1
				if place == "" {
					scope = "state/app"
				}
				if !slices.Contains(there, place) {
					n = 0
				}
				if a, app := store.states(scope+"/a"), store.states(scope); a != n || app != n {
					t.Errorf("%s has %d keys, %s/a %d, want %d", scope, app, scope, a, n)
				}
			}
		}
		b.deployIn("", "")
		b.offerAll("s/1", 1)
		b.deployIn("p1", "")
		b.offerAll("s/1", 1)
		want("", "p1")
		b.deployIn("", "") // back: the copy goes
		want("")
		b.deployIn("p2", "")
		b.offerAll("s/1", 1)
		want("", "p2")
		b.deployIn("p2", "p2") // it has proved itself: the original goes
		b.offerAll("s/1", 1)
		want("p2")
		store.wantState(t, map[string]string{"state/app@p2/a total": "3"})
		b.stop()
	})
}
